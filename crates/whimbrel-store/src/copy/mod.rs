//! Moving a standalone server's data into a cluster's database: every row as it is, ids, seqs, cursors and wrapped keys
//! included.
//!
//! | room | does |
//! |---|---|
//! | `table` | which tables and columns there are, and the words for them |
//! | `value` | values, rows and keys, and how they are named |
//! | `source` | the SQLite side: one snapshot, in pages |
//! | `target` | the MySQL side: one connection, under a lock |
//! | `compare` | what is there already: the beginning of the source, or the copy is refused |
//! | `verify` | that the two hold the same afterwards |
//!
//! Rows are written in one fixed order: table after table, in the order of their keys, a bounded number in each
//! transaction. So what an interrupted copy leaves is a beginning of the source and nothing else, and that is what the
//! target must be before anything is written: empty, or such a beginning, row by row the same. Then the copy goes on
//! behind it. No record of the progress is kept that could be wrong.
//!
//! Absences: nothing is ever changed or deleted in the target, and no row is passed over because one like it is there;
//! nothing of the source is changed; no more than a few pages are in memory.

mod compare;
mod source;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod value;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::compare::Start;
use self::source::Source;
use self::table::TABLES;
use self::target::Target;
use crate::mysql::MySqlConfig;
use crate::sqlite::DATABASE_FILE;

/// Rows of one transaction, at most.
const PAGE_ROWS: usize = 1024;
/// Bytes of values of one transaction, at most, unless one row alone is longer. Half of what every server takes as one
/// statement.
const PAGE_BYTES: usize = 512 * 1024;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Rows that are in the target already are compared with the source's.
    Comparing,
    /// Rows are written.
    Copying,
    /// The two are counted, and the ends of their conversations compared.
    Verifying,
}

/// How far a step is in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which step.
    pub step: Step,
    /// Which table.
    pub table: &'static str,
    /// Rows that are done, those of former runs too.
    pub done: u64,
    /// All rows.
    pub total: u64,
}

/// A table that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: &'static str,
    /// Its rows, in the source and in the target.
    pub rows: u64,
    /// Of these, written by this call; the others were there.
    pub written: u64,
}

/// What a copy did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Every table, in the order of copying.
    pub tables: Vec<CopiedTable>,
    /// Conversations whose ends were compared.
    pub conversations: u64,
}

impl Copied {
    /// Rows that this call wrote; 0 if everything was there.
    pub fn written(&self) -> u64 {
        self.tables.iter().map(|table| table.written).sum()
    }

    /// Rows altogether.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// Why a copy is not done.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be read, or is not of this program's schema.
    #[error("{0}")]
    Source(String),
    /// The target does not answer, or cannot be used as it is. What was written stays: copying again goes on behind it.
    #[error("{0}")]
    Target(String),
    /// The target holds something else than a beginning of the source. This call wrote nothing.
    #[error("{0}")]
    Refused(String),
    /// All is written, and yet the two do not hold the same: somebody else wrote meanwhile.
    #[error("{0}")]
    Unequal(String),
}

/// How much one transaction takes.
#[derive(Debug, Clone, Copy)]
struct PageSize {
    rows: usize,
    bytes: usize,
}

/// Where a copy is in the target's transactions; tests end it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// A page's rows are sent and not committed.
    Written,
    /// They are committed.
    Committed,
}

/// The database file that a path means: itself, or the one in a data folder.
pub fn database_file(from: &Path) -> PathBuf {
    if from.is_dir() { from.join(DATABASE_FILE) } else { from.to_owned() }
}

/// Copies the database of a standalone server (its data folder, or the file) to a cluster's database that has been
/// migrated, and compares the two afterwards. The server should be stopped: what it writes after the copy began is not
/// in it. Interrupted at any point, it can be called again.
///
/// # Errors
/// See [`CopyError`].
pub async fn copy(
    from: &Path,
    to: &MySqlConfig,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Copied, CopyError> {
    run(from, to, PageSize { rows: PAGE_ROWS, bytes: PAGE_BYTES }, &progress, &mut |_| Ok(())).await
}

type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);
type OnMoment<'a> = &'a mut (dyn FnMut(Moment) -> Result<(), CopyError> + Send);

async fn run(
    from: &Path,
    to: &MySqlConfig,
    size: PageSize,
    progress: OnProgress<'_>,
    moment: OnMoment<'_>,
) -> Result<Copied, CopyError> {
    let file = database_file(from);
    let (source, counts) = source::blocking(move || Source::open(&file)).await?;
    let source = Arc::new(Mutex::new(source));
    let mut target = Target::open(to).await?;
    let start = compare::run(&source, &mut target, &counts, size, progress).await?;
    let mut work = Work { source: &source, target: &mut target, counts: &counts, size, progress };
    let written = work.copy(start, moment).await?;
    let conversations = verify::run(&source, &mut target, &counts, progress).await?;
    target.close().await;
    let tables = TABLES.iter().zip(counts).zip(written);
    let tables = tables.map(|((table, rows), written)| CopiedTable { name: table.name, rows, written });
    Ok(Copied { tables: tables.collect(), conversations })
}

/// The writing.
struct Work<'a> {
    source: &'a Arc<Mutex<Source>>,
    target: &'a mut Target,
    counts: &'a [u64],
    size: PageSize,
    progress: OnProgress<'a>,
}

impl Work<'_> {
    /// Writes everything from `start` on; the rows written of each table.
    async fn copy(&mut self, start: Option<Start>, moment: OnMoment<'_>) -> Result<Vec<u64>, CopyError> {
        let mut written = vec![0; TABLES.len()];
        let Some(Start { table: first, mut after, mut done }) = start else { return Ok(written) };
        for (index, table) in TABLES.iter().enumerate().skip(first) {
            let mut pages = source::pages(self.source, table, after.take(), self.size);
            loop {
                let page = pages.next().await?;
                if !page.rows.is_empty() {
                    self.target.insert(table, &page.rows, moment).await?;
                    written[index] += page.rows.len() as u64;
                }
                let done = done + written[index];
                (self.progress)(Progress { step: Step::Copying, table: table.name, done, total: self.counts[index] });
                if page.is_last {
                    break;
                }
            }
            done = 0;
        }
        Ok(written)
    }
}
