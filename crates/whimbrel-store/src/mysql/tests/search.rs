//! What the suite cannot see of searching on MySQL and MariaDB.

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::{Executor, Row};
use tokio::sync::Mutex;
use whimbrel_core::search::Terms;
use whimbrel_core::{MessageKind, Seq};

use super::super::directory::tests::stores_of;
use super::super::error::Fault;
use super::super::search::search;
use super::super::texts::{put_beside, said_before};
use super::fresh;
use super::seeks::reads;
use crate::conformance::{Lane, Stores, cases, people};
use crate::search::SearchQuery;
use crate::search::texts::bodies;
use crate::{PlaceBatch, StoreError, Timeline};

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

/// The idea: one who takes texts up has read what two messages say and not written it yet. Then one is edited, and the
/// other is taken back. What is written afterwards is neither the old words of the first nor any of the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_while_it_is_taken_up_is_as_it_was_changed() {
    let (store, database) = fresh().await;
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    let rows = [lane.row(0), lane.row(0)].map(|mut row| {
        (row.message.key_version, row.message.body) = (0, bodies::text("early words").into());
        row
    });
    let [edited, gone] = [&rows[0], &rows[1]].map(|row| row.message.seq);
    let commit = async |rows: Vec<crate::NewRow>| {
        let batch = PlaceBatch { rows, cursors: Vec::new() };
        store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    };
    commit(rows.into()).await;
    let mut db = database.connect().await;
    db.execute("DELETE FROM message_text").await.expect("written");

    let mut change = store.begin().await.expect("a transaction");
    let said = said_before(&mut change, lane.conversation, (0, lane.seq)).await.expect("answers");
    assert_eq!(said.len(), 2);
    let mut about = |kind: MessageKind, target: Seq, rest: &[u8]| {
        let mut row = lane.follow_up(0);
        row.message.kind = kind;
        row.message.key_version = 0;
        row.message.body = [&target.0.to_be_bytes()[..], rest].concat().into();
        vec![row]
    };
    commit(about(MessageKind::EDIT, edited, &bodies::text("late words"))).await;
    let recall = PlaceBatch { rows: about(MessageKind::RECALL, gone, b""), cursors: Vec::new() };
    let (other, conversation) = (store.clone(), lane.conversation);
    let recalled = tokio::spawn(async move { other.commit(recall).await.map_err(|(_, error)| error) });
    let waits = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE ?";
    let id: String = conversation.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    while !recalled.is_finished() {
        let waiting = sqlx::query_as(waits).bind(format!("%{id}%"));
        let (waiting,): (i64,) = waiting.fetch_one(&mut db).await.expect("answers");
        if waiting > 0 {
            break;
        }
        // Who asks again sooner is answered the same.
        tokio::time::sleep(Duration::from_millis(110)).await;
    }
    put_beside(&mut change, &said).await.expect("written");
    change.end(Ok::<_, Fault<StoreError>>(())).await.expect("committed");
    recalled.await.expect("no panic").expect("a place");
    let texts = db.fetch_all("SELECT seq, text FROM message_text").await.expect("answers");
    let texts: Vec<(u64, Vec<u8>)> = texts.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(texts, [(edited.0, b"late words".to_vec())]);
}
