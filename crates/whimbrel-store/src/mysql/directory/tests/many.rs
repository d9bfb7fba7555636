//! Many at once: batches, thousands of friends, bounds that take too many steps to reach by the trait.

use sqlx::mysql::MySqlConnection;
use sqlx::query;
use whimbrel_core::limits::KEY_VERSIONS_MAX;
use whimbrel_core::{ConversationId, DeviceId, Seq, UserId};

use super::super::delete::Delete;
use super::super::work::run;
use super::{ask, assert_sound, count, fresh, log_in, two};
use crate::Directory;
use crate::conformance::{befriend, people};
use crate::directory::{DirectoryError, RelationChange, RelationState};

/// 700 accounts in one batch, some handles twice: each is answered for itself, and has a number in the batch's order.
#[tokio::test]
async fn a_batch_of_accounts_is_answered_one_by_one() {
    let ([store, _], mut db, _database) = two().await;
    let new = |name: String| crate::directory::NewUser { handle: name, display_name: "x".into(), password_hash: None };
    let batch: Vec<_> = (0..700).map(|number| new(format!("user{}", number - number % 7 % 2))).collect();
    let handles: Vec<String> = batch.iter().map(|new| new.handle.clone()).collect();
    let mut last = UserId(0);
    for (number, answer) in store.create_users(batch, 5).await.expect("answers").into_iter().enumerate() {
        let is_first = handles.iter().position(|handle| *handle == handles[number]) == Some(number);
        match answer {
            Ok(user) => {
                assert!(is_first && user.id > last, "{number}");
                assert_eq!(store.user(user.id).await.expect("answers"), Some(user.clone()));
                last = user.id;
            }
            Err(error) => assert!(!is_first && matches!(error, DirectoryError::HandleTaken)),
        }
    }
    let alone = "SELECT COUNT(*) FROM user u JOIN conversation c ON c.id = u.private_conversation AND c.first = u.id \
         JOIN member m ON m.user = u.id AND m.conv = c.id";
    assert_eq!(count(&mut db, alone).await, count(&mut db, "SELECT COUNT(*) FROM user").await);
}

/// New, known, twice in one batch, one too many, nobody's: each is answered for itself, and what it says is there.
#[tokio::test]
async fn a_batch_of_log_ins_is_answered_one_by_one() {
    let ([store, _], mut db, _database) = two().await;
    let users = people(&store, "user", 300).await;
    let token = |user: &UserId| [u8::try_from(user.0 % 251).expect("small"); 32];
    store.log_in(vec![log_in(users[0], 1, Some([255; 32]))]).await.expect("answers").remove(0).expect("room");
    let spent = store.refresh([255; 32], [254; 32], 5, 0).await.expect("answers");
    assert!(matches!(spent, crate::directory::Refreshed::Rotated { .. }));
    let mut batch: Vec<_> = users[..200].iter().map(|user| log_in(*user, 1, Some(token(user)))).collect();
    batch.extend(users.iter().map(|user| log_in(*user, 2, None)));
    batch.push(log_in(users[0], 2, Some([253; 32])));
    batch.push(log_in(UserId(u64::MAX), 1, None));
    let answers = store.log_in(batch).await.expect("answers");
    let told: Vec<Option<usize>> = answers.iter().map(|answer| answer.as_ref().ok().map(Vec::len)).collect();
    assert_eq!((told[0], told[500], told[501]), (Some(0), Some(0), None));
    assert!(told[1..500].iter().all(|told| *told == Some(1)));
    for (number, answer) in answers[1..500].iter().enumerate() {
        let user = if number < 199 { users[number + 1] } else { users[number - 199] };
        assert_eq!(answer.as_ref().expect("room")[0].message.sender, user);
    }
    let keys: Vec<(UserId, DeviceId)> = users.iter().map(|user| (*user, DeviceId::from_bytes([2; 16]))).collect();
    assert!(store.logged_in(&keys).await.expect("answers").into_iter().all(|is_in| is_in));
    let other: Vec<(UserId, DeviceId)> = users.iter().map(|user| (*user, DeviceId::from_bytes([1; 16]))).collect();
    let is_in = store.logged_in(&other).await.expect("answers");
    assert!(is_in[..200].iter().all(|is_in| *is_in) && is_in[200..].iter().all(|is_in| !is_in));
    assert!(matches!(
        store.refresh([253; 32], [252; 32], 5, 0).await.expect("answers"),
        crate::directory::Refreshed::Rotated { .. }
    ));
    for former in [[255; 32], [254; 32]] {
        let answer = store.refresh(former, [1; 32], 9_999_999, 0).await.expect("answers");
        assert_eq!(answer, crate::directory::Refreshed::Unknown);
    }
    assert_eq!(store.devices(users[0]).await.expect("answers")[0].created_at, 1000);
    assert_sound(&mut db).await;
}

/// Makes everybody a friend of the first, with a conversation and a key, as changes would have.
async fn befriend_all(db: &mut MySqlConnection, users: &[UserId]) {
    let me = users[0].0;
    for friend in &users[1..] {
        let id = ConversationId::generate();
        let conv = &id.as_bytes()[..];
        let make = "INSERT INTO conversation (id, kind, first, second, friends, created_at) VALUES (?, 1, ?, ?, 1, 1)";
        query(make).bind(conv).bind(me).bind(friend.0).execute(&mut *db).await.expect("good");
        let sides = "INSERT INTO relation (user, peer, state, greeting, conv, changed_at) \
             VALUES (?, ?, 3, '', ?, 1), (?, ?, 3, '', ?, 1)";
        let sides = query(sides).bind(me).bind(friend.0).bind(conv).bind(friend.0).bind(me).bind(conv);
        sides.execute(&mut *db).await.expect("good");
        let key = "INSERT INTO relation_key (conv, version, wrapped) VALUES (?, 1, 'x')";
        query(key).bind(conv).execute(&mut *db).await.expect("good");
    }
}

/// 700 friends hear of a new name, each at the end of their own conversation, and nobody else does; twice, so that they
/// have an end.
#[tokio::test]
async fn a_profile_is_told_to_hundreds_of_friends() {
    let ([store, _], mut db, _database) = two().await;
    let users = people(&store, "user", 702).await;
    befriend_all(&mut db, &users[..701]).await;
    for (round, name) in ["one", "two"].into_iter().enumerate() {
        let (_, rows) = store.set_profile(users[0], Some(name.into()), None, 5).await.expect("an account");
        let told: Vec<UserId> = rows.iter().map(|row| row.message.sender).collect();
        assert_eq!(told, users[..701]);
        assert!(rows.iter().all(|row| row.message.seq == Seq(round as u64 + 1)));
    }
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM untold").await, 2 * 701);
    assert_sound(&mut db).await;
}

/// 150 friends: more than end in one transaction. All end, all are told, nothing of the account is left. Begun and not
/// finished, the account still stands, and the next call finishes it.
#[tokio::test]
async fn a_user_with_many_friends_is_deleted_in_steps() {
    let ([store, _], mut db, _database) = two().await;
    let users = people(&store, "user", 151).await;
    befriend_all(&mut db, &users).await;
    store.log_in(vec![log_in(users[0], 1, Some([1; 32]))]).await.expect("answers").remove(0).expect("room");
    let step = Delete { user: users[0], peers: users[1..=50].to_vec(), now: 9 };
    let (is_deleted, mut rows) = run(&store, &step).await.expect("an account");
    assert!(!is_deleted && store.user(users[0]).await.expect("answers").is_some());
    assert_sound(&mut db).await;
    rows.extend(store.delete_user(users[0], 9).await.expect("an account"));
    assert_eq!(rows.len(), 2 * 150);
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM relation WHERE state <> 0").await, 0);
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM device").await, 0);
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM user WHERE deleted_at IS NOT NULL").await, 1);
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM logged_out WHERE device IS NULL").await, 1);
    assert!(matches!(store.delete_user(users[0], 9).await, Err(DirectoryError::NoSuchUser)));
    assert_sound(&mut db).await;
}

/// Friends again and again: a version more each time up to the maximum, then the same keys with the newest one last,
/// and still friends.
#[tokio::test]
async fn a_conversation_has_a_bounded_number_of_key_versions() {
    let (store, _database) = fresh().await;
    let users = people(&store, "user", 2).await;
    let [one, two] = users[..] else { unreachable!("two people") };
    let mut newest = Vec::new();
    for round in 1..=KEY_VERSIONS_MAX + 3 {
        store.change_relation(one, two, ask(), 1).await.expect("strangers");
        let (friends, _) = store.change_relation(two, one, RelationChange::Accept, 1).await.expect("asked");
        assert_eq!(friends.state, RelationState::Friends);
        let versions: Vec<u32> = friends.keys.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, (1..=round.min(KEY_VERSIONS_MAX)).collect::<Vec<_>>());
        newest.push(friends.keys.last().expect("a key").1);
        store.change_relation(one, two, RelationChange::Remove, 1).await.expect("friends");
    }
    let last = newest[KEY_VERSIONS_MAX as usize - 1];
    assert!(newest[KEY_VERSIONS_MAX as usize..].iter().all(|key| *key == last));
}

/// One exchange after another: spent tokens are remembered up to a number, the oldest are simply unknown.
#[tokio::test]
async fn a_device_has_a_bounded_number_of_spent_tokens() {
    let ([store, _], mut db, _database) = two().await;
    let user = people(&store, "user", 1).await[0];
    let token = |number: u16| {
        let mut token = [0; 32];
        token[..2].copy_from_slice(&number.to_be_bytes());
        token
    };
    store.log_in(vec![log_in(user, 1, Some(token(0)))]).await.expect("answers").remove(0).expect("room");
    for number in 0..300 {
        let now = 1000 + u64::from(number);
        store.refresh(token(number), token(number + 1), now, 60_000).await.expect("answers");
    }
    assert_eq!(count(&mut db, "SELECT COUNT(*) FROM spent_token").await, 256);
    let long_ago = store.refresh(token(43), token(44), 9_999_999, 60_000).await.expect("answers");
    assert_eq!(long_ago, crate::directory::Refreshed::Unknown);
    let copied = store.refresh(token(44), token(45), 9_999_999, 60_000).await.expect("answers");
    assert!(matches!(copied, crate::directory::Refreshed::Stolen { .. }));
}

/// In the order asked, each as often as asked, those that do not exist in their places.
#[tokio::test]
async fn members_come_in_the_order_asked() {
    let (store, _database) = fresh().await;
    let users = people(&store, "user", 3).await;
    let ids = [
        befriend(&store, users[0], users[1]).await.conversation.expect("friends"),
        ConversationId::generate(),
        befriend(&store, users[1], users[2]).await.conversation.expect("friends"),
    ];
    let asked: Vec<ConversationId> = (0..500).map(|number| ids[number * number % 3 * (number % 2 + 1) % 3]).collect();
    let members = store.members(&asked).await.expect("answers");
    for (id, members) in asked.iter().zip(members) {
        let expected =
            ids.iter().position(|known| known == id).filter(|place| *place != 1).map(|place| users[place.min(1)]);
        assert_eq!(members.map(|members| members.audience().named().next()), expected.map(Some));
    }
    assert_eq!(store.members(&[]).await.expect("answers"), []);
    assert_eq!(store.logged_in(&[]).await.expect("answers"), [false; 0]);
}
