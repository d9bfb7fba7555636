//! What the suite cannot see of searching on SQLite.

use std::sync::Arc;

use rusqlite::Connection;

use super::super::DATABASE_FILE;
use super::{open, stores_of};
use crate::conformance::{Stores, cases};

/// As if the schema had just come: no text, and nothing taken up.
fn forget(db: &Connection) {
    db.execute_batch(
        "BEGIN; DELETE FROM message_text; DELETE FROM text_walk; \
         INSERT INTO message_word (message_word) VALUES ('delete-all'); COMMIT",
    )
    .expect("written");
}

fn place() -> (Stores, Connection) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(DATABASE_FILE);
    let stores = stores_of(Arc::new(open(folder.path())), folder);
    let db = Connection::open(file).expect("a database");
    db.busy_timeout(std::time::Duration::from_secs(5)).expect("a setting");
    (stores, db)
}

#[tokio::test]
async fn texts_from_before_are_taken_up() {
    let (stores, db) = place();
    cases::texts_from_before_are_taken_up(&stores, async || forget(&db)).await;
    // Every text has its words, and there are no others: what was deleted was deleted by the right ones.
    db.execute_batch("INSERT INTO message_word (message_word) VALUES ('integrity-check')").expect("whole");
    db.execute_batch("DELETE FROM message_text").expect("written");
    let words: i64 = db
        .query_row("SELECT count(*) FROM message_word WHERE message_word MATCH 'ghis'", [], |row| row.get(0))
        .expect("answers");
    assert_eq!(words, 11);
}

#[tokio::test]
async fn texts_are_taken_up_while_messages_change() {
    let (stores, db) = place();
    cases::texts_are_taken_up_while_messages_change(&stores, async || forget(&db)).await;
}

#[tokio::test]
async fn what_is_not_kept_leaves_no_text() {
    let (stores, db) = place();
    let count = async || db.query_row("SELECT count(*) FROM message_text", [], |row| row.get(0)).expect("answers");
    cases::what_is_not_kept_leaves_no_text(&stores, count).await;
}
