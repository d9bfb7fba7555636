//! The file: how it is made, opened and recognised.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::failed;
use crate::error::StoreError;

/// "WhDv": a file of anything else is not touched.
const APPLICATION_ID: i32 = 0x5768_4476;
/// The tables below, with all of [`STEPS`].
const VERSION: i32 = 5;
/// How long a file that somebody else has open is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
CREATE TABLE conversation (
    id BLOB PRIMARY KEY, kind INTEGER NOT NULL, peer INTEGER, base INTEGER NOT NULL, cursor INTEGER NOT NULL,
    shown INTEGER NOT NULL, cursor_id BLOB, head INTEGER NOT NULL, delivered INTEGER NOT NULL, read INTEGER NOT NULL,
    peer_delivered INTEGER NOT NULL, peer_read INTEGER NOT NULL,
    unread INTEGER NOT NULL, unread_from INTEGER NOT NULL, unread_upto INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE message (
    conversation BLOB NOT NULL, seq INTEGER NOT NULL, sender INTEGER NOT NULL, device BLOB NOT NULL,
    message_id BLOB NOT NULL, kind INTEGER NOT NULL, key_version INTEGER NOT NULL, at INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;
CREATE TABLE outbox (
    place INTEGER PRIMARY KEY AUTOINCREMENT, conversation BLOB NOT NULL, message_id BLOB NOT NULL UNIQUE,
    kind INTEGER NOT NULL, key_version INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE relation (
    user INTEGER PRIMARY KEY, handle TEXT NOT NULL, display_name TEXT NOT NULL, avatar TEXT, state INTEGER NOT NULL,
    blocked INTEGER NOT NULL, greeting TEXT, conversation BLOB, changed_at INTEGER NOT NULL
);
CREATE TABLE relation_key (
    user INTEGER NOT NULL, version INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY (user, version)
) WITHOUT ROWID;
CREATE TABLE relation_due (user INTEGER PRIMARY KEY);
";

/// What each version added to the one before it, from version 1 on. A file is brought to the present in one transaction.
const STEPS: [&str; 4] = [
    "
ALTER TABLE conversation ADD COLUMN mentions BLOB NOT NULL DEFAULT x'';
CREATE INDEX follow_up ON message (conversation, substr(body, 1, 8)) WHERE kind BETWEEN 500 AND 999;
CREATE INDEX fleeting ON message (kind) WHERE kind = 10;
CREATE TABLE group_info (id BLOB PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE group_key (
    id BLOB NOT NULL, version INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY (id, version)
) WITHOUT ROWID;
CREATE TABLE group_due (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE setting (id BLOB PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE setting_due (id BLOB PRIMARY KEY) WITHOUT ROWID;
",
    "
CREATE TABLE fleeting_begun (
    conversation BLOB NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;
",
    "
CREATE TABLE upload (
    file BLOB PRIMARY KEY, conversation BLOB NOT NULL, kind INTEGER NOT NULL, path TEXT NOT NULL,
    keeps_metadata INTEGER NOT NULL, content_hash BLOB NOT NULL, attachment BLOB NOT NULL
) WITHOUT ROWID;
",
    "
CREATE INDEX erased ON message (conversation) WHERE kind = 1006;
",
];

/// Opens the file, or makes it.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    make_private(path).map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))?;
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    recognise(&connection)?;
    Ok(connection)
}

/// SQLite gives its side files the mode of the main one.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn recognise(connection: &Connection) -> Result<(), StoreError> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(failed);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    match (tables, pragma("application_id")?, pragma("user_version")?) {
        (0, _, _) => make(connection).map_err(failed),
        (_, APPLICATION_ID, VERSION) => Ok(()),
        (_, APPLICATION_ID, version @ 1..VERSION) => step_up(connection, version as usize).map_err(failed),
        (_, APPLICATION_ID, version) => {
            Err(StoreError::Unreadable(format!("it has version {version}, and this SDK reads {VERSION}")))
        }
        _ => Err(StoreError::Unreadable("it is not a device's store".into())),
    }
}

/// Brings a file of an earlier version to the present.
fn step_up(connection: &Connection, version: usize) -> rusqlite::Result<()> {
    let steps = STEPS[version - 1..].concat();
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;"))
}

fn make(connection: &Connection) -> rusqlite::Result<()> {
    let steps = STEPS.concat();
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES} {steps} PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as the first version made it, with a conversation and a message in it.
    #[test]
    fn a_file_of_an_earlier_version_is_brought_to_the_present() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("device");
        let old = Connection::open(&path).expect("a file");
        old.execute_batch(&format!(
            "{TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;
             INSERT INTO conversation VALUES (zeroblob(16), 1, 2, 0, 1, 1, zeroblob(16), 1, 1, 0, 0, 0, 1, 0, 1);
             INSERT INTO message VALUES (zeroblob(16), 1, 2, zeroblob(16), zeroblob(16), 1, 1, 5, x'0102');"
        ))
        .expect("made");
        drop(old);
        let connection = open(&path).expect("it opens");
        let rows = super::super::read::conversations(&connection).expect("read");
        assert_eq!((rows.len(), rows[0].mentions.len()), (1, 0));
        let id = whimbrel_core::ConversationId::from_bytes([0; 16]);
        let messages = super::super::read::messages(&connection, id, whimbrel_core::Seq(0), 9).expect("read");
        assert_eq!(&messages[0].body[..], &[1, 2]);
        let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
        assert_eq!(version, VERSION);
        let new = "SELECT * FROM setting_due; SELECT * FROM fleeting_begun; SELECT * FROM upload;
                   SELECT * FROM message INDEXED BY erased WHERE kind = 1006";
        assert!(connection.execute_batch(new).is_ok());
    }
}
