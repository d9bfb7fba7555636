//! A database as of one moment, for whoever moves it elsewhere.

use std::path::Path;

use rusqlite::Connection;

use super::{SqliteConfig, migrate, open};
use crate::StoreError;

/// A connection to this file that cannot write, in a read transaction; the number of its schema, and the one that this
/// program knows.
pub(crate) fn snapshot(path: &Path) -> Result<(Connection, u64, u64), StoreError> {
    let db = open::reader(path, &SqliteConfig::default())?;
    open::check_ownership(&db)?;
    // The moment begins with the first read.
    db.execute_batch("BEGIN")?;
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok((db, found.unsigned_abs(), migrate::known()))
}
