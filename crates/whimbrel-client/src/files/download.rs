//! A file's way to this device: fetched in parts, opened chunk by chunk, checked whole, and only then there under its name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use whimbrel_core::FileId;
use whimbrel_core::limits::FILE_CHUNK;
use whimbrel_wire::file_seal;
use whimbrel_wire::seal::TAG_LEN;

use super::blocking;
use super::transfer::{FileTransfer, Reins, Stage};
use super::upload::is_passing;
use crate::client::Client;
use crate::content::Attachment;
use crate::error::Error;

/// Chunks of one part.
const CHUNKS: u64 = 32;
/// Longest chunk that a message may ask for, bytes.
const CHUNK_MAX: u32 = 1024 * 1024;
/// Bytes of a file's name that stay in the name under which it grows.
const NAME_MAX: usize = 200;
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn begin(client: &Client, attachment: Attachment, to: PathBuf) -> FileTransfer<PathBuf> {
    let (client, total) = (client.clone(), attachment.size);
    FileTransfer::start(attachment.file, total, |mut reins| async move {
        let part = beside(&to, attachment.file);
        match fetch(&client, &attachment, &part, &to, &mut reins).await {
            Ok(()) => Ok(to),
            Err(error) => {
                if matches!(error, Error::Cancelled | Error::FileDamaged) {
                    drop(fs::remove_file(&part));
                }
                Err(error)
            }
        }
    })
}

/// Where it grows: beside `to`, under a name of this file's alone, so that nothing of another one's that was to be there
/// gets into it.
fn beside(to: &Path, file: FileId) -> PathBuf {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    // Names may be 255 bytes long.
    let name = &name[..name.floor_char_boundary(NAME_MAX)];
    to.with_file_name(format!("{name}.{file}.part"))
}

/// How a file is cut.
struct Cut {
    chunk: u64,
    /// Bytes that a chunk has more where it rests.
    more: u64,
    chunks: u64,
}

impl Cut {
    fn of(attachment: &Attachment) -> Result<Self, Error> {
        let chunk = if attachment.key.is_some() { attachment.chunk_size } else { FILE_CHUNK as u32 };
        if chunk == 0 || chunk > CHUNK_MAX {
            return Err(Error::FileDamaged);
        }
        let more = if attachment.key.is_some() { TAG_LEN as u64 } else { 0 };
        Ok(Self { chunk: chunk.into(), more, chunks: file_seal::chunks(attachment.size, chunk) })
    }

    /// Where these chunks rest: offset and length.
    fn rests(&self, from: u64, upto: u64, size: u64) -> (u64, u64) {
        let end = (upto * self.chunk).min(size) + upto * self.more;
        let start = from * (self.chunk + self.more);
        (start, end - start)
    }
}

/// A file that grows.
struct Growing {
    file: Arc<File>,
    /// The chunk that is the next to be written.
    next: u64,
    /// What came of it, as it rests.
    came: Vec<u8>,
}

async fn fetch(
    client: &Client,
    attachment: &Attachment,
    part: &Path,
    to: &Path,
    reins: &mut Reins,
) -> Result<(), Error> {
    let cut = Cut::of(attachment)?;
    let (grown, named, sha256) = (part.to_owned(), to.to_owned(), attachment.sha256);
    if blocking(move || is_there(&grown, &named, sha256).map_err(Error::File)).await? {
        return Ok(());
    }
    let (path, chunk) = (part.to_owned(), cut.chunk);
    let (file, have) = blocking(move || open(&path, chunk)).await?;
    let mut growing = Growing { file: Arc::new(file), next: (have / cut.chunk).min(cut.chunks), came: Vec::new() };
    while growing.next < cut.chunks {
        let done = (growing.next * cut.chunk).min(attachment.size);
        reins.may_go(done).await?;
        client.check_open()?;
        reins.at(Stage::Moving, done);
        match growing.range(client, attachment, &cut, reins).await {
            Err(error) if is_passing(&error) => {
                reins.at(Stage::Waiting, (growing.next * cut.chunk).min(attachment.size));
                reins.wait(PAUSE).await?;
            }
            moved => moved?,
        }
    }
    reins.at(Stage::Checking, attachment.size);
    let (part, to, sha256, size) = (part.to_owned(), to.to_owned(), attachment.sha256, attachment.size);
    blocking(move || keep(&growing.file, &part, &to, size, sha256)).await
}

impl Growing {
    /// Fetches the next chunks. What came before the range was cut, or the transfer paused, is not asked for again.
    async fn range(
        &mut self,
        client: &Client,
        attachment: &Attachment,
        cut: &Cut,
        reins: &mut Reins,
    ) -> Result<(), Error> {
        let (offset, len) = cut.rests(self.next, (self.next + CHUNKS).min(cut.chunks), attachment.size);
        let came = self.came.len() as u64;
        let mut left = len - came;
        if left == 0 {
            return self.write_whole(attachment, cut).await;
        }
        let mut response = client.rest().open_range(attachment.file, offset + came, left).await?;
        while left > 0 {
            let bytes = tokio::select! {
                bytes = response.chunk() => bytes.map_err(Error::http)?.ok_or(Error::FileDamaged)?,
                () = reins.stops() => return Ok(()),
            };
            left = left.checked_sub(bytes.len() as u64).ok_or(Error::FileDamaged)?;
            self.came.extend_from_slice(&bytes);
            self.write_whole(attachment, cut).await?;
            reins.at(Stage::Moving, (self.next * cut.chunk).min(attachment.size));
        }
        Ok(())
    }

    /// Opens the chunks of which all has come, and writes them to their places.
    async fn write_whole(&mut self, of: &Attachment, cut: &Cut) -> Result<(), Error> {
        let rests = |upto| cut.rests(self.next, upto, of.size).1 as usize;
        let mut upto = self.next + self.came.len() as u64 / (cut.chunk + cut.more);
        // The last one may be shorter.
        if upto + 1 == cut.chunks && self.came.len() == rests(cut.chunks) {
            upto = cut.chunks;
        }
        if upto == self.next {
            return Ok(());
        }
        let behind = self.came.split_off(rests(upto));
        let whole = std::mem::replace(&mut self.came, behind);
        let (file, of, first) = (self.file.clone(), of.clone(), self.next);
        blocking(move || write(&file, &of, first, &whole)).await?;
        self.next = upto;
        Ok(())
    }
}

/// Whether it is under its name already, and nobody but this device was told: that is the end of it. If it was changed there
/// since then, it is somebody's.
fn is_there(part: &Path, to: &Path, sha256: [u8; 32]) -> io::Result<bool> {
    Ok(was_given_name(part, to)? && hash(&File::open(to)?)? == sha256)
}

/// The growing file, cut back to whole chunks, and how long it is.
fn open(path: &Path, chunk: u64) -> Result<(File, u64), Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(Error::File)?;
    let have = file.metadata().map_err(Error::File)?.len();
    Ok((file, have / chunk * chunk))
}

/// Opens these chunks and writes them to their places.
fn write(mut file: &File, of: &Attachment, first: u64, bytes: &[u8]) -> Result<(), Error> {
    let cut = Cut::of(of)?;
    file.seek(SeekFrom::Start(first * cut.chunk)).map_err(Error::File)?;
    for (sealed, number) in bytes.chunks((cut.chunk + cut.more) as usize).zip(first..) {
        let mut chunk = sealed.to_vec();
        if let Some(key) = &of.key {
            let is_last = number + 1 == cut.chunks;
            file_seal::open_chunk(key, number, is_last, &mut chunk).map_err(|_| Error::FileDamaged)?;
        }
        file.write_all(&chunk).map_err(Error::File)?;
    }
    Ok(())
}

fn hash(mut file: &File) -> io::Result<[u8; 32]> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 256 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Checks the whole and gives it its name, which must be free.
fn keep(mut file: &File, part: &Path, to: &Path, size: u64, sha256: [u8; 32]) -> Result<(), Error> {
    file.set_len(size).map_err(Error::File)?;
    file.seek(SeekFrom::Start(0)).map_err(Error::File)?;
    if hash(file).map_err(Error::File)? != sha256 {
        return Err(Error::FileDamaged);
    }
    file.sync_all().map_err(Error::File)?;
    give_name(part, to).map_err(Error::File)
}

/// Gives what grew the name `to`, which must be free: nothing is ever replaced. Whoever is killed in between leaves either no
/// such name or the whole file under it ([`was_given_name`]); where links are not known it may be an empty file.
fn give_name(part: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(part, to) {
        Ok(()) => fs::remove_file(part),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Not every file system knows links. The name is taken first: a rename alone would replace what somebody else put
        // there.
        Err(_) => {
            OpenOptions::new().write(true).create_new(true).open(to)?;
            fs::rename(part, to).inspect_err(|_| drop(fs::remove_file(to)))
        }
    }
}

/// Whether an earlier client gave the whole its name and was killed before it was told: then both names are of one file.
/// What grew is not touched any more in that case, since it is what `to` names.
#[cfg(unix)]
fn was_given_name(part: &Path, to: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (Ok(grown), Ok(named)) = (fs::symlink_metadata(part), fs::symlink_metadata(to)) else { return Ok(false) };
    let is_same = grown.is_file() && (grown.dev(), grown.ino()) == (named.dev(), named.ino());
    if is_same {
        fs::remove_file(part)?;
    }
    Ok(is_same)
}

#[cfg(not(unix))]
fn was_given_name(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}
