//! What the suite cannot see of searching on MySQL and MariaDB.

use std::sync::Arc;

use sqlx::Executor;
use sqlx::mysql::MySqlConnection;
use tokio::sync::Mutex;
use whimbrel_core::search::Terms;

use super::super::directory::tests::stores_of;
use super::super::search::search;
use super::fresh;
use super::seeks::reads;
use crate::conformance::{Lane, Stores, cases, people};
use crate::search::SearchQuery;
use crate::search::texts::bodies;
use crate::{PlaceBatch, Timeline};

async fn place() -> (Stores, Mutex<MySqlConnection>) {
    let (store, database) = fresh().await;
    let past = database.connect().await;
    (stores_of(Arc::new(store), Box::new(database)), Mutex::new(past))
}

/// As if the schema had just come: no text, and nothing taken up.
async fn forget(db: &Mutex<MySqlConnection>) {
    let mut db = db.lock().await;
    db.execute("DELETE FROM message_text").await.expect("written");
    db.execute("DELETE FROM text_walk").await.expect("written");
}

#[tokio::test]
async fn texts_from_before_are_taken_up() {
    let (stores, db) = place().await;
    cases::texts_from_before_are_taken_up(&stores, async || forget(&db).await).await;
}

#[tokio::test]
async fn texts_are_taken_up_while_messages_change() {
    let (stores, db) = place().await;
    cases::texts_are_taken_up_while_messages_change(&stores, async || forget(&db).await).await;
}

#[tokio::test]
async fn what_is_not_kept_leaves_no_text() {
    let (stores, db) = place().await;
    cases::what_is_not_kept_leaves_no_text(&stores, async || {
        let count = sqlx::query_as("SELECT COUNT(*) FROM message_text");
        let (count,): (i64,) = count.fetch_one(&mut *db.lock().await).await.expect("answers");
        count
    })
    .await;
}

/// A word that is frequent elsewhere costs a search in one conversation nothing, and so does a conversation that is long
/// costs a scan no more than its page.
#[tokio::test]
async fn a_search_reads_what_its_page_needs() {
    let (store, database) = fresh().await;
    let users = people(&store, "user", 3).await;
    let mut lanes = Vec::new();
    for (other, count) in [(users[1], 3000), (users[2], 30)] {
        let mut lane = Lane::new(&store, &store, users[0], other).await;
        let rows = (0..count).map(|_| {
            let mut row = lane.row(0);
            (row.message.key_version, row.message.body) = (0, bodies::text("a frequent word").into());
            row
        });
        let batch = PlaceBatch { rows: rows.collect(), cursors: Vec::new() };
        store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
        lanes.push(lane);
    }
    let mut db = database.connect().await;
    db.execute("ANALYZE TABLE message_text").await.expect("answers");
    for (lane, typed, most) in [(1, "frequent", 300), (0, "d", 300), (1, "d", 300)] {
        let query = SearchQuery {
            conversation: Some(lanes[lane].conversation),
            ..SearchQuery::new(Terms::parse(typed).expect("good terms"))
        };
        let before = reads(&mut db).await;
        let found = search(&mut db, users[0], &query, None, 20).await.expect("answers").expect("theirs");
        let counted = reads(&mut db).await - before;
        assert_eq!(found.hits.len(), 20);
        assert!(counted < most, "{counted} rows for {typed} in {lane}");
    }
}
