//! The data folder: its owner's alone, and one server's at a time.
//!
//! The lock is the operating system's (on the file `lock`), so it ends with the process, however that ends; the file
//! stays. What stands in it is for people and tools: who holds it, and where that server can be reached. It is true
//! only while the lock is held.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

const LOCK: &str = "lock";
/// A process that was just killed may hold its lock for a moment longer.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(30);

/// Who holds a data folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The process.
    pub(crate) pid: u32,
    /// What it is doing there, such as "standalone".
    pub(crate) command: String,
    /// Where clients connect, once it listens.
    pub(crate) clients: Option<SocketAddr>,
    /// Where REST is, once it listens.
    pub(crate) http: Option<SocketAddr>,
}

/// A data folder that is held by this process until this is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    lock: File,
    holder: Holder,
}

impl DataFolder {
    /// Makes the folder if it is not there (0700), and takes it for `command`.
    pub(crate) async fn open(path: &Path, command: &str) -> anyhow::Result<Self> {
        make(path)?;
        let name = path.join(LOCK);
        let lock = private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
            .open(&name)
            .with_context(|| format!("The data folder {} cannot be used", path.display()))?;
        for attempt in 1.. {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => bail!(in_use(path, lock)),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("{} cannot be locked", name.display()));
                }
            }
        }
        let holder = Holder { pid: std::process::id(), command: command.to_owned(), clients: None, http: None };
        let mut folder = Self { path: path.to_owned(), lock, holder };
        folder.write_holder()?;
        Ok(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Says where this server can be reached.
    pub(crate) fn announce(&mut self, clients: SocketAddr, http: SocketAddr) -> anyhow::Result<()> {
        self.holder.clients = Some(clients);
        self.holder.http = Some(http);
        self.write_holder()
    }

    /// Lets go of it, with nobody's name left in it.
    pub(crate) fn release(self) {
        // The lock itself ends with the file; what stands in it counts only while it is held.
        let _ = self.lock.set_len(0);
    }

    fn write_holder(&mut self) -> anyhow::Result<()> {
        let text = serde_json::to_string(&self.holder).expect("plain fields always encode");
        let mut write = || {
            self.lock.rewind()?;
            self.lock.set_len(0)?;
            self.lock.write_all(text.as_bytes())
        };
        write().with_context(|| format!("{} cannot be written", self.path.join(LOCK).display()))
    }
}

fn read_holder(lock: &mut File) -> Option<Holder> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn in_use(path: &Path, mut lock: File) -> String {
    let who = read_holder(&mut lock).map_or_else(
        || "another process".to_owned(),
        |holder| format!("process {} (whimbrel {})", holder.pid, holder.command),
    );
    format!("The data folder {} is in use by {who}; stop that first, or choose another with --data", path.display())
}

fn make(path: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("The data folder {} cannot be made", path.display()))
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lock belongs to an open file, so two opens of one process are two holders.
    #[tokio::test]
    async fn a_folder_is_held_by_one_and_free_once_that_is_gone() {
        let temp = tempfile::tempdir().expect("a folder");
        let path = temp.path().join("data");
        let mut first = DataFolder::open(&path, "standalone").await.expect("it is free");
        let refused = DataFolder::open(&path, "standalone").await.expect_err("it is held").to_string();
        assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        first.announce(at(1), at(2)).expect("written");
        let text = std::fs::read_to_string(path.join(LOCK)).expect("there");
        assert_eq!(serde_json::from_str::<Holder>(&text).expect("JSON").http, Some(at(2)));
        first.release();
        assert_eq!(std::fs::read_to_string(path.join(LOCK)).expect("there"), "");
        DataFolder::open(&path, "standalone").await.expect("it is free again");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_new_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().expect("a folder");
        let path = temp.path().join("a/b");
        let _held = DataFolder::open(&path, "standalone").await.expect("made");
        let mode = |p: &Path| std::fs::metadata(p).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join(LOCK))), (0o700, 0o600));
    }
}
