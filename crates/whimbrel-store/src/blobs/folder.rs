//! Content in a folder: `uploads/<id>` grows, `kept/<two digits>/<id>` is whole, checked, synced, and never changes.
//!
//! A lock of the operating system on the upload's file, and not one of this process, keeps writers apart: several
//! processes may share the folder. It ends with its holder, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use whimbrel_core::FileId;

use super::{BlobError, Blobs, ByteStream};
use crate::files::sync_name;
use crate::filing::ContentHash;

/// Bytes that gather before they are written, and bytes of one read.
const BUFFER: usize = 256 * 1024;
/// More than comes at once from a socket: a buffer that is full never has to grow.
const SLACK: usize = 64 * 1024;
/// Uploads that are checked at the same time: each keeps a thread and a disk busy.
const CHECKS_AT_ONCE: usize = 4;
/// Calls of the file system that are under way at the same time. Each takes a thread that may wait for the disk; what threads
/// hold beside their work (stack, the allocator's heap) stays with them, so that more of them is memory, and no disk is
/// faster for it.
const CALLS_AT_ONCE: usize = 16;

/// See the module.
#[derive(Debug, Clone)]
pub struct FolderBlobs {
    root: Arc<Path>,
    checks: Arc<Semaphore>,
    calls: Calls,
}

impl FolderBlobs {
    /// Content in this folder, which is made if it is not there. Blocking.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(root: &Path) -> io::Result<Self> {
        for folder in [root.to_owned(), root.join("uploads"), root.join("kept")] {
            let mut builder = fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(&folder)?;
        }
        // All that there will ever be, and on disk: keeping a file need not wait for its folder.
        let kept = root.join("kept");
        for number in 0..=u8::MAX {
            let mut builder = fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(kept.join(format!("{number:02x}")))?;
        }
        File::open(&kept)?.sync_all()?;
        let checks = Arc::new(Semaphore::new(CHECKS_AT_ONCE));
        Ok(Self { root: root.into(), checks, calls: Calls(Arc::new(Semaphore::new(CALLS_AT_ONCE))) })
    }

    fn upload(&self, id: FileId) -> PathBuf {
        self.root.join("uploads").join(name(id))
    }

    /// Ids begin with their time; their ends spread them.
    fn kept(&self, id: FileId) -> PathBuf {
        let name = name(id);
        self.root.join("kept").join(&name[name.len() - 2..]).join(&name)
    }
}

/// 32 hexadecimal digits.
fn name(id: FileId) -> String {
    id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Calls of the file system: a bounded number at a time, each on a thread of its own.
#[derive(Debug, Clone)]
struct Calls(Arc<Semaphore>);

impl Calls {
    async fn run<T: Send + 'static, E: From<Lost> + Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        // It is never closed.
        let turn = self.0.clone().acquire_owned().await;
        let done = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.unwrap_or_else(|error| Err(Lost(error).into()))
    }

    /// A full buffer to its place; gives it back empty.
    async fn write(&self, file: &Arc<File>, mut buffer: Vec<u8>, at: u64) -> Result<Vec<u8>, BlobError> {
        let file = file.clone();
        self.run(move || {
            file.write_all_at(&buffer, at)?;
            buffer.clear();
            Ok(buffer)
        })
        .await
    }
}

/// The thread of a call panicked.
struct Lost(JoinError);

impl From<Lost> for BlobError {
    fn from(Lost(error): Lost) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<Lost> for io::Error {
    fn from(Lost(error): Lost) -> Self {
        Self::other(error)
    }
}

/// A file that may not be there.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The upload's file, which nobody else writes to as long as this is open. `make`: also if there was none.
fn locked(path: &Path, make: bool) -> Result<Option<File>, BlobError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(make).truncate(false).mode(0o600);
    let Some(file) = if_there(options.open(path))? else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BlobError::Busy),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    // While this waited, the file may have been kept for good or removed: then nothing is written to it.
    let still = if_there(fs::metadata(path))?.map(|there| (there.dev(), there.ino()));
    let own = file.metadata()?;
    if still == Some((own.dev(), own.ino())) { Ok(Some(file)) } else { Err(BlobError::Busy) }
}

#[async_trait]
impl Blobs for FolderBlobs {
    async fn received(&self, id: FileId, size: u64) -> Result<u64, BlobError> {
        let (upload, kept) = (self.upload(id), self.kept(id));
        self.calls
            .run(move || {
                if if_there(fs::metadata(kept))?.is_some() {
                    return Ok(size);
                }
                Ok(if_there(fs::metadata(upload))?.map_or(0, |there| there.len()))
            })
            .await
    }

    async fn append(&self, id: FileId, offset: u64, size: u64, mut piece: ByteStream) -> Result<u64, BlobError> {
        let (upload, kept) = (self.upload(id), self.kept(id));
        let opened = self.calls.run(move || {
            if if_there(fs::metadata(&kept))?.is_some() {
                return Ok(None);
            }
            let Some(file) = locked(&upload, true)? else { return Ok(None) };
            if if_there(fs::metadata(&kept))?.is_some() {
                // It was kept just now, and this is a new file in its place.
                fs::remove_file(&upload)?;
                return Ok(None);
            }
            let received = file.metadata()?.len();
            if offset > received { Err(BlobError::Offset { received }) } else { Ok(Some((file, received))) }
        });
        let Some((file, before)) = opened.await? else { return Ok(size) };
        let file = Arc::new(file);
        let (mut buffer, mut at) = (Vec::with_capacity(BUFFER + SLACK), offset);
        let mut ended = Ok(());
        while let Some(bytes) = piece.next().await {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    ended = Err(BlobError::Body(error));
                    break;
                }
            };
            if at + (buffer.len() + bytes.len()) as u64 > size {
                ended = Err(BlobError::TooLong);
                break;
            }
            buffer.extend_from_slice(&bytes);
            if buffer.len() >= BUFFER {
                let len = buffer.len() as u64;
                buffer = self.calls.write(&file, buffer, at).await?;
                at += len;
            }
        }
        // What came is kept, also when the rest did not come.
        let len = buffer.len() as u64;
        self.calls.write(&file, buffer, at).await?;
        ended.map(|()| before.max(at + len))
    }

    async fn finish(&self, id: FileId, size: u64, hash: ContentHash) -> Result<(), BlobError> {
        let (upload, kept) = (self.upload(id), self.kept(id));
        let checks = self.checks.clone().acquire_owned().await;
        self.calls
            .run(move || {
                let _checks = checks;
                if if_there(fs::metadata(&kept))?.is_some() {
                    return Ok(());
                }
                let file = locked(&upload, false)?.ok_or(BlobError::Offset { received: 0 })?;
                let received = file.metadata()?.len();
                if received != size {
                    return Err(BlobError::Offset { received });
                }
                if hash_of(&file)? != hash {
                    return Err(BlobError::OtherHash);
                }
                file.sync_all()?;
                fs::rename(&upload, &kept)?;
                sync_name(&kept)?;
                Ok(())
            })
            .await
    }

    async fn read(&self, id: FileId, range: Range<u64>) -> Result<ByteStream, BlobError> {
        let kept = self.kept(id);
        let file = self.calls.run(move || if_there(File::open(kept))?.ok_or(BlobError::Gone)).await?;
        let calls = self.calls.clone();
        let parts = stream::try_unfold((Arc::new(file), range), move |(file, range)| {
            let calls = calls.clone();
            async move {
                if range.is_empty() {
                    return Ok(None);
                }
                let (reading, start) = (file.clone(), range.start);
                let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(BUFFER);
                let bytes = calls.run(move || -> io::Result<Bytes> {
                    let mut buffer = vec![0; len];
                    reading.read_exact_at(&mut buffer, start)?;
                    Ok(buffer.into())
                });
                Ok(Some((bytes.await?, (file, start + len as u64..range.end))))
            }
        });
        Ok(Box::pin(parts))
    }

    async fn remove(&self, id: FileId) -> Result<(), BlobError> {
        let paths = [self.upload(id), self.kept(id)];
        self.calls
            .run(move || {
                for path in paths {
                    if_there(fs::remove_file(path))?;
                }
                Ok(())
            })
            .await
    }
}

fn hash_of(file: &File) -> io::Result<ContentHash> {
    let (mut hasher, mut buffer, mut at) = (Sha256::new(), vec![0; BUFFER], 0);
    loop {
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(hasher.finalize().into()),
            read => {
                hasher.update(&buffer[..read]);
                at += read as u64;
            }
        }
    }
}
