//! Rivals, frozen rivals, servers that are killed, frozen, or away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::Executor;
use whimbrel_core::{Cursors, Seq};
use whimbrel_engines::Sql;

use super::super::{MySqlConfig, MySqlStore, OpenError, migrate};
use super::{TestDatabase, fresh, keyring};
use crate::conformance::{Lane, people};
use crate::{CommitError, CursorWrite, NewRow, PlaceBatch, StoreError, Timeline};

async fn place(store: &MySqlStore, rows: Vec<NewRow>) -> Result<(), CommitError> {
    store.commit(PlaceBatch { rows, cursors: Vec::new() }).await.map(drop).map_err(|(_, error)| error)
}

/// Two stores with connections of their own place at one place at the same time, again and again: each time one wins,
/// and the other hears why it did not. Nothing of a loser is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_archivers_at_one_place_one_wins() {
    let (one, database) = fresh().await;
    let two = database.open().await;
    let users = people(&one, "user", 2).await;
    let mut lane = Lane::new(&one, &one, users[0], users[1]).await;
    for round in 0..40 {
        let mut rivals = [lane.row(0), lane.row(1), lane.row(0)];
        let mut others = rivals.clone();
        others.iter_mut().for_each(|row| row.message.message_id = whimbrel_core::MessageId::generate());
        if round % 2 == 1 {
            // They meet in the middle only.
            rivals.rotate_left(1);
        }
        let (first, second) = tokio::join!(place(&one, rivals.to_vec()), place(&two, others.to_vec()));
        let (winners, losers): (Vec<_>, Vec<_>) =
            [(first, &rivals), (second, &others)].into_iter().partition(|(result, _)| result.is_ok());
        assert_eq!((winners.len(), losers.len()), (1, 1));
        assert!(matches!(losers[0].0, Err(CommitError::SeqTaken)), "{:?}", losers[0].0);
        let stored = Timeline::read(&one, lane.conversation, Seq(lane.seq - 3), 10).await.expect("answers");
        let ids: Vec<_> = stored.iter().map(|message| message.message_id).collect();
        let mut placed: Vec<_> = winners[0].1.iter().map(|row| &row.message).collect();
        placed.sort_by_key(|message| message.seq);
        assert_eq!(ids, placed.iter().map(|message| message.message_id).collect::<Vec<_>>());
    }
}

/// A rival has placed rows and raised a cursor, and froze before its commit: its session says nothing more. Both writes
/// get through once the server gave it up, and of the rival nothing is there. The limit that is asked for is that of
/// the rule, not of the machine: without `wait_timeout` it would be the rows' lock time limit, and an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_rival_is_outlived() {
    let (store, database) = fresh().await;
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    lane.say(&store, 2).await;
    let mut frozen = database.open().await.pool.session().await.expect("a connection");
    frozen.execute("START TRANSACTION").await.expect("begun");
    let conv = format!("x'{}'", hex(lane.conversation.as_bytes()));
    let seq = lane.seq + 1;
    let insert = format!(
        "INSERT INTO message SELECT conv, {seq}, sender, device, x'00000000000000000000000000000001', kind, key_version, \
         at, n, own, hash, body FROM message WHERE conv = {conv} AND seq = 1"
    );
    frozen.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(insert))).await.expect("a free place");
    frozen.execute("UPDATE member SET delivered = 3").await.expect("members");
    let cursors = Cursors { delivered: Seq(1), read: Seq(1) };
    let raise = vec![CursorWrite { conversation: lane.conversation, user: users[0], cursors }];
    let begun = Instant::now();
    let row = lane.row(0);
    let (placed, raised) =
        tokio::join!(place(&store, vec![row.clone()]), store.commit(PlaceBatch { rows: Vec::new(), cursors: raise }));
    placed.expect("the rival is gone");
    let raised = raised.map_err(|(_, error)| error).expect("the rival is gone").1;
    assert_eq!(raised[0].cursors, cursors, "what the rival raised is undone");
    let stored = Timeline::read(&store, lane.conversation, Seq(lane.seq - 1), 10).await.expect("answers");
    assert_eq!(stored, [row.message]);
    assert!(begun.elapsed() < store.pool.config().answer_timeout, "{:?}", begun.elapsed());
    assert!(frozen.execute("COMMIT").await.is_err(), "the server ended the session");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A caller goes away in the middle of a transaction: its rows and its locks are gone with it, and no connection that
/// is used later is in its transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_ends_with_its_caller() {
    let (store, _database) = fresh().await;
    let users = people(&store, "user", 2).await;
    let mut change = store.begin().await.expect("answers");
    change.execute("UPDATE user SET handle = 'changed' WHERE id > 0 ORDER BY id LIMIT 1").await.expect("answers");
    drop(change);
    let lock = store.retried::<_, StoreError, _>(|| async {
        let mut change = store.begin().await?;
        let row: (String,) = sqlx::query_as("SELECT handle FROM user WHERE id = ? FOR UPDATE")
            .bind(users[0].0)
            .fetch_one(&mut *change)
            .await?;
        change.end(Ok(row.0)).await
    });
    assert_eq!(lock.await.expect("free"), "user0");
}

/// Nothing is asked for longer than the server keeps a silent session: the same connection is still good. The number of
/// the session tells that it is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resting_connections_are_kept() {
    let database = TestDatabase::migrated().await;
    let config = MySqlConfig { wait_timeout: Duration::from_secs(2), connections: 2, ..database.config() };
    let store = MySqlStore::open(config, keyring()).await.expect("migrated");
    let session_id = async || {
        store
            .read::<u64, StoreError>(async |db| {
                Ok(sqlx::query_as("SELECT CONNECTION_ID()").fetch_one(db).await.map(|(id,): (u64,)| id)?)
            })
            .await
    };
    let first = session_id().await.expect("answers");
    // The level to wait for: the server ended a session that rested without a keeper since then.
    let mut silent = database.connect().await;
    silent.execute("SET SESSION wait_timeout = 3").await.expect("answers");
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert!(silent.execute("SELECT 1").await.is_err(), "the server ends silent sessions");
    assert_eq!(session_id().await.expect("answers"), first);
}

/// Placing without a pause, until the server is killed with -9: after its restart everything that was answered is
/// there, in whole batches and without holes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_killed_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Sql::start(folder.path()).await.expect("MariaDB or MySQL is installed");
    let config = MySqlConfig::new(server.database_url("whimbrel").into());
    migrate(&config, &mut |_| {}).await.expect("a good server");
    let store = MySqlStore::open(config, keyring()).await.expect("migrated");
    let users = people(&store, "user", 4).await;
    let mut lanes =
        [Lane::new(&store, &store, users[0], users[1]).await, Lane::new(&store, &store, users[2], users[3]).await];
    let enough = Arc::new(AtomicBool::new(false));
    let placing = tokio::spawn({
        let (store, enough) = (store.clone(), Arc::clone(&enough));
        async move {
            let mut answered = [lanes[0].seq, lanes[1].seq];
            let mut batches = 0;
            loop {
                // One batch of two conversations, the long bodies in several packets.
                let mut rows: Vec<_> = (0..7).map(|turn| lanes[turn % 2].row(turn % 2)).collect();
                if batches % 5 == 0 {
                    rows.iter_mut().for_each(|row| row.message.body = vec![9; 400_000].into());
                }
                match place(&store, rows).await {
                    Ok(()) => answered = [lanes[0].seq, lanes[1].seq],
                    Err(CommitError::Store(StoreError::Unavailable(_))) => {
                        return (lanes, answered);
                    }
                    Err(other) => panic!("{other}"),
                }
                batches += 1;
                enough.store(batches > 20, Ordering::Release);
            }
        }
    });
    while !enough.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.kill();
    let (lanes, answered) = placing.await.expect("no panic");
    let begun = Instant::now();
    assert!(matches!(store.heads(&[lanes[0].conversation]).await, Err(StoreError::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(3), "refused at once, said at once");
    server.restart().await.expect("it starts again");
    let mut stored = Vec::new();
    for (lane, answered) in lanes.iter().zip(answered) {
        let rows = Timeline::read(&store, lane.conversation, Seq::ZERO, 100_000).await.expect("the same store goes on");
        assert!(rows.iter().zip(1..).all(|(row, seq)| row.seq == Seq(seq)), "no holes");
        assert!(rows.len() as u64 >= answered, "{} rows, {answered} answered", rows.len());
        stored.push(rows.len() as u64);
    }
    // The one that was under way is whole or not there: 4 and 3 rows.
    let unanswered = (stored[0] - answered[0], stored[1] - answered[1]);
    assert!([(0, 0), (4, 3)].contains(&unanswered), "{unanswered:?}");
}

/// A server that takes connections and says nothing: calls end by themselves, and go on when it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_unavailable_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Sql::start(folder.path()).await.expect("MariaDB or MySQL is installed");
    let mut config = MySqlConfig::new(server.database_url("whimbrel").into());
    config.answer_timeout = Duration::from_secs(1);
    config.connect_timeout = Duration::from_secs(1);
    migrate(&config, &mut |_| {}).await.expect("a good server");
    let store = MySqlStore::open(config.clone(), keyring()).await.expect("migrated");
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    server.freeze().expect("it runs");
    let row = lane.row(0);
    let failed = place(&store, vec![row.clone()]).await;
    assert!(matches!(failed, Err(CommitError::Store(StoreError::Unavailable(_)))), "{failed:?}");
    let opened = MySqlStore::open(config, keyring()).await;
    assert!(matches!(opened, Err(OpenError::Away(_))), "{opened:?}");
    server.thaw().expect("it runs");
    // The first one may have been carried out meanwhile: the place tells.
    let again = place(&store, vec![row.clone()]).await;
    assert!(matches!(again, Ok(()) | Err(CommitError::SeqTaken)), "{again:?}");
    let stored = Timeline::read(&store, lane.conversation, Seq(lane.seq - 1), 10).await.expect("answers");
    assert_eq!(stored, [row.message]);
}

/// More calls than connections: they take turns. All connections taken: an answer in the time for a connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded() {
    let database = TestDatabase::migrated().await;
    let config = MySqlConfig { connections: 2, connect_timeout: Duration::from_millis(1500), ..database.config() };
    let store = MySqlStore::open(config, keyring()).await.expect("migrated");
    let heads = (0..50).map(|_| store.heads(&[]));
    assert!(futures_util::future::join_all(heads).await.iter().all(Result::is_ok));
    let taken = [store.pool.session().await.expect("one"), store.pool.session().await.expect("two")];
    assert!(matches!(store.heads(&[]).await, Err(StoreError::Unavailable(why)) if why.contains("in use")));
    drop(taken);
    store.heads(&[]).await.expect("free again");
    store.close().await;
    assert!(matches!(store.heads(&[]).await, Err(StoreError::Unavailable(why)) if why.contains("closed")));
}

/// Twelve megabytes of bodies, in several packets; the very last row stands at a taken place: nothing of it is there.
/// Then the same without that row: all of it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_several_packets_is_one_transaction() {
    let (store, _database) = fresh().await;
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    let before = lane.seq;
    let mut rows: Vec<_> = (0..30).map(|_| lane.row(0)).collect();
    rows.iter_mut().for_each(|row| row.message.body = vec![b'\''; 400_000].into());
    let mut taken = lane.row(1);
    taken.message.seq = Seq(before);
    rows.push(taken);
    let failed = place(&store, rows.clone()).await;
    assert!(matches!(failed, Err(CommitError::SeqTaken)), "{failed:?}");
    assert!(Timeline::read(&store, lane.conversation, Seq(before), 10).await.expect("answers").is_empty());
    rows.pop();
    place(&store, rows).await.expect("free places");
    let stored = Timeline::read(&store, lane.conversation, Seq(before), 100).await.expect("answers");
    assert_eq!((stored.len(), stored[29].body.len(), stored[29].body[0]), (30, 400_000, b'\''));
}

/// A body that the column or a packet does not hold is refused by its index, before anything is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_long_is_refused_by_its_index() {
    let (store, _database) = fresh().await;
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    let mut rows = vec![lane.row(0), lane.row(1), lane.row(0)];
    rows[1].message.body = vec![0; 1 << 24].into();
    let failed = place(&store, rows).await;
    assert!(matches!(failed, Err(CommitError::RowRefused { index: 1, .. })), "{failed:?}");
}

/// Two archivers raise the same two cursors, in opposite orders, over and over: whoever comes last, what stands at the end
/// is the highest that was named, and no answer is below what it asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_of_two_archivers_only_grow() {
    let (one, database) = fresh().await;
    let two = database.open().await;
    let users = people(&one, "user", 2).await;
    let mut lane = Lane::new(&one, &one, users[0], users[1]).await;
    lane.say(&one, 200).await;
    let raise = async |store: &MySqlStore, order: [usize; 2], at: u64| {
        let cursors = Cursors { delivered: Seq(at), read: Seq(at / 2) };
        let write = |side: usize| CursorWrite { conversation: lane.conversation, user: users[side], cursors };
        let batch = PlaceBatch { rows: Vec::new(), cursors: order.map(write).to_vec() };
        let moved = store.commit(batch).await.map_err(|(_, error)| error).expect("members").1;
        assert!(moved.iter().all(|moved| moved.cursors.delivered.0 >= at && moved.cursors.read.0 >= at / 2));
        moved
    };
    for round in 1..=60 {
        tokio::join!(raise(&one, [0, 1], round), raise(&two, [1, 0], 61 - round));
        let standing = raise(&one, [0, 1], 0).await;
        let highest = round.max(61 - round).max(60);
        assert!(standing.iter().all(|moved| moved.cursors.delivered.0 == highest), "round {round}: {standing:?}");
    }
}

/// More connections to the same server change nothing. After one was lost, what was planned before is not sent over the
/// next one, rows alone or with cursors, and the other connections are not used again either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_planned_before_a_connection_was_lost_is_not_committed_after_it() {
    let (store, database) = fresh().await;
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    lane.say(&store, 1).await;
    let since = store.connections();
    let sessions = [store.pool.session().await.expect("one"), store.pool.session().await.expect("two")];
    assert_eq!(store.connections(), since, "the pool has grown");
    let mut numbers = Vec::new();
    for mut session in sessions {
        let (number,): (u64,) = sqlx::query_as("SELECT CONNECTION_ID()").fetch_one(&mut *session).await.expect("one");
        numbers.push(number);
        session.done();
    }
    let mut db = database.connect().await;
    db.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("KILL {}", numbers[1])))).await.expect("a session");
    // The keeper notices. Who needs both gets a new one in the place of the lost one.
    let noticed = async {
        while store.connections() == since {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let both = [store.pool.session().await.expect("one"), store.pool.session().await.expect("two")];
            both.into_iter().for_each(|session| session.done());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed).await.expect("noticed");
    let row = lane.row(0);
    let write = CursorWrite { conversation: lane.conversation, user: users[0], cursors: Cursors::default() };
    for cursors in [Vec::new(), vec![write]] {
        let batch = PlaceBatch { rows: vec![row.clone()], cursors };
        let failed = store.commit_since(batch, since).await.map_err(|(_, error)| error);
        assert!(matches!(failed, Err(CommitError::Anew)), "{failed:?}");
    }
    let batch = PlaceBatch { rows: vec![row], cursors: Vec::new() };
    store.commit_since(batch, store.connections()).await.map_err(|(_, error)| error).expect("planned since");
}
