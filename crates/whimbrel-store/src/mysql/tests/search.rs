//! What the suite cannot see of searching on MySQL and MariaDB.

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::{Executor, Row};
use tokio::sync::Mutex;
use whimbrel_core::search::Terms;
use whimbrel_core::{ConversationId, MessageKind, Seq, UserId};

use super::super::directory::tests::stores_of;
use super::super::error::Fault;
use super::super::search::search;
use super::super::texts::{put_beside, said_before};
use super::fresh;
use super::seeks::reads;
use crate::conformance::{Lane, Stores, cases, people};
use crate::search::dated::SLOT_MS;
use crate::search::texts::bodies;
use crate::search::{Search, SearchQuery, words};
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
        let found = search(&mut db, users[0], &query, None, 20, true).await.expect("answers").expect("theirs");
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

/// As a former version left it: words without times, and its walk done.
async fn make_former(db: &mut MySqlConnection) {
    let texts = db.fetch_all("SELECT conv,at,seq,sender,text FROM message_text").await.expect("answers");
    for row in &texts {
        let conv: Vec<u8> = row.get(0);
        let id = ConversationId::from_bytes(conv.clone().try_into().expect("16 bytes"));
        let text = String::from_utf8(row.get(4)).expect("a text");
        let former = words::of_text(id, UserId(row.get(3)), &text);
        let change = sqlx::query("UPDATE message_text SET words=? WHERE conv=? AND at=? AND seq=?").bind(former);
        let change = change.bind(conv).bind(row.get::<u64, _>(1)).bind(row.get::<u64, _>(2));
        change.execute(&mut *db).await.expect("written");
    }
    db.execute("DELETE FROM text_walk").await.expect("written");
    db.execute("INSERT INTO text_walk (id,conv,seq,done) VALUES (1,'',0,1)").await.expect("written");
}

/// The idea: texts with the words of a former version are found before, while and after they are taken up; so is what is
/// said, edited and taken back meanwhile. In the end no such word is left, and nothing that was newer is overwritten.
#[tokio::test]
async fn words_of_a_former_version_are_found_and_made_anew() {
    let (store, database) = fresh().await;
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    let mut db = database.connect().await;
    let commit = async |rows: Vec<crate::NewRow>| {
        let batch = PlaceBatch { rows, cursors: Vec::new() };
        store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    };
    let says = |lane: &mut Lane, text: &str| {
        let mut row = lane.row(0);
        (row.message.key_version, row.message.body) = (0, bodies::text(text).into());
        row.message.at = 1_790_000_000_000 + row.message.seq.0 * 600_000;
        row
    };
    let about = |lane: &mut Lane, kind: MessageKind, target: u64, plain: &[u8]| {
        let mut row = lane.follow_up(0);
        (row.message.kind, row.message.key_version) = (kind, 0);
        row.message.at = 1_790_000_000_000 + row.message.seq.0 * 600_000;
        row.message.body = [&target.to_be_bytes()[..], plain].concat().into();
        row
    };
    let rows: Vec<_> = (0..40).map(|_| says(&mut lane, "an old story")).collect();
    let places: Vec<u64> = rows.iter().map(|row| row.message.seq.0).collect();
    commit(rows).await;
    make_former(&mut db).await;

    let mut expected: Vec<u64> = places.iter().rev().copied().collect();
    let found = async |typed: &str, sender| {
        let query = SearchQuery { sender, ..SearchQuery::new(Terms::parse(typed).expect("good terms")) };
        let found = store.search(users[0], &query, None, 100).await.expect("answers").expect("theirs");
        found.hits.into_iter().map(|hit| hit.seq.0).collect::<Vec<_>>()
    };
    let mut steps = 0;
    loop {
        assert_eq!(found("story", None).await, expected, "step {steps}");
        assert_eq!(found("story", Some(users[0])).await, expected, "step {steps}");
        assert_eq!(found("story", Some(users[1])).await, Vec::<u64>::new());
        let row = says(&mut lane, "a new story");
        expected.insert(0, row.message.seq.0);
        commit(vec![row]).await;
        let [edited, gone] = [places[steps], places[39 - steps]];
        commit(vec![about(&mut lane, MessageKind::EDIT, edited, &bodies::text("a told story"))]).await;
        commit(vec![about(&mut lane, MessageKind::RECALL, gone, b"")]).await;
        expected.retain(|place| *place != gone);
        if !store.take_up(10).await.expect("answers") {
            break;
        }
        steps += 1;
        assert!(steps < 15, "it ends");
    }
    assert!(steps > 3, "in steps");
    assert_eq!(found("story", None).await, expected);
    assert_eq!(found("told", None).await, places[..=steps].iter().rev().copied().collect::<Vec<_>>());
    let former = "SELECT COUNT(*) FROM message_text WHERE LOCATE(' ',words)=18";
    let (former,): (i64,) = sqlx::query_as(former).fetch_one(&mut db).await.expect("answers");
    assert_eq!(former, 0);
}

/// The idea: forty times as much is said as there is in the stretch that is looked at first. What is frequent costs about
/// what its page shows; what was said once and long ago, about nothing more: it is not read what has only a part of it.
#[tokio::test]
async fn the_newest_are_found_without_reading_the_rest() {
    const EACH: u64 = 500;
    let (store, database) = fresh().await;
    let users = people(&store, "user", 3).await;
    let mut lanes = Vec::new();
    for other in &users[1..] {
        lanes.push(Lane::new(&store, &store, users[0], *other).await);
    }
    for slot in 0..40 {
        let rows = (0..EACH).map(|nth| {
            let mut row = lanes[(nth % 2) as usize].row(0);
            let text = if (slot, nth) == (2, 7) { "an ancient kingfisher" } else { "a frequent fish, being a king" };
            (row.message.key_version, row.message.body) = (0, bodies::text(text).into());
            row.message.at = (1_707_000 + slot) * SLOT_MS + nth;
            row
        });
        let batch = PlaceBatch { rows: rows.collect(), cursors: Vec::new() };
        store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    }
    let mut db = database.connect().await;
    db.execute("ANALYZE TABLE message_text").await.expect("answers");
    for conversation in [None, Some(lanes[1].conversation)] {
        for (typed, hits, most) in [("frequent", 20, 4 * EACH), ("kingfisher", 1, 200), ("ancient king", 1, 200)] {
            let terms = Terms::parse(typed).expect("good terms");
            let query = SearchQuery { conversation, ..SearchQuery::new(terms) };
            let before = reads(&mut db).await;
            let found = search(&mut db, users[0], &query, None, 20, true).await.expect("answers").expect("theirs");
            let counted = reads(&mut db).await - before;
            assert_eq!(found.hits.len(), hits, "{typed}");
            assert!(counted < most, "{counted} rows for {typed} in {conversation:?}");
        }
    }
    // From the middle on as from the end.
    let query = SearchQuery {
        until: (1_707_000 + 20) * SLOT_MS,
        ..SearchQuery::new(Terms::parse("frequent").expect("good terms"))
    };
    let before = reads(&mut db).await;
    let found = search(&mut db, users[0], &query, None, 20, true).await.expect("answers").expect("theirs");
    let counted = reads(&mut db).await - before;
    assert_eq!(found.hits[0].at, (1_707_000 + 19) * SLOT_MS + EACH - 1);
    assert!(counted < 3 * EACH, "{counted} rows");
}
