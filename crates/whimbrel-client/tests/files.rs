//! Files on their way: what leaves the device, and what bad links, lost uploads and earlier attempts do to it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use whimbrel_client::testing::FakeServer;
use whimbrel_client::{
    Attachment, AttachmentKind, Client, Content, ConversationId, Error, Events, FileId, FileTransfer, FirstSync,
    MessageId, Sending, Seq, Stage, UserId,
};

const PATIENCE: Duration = Duration::from_secs(40);
/// What a camera writes.
const PLACE: &[u8] = b"52.5200N 13.4050E";

async fn online(fake: &FakeServer, user: UserId) -> (Client, Events) {
    let builder = Client::builder(&fake.api_url(), &fake.server()).credentials(fake.credentials(user));
    let (client, events) = builder.first_sync(FirstSync::Everything).connect().await.unwrap();
    timeout(PATIENCE, client.wait_online()).await.unwrap().unwrap();
    (client, events)
}

/// Somebody who sends files, a conversation, and a folder.
struct Desk {
    fake: FakeServer,
    client: Client,
    _events: Events,
    chat: ConversationId,
    folder: TempDir,
}

impl Desk {
    async fn new(readable: bool) -> Self {
        let fake = FakeServer::start().await;
        fake.set_bodies_readable(readable);
        let (ann, _, chat) = fake.friends("ann", "bob");
        let (client, events) = online(&fake, ann).await;
        Self { fake, client, _events: events, chat, folder: tempfile::tempdir().unwrap() }
    }

    fn written(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Sends it; which file it is.
    async fn send(&self, what: Sending) -> Result<FileId, Error> {
        let transfer = self.client.send_file(self.chat, what).await?;
        let file = transfer.file();
        timeout(PATIENCE, transfer.finished()).await.unwrap()?;
        Ok(file)
    }

    /// What the message with this file says of it, once it is said.
    async fn attachment(&self, file: FileId) -> Attachment {
        let said = async {
            loop {
                let said = self.client.picture(self.chat, Seq::ZERO, 500).await.unwrap();
                let mut files = said.iter().filter_map(|item| match &item.content {
                    Content::Attachment(attachment) => Some(attachment.as_ref()),
                    _ => None,
                });
                if let Some(found) = files.find(|attachment| attachment.file == file) {
                    return found.clone();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, said).await.unwrap()
    }

    /// Begins to send a file, and holds it when some of it is there.
    async fn half_sent(&self, path: &Path) -> FileTransfer<MessageId> {
        self.fake.cut_transfers(Some(50_000));
        let before = self.fake.moved().len();
        let mut sending = self.client.send_file(self.chat, Sending::new(path)).await.unwrap();
        let held = async {
            while self.fake.moved().len() == before {
                sending.changed().await.unwrap();
            }
            sending.pause();
            while sending.progress().stage != Stage::Paused {
                sending.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, held).await.unwrap();
        self.fake.cut_transfers(None);
        sending
    }

    /// What is in the folder.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    async fn fetch(&self, file: &Attachment, to: &Path) -> Result<Vec<u8>, Error> {
        let path = timeout(PATIENCE, self.client.fetch_file(file, to).finished()).await.unwrap()?;
        Ok(std::fs::read(path).unwrap())
    }
}

/// Bytes of no known type, of which no two parts are the same.
fn content(len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn has_place(bytes: &[u8]) -> bool {
    bytes.windows(PLACE.len()).any(|window| window == PLACE)
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    [&[0xff, marker], &(content.len() as u16 + 2).to_be_bytes()[..], content].concat()
}

/// A JPEG that says that it is as large as a town, and where it was taken. There is nothing to decode in it.
fn huge_jpeg() -> Vec<u8> {
    let exif = [b"Exif\0\0MM\0\x2a\0\0\0\x08\0\0\0\0\0\0", PLACE].concat();
    let frame = [8, 0xff, 0xff, 0xff, 0xff, 1, 1, 0x11, 0];
    let scan = [1, 1, 0, 0, 63, 0];
    [&[0xff, 0xd8][..], &segment(0xe1, &exif), &segment(0xc0, &frame), &segment(0xda, &scan), &[1, 2, 3, 0xff, 0xd9]]
        .concat()
}

/// A picture of a telephone's, as far as its first bytes tell; `brand` is its dialect.
fn heic(brand: &[u8; 4]) -> Vec<u8> {
    [&[0, 0, 0, 24], b"ftyp", &brand[..], &[0; 4], &brand[..], b"mif1", PLACE].concat()
}

/// The idea: pictures that this device cannot decode, or is told to show as something else, sealed and readable. What
/// arrives has no place in it; where nothing was taken out the server is not told that nothing is left to do.
#[tokio::test]
async fn a_picture_that_cannot_be_decoded_or_is_sent_as_a_file_still_loses_its_place() {
    for readable in [false, true] {
        let desk = Desk::new(readable).await;
        assert!(has_place(&huge_jpeg()));
        for (name, kind) in [("town.jpg", None), ("as file", Some(AttachmentKind::File))] {
            let path = desk.written(name, &huge_jpeg());
            let file = desk.send(Sending { kind, ..Sending::new(&path) }).await.unwrap();
            let sent = desk.attachment(file).await;
            assert_eq!((sent.kind, &*sent.content_type), (AttachmentKind::File, "image/jpeg"));
            let fetched = desk.fetch(&sent, &desk.folder.path().join(format!("{name} fetched"))).await.unwrap();
            assert!(!has_place(&fetched), "{name}, readable: {readable}");
            assert!(fetched.starts_with(&[0xff, 0xd8]) && fetched.ends_with(&[1, 2, 3, 0xff, 0xd9]));
            assert_eq!(desk.fake.file(sent.file).unwrap().keeps_metadata, readable, "it is as it is to be");
        }
        let words = desk.send(Sending::new(desk.written("words.txt", b"words"))).await.unwrap();
        let words = desk.fake.file(words).unwrap();
        assert!(!words.keeps_metadata, "nothing was looked at here");
        desk.client.close().await;
    }
}

/// The idea: pictures out of which nothing can be taken here, under any name and kind. Nothing is announced and nothing is
/// left to go on with; with `keeps_metadata` they arrive as they are.
#[tokio::test]
async fn a_picture_that_cannot_lose_its_place_stays_here_unless_it_is_to_keep_it() {
    let cut = &huge_jpeg()[..60];
    let tiff = [b"II\x2a\0\x08\0\0\0", PLACE].concat();
    for readable in [false, true] {
        let desk = Desk::new(readable).await;
        for (name, bytes) in [
            ("a.heic", heic(b"heic")),
            ("no name", heic(b"hevx")),
            ("b.avif", heic(b"avif")),
            ("c.tif", tiff.clone()),
            ("d.jpg", cut.to_vec()),
            ("e.JPG", [b"broken ", PLACE].concat()),
        ] {
            let path = desk.written(name, &bytes);
            for kind in [None, Some(AttachmentKind::File), Some(AttachmentKind::Image)] {
                let what = Sending { kind, ..Sending::new(&path) };
                let refused = desk.send(what).await;
                assert!(matches!(&refused, Err(Error::MetadataStays)), "{name} {kind:?} {readable}: {refused:?}");
            }
            assert_eq!(desk.fake.announced(), [], "{name}: nothing has left");
            assert_eq!(desk.client.unfinished_files().await.unwrap(), []);
        }
        let long = desk.written("f.jpg", &huge_jpeg());
        std::fs::File::options().write(true).open(&long).unwrap().set_len(64 * 1024 * 1024 + 1).unwrap();
        assert!(matches!(desk.send(Sending::new(&long)).await, Err(Error::MetadataStays)), "it is too long");
        assert_eq!(desk.fake.announced(), []);

        let path = desk.written("a.heic", &heic(b"heic"));
        let file = desk.send(Sending { keeps_metadata: true, ..Sending::new(&path) }).await.unwrap();
        let sent = desk.attachment(file).await;
        assert_eq!(desk.fetch(&sent, &desk.folder.path().join("fetched")).await.unwrap(), heic(b"heic"));
        assert_eq!(desk.fake.file(sent.file).unwrap().keeps_metadata, readable);
        desk.client.close().await;
    }
}

/// The idea: no connection carries more than so many bytes, fewer than a piece, than a range and (the first) than a chunk
/// has. Each one goes on where the one before was cut, so that all of it arrives and nothing travels twice.
#[tokio::test]
async fn a_file_gets_there_though_every_connection_is_cut() {
    for (readable, size, cut) in [(false, 150_000, 40_000), (true, 300_000, 100_000)] {
        let desk = Desk::new(readable).await;
        desk.fake.cut_transfers(Some(cut));
        let bytes = content(size);
        let file = desk.send(Sending::new(desk.written("long", &bytes))).await.unwrap();
        let sealed = desk.fake.file(file).unwrap().bytes.len();
        let steps: Vec<_> = (0..sealed).step_by(cut).map(|at| (at as u64, cut.min(sealed - at))).collect();
        assert_eq!(desk.fake.moved(), steps, "up");
        let to = desk.folder.path().join("fetched");
        assert_eq!(desk.fetch(&desk.attachment(file).await, &to).await.unwrap(), bytes);
        assert_eq!(desk.fake.moved()[steps.len()..], steps, "down");
        desk.client.close().await;
    }
}

/// The idea: two files are fetched to the same name, and the first gives up in its middle. The second is itself; and the
/// first goes on from where it was.
#[tokio::test]
async fn what_was_fetched_of_another_file_does_not_get_into_this_one() {
    let desk = Desk::new(true).await;
    let (bytes, other) = (content(200_000), vec![7; 150_000]);
    let first = desk.send(Sending::new(desk.written("first", &bytes))).await.unwrap();
    let second = desk.send(Sending::new(desk.written("second", &other))).await.unwrap();
    let (first, second) = (desk.attachment(first).await, desk.attachment(second).await);
    let to = desk.folder.path().join("image.jpg");
    // One chunk comes, and then the server has no such file.
    desk.fake.cut_transfers(Some(70_000));
    let fetching = desk.client.fetch_file(&first, &to);
    let before = desk.fake.file(first.file).unwrap();
    let came = async {
        while desk.fake.moved().len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, came).await.unwrap();
    desk.fake.collect_file(first.file);
    assert_eq!(timeout(PATIENCE, fetching.finished()).await.unwrap().unwrap_err().code(), Some("no_such_file"));
    desk.fake.cut_transfers(None);

    assert_eq!(desk.fetch(&second, &to).await.unwrap(), other);
    std::fs::remove_file(&to).unwrap();
    desk.fake.put_file(before);
    let moved = desk.fake.moved().len();
    assert_eq!(desk.fetch(&first, &to).await.unwrap(), bytes);
    assert_eq!(desk.fake.moved()[moved..], [(65_536, 200_000 - 65_536)], "its first chunk was there");
    assert_eq!(desk.left(), ["first", "image.jpg", "second"]);

    let long = desk.folder.path().join("ä".repeat(120));
    assert_eq!(desk.fetch(&second, &long).await.unwrap(), other, "a name as long as names may be");
    desk.client.close().await;
}

/// The idea: the names as they are when somebody is killed after the whole got its name and before what grew lost its own.
/// Asked again, it is there, and nothing travels. Nothing that is somebody's is replaced: what was changed there since, what
/// was there before, not even an empty file.
#[cfg(unix)]
#[tokio::test]
async fn a_file_whose_fetching_was_killed_as_it_got_its_name_is_there_and_nothing_is_replaced() {
    let desk = Desk::new(false).await;
    let bytes = content(100_000);
    let file = desk.send(Sending::new(desk.written("first", &bytes))).await.unwrap();
    let file = desk.attachment(file).await;
    let to = desk.folder.path().join("sea.png");
    let part = desk.folder.path().join(format!("sea.png.{}.part", file.file));
    desk.fetch(&file, &to).await.unwrap();
    let moved = desk.fake.moved();

    std::fs::hard_link(&to, &part).unwrap();
    assert_eq!(desk.fetch(&file, &to).await.unwrap(), bytes);
    assert_eq!((desk.left(), desk.fake.moved()), (vec!["first".to_owned(), "sea.png".to_owned()], moved));

    for others in [&[&bytes[..], b" and more"].concat(), &b""[..]] {
        std::fs::write(&to, others).unwrap();
        drop(std::fs::remove_file(&part));
        std::fs::hard_link(&to, &part).unwrap();
        for _ in 0..2 {
            let refused = desk.fetch(&file, &to).await;
            let is_taken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AlreadyExists;
            assert!(matches!(&refused, Err(Error::File(error)) if is_taken(error)), "{refused:?}");
            assert_eq!(std::fs::read(&to).unwrap(), *others);
        }
    }
    desk.client.close().await;
}

/// The idea: the server loses what it has of an upload, in its middle or when it is checked. It is announced again, as the
/// same file, and arrives; what is lost again is given up, and not tried by a later client.
#[tokio::test]
async fn an_upload_that_the_server_lost_is_announced_again_once() {
    let (bytes, said) = (content(200_000), "content_mismatch");
    for readable in [false, true] {
        let desk = Desk::new(readable).await;
        let path = desk.written("first", &bytes);
        let sending = desk.half_sent(&path).await;
        let file = sending.file();
        assert!(!desk.fake.file(file).unwrap().bytes.is_empty());
        desk.fake.collect_file(file);
        sending.resume();
        timeout(PATIENCE, sending.finished()).await.unwrap().unwrap();
        let announced = desk.fake.announced();
        assert_eq!(announced.len(), 2);
        assert_eq!(announced[0], announced[1], "the same content, so that one key seals one");
        assert_eq!(desk.fetch(&desk.attachment(file).await, &desk.folder.path().join("a")).await.unwrap(), bytes);

        desk.fake.damage_uploads(1);
        let file = desk.send(Sending::new(&path)).await.unwrap();
        assert_eq!(desk.fetch(&desk.attachment(file).await, &desk.folder.path().join("b")).await.unwrap(), bytes);
        // A picture that was cleaned comes out the same when it is looked at anew.
        desk.fake.damage_uploads(1);
        let town = desk.send(Sending::new(desk.written("town.jpg", &huge_jpeg()))).await.unwrap();
        let town = desk.fetch(&desk.attachment(town).await, &desk.folder.path().join("c")).await.unwrap();
        assert!(!has_place(&town) && town.starts_with(&[0xff, 0xd8]));
        desk.fake.damage_uploads(2);
        assert_eq!(desk.send(Sending::new(&path)).await.unwrap_err().code(), Some(said));
        assert_eq!(desk.fake.announced().len(), 8);
        assert_eq!(desk.client.unfinished_files().await.unwrap(), []);
        desk.client.close().await;
    }
}

/// The idea: as before, but meanwhile the file has changed, or the sender has given it up: nothing is announced again.
#[tokio::test]
async fn an_upload_that_was_lost_is_not_announced_again_if_it_changed_or_was_given_up() {
    let desk = Desk::new(false).await;
    let path = desk.written("first", &content(200_000));
    let sending = desk.half_sent(&path).await;
    desk.written("first", &content(200_001)[1..]);
    desk.fake.collect_file(sending.file());
    sending.resume();
    let changed = timeout(PATIENCE, sending.finished()).await.unwrap();
    assert!(matches!(&changed, Err(Error::FileChanged)), "{changed:?}");
    assert_eq!(desk.fake.announced().len(), 1);

    let path = desk.written("second", &content(200_000));
    let sending = desk.half_sent(&path).await;
    desk.client.forget_file(sending.file()).await.unwrap();
    sending.resume();
    let gone = timeout(PATIENCE, sending.finished()).await.unwrap();
    assert_eq!(gone.unwrap_err().code(), Some("no_such_file"));
    assert_eq!(desk.fake.announced().len(), 2);
    assert_eq!(desk.client.unfinished_files().await.unwrap(), []);
    desk.client.close().await;
}
