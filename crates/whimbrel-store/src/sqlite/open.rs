//! Opening connections: which file, which pragmas, which files are not ours.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{SqliteConfig, migrate};
use crate::{StoreError, files};

/// The database's name in the data folder. Beside it, while the server runs: `whimbrel.db-wal`, `whimbrel.db-shm`.
pub const DATABASE_FILE: &str = "whimbrel.db";

/// "Whim": tells this program's databases from those of others (`PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x5768_696D;
/// Prepared statements that a connection keeps; more than there are in this program.
const STATEMENTS: usize = 128;

/// The connection that writes; makes the file if needed (readable by its owner only) and brings it up to date.
pub(super) fn writer(path: &Path, config: &SqliteConfig) -> Result<Connection, StoreError> {
    create_file(path)?;
    let mut db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, config)?;
    check_ownership(&db).map_err(|error| named(path, error))?;
    db.pragma_update(None, "page_size", config.page_size)?;
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(StoreError::Unavailable(format!("{}: this file system has no WAL mode", path.display())));
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints are made by a room of their own.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    migrate::run(&mut db).map_err(|error| named(path, error))?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(db)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path, config: &SqliteConfig) -> Result<Connection, StoreError> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, config)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

fn connect(path: &Path, flags: OpenFlags, config: &SqliteConfig) -> Result<Connection, StoreError> {
    // One thread uses a connection at a time, so SQLite's own mutexes are left out.
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::from_millis(config.busy_timeout_ms.into()))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // A negative cache size is in KiB, and does not depend on the page size.
    db.pragma_update(None, "cache_size", -super::value::sql(config.cache_bytes / 1024))?;
    db.pragma_update(None, "foreign_keys", false)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(db)
}

/// SQLite gives its `-wal` and `-shm` files the rights of the database file, so it is enough to make that one first.
fn create_file(path: &Path) -> Result<(), StoreError> {
    let created = match files::create_private(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(_) => files::sync_name(path),
    };
    created.map_err(|e| StoreError::Unavailable(format!("{}: {e}", path.display())))
}

/// Reading anything fails if the file is no database; a database with tables and without our mark is another's.
pub(super) fn check_ownership(db: &Connection) -> Result<(), StoreError> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if tables > 0 && id != APPLICATION_ID {
        return Err(StoreError::Corrupt("a database of another program".into()));
    }
    Ok(())
}

fn named(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(why) => StoreError::Corrupt(format!("{}: {why}", path.display())),
        StoreError::Unavailable(why) => StoreError::Unavailable(format!("{}: {why}", path.display())),
    }
}
