//! The SQLite side: a connection that cannot write, in one read transaction from its first word to its last, so that all
//! pages are of one moment. It is used on threads that may block, one page at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, ToSql, params_from_iter};
use tokio::sync::mpsc;

use super::table::{EMPTY, TABLES, Table};
use super::value::{Key, Row, Value};
use super::verify::End;
use super::{CopyError, PageSize};
use crate::{StoreError, sqlite};

/// Pages that wait to be written, beyond the one that is being read.
const PAGES_AHEAD: usize = 1;

/// A snapshot of the source.
pub(super) struct Source {
    db: Connection,
    path: PathBuf,
}

/// Consecutive rows.
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// Behind it there is nothing.
    pub(super) is_last: bool,
}

/// Runs what blocks on a thread for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CopyError> + Send + 'static,
) -> Result<T, CopyError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|_| CopyError::Source("reading ended by a fault of the program".into()))?
}

impl Source {
    /// Opens it, checks that it is what this program writes, and counts the rows of every table.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<u64>), CopyError> {
        if !path.is_file() {
            return Err(CopyError::Source(format!("there is no database {}", path.display())));
        }
        let (db, found, known) = sqlite::snapshot(path).map_err(|error| unreadable(path, error))?;
        let path = path.to_owned();
        if found != known {
            let what = if found < known {
                "start the standalone server of this version on it once, which brings it up to date"
            } else {
                "use a newer program"
            };
            return Err(CopyError::Source(format!(
                "the schema of {} has number {found}, and this version of the program copies {known}: {what}",
                path.display()
            )));
        }
        let source = Self { db, path };
        for table in EMPTY {
            if source.count(table)? > 0 {
                let path = source.path.display();
                return Err(CopyError::Source(format!(
                    "{path} has rows in {table}, which no standalone server writes"
                )));
            }
        }
        let counts = TABLES.iter().map(|table| source.count(table.name)).collect::<Result<_, _>>()?;
        Ok((source, counts))
    }

    fn count(&self, table: &str) -> Result<u64, CopyError> {
        let text = format!("SELECT count(*) FROM `{table}`");
        let count: i64 = self.db.query_row(&text, [], |row| row.get(0)).map_err(|error| self.failed(error))?;
        Ok(count.unsigned_abs())
    }

    /// The rows behind this key.
    fn page(&self, table: &Table, after: Option<&Key>, size: PageSize) -> Result<Page, CopyError> {
        let limit = i64::try_from(size.rows).unwrap_or(i64::MAX);
        let mut values: Vec<&dyn ToSql> =
            after.iter().flat_map(|key| key.iter()).map(|value| value as &dyn ToSql).collect();
        values.push(&limit);
        let mut statement =
            self.db.prepare_cached(&table.read_sqlite(after.is_some())).map_err(|error| self.failed(error))?;
        let mut found = statement.query(params_from_iter(values)).map_err(|error| self.failed(error))?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(stored) = found.next().map_err(|error| self.failed(error))? {
            let row = self.row(table, stored)?;
            bytes += row.iter().map(Value::len).sum::<usize>();
            if bytes > size.bytes && !rows.is_empty() {
                return Ok(Page { rows, is_last: false });
            }
            rows.push(row);
        }
        let is_last = rows.len() < size.rows;
        Ok(Page { rows, is_last })
    }

    fn row(&self, table: &Table, stored: &rusqlite::Row<'_>) -> Result<Row, CopyError> {
        let mut row = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            let value = stored.get_ref(index).map_err(|error| self.failed(error))?;
            row.push(Value::of_sqlite(column, value).map_err(|what| {
                let name = if row.len() < table.key { table.name.to_owned() } else { table.name_of(&row) };
                CopyError::Source(format!("{}: {name} has {what} in {}", self.path.display(), column.name))
            })?);
        }
        Ok(row.into())
    }

    /// The ends of the conversations behind this one, at most `limit`.
    pub(super) fn ends(&self, after: &[u8], limit: usize) -> Result<Vec<End>, CopyError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let number = |row: &rusqlite::Row<'_>, column| {
            row.get::<_, Option<i64>>(column).map(|stored| stored.map_or(0, i64::unsigned_abs))
        };
        let read = || {
            let mut statement = self.db.prepare_cached(super::verify::ENDS)?;
            let ends = statement.query_map(rusqlite::params![after, limit], |row| {
                let [seq, n, own] = [number(row, 1)?, number(row, 2)?, number(row, 3)?];
                Ok(End { conversation: row.get(0)?, seq, n, own })
            })?;
            ends.collect::<rusqlite::Result<Vec<End>>>()
        };
        read().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: rusqlite::Error) -> CopyError {
        unreadable(&self.path, error.into())
    }
}

fn unreadable(path: &Path, error: StoreError) -> CopyError {
    let (StoreError::Unavailable(why) | StoreError::Corrupt(why)) = error;
    CopyError::Source(format!("{} cannot be read: {why}", path.display()))
}

/// A table's pages, read ahead while the former ones are written.
pub(super) struct Pages(mpsc::Receiver<Result<Page, CopyError>>);

impl Pages {
    /// The next one. After the last there is none to ask for.
    pub(super) async fn next(&mut self) -> Result<Page, CopyError> {
        let ended = || Err(CopyError::Source("reading ended by a fault of the program".into()));
        self.0.recv().await.unwrap_or_else(ended)
    }
}

/// The pages of a table behind this key: one at least, the last of them maybe without rows.
pub(super) fn pages(source: &Arc<Mutex<Source>>, table: &'static Table, after: Option<Key>, size: PageSize) -> Pages {
    let (send, pages) = mpsc::channel(PAGES_AHEAD);
    let source = Arc::clone(source);
    tokio::task::spawn_blocking(move || {
        let mut after = after;
        loop {
            let page = source.lock().page(table, after.as_ref(), size);
            let is_end = page.as_ref().map_or(true, |page| page.is_last);
            if let Ok(Some(last)) = page.as_ref().map(|page| page.rows.last()) {
                after = Some(table.key_of(last));
            }
            // Who does not want the rest has ended.
            if send.blocking_send(page).is_err() || is_end {
                return;
            }
        }
    });
    Pages(pages)
}
