//! Several at once, some of them in an order that the test forces.

use std::time::Duration;

use sqlx::query;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use whimbrel_core::{MessageKind, Role, Seq, UserId};

use super::archiver::Archiver;
use super::{MySqlStore, assert_sound, count, group_of, new, two};
use crate::conformance::{Dice, people};
use crate::directory::Rows;
use crate::groups::{Actor, GroupChange, GroupError};
use crate::{CommitError, Groups, PlaceBatch, Timeline};

const ROUNDS: usize = 20;

/// Two admins say yes to one request at once, in two processes, round after round: one of them let the user in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_admins_who_approve_at_once_let_somebody_in_once() {
    let ([one, two], mut db, _database) = two().await;
    let users = people(&one, "user", 2 + ROUNDS).await;
    let group = group_of(&one, &users[..2]).await;
    let admin = GroupChange::SetRole { user: users[1], role: Role::Admin };
    one.change_group(group.id, Actor::User(users[0]), admin, 3).await.expect("the owner may");
    for user in &users[2..] {
        let join = GroupChange::Join { message: "let me in".into() };
        one.change_group(group.id, Actor::User(*user), join, 4).await.expect("anybody may ask");
        let approve = || GroupChange::Approve { user: *user };
        let (a, b) = tokio::join!(
            one.change_group(group.id, Actor::User(users[0]), approve(), 5),
            two.change_group(group.id, Actor::User(users[1]), approve(), 5),
        );
        let (yes, no) = if a.is_ok() { (a, b) } else { (b, a) };
        assert!(matches!(no, Err(GroupError::NotApplicable(_))), "{no:?}");
        let (_, rows) = yes.expect("one of them");
        assert_eq!(rows[0].change.as_ref().expect("of the group").joined, [*user]);
    }
    let after = one.group(group.id).await.expect("answers").expect("a group");
    assert_eq!(after.size as usize, users.len());
    assert_sound(&mut db).await;
}

/// Two groups want one handle at once: it is one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_wanted_twice_at_once_is_given_once() {
    let ([one, two], mut db, _database) = two().await;
    let users = people(&one, "user", 2).await;
    for round in 0..ROUNDS {
        let group = |owner| crate::groups::NewGroup { handle: Some(format!("group{round}")), ..new(owner) };
        let (a, b) = tokio::join!(one.create_group(group(users[0]), 5), two.create_group(group(users[1]), 5));
        let (yes, no) = if a.is_ok() { (a, b) } else { (b, a) };
        assert!(matches!(no, Err(GroupError::HandleTaken)), "{no:?}");
        assert_eq!(yes.expect("one of them").0.revision, Seq(1));
    }
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM conversation WHERE kind = 3").await, ROUNDS as i64);
    assert_sound(&mut db).await;
}

/// The order is forced: an archiver has placed one row and not committed it; a removal waits for that row at the end of
/// the group; the archiver places another one behind it, where the removal is going to look for its place, and commits.
/// The removal's place is taken; it is made again, and stands behind both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_whose_place_is_taken_is_made_again() {
    let ([store, other], mut db, _database) = two().await;
    let users = people(&store, "user", 2).await;
    let group = group_of(&store, &users).await;
    let archiver = Archiver::new(&store, group.id, &users).await;
    query("START TRANSACTION").execute(&mut db).await.expect("answers");
    let place = "INSERT INTO message SELECT conv, seq + 1, ?, device, UNHEX(MD5(RAND())), 1, 1, at, n + 1, 0, hash, 'x' \
         FROM message WHERE conv = ? ORDER BY seq DESC LIMIT 1";
    let place = || query(place).bind(users[1].0).bind(group.id.as_bytes().to_vec());
    place().execute(&mut db).await.expect("a free place");
    let (id, owner, user) = (group.id, users[0], users[1]);
    let remove =
        tokio::spawn(async move { other.change_group(id, Actor::User(owner), GroupChange::Remove { user }, 5).await });
    let waits = "SELECT COUNT(*) FROM information_schema.INNODB_TRX t \
         JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id \
         WHERE p.DB = DATABASE() AND t.trx_state = 'LOCK WAIT'";
    while count(&mut db, waits).await == 0 {
        // The server tells the same again to those who ask more often than every 100 ms.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    place().execute(&mut db).await.expect("a free place");
    let own = "UPDATE member SET own_total = own_total + 2 WHERE user = ? AND conv = ?";
    query(own).bind(user.0).bind(id.as_bytes().to_vec()).execute(&mut db).await.expect("not held by the removal");
    query("COMMIT").execute(&mut db).await.expect("answers");
    let (after, rows) = remove.await.expect("no panic").expect("it is made again");
    assert_eq!(after.revision, Seq(archiver.head.seq.0 + 3));
    assert_eq!(rows[0].change.as_ref().expect("of the group").left, [user]);
    assert_sound(&mut db).await;
}

/// An archiver that read before a removal meets its row: what the removed one said is not placed behind it, and the
/// archiver learns who may speak with the head.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archiver_that_read_before_a_removal_meets_its_row() {
    let ([store, other], mut db, _database) = two().await;
    let users = people(&store, "user", 2).await;
    let group = group_of(&store, &users).await;
    let mut archiver = Archiver::new(&store, group.id, &users).await;
    assert!(archiver.say(&[0, 1, 1]).await && archiver.is_member(1));
    let remove = GroupChange::Remove { user: users[1] };
    other.change_group(group.id, Actor::User(users[0]), remove, 5).await.expect("the owner may");
    assert!(!archiver.say(&[1]).await && !archiver.is_member(1) && archiver.is_member(0));
    assert!(archiver.say(&[0]).await);
    assert_sound(&mut db).await;
}

/// A message is taken back with what was added to it, in the transaction of the row that does it and in no other.
#[tokio::test]
async fn what_is_taken_back_loses_its_body_with_its_row() {
    let ([store, _], mut db, _database) = two().await;
    let users = people(&store, "user", 1).await;
    let group = group_of(&store, &users).await;
    let mut archiver = Archiver::new(&store, group.id, &users).await;
    let target = archiver.head.seq.next();
    let about = |more: &[u8]| [&target.0.to_be_bytes()[..], more].concat();
    let text = archiver.row(0, 0, MessageKind::TEXT, b"secret");
    let mut edit = archiver.row(1, 0, MessageKind::EDIT, &about(b"other secret"));
    let mut recall = archiver.row(2, 0, MessageKind::RECALL, &about(b""));
    (edit.n, recall.n) = (text.n, text.n);
    let twice =
        PlaceBatch { rows: vec![text.clone(), edit.clone(), recall.clone(), text.clone()], cursors: Vec::new() };
    assert!(matches!(store.commit(twice).await, Err((_, CommitError::SeqTaken))));
    store.commit(PlaceBatch { rows: vec![text, edit], cursors: Vec::new() }).await.expect("free places");
    let found = store.targets(&[(group.id, target), (group.id, Seq(99))]).await.expect("answers");
    let found = (found[0].expect("there"), found[1]);
    assert_eq!((found.0.recalled, found.0.follow_ups, found.0.sender, found.1), (false, 1, users[0], None));
    store.commit(PlaceBatch { rows: vec![recall], cursors: Vec::new() }).await.expect("a free place");
    let bodies: Vec<_> = Timeline::read(&store, group.id, Seq(target.0 - 1), 9).await.expect("answers");
    let bodies: Vec<_> = bodies.into_iter().map(|message| message.body.to_vec()).collect();
    assert_eq!(bodies, [Vec::new(), about(b""), about(b"")]);
    assert!(store.targets(&[(group.id, target)]).await.expect("answers")[0].expect("there").recalled);
    archiver.read().await;
    assert_sound(&mut db).await;
}

/// Members come, go, are muted and promoted in two processes, while an archiver places what they say and raises their
/// cursors: nothing but the rules refuses anything, everything fits afterwards, and every row was returned once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_while_an_archiver_places() {
    let (stores, mut db, database) = two().await;
    let users = people(&stores[0], "user", 6).await;
    let group = group_of(&stores[0], &users[..3]).await;
    let before = count(&mut db, "SELECT COUNT(*) FROM message").await;
    let over = CancellationToken::new();
    let archiver = tokio::spawn({
        let (store, users, over, id) = (database.open().await, users.clone(), over.clone(), group.id);
        async move {
            let (mut archiver, mut dice, mut placed) = (Archiver::new(&store, id, &users).await, Dice::new(77), 0);
            while !over.is_cancelled() {
                let members: Vec<_> = (0..users.len()).filter(|user| archiver.is_member(*user)).collect();
                let speakers: Vec<_> =
                    (0..=dice.roll(4)).map(|_| members[dice.roll(members.len() as u64) as usize]).collect();
                if archiver.say(&speakers).await {
                    placed += speakers.len();
                }
            }
            (placed, archiver.met)
        }
    });
    let mut tasks = JoinSet::new();
    for seed in 1..=4 {
        tasks.spawn(storm(stores[seed as usize % 2].clone(), group.id, users.clone(), seed));
    }
    let told: usize = tasks.join_all().await.iter().map(Vec::len).sum();
    over.cancel();
    let (placed, met) = archiver.await.expect("the archiver is well");
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM message WHERE kind < 500").await, placed as i64);
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM message WHERE kind > 500").await - before, told as i64);
    assert!(placed > 20 && told > 40 && met > 0, "much happened: {placed} {told} {met}");
    assert_sound(&mut db).await;
}

async fn storm(store: MySqlStore, id: whimbrel_core::ConversationId, users: Vec<UserId>, seed: u64) -> Rows {
    let (mut dice, mut rows) = (Dice::new(seed * 7919), Rows::new());
    for step in 0..40 {
        let user = users[1 + dice.roll(5) as usize];
        let (by, change) = match dice.roll(8) {
            0 | 1 => (Actor::Operator, GroupChange::Add { users: vec![user] }),
            2 => (Actor::User(users[0]), GroupChange::Remove { user }),
            3 => (Actor::User(user), GroupChange::Leave),
            4 => (Actor::User(users[0]), GroupChange::Mute { user, until: 100 + dice.roll(2) }),
            5 => (Actor::User(user), GroupChange::Join { message: String::new() }),
            6 => (Actor::User(users[0]), GroupChange::Approve { user }),
            _ => (Actor::User(users[0]), GroupChange::Invite { users: users[1..].to_vec() }),
        };
        match store.change_group(id, by, change, 5 + step).await {
            Ok((_, told)) => rows.extend(told),
            Err(GroupError::NotApplicable(_) | GroupError::NotMember | GroupError::Forbidden(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    rows
}
