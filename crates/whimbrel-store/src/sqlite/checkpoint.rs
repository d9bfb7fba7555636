//! Moving the write-ahead log into the database file, mostly behind the writer's back.
//!
//! Left to itself SQLite does it within a commit, and everybody waits for some thousand page writes and a sync. Here a
//! thread with a connection of its own moves the bulk while the writer goes on, beginning when the log is half full.
//! Only a writer can let the log begin anew, and only when nothing is left to move: so at its end the writer moves the
//! little that is left, between two groups, after the callers were answered.
//!
//! The log may outgrow its measure while somebody reads an old state for long (a backup); it shrinks afterwards.

use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::value::{first_row, number};
use super::{SqliteConfig, open};
use crate::StoreError;

/// The writer's view of the log, and the way to the thread that helps.
pub(super) struct Checkpoints {
    helper: Option<(mpsc::SyncSender<()>, JoinHandle<()>)>,
    /// Frames that the log holds when the writer moves the rest.
    full: u64,
    /// The helper is woken when the log has so many frames.
    next_help: u64,
    /// The writer moves the rest when the log has so many.
    next_rest: u64,
}

impl Checkpoints {
    pub(super) fn start(db: &Connection, path: &Path, config: &SqliteConfig) -> Result<Self, StoreError> {
        let page_size: u32 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let full = (config.wal_bytes / u64::from(page_size.max(1))).max(8);
        let own = open::reader(path, config)?;
        // One wake-up may wait; more would say the same.
        let (wake, woken) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || woken.iter().for_each(|()| move_frames(&own)))
            .map_err(|e| StoreError::Unavailable(format!("no thread for checkpoints: {e}")))?;
        Ok(Self { helper: Some((wake, thread)), full, next_help: full / 2, next_rest: full })
    }

    /// Between two groups: looks how long the log is, and does or has done what is due.
    pub(super) fn after_commit(&mut self, db: &Connection) {
        let frames = match first_row(db, "PRAGMA wal_checkpoint(NOOP)", [], |row| number(row, 1)) {
            Ok(frames) => frames.unwrap_or(0),
            // A real trouble with the files shows in the next commit.
            Err(_) => return,
        };
        let step = self.full / 8;
        if frames < self.full / 2 {
            (self.next_help, self.next_rest) = (self.full / 2, self.full);
        } else if frames >= self.next_rest {
            self.next_rest = frames + step;
            move_frames(db);
        } else if frames >= self.next_help {
            self.next_help = frames + step;
            if let Some((wake, _)) = &self.helper {
                // Full: it is at work, and has one more turn before it.
                let _ = wake.try_send(());
            }
        }
    }

    /// Ends the helper, and leaves no log beside the database file unless another process reads it.
    pub(super) fn finish(mut self, db: &Connection) {
        if let Some((wake, thread)) = self.helper.take() {
            drop(wake);
            if thread.join().is_err() {
                tracing::error!("the checkpoint thread ended by a fault of the program");
            }
        }
        if let Err(error) = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log stays beside the database file");
        }
    }
}

/// Moves what can be moved without waiting for anybody.
fn move_frames(db: &Connection) {
    if let Err(error) = first_row(db, "PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "a checkpoint failed: the write-ahead log grows until one succeeds");
    }
}
