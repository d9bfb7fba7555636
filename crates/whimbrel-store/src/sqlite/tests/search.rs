//! What the suite cannot see of searching on SQLite.

use std::sync::Arc;

use rusqlite::Connection;

use super::super::DATABASE_FILE;
use super::{open, stores_of};
use crate::conformance::cases;

/// As if the schema had just come: no text, and nothing taken up.
fn forget(db: &Connection) {
    db.execute_batch(
        "BEGIN; DELETE FROM message_text; DELETE FROM text_walk; \
         INSERT INTO message_word (message_word) VALUES ('delete-all'); COMMIT",
    )
    .expect("written");
}

#[tokio::test]
async fn texts_from_before_are_taken_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join(DATABASE_FILE);
    let stores = stores_of(Arc::new(open(folder.path())), folder);
    let db = Connection::open(db).expect("a database");
    db.busy_timeout(std::time::Duration::from_secs(5)).expect("a setting");
    cases::texts_from_before_are_taken_up(&stores, async || forget(&db)).await;
    // Every text has its words, and there are no others: what was deleted was deleted by the right ones.
    db.execute_batch("INSERT INTO message_word (message_word) VALUES ('integrity-check')").expect("whole");
    db.execute_batch("DELETE FROM message_text").expect("written");
    let words: i64 = db
        .query_row("SELECT count(*) FROM message_word WHERE message_word MATCH 'ghis'", [], |row| row.get(0))
        .expect("answers");
    assert_eq!(words, 11);
}
