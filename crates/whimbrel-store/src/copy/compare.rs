//! What is in the target already. It must be a beginning of the source, in the order of copying: every row the same as
//! the source's, and behind the last of them nothing. All else is somebody's data, and is refused by name before
//! anything is written.

use std::sync::Arc;

use parking_lot::Mutex;

use super::source::{self, Source};
use super::table::{TABLES, Table};
use super::target::Target;
use super::value::{Key, Row};
use super::{CopyError, OnProgress, PageSize, Progress, Step};

/// What to do about a target that is refused.
const EMPTY_IT: &str = "copy into an empty database (drop this one and run `whimbrel migrate`)";

/// Where the copy goes on.
pub(super) struct Start {
    /// The table's index.
    pub(super) table: usize,
    /// Behind this row; `None`: from the table's first.
    pub(super) after: Option<Key>,
    /// Rows of this table that are there.
    pub(super) done: u64,
}

/// Where the target ends; `None` if everything is there.
pub(super) async fn run(
    source: &Arc<Mutex<Source>>,
    target: &mut Target,
    counts: &[u64],
    size: PageSize,
    progress: OnProgress<'_>,
) -> Result<Option<Start>, CopyError> {
    if let Some(table) = target.has_served().await? {
        return Err(refused(&format!("it has rows in {table}: a cluster has served on it")));
    }
    let mut start: Option<Start> = None;
    for (index, table) in TABLES.iter().enumerate() {
        if let Some(start) = &start {
            nothing_in(target, table, &TABLES[start.table]).await?;
            continue;
        }
        let told = |done| progress(Progress { step: Step::Comparing, table: table.name, done, total: counts[index] });
        start =
            compare(source, target, table, size, told).await?.map(|(after, done)| Start { table: index, after, done });
    }
    Ok(start)
}

/// The last row of the target and how many there are, if it ends before the source does.
async fn compare(
    source: &Arc<Mutex<Source>>,
    target: &mut Target,
    table: &'static Table,
    size: PageSize,
    told: impl Fn(u64),
) -> Result<Option<(Option<Key>, u64)>, CopyError> {
    let (mut after, mut done): (Option<Key>, u64) = (None, 0);
    let mut pages = source::pages(source, table, None, size);
    loop {
        let page = pages.next().await?;
        // One more behind the last, to see whether there is one.
        let limit = page.rows.len() + usize::from(page.is_last);
        let there = target.rows(table, after.as_deref(), limit).await?;
        for (ours, theirs) in page.rows.iter().zip(&there) {
            same(table, ours, theirs)?;
        }
        if let Some(more) = there.get(page.rows.len()) {
            return Err(foreign(table, more));
        }
        if let Some(last) = there.last() {
            after = Some(table.key_of(last));
            done += there.len() as u64;
            told(done);
        }
        match there.len() < page.rows.len() {
            true => return Ok(Some((after, done))),
            false if page.is_last => return Ok(None),
            false => {}
        }
    }
}

fn same(table: &Table, ours: &Row, theirs: &Row) -> Result<(), CopyError> {
    if ours == theirs {
        return Ok(());
    }
    if table.key_of(ours) == table.key_of(theirs) {
        let (name, columns) = (table.name_of(ours), table.differences(ours, theirs));
        return Err(refused(&format!("{name} is another there: {columns}")));
    }
    let (ours, theirs) = (table.name_of(ours), table.name_of(theirs));
    Err(refused(&format!("where the source has {ours}, it has {theirs}")))
}

/// A table behind the one in which the target ends.
async fn nothing_in(target: &mut Target, table: &Table, ended: &Table) -> Result<(), CopyError> {
    match target.rows(table, None, 1).await?.first() {
        None => Ok(()),
        Some(row) => Err(refused(&format!("it has {}, and lacks rows of {}", table.name_of(row), ended.name))),
    }
}

fn foreign(table: &Table, row: &Row) -> CopyError {
    refused(&format!("it has {}, which the source has not", table.name_of(row)))
}

fn refused(what: &str) -> CopyError {
    CopyError::Refused(format!("the target is neither empty nor a part of this source: {what}; {EMPTY_IT}"))
}
