//! Several processes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::query;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use whimbrel_core::UserId;
use whimbrel_core::limits::{DEVICES_MAX, RELATIONS_MAX};

use super::{MySqlStore, ask, assert_sound, count, log_in, two};
use crate::conformance::{Dice, Lane, people};
use crate::directory::{DirectoryError, NewUser, Refreshed, RelationChange, RelationState, Rows};
use crate::{CommitError, Directory, PlaceBatch, Timeline};

const ROUNDS: usize = 25;

/// The peer says yes in two processes at once, round after round: one of them is told that there is no request any more,
/// and there is one conversation with one key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_accept_at_once_make_one_friendship() {
    let ([one, two], mut db, _database) = two().await;
    let users = people(&one, "user", ROUNDS + 1).await;
    let me = users[ROUNDS];
    for peer in &users[..ROUNDS] {
        one.change_relation(*peer, me, ask(), 5).await.expect("strangers");
        let (a, b) = tokio::join!(
            one.change_relation(me, *peer, RelationChange::Accept, 6),
            two.change_relation(me, *peer, RelationChange::Accept, 6),
        );
        let (yes, no) = if a.is_ok() { (a, b) } else { (b, a) };
        assert!(matches!(no, Err(DirectoryError::NotApplicable(_))), "{no:?}");
        let (friends, rows) = yes.expect("one of them");
        assert_eq!((friends.state, friends.keys.len(), rows.len()), (RelationState::Friends, 1, 3));
    }
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM conversation WHERE kind = 1").await, ROUNDS as i64);
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM relation_key").await, ROUNDS as i64);
    assert_sound(&mut db).await;
}

/// Each asks the other at once: the second to be heard says yes by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cross_are_a_yes() {
    let ([one, two], mut db, _database) = two().await;
    let users = people(&one, "user", ROUNDS + 1).await;
    let me = users[ROUNDS];
    for peer in &users[..ROUNDS] {
        let (a, b) = tokio::join!(one.change_relation(me, *peer, ask(), 5), two.change_relation(*peer, me, ask(), 5));
        let mut states = [a.expect("a request").0.state as u8, b.expect("a request").0.state as u8];
        states.sort_unstable();
        assert_eq!(states, [RelationState::RequestSent as u8, RelationState::Friends as u8]);
    }
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM relation_key").await, ROUNDS as i64);
    assert_sound(&mut db).await;
}

/// Who asked blocks while the other accepts: either they are friends and one blocks, or there is nothing to accept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_and_a_yes_come_one_after_the_other() {
    let ([one, two], mut db, _database) = two().await;
    let users = people(&one, "user", ROUNDS + 1).await;
    let me = users[ROUNDS];
    for peer in &users[..ROUNDS] {
        one.change_relation(me, *peer, ask(), 5).await.expect("strangers");
        let (block, accept) = tokio::join!(
            one.change_relation(me, *peer, RelationChange::Block, 6),
            two.change_relation(*peer, me, RelationChange::Accept, 6),
        );
        assert!(block.expect("anyone may block").0.blocked);
        let state = one.relation(me, *peer).await.expect("answers").expect("a relation").state;
        match accept {
            Ok(_) => assert_eq!(state, RelationState::Friends),
            Err(DirectoryError::NotApplicable(_)) => assert_eq!(state, RelationState::None),
            Err(other) => panic!("{other}"),
        }
    }
    assert_sound(&mut db).await;
}

/// One token in two processes at once, with the same successor (an answer got lost): one exchanges it, the other
/// repeats, and the successor is good; nobody is thrown out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_exchanged_twice_at_once_is_not_stolen() {
    let ([one, two], mut db, _database) = two().await;
    let user = people(&one, "user", 1).await[0];
    one.log_in(vec![log_in(user, 1, Some([0; 32]))]).await.expect("answers").remove(0).expect("room");
    for round in 0..ROUNDS as u8 {
        let (token, successor) = ([round; 32], [round + 1; 32]);
        let (a, b) =
            tokio::join!(one.refresh(token, successor, 1000, 60_000), two.refresh(token, successor, 999, 60_000),);
        let answers = [a.expect("answers"), b.expect("answers")];
        let rotated = answers.iter().filter(|answer| matches!(answer, Refreshed::Rotated { .. })).count();
        let repeated = answers.iter().filter(|answer| matches!(answer, Refreshed::Repeated { .. })).count();
        assert_eq!((rotated, repeated), (1, 1), "{answers:?}");
    }
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM device").await, 1);
}

/// All places but one are taken, and four log in at once, each in a batch with somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_place_for_a_device_is_given_once() {
    let ([one, two], mut db, _database) = two().await;
    let users = people(&one, "user", 5).await;
    let max = u8::try_from(DEVICES_MAX).expect("few devices");
    let first = one.log_in((1..max).map(|number| log_in(users[0], number, None)).collect()).await.expect("answers");
    assert!(first.iter().all(|answer| answer.as_ref().is_ok_and(|rows| rows.len() == 1)));
    let mut tasks = JoinSet::new();
    for number in 0..4 {
        let store = [&one, &two][usize::from(number) % 2].clone();
        let batch = vec![log_in(users[0], 100 + number, None), log_in(users[usize::from(number) + 1], 1, None)];
        tasks.spawn(async move { store.log_in(batch).await.expect("answers") });
    }
    let mut admitted = 0;
    for answers in tasks.join_all().await {
        admitted += usize::from(answers[0].is_ok());
        assert!(matches!(&answers[0], Ok(_) | Err(DirectoryError::TooManyDevices)));
        assert!(answers[1].is_ok(), "somebody else's place is not theirs");
    }
    assert_eq!(admitted, 1);
    let devices = one.devices(users[0]).await.expect("answers");
    assert_eq!(devices.len() as u64, DEVICES_MAX);
    assert_sound(&mut db).await;
}

/// One user has all relations but one, and four others ask at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_relation_is_given_once() {
    let ([one, two], mut db, _database) = two().await;
    let users = people(&one, "user", 5).await;
    let full = users[4];
    let fill = "INSERT INTO relation (user, peer, state, greeting, changed_at) \
         SELECT ?, 1001 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d, 2, '', 1 FROM digits a, digits b, digits c, digits e \
         WHERE a.d + 10 * b.d + 100 * c.d + 1000 * e.d < ?";
    query("CREATE TABLE digits (d BIGINT NOT NULL)").execute(&mut db).await.expect("a good statement");
    let digits = "INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)";
    query(digits).execute(&mut db).await.expect("a good statement");
    query(fill).bind(full.0).bind(RELATIONS_MAX - 1).execute(&mut db).await.expect("a good statement");
    let mut tasks = JoinSet::new();
    for (number, user) in users[..4].iter().copied().enumerate() {
        let store = [&one, &two][number % 2].clone();
        tasks.spawn(async move { store.change_relation(user, full, ask(), 5).await });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(DirectoryError::TooManyRelations))));
}

/// Two batches with the same handles in opposite orders: each handle is one account's, and nobody else's place is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_wanted_twice_at_once_is_given_once() {
    let ([one, two], mut db, _database) = two().await;
    for round in 0..5 {
        let new = |name: String| NewUser { handle: name, display_name: String::new(), password_hash: None };
        let same = (0..20).map(|number| new(format!("r{round}.both{number}")));
        let (mut left, mut right): (Vec<_>, Vec<_>) = (same.clone().collect(), same.rev().collect());
        left.push(new(format!("r{round}.left")));
        right.push(new(format!("r{round}.right")));
        let (a, b) = tokio::join!(one.create_users(left, 1), two.create_users(right, 1));
        let (a, b) = (a.expect("answers"), b.expect("answers"));
        assert!(a[20].is_ok() && b[20].is_ok());
        for number in 0..20 {
            assert!(a[number].is_ok() != b[19 - number].is_ok());
        }
    }
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM user").await, 5 * 22);
    assert_eq!(
        count(
            &mut db,
            "SELECT COUNT(*) FROM conversation c JOIN user u ON u.private_conversation = c.id \
         AND u.id = c.first JOIN member m ON m.user = u.id AND m.conv = c.id"
        )
        .await,
        5 * 22
    );
}

/// Eight tasks in two processes change what four users are to each other, log them in and rename them: nothing but the
/// rules refuses anything, everything fits afterwards, and every row that was placed was returned, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_changes_leaves_everything_in_order() {
    let (stores, mut db, _database) = two().await;
    let users = people(&stores[0], "user", 4).await;
    let mut tasks = JoinSet::new();
    for seed in 1..=8 {
        tasks.spawn(storm(stores[seed as usize % 2].clone(), users.clone(), seed));
    }
    let returned: Vec<Rows> = tasks.join_all().await;
    let placed: usize = returned.iter().map(Vec::len).sum();
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM message").await, placed as i64);
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM untold").await, placed as i64);
    assert!(placed > 80, "much happened: {placed}");
    assert_sound(&mut db).await;
}

async fn storm(store: MySqlStore, users: Vec<UserId>, seed: u64) -> Rows {
    let mut dice = Dice::new(seed * 7919);
    let mut rows = Rows::new();
    for step in 0..40 {
        let me = dice.roll(4) as usize;
        let peer = (me + 1 + dice.roll(3) as usize) % 4;
        let change = match dice.roll(9) {
            0 => RelationChange::Block,
            1 => RelationChange::Unblock,
            2 => RelationChange::Remove,
            3 => RelationChange::Accept,
            4 => RelationChange::Cancel,
            5 => {
                let name = format!("{seed} {step}");
                rows.extend(store.set_profile(users[me], Some(name), None, 5).await.expect("an account").1);
                continue;
            }
            6 => {
                let number = dice.roll(200) as u8;
                match store.log_in(vec![log_in(users[me], number, None)]).await.expect("answers").remove(0) {
                    Ok(told) => rows.extend(told),
                    Err(DirectoryError::TooManyDevices) => {}
                    Err(other) => panic!("{other}"),
                }
                continue;
            }
            _ => ask(),
        };
        match store.change_relation(users[me], users[peer], change, 5 + step).await {
            Ok((_, told)) => rows.extend(told),
            Err(DirectoryError::NotApplicable(_) | DirectoryError::Blocked) => {}
            Err(other) => panic!("{other}"),
        }
    }
    rows
}

/// An archiver places without a pause in the conversation whose rights change all the while, as it does: it remembers
/// the end, and reads it again when its place was taken. Nothing is lost, nothing doubled, nothing fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_change_while_an_archiver_places() {
    let (stores, mut db, database) = two().await;
    let users = people(&stores[0], "user", 2).await;
    let lane = Lane::new(&stores[0], &stores[0], users[0], users[1]).await;
    let (met, over) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
    let archiver = tokio::spawn(archive(database.open().await, lane, Arc::clone(&met), over.clone()));
    let mut tasks = JoinSet::new();
    for (store, (me, peer)) in stores.into_iter().zip([(users[0], users[1]), (users[1], users[0])]) {
        let met = Arc::clone(&met);
        tasks.spawn(async move {
            let mut rounds = 0;
            while rounds < 30 || met.load(Ordering::Relaxed) < 10 {
                for change in [RelationChange::Block, RelationChange::Unblock] {
                    let (_, rows) = store.change_relation(me, peer, change, 5).await.expect("friends may block");
                    assert_eq!(rows.len(), 2);
                }
                rounds += 1;
            }
            rounds
        });
    }
    let rounds: i64 = tasks.join_all().await.into_iter().sum();
    over.cancel();
    let placed = archiver.await.expect("the archiver is well");
    let said = count(&mut db, "SELECT COUNT(*) FROM message WHERE kind = 1").await;
    assert_eq!(said, i64::from(placed));
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM message WHERE kind = 1002").await, 1 + 2 * rounds);
    let counted = "SELECT CAST(MAX(n) AS SIGNED) FROM message WHERE kind IN (1, 1002)";
    assert_eq!(count(&mut db, counted).await, said, "rows of the server count for nobody, and lose no count");
    assert_sound(&mut db).await;
}

/// Places one to four rows at once until it is over; how many were placed. Counts how often its place was taken.
async fn archive(store: MySqlStore, mut lane: Lane, met: Arc<AtomicU32>, over: CancellationToken) -> u32 {
    let mut placed = 0;
    while !over.is_cancelled() {
        let rows: Vec<_> = (0..1 + placed % 4).map(|row| lane.row(row as usize % 2)).collect();
        let count = rows.len() as u32;
        match store.commit(PlaceBatch { rows, cursors: Vec::new() }).await {
            Ok(_) => placed += count,
            Err((_, CommitError::SeqTaken)) => {
                met.fetch_add(1, Ordering::Relaxed);
                lane = Lane::of(&store, lane.conversation, lane.users[0], lane.users[1]).await;
            }
            Err((_, other)) => panic!("{other}"),
        }
    }
    placed
}
