//! What holds for every engine of content: each case is a function over the trait.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use whimbrel_core::FileId;

use super::{BlobError, Blobs, ByteStream, FolderBlobs};
use crate::testing::TestBucket;

type Case<'a> = &'a dyn Blobs;

/// Bytes of a pattern that no two places share by chance.
fn content(len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// In small parts, as they come from a socket.
fn piece(bytes: &[u8]) -> ByteStream {
    let parts: Vec<io::Result<Bytes>> = bytes.chunks(10_000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    Box::pin(stream::iter(parts))
}

/// A piece whose sender is killed after these bytes.
fn broken(bytes: &[u8]) -> ByteStream {
    Box::pin(piece(bytes).chain(stream::iter([Err(io::Error::other("the peer is gone"))])))
}

async fn all(blobs: Case<'_>, id: FileId, range: std::ops::Range<u64>) -> Vec<u8> {
    let parts: Vec<Bytes> = blobs.read(id, range).await.expect("there").try_collect().await.expect("whole");
    parts.concat()
}

async fn kept(blobs: Case<'_>, bytes: &[u8]) -> FileId {
    let (id, size) = (FileId::generate(), bytes.len() as u64);
    assert_eq!(blobs.append(id, 0, size, piece(bytes)).await.expect("taken"), size);
    blobs.finish(id, size, hash(bytes)).await.expect("its hash");
    id
}

/// Pieces one after the other; repeats and overlaps are harmless; holes are refused with the place to go on at.
async fn what_is_uploaded_in_pieces_is_read_back_whole_and_in_ranges(blobs: Case<'_>) {
    let bytes = content(3 << 20);
    let (id, size) = (FileId::generate(), bytes.len() as u64);
    assert_eq!(blobs.received(id, size).await.expect("answers"), 0);
    let mut at = 0;
    for end in [1, 1000, 700_000, 1 << 20, (1 << 20) + 1, 2_500_000, (3 << 20) - 1, 3 << 20] {
        at = blobs.append(id, at as u64, size, piece(&bytes[at..end])).await.expect("taken") as usize;
        assert_eq!((at, blobs.received(id, size).await.expect("answers")), (end, end as u64));
    }
    assert_eq!(blobs.append(id, 0, size, piece(&bytes[..1 << 20])).await.expect("a repeat"), size);
    let hole = blobs.append(FileId::generate(), 7, size, piece(&bytes)).await;
    assert!(matches!(hole, Err(BlobError::Offset { received: 0 })), "{hole:?}");
    blobs.finish(id, size, hash(&bytes)).await.expect("its hash");
    blobs.finish(id, size, hash(&bytes)).await.expect("again");
    assert_eq!(blobs.received(id, size).await.expect("answers"), size);
    assert_eq!(blobs.append(id, 0, size, piece(b"other")).await.expect("too late"), size);
    for range in [0..size, 0..1, size - 1..size, 1_000_000..2_500_000, 5..5] {
        assert_eq!(all(blobs, id, range.clone()).await, bytes[range.start as usize..range.end as usize]);
    }
}

/// A sender that is killed leaves what came.
async fn an_upload_goes_on_where_it_was_cut_off(blobs: Case<'_>) {
    let bytes = content(5 << 20);
    let (id, size) = (FileId::generate(), bytes.len() as u64);
    let cut = blobs.append(id, 0, size, broken(&bytes[..3_500_000])).await;
    assert!(matches!(cut, Err(BlobError::Body(_))), "{cut:?}");
    let received = blobs.received(id, size).await.expect("answers");
    assert_eq!(received, 3_500_000);
    let early = blobs.finish(id, size, hash(&bytes)).await;
    assert!(matches!(early, Err(BlobError::Offset { received: at }) if at == received), "{early:?}");
    let rest = piece(&bytes[received as usize..]);
    assert_eq!(blobs.append(id, received, size, rest).await.expect("taken"), size);
    blobs.finish(id, size, hash(&bytes)).await.expect("its hash");
    assert_eq!(all(blobs, id, 0..size).await, bytes);
}

async fn another_hash_and_more_than_was_announced_are_refused(blobs: Case<'_>) {
    let bytes = content(100_000);
    let (id, size) = (FileId::generate(), bytes.len() as u64);
    blobs.append(id, 0, size, piece(&bytes)).await.expect("taken");
    let forged = blobs.finish(id, size, [7; 32]).await;
    assert!(matches!(forged, Err(BlobError::OtherHash)), "{forged:?}");
    assert!(matches!(blobs.read(id, 0..1).await.err(), Some(BlobError::Gone)), "nothing was kept");
    let long = blobs.append(FileId::generate(), 0, size - 1, piece(&bytes)).await;
    assert!(matches!(long, Err(BlobError::TooLong)), "{long:?}");
}

/// Two devices, the same upload at once: each piece is taken or refused, and what is kept is right.
async fn the_same_upload_from_two_devices_at_once_is_harmless(blobs: Arc<dyn Blobs>) {
    let bytes = Arc::new(content(4 << 20));
    let (id, size) = (FileId::generate(), bytes.len() as u64);
    let devices = (0..2).map(|_| {
        let (blobs, bytes) = (blobs.clone(), bytes.clone());
        tokio::spawn(async move {
            loop {
                let at = blobs.received(id, size).await.expect("answers") as usize;
                if at == bytes.len() {
                    return;
                }
                let end = (at + 300_000).min(bytes.len());
                match blobs.append(id, at as u64, size, piece(&bytes[at..end])).await {
                    Ok(_) | Err(BlobError::Busy | BlobError::Offset { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for device in devices.collect::<Vec<_>>() {
        device.await.expect("no panic");
    }
    blobs.finish(id, size, hash(&bytes)).await.expect("its hash");
    assert_eq!(all(&*blobs, id, 0..size).await, *bytes);
}

async fn what_is_removed_is_gone(blobs: Case<'_>) {
    let id = kept(blobs, b"content").await;
    let other = kept(blobs, b"content").await;
    let half = FileId::generate();
    blobs.append(half, 0, 10, piece(b"half")).await.expect("taken");
    for id in [id, half, id, FileId::generate()] {
        blobs.remove(id).await.expect("answers");
        assert!(matches!(blobs.read(id, 0..1).await.err(), Some(BlobError::Gone)));
        assert_eq!(blobs.received(id, 7).await.expect("answers"), 0);
    }
    assert_eq!(all(blobs, other, 0..7).await, b"content");
}

async fn empty_content_is_content(blobs: Case<'_>) {
    let id = FileId::generate();
    blobs.append(id, 0, 0, piece(b"")).await.expect("taken");
    blobs.finish(id, 0, hash(b"")).await.expect("its hash");
    assert_eq!(all(blobs, id, 0..0).await, b"");
}

async fn every_case(blobs: Arc<dyn Blobs>) {
    what_is_uploaded_in_pieces_is_read_back_whole_and_in_ranges(&*blobs).await;
    an_upload_goes_on_where_it_was_cut_off(&*blobs).await;
    another_hash_and_more_than_was_announced_are_refused(&*blobs).await;
    the_same_upload_from_two_devices_at_once_is_harmless(blobs.clone()).await;
    what_is_removed_is_gone(&*blobs).await;
    empty_content_is_content(&*blobs).await;
}

fn folder() -> (FolderBlobs, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (FolderBlobs::open(&folder.path().join("files")).expect("a folder"), folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_keeps_content() {
    let (blobs, _folder) = folder();
    every_case(Arc::new(blobs)).await;
}

/// Another process writes to the upload while it is to be checked: it is not, and what was checked cannot be written to.
#[tokio::test]
async fn nobody_writes_to_an_upload_while_it_is_checked_nor_after() {
    let (blobs, _folder) = folder();
    let (id, bytes) = (FileId::generate(), b"what was checked".as_slice());
    let size = bytes.len() as u64;
    blobs.append(id, 0, size, piece(bytes)).await.expect("taken");
    let (send, waiting) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(1);
    let slow = stream::unfold(waiting, async |mut waiting| waiting.recv().await.map(|item| (item, waiting)));
    let writing = {
        let blobs = blobs.clone();
        tokio::spawn(async move { blobs.append(id, 0, size, Box::pin(slow)).await })
    };
    send.send(Ok(Bytes::from_static(b"WHAT"))).await.expect("it reads");
    // The second is taken only once the writer has the file.
    send.send(Ok(Bytes::from_static(b" WAS"))).await.expect("it reads");
    assert!(matches!(blobs.finish(id, size, hash(bytes)).await, Err(BlobError::Busy)));
    drop(send);
    writing.await.expect("no panic").expect("taken");
    assert!(matches!(blobs.finish(id, size, hash(bytes)).await, Err(BlobError::OtherHash)));
    blobs.append(id, 0, size, piece(bytes)).await.expect("taken");
    blobs.finish(id, size, hash(bytes)).await.expect("its hash");
    assert_eq!(all(&blobs, id, 0..size).await, bytes);
}

/// What rests in the folder is named by this program's ids and nothing else, and only its owner may read it.
#[tokio::test]
async fn names_in_the_folder_are_ids() {
    use std::os::unix::fs::PermissionsExt;
    let (blobs, folder) = folder();
    let id = kept(&blobs, b"content").await;
    let name = id.to_string().replace('-', "");
    let path = folder.path().join("files/kept").join(&name[30..]).join(&name);
    assert_eq!(std::fs::read(&path).expect("there"), b"content");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path().join("files/uploads")).expect("a folder").count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_content() {
    let bucket = TestBucket::new().await;
    let blobs = bucket.blobs();
    blobs.check().await.expect("it is there");
    every_case(Arc::new(blobs)).await;
}
