//! Facts of files, the same for a single node and for a cluster: each takes the doors through which its people come.

use std::path::{Path, PathBuf};

use anyhow::Context;
use whimbrel_client::{Attachment, AttachmentKind, Content, Error, FileForm, FileUsage, GroupAction, Outcome, Sending};
use whimbrel_core::{ConversationId, FileId, Refusal};

use crate::groups::{group_of, outcome, place};
use crate::people::{Device, friends, people};
use crate::server::Doors;
use crate::wait::{until, within};

/// Bytes that no two places share by chance.
pub fn content(len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// A file of these bytes.
///
/// # Errors
/// Of the file system.
pub fn written(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// The file of the `count`th message that a device was shown there.
pub async fn attachment(device: &mut Device, chat: ConversationId, count: usize) -> Attachment {
    let shown = device.messages(chat, count).await;
    shown[count - 1].attachment().expect("it comes with a file").clone()
}

/// Fetches it; its bytes.
///
/// # Errors
/// Of the transfer.
pub async fn fetched(device: &Device, attachment: &Attachment, to: &Path) -> Result<Vec<u8>, Error> {
    let path = within("the file", device.client.fetch_file(attachment, to).finished()).await?;
    Ok(std::fs::read(path).expect("it is there"))
}

/// The idea: sizes around the chunks of sealed files; each comes out at the other's devices as it was, also at one that
/// comes later, and again from the sender's own.
///
/// # Errors
/// Of the server.
pub async fn a_file_comes_out_as_it_was(here: &impl Doors, there: &impl Doors) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (ada, bea) = friends(here, "ada", "bea").await?;
    let (mut one, mut two) = (ada.device(here).await?, bea.device(there).await?);
    let chat = one.with(&bea).await?;
    let sizes = [0, 1, 65_536, 65_537, 5_000_000];
    for (number, size) in sizes.into_iter().enumerate() {
        let bytes = content(size);
        let path = written(folder.path(), &format!("{size}.bin"), &bytes)?;
        let mut sending = one.client.send_file(chat, Sending::new(&path)).await?;
        let mut done = 0;
        while let Some(progress) = sending.changed().await {
            assert!(progress.done >= done && progress.done <= progress.total, "{progress:?} after {done}");
            done = progress.done;
        }
        let id = within("the upload", sending.finished()).await?;
        place(&one, chat, id).await;
        let late = bea.device(here).await?;
        for (who, device) in [("one", &mut one), ("two", &mut two), ("late", &mut { late })] {
            let attachment = attachment(device, chat, number + 1).await;
            assert_eq!((attachment.size, attachment.name.clone()), (size as u64, format!("{size}.bin")));
            assert!(attachment.key.is_some(), "bodies are sealed here, and so are files");
            let to = folder.path().join(format!("{size}.{who}"));
            assert_eq!(fetched(device, &attachment, &to).await?, bytes, "{size} at {who}");
            let again = fetched(device, &attachment, &to).await;
            assert!(matches!(again, Err(Error::File(_))), "what is there is not replaced: {again:?}");
        }
    }
    Ok(())
}

/// Taken back: who had the link finds no file. Removed from a group: nothing of what came after.
///
/// # Errors
/// Of the server.
pub async fn a_link_ends_with_what_one_may_see(here: &impl Doors, there: &impl Doors) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let all = people(here, &["ada", "bea", "cid"]).await?;
    let mut ada = all[0].device(here).await?;
    let chat = group_of(here, &ada, &all).await?;
    let (mut bea, mut cid) = (all[1].device(there).await?, all[2].device(here).await?);
    let path = written(folder.path(), "file.bin", &content(1000))?;
    let mut seqs = Vec::new();
    for _ in 0..2 {
        let id = within("the upload", ada.client.send_file(chat, Sending::new(&path)).await?.finished()).await?;
        seqs.push(place(&ada, chat, id).await);
    }
    let (first, second) = (attachment(&mut bea, chat, 1).await, attachment(&mut bea, chat, 2).await);
    let recall = ada.client.recall(chat, seqs[0]).await?;
    place(&ada, chat, recall).await;
    let to = folder.path().join("gone");
    let gone = fetched(&bea, &first, &to).await;
    assert_eq!(gone.as_ref().err().and_then(Error::code), Some("no_such_file"), "{gone:?}");
    ada.client.act_in_group(chat, &GroupAction::Remove(all[1].user)).await?;
    let id = within("the upload", ada.client.send_file(chat, Sending::new(&path)).await?.finished()).await?;
    place(&ada, chat, id).await;
    let third = attachment(&mut cid, chat, 3).await;
    assert_eq!(fetched(&cid, &third, &folder.path().join("cid")).await?, content(1000));
    let late = fetched(&bea, &third, &to).await;
    assert_eq!(late.as_ref().err().and_then(Error::code), Some("no_such_file"), "{late:?}");
    assert_eq!(fetched(&bea, &second, &folder.path().join("bea")).await?, content(1000), "of one's own time");
    let own = attachment(&mut ada, chat, 3).await;
    let own_chat = all[2].user;
    let direct = ada.client.conversation_with(own_chat).await?.context("they are friends")?;
    // Said as if it were one's own it is refused, and the next message has its place; sent on it is a copy.
    let theirs = cid.client.send(direct, Content::Attachment(Box::new(own.clone()))).await?;
    let text = cid.client.send_text(direct, "after it").await?;
    assert_eq!(outcome(&cid, direct, theirs).await, Outcome::Refused(Refusal::NoFile));
    place(&cid, direct, text).await;
    let id = ada.client.forward_file(direct, &own).await?;
    assert!(matches!(outcome(&ada, direct, id).await, Outcome::Sent { .. }));
    let copy = attachment(&mut cid, direct, 2).await;
    assert_ne!(copy.file, own.file);
    assert_eq!(fetched(&cid, &copy, &folder.path().join("copy")).await?, content(1000));
    Ok(())
}

/// Paused, it stands; cancelled, it is gone, and nothing was said.
///
/// # Errors
/// Of the server.
pub async fn a_transfer_pauses_and_is_cancelled(here: &impl Doors) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (ada, bea) = friends(here, "ada", "bea").await?;
    let (mut one, mut two) = (ada.device(here).await?, bea.device(here).await?);
    let chat = one.with(&bea).await?;
    let bytes = content(20_000_000);
    let path = written(folder.path(), "large.bin", &bytes)?;
    let mut sending = one.client.send_file(chat, Sending::new(&path)).await?;
    sending.pause();
    within("it pauses", async {
        while sending.progress().stage != whimbrel_client::Stage::Paused {
            sending.changed().await.expect("it is not over");
        }
    })
    .await;
    assert!(sending.progress().done < bytes.len() as u64);
    sending.resume();
    within("the upload", sending.finished()).await?;
    let attachment = attachment(&mut two, chat, 1).await;
    let fetching = two.client.fetch_file(&attachment, folder.path().join("fetched"));
    fetching.cancel();
    let cancelled = within("its end", fetching.finished()).await;
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 1, "nothing is left of it");
    let sending = one.client.send_file(chat, Sending::new(&path)).await?;
    let file = sending.file();
    sending.cancel();
    let cancelled = within("its end", sending.finished()).await;
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    assert!(one.client.unfinished_files().await?.is_empty());
    until("the server forgets it", || async { one.client.rest().file(file).await.is_err() }).await;
    one.look().await;
    assert_eq!(one.shown(chat).len(), 1);
    Ok(())
}

/// A picture says what it is, shows itself small, and has lost the place where it was taken.
///
/// # Errors
/// Of the server.
pub async fn a_picture_comes_small_and_without_its_place(here: &impl Doors) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (ada, bea) = friends(here, "ada", "bea").await?;
    let (one, mut two) = (ada.device(here).await?, bea.device(here).await?);
    let chat = one.with(&bea).await?;
    let path = written(folder.path(), "sea.png", PICTURE)?;
    assert!(PICTURE.windows(5).any(|window| window == b"52.52"));
    let what = Sending { caption: "The sea".into(), ..Sending::new(&path) };
    within("the upload", one.client.send_file(chat, what).await?.finished()).await?;
    let seen = attachment(&mut two, chat, 1).await;
    assert_eq!((seen.kind, seen.dimensions, &*seen.caption), (AttachmentKind::Image, (2, 1), "The sea"));
    assert!(!seen.thumbnail.jpeg.is_empty() && !seen.thumbnail.blur_hash.is_empty());
    let bytes = fetched(&two, &seen, &folder.path().join("fetched.png")).await?;
    assert!(!bytes.windows(5).any(|window| window == b"52.52"));
    assert_eq!(bytes.len(), PICTURE.len() - 26, "nothing else is gone");
    let voice = written(folder.path(), "hello.ogg", b"OggS and so on")?;
    let what = Sending::voice(&voice, 1500, vec![1, 200, 3]);
    within("the upload", one.client.send_file(chat, what).await?.finished()).await?;
    let heard = attachment(&mut two, chat, 2).await;
    assert_eq!((heard.kind, heard.duration_ms, &heard.waveform[..]), (AttachmentKind::Voice, 1500, &[1, 200, 3][..]));
    Ok(())
}

/// Where files rest readable, and somebody uploads by bare REST: the picture has lost the place by the time that another can
/// read it, is what completing answered, also when that is asked again, and takes up no more than that.
///
/// # Errors
/// Of the server.
pub async fn a_readable_picture_loses_its_place_at_the_server(here: &impl Doors) -> anyhow::Result<()> {
    let (ada, bea) = friends(here, "ada", "bea").await?;
    let (one, two) = (ada.device(here).await?, bea.device(here).await?);
    let (rest, file) = (one.client.rest(), FileId::generate());
    let form = FileForm {
        id: file.to_string(),
        name: "sea.png".into(),
        content_type: "image/png".into(),
        size: PICTURE.len() as u64,
        sha256: PICTURE_SHA256.into(),
        encrypted: false,
        keeps_metadata: false,
    };
    let announced = rest.announce_file(&form).await?;
    assert_eq!((announced.state.as_str(), announced.received), ("uploading", 0));
    rest.upload_piece(file, 0, PICTURE.into()).await?;
    for _ in 0..2 {
        assert!(rest.complete_file(file).await?.is_whole());
        assert!(rest.announce_file(&form).await?.is_whole(), "the same announcement");
    }
    let bytes = rest.download_range(file, 0, 1000).await?;
    assert!(!bytes.windows(5).any(|window| window == b"52.52"));
    assert_eq!(bytes.len(), PICTURE.len() - 26, "nothing else is gone");
    let own = rest.files(None, 10).await?;
    assert_eq!((own.files.len(), own.next, own.usage.bytes), (1, None, bytes.len() as u64));
    let seen = &own.files[0];
    assert_eq!((seen.id, seen.size, seen.attached, seen.name.as_str()), (file, bytes.len() as u64, false, "sea.png"));
    assert!(two.client.rest().files(None, 10).await?.files.is_empty(), "they are nobody else's");
    rest.discard_file(file).await?;
    assert_eq!(rest.files(None, 10).await?.usage, FileUsage { bytes: 0, files: 0, uploads: 0 });
    Ok(())
}

const PICTURE_SHA256: &str = "38082e55583a9bc4dff23c29bc1af9794f2732306d5063e4c677b24f7a81ccda";

/// A PNG of two pixels with a text chunk that tells a place.
const PICTURE: &[u8] =
    b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x02\x00\x00\x00\x01\x08\x02\x00\x00\x00{@\
      \xe8\xdd\x00\x00\x00\x0etEXtGPS\x0052.52 13.4\x09\x82\xe4\xac\x00\x00\x00\x0dIDATx\x9cc\xf8\xcf\x00\
      \x04\xff\x01\x07\x00\x01\xff\xe2#\x9eY\x00\x00\x00\x00IEND\xaeB`\x82";
