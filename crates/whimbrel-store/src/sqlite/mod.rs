//! SQLite: the timeline and the directory of a server that runs alone.
//!
//! One writer thread owns the only connection that writes; whatever waits for it is committed together, with one
//! fdatasync (WAL, synchronous FULL). A few reader threads answer from snapshots and never wait for the writer.
//!
//! On rusqlite and not on sqlx: the writer is a thread of our own that groups commits and keeps its prepared
//! statements; values and bodies are bound from where they lie, without being boxed or copied on our side; and the
//! online backup belongs to SQLite's own interface.
//!
//! Absences: nothing is written outside the writer thread (a backup, in whatever process, only reads); no reader sees
//! half a change; nothing slow (hashing of passwords, waiting) runs on the writer; no foreign keys, whose checks would
//! cost every row: the writer's own code is the only one that inserts.

mod backup;
mod checkpoint;
mod directory;
mod erasing;
mod error;
mod filing;
mod groups;
mod head;
mod history;
mod job;
mod keeping;
mod migrate;
mod open;
mod place;
mod presence;
mod reader;
mod search;
mod settings;
mod snapshot;
mod sync;
#[cfg(test)]
mod tests;
mod texts;
mod timeline;
mod value;
mod writer;

use std::path::Path;
use std::sync::Arc;

use crate::{Keyring, StoreError};

pub use backup::{BackupProgress, backup};
pub use open::DATABASE_FILE;
pub(crate) use snapshot::snapshot;

use reader::Readers;
use writer::Writer;

/// What a deployment may choose about SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteConfig {
    /// Reader threads, each with a connection, at least 1.
    pub readers: usize,
    /// Reads that wait for a reader; more wait in their callers.
    pub read_queue: usize,
    /// Writes that wait for the writer; more wait in their callers.
    pub write_queue: usize,
    /// Writes that share one commit, at most.
    pub group_max: usize,
    /// Bytes of a page; counts when the database is made. 2 KiB was measured to be the cheapest for rows of 100 bytes in
    /// groups (`examples/place_cost.rs`): a group touches a page for each of its conversations.
    pub page_size: u32,
    /// Bytes that gather in the write-ahead log before it begins anew, with everything moved into the database file.
    pub wal_bytes: u64,
    /// Bytes of pages that each connection keeps in memory, at most.
    pub cache_bytes: u64,
    /// Milliseconds that a connection waits for a lock that another process (a backup, a shell) holds.
    pub busy_timeout_ms: u32,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            readers: 3,
            read_queue: 1024,
            write_queue: 1024,
            group_max: 256,
            page_size: 2048,
            wal_bytes: 16 * 1024 * 1024,
            cache_bytes: 32 * 1024 * 1024,
            busy_timeout_ms: 5000,
        }
    }
}

/// [`Timeline`](crate::Timeline) and [`Directory`](crate::Directory) in one database file. A cheap handle: clones
/// share the threads, which end with [`SqliteStore::close`], or after the last clone.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Writer,
    readers: Readers,
    keyring: Arc<Keyring>,
}

impl SqliteStore {
    /// Opens [`DATABASE_FILE`] in this folder, and makes it if it is not there. Blocks while it migrates.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the file is no database, another program's, or of a newer schema;
    /// [`StoreError::Unavailable`] if the folder cannot be used.
    pub fn open(folder: &Path, keyring: Arc<Keyring>, config: SqliteConfig) -> Result<Self, StoreError> {
        let path = folder.join(DATABASE_FILE);
        let writer = Writer::start(&path, &config)?;
        let readers = Readers::start(&path, &config)?;
        Ok(Self { shared: Arc::new(Shared { writer, readers, keyring }) })
    }

    /// Finishes what was submitted, moves the write-ahead log into the database file, and ends the threads. Later calls
    /// of any clone find the store unavailable.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if a thread did not end in order; what was answered before is on disk all the same.
    pub async fn close(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let joined = tokio::task::spawn_blocking(move || {
            shared.readers.close()?;
            shared.writer.close()
        });
        joined.await.map_err(|e| StoreError::Unavailable(e.to_string()))?
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.shared.keyring)
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SqliteStore")
    }
}
