//! A copy of a live database, made by any process while the server runs.
//!
//! The copy is of one moment: a read transaction holds it while the pages are copied, so that a server under load does
//! not make the copy begin again and again. The write-ahead log grows meanwhile.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::{StoreError, files};

/// Pages that are copied in one step, between two calls of the progress function.
const STEP_PAGES: i32 = 1024;
/// How long to wait before asking again for a database that is locked (a checkpoint, another backup).
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupProgress {
    /// Pages that are copied.
    pub done: u64,
    /// All pages.
    pub total: u64,
}

/// Copies the database file `from` to a new file `to` (readable by its owner only), on disk when this returns. Blocks.
/// What was begun is removed when it fails.
///
/// # Errors
/// [`StoreError::Unavailable`] if `from` cannot be read, or if there is a file `to` already or it cannot be written;
/// [`StoreError::Corrupt`] if `from` is no database.
pub fn backup(from: &Path, to: &Path, progress: impl FnMut(BackupProgress)) -> Result<(), StoreError> {
    in_steps(from, to, STEP_PAGES, progress)
}

/// The same with so many pages in a step.
pub(super) fn in_steps(
    from: &Path,
    to: &Path,
    pages: i32,
    progress: impl FnMut(BackupProgress),
) -> Result<(), StoreError> {
    files::create_private(to).map_err(|e| unusable(to, &e))?;
    let copied = copy(from, to, pages, progress);
    if copied.is_err() {
        drop(std::fs::remove_file(to));
    }
    copied
}

fn copy(from: &Path, to: &Path, pages: i32, mut progress: impl FnMut(BackupProgress)) -> Result<(), StoreError> {
    // Not read-only: a reader of a write-ahead log takes part in its shared index.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags)?;
    source.busy_timeout(Duration::from_secs(5))?;
    source.pragma_update(None, "query_only", true)?;
    let mut target = Connection::open_with_flags(to, flags)?;
    // The moment begins with the first read.
    source.execute_batch("BEGIN")?;
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let steps = Backup::new(&source, &mut target)?;
    loop {
        let step = steps.step(pages)?;
        let state = steps.progress();
        let total = u64::try_from(state.pagecount).unwrap_or(0);
        progress(BackupProgress { done: total - u64::try_from(state.remaining).unwrap_or(0), total });
        match step {
            StepResult::Done => break,
            StepResult::Busy | StepResult::Locked => std::thread::sleep(LOCKED_PAUSE),
            _ => {}
        }
    }
    drop(steps);
    target.close().map_err(|(_, error)| error)?;
    let synced = std::fs::File::open(to).and_then(|file| file.sync_all()).and_then(|()| files::sync_name(to));
    synced.map_err(|e| unusable(to, &e))
}

fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
