//! Bounds that take too many steps to reach by the trait.

use rusqlite::params;
use whimbrel_core::UserId;
use whimbrel_core::limits::{KEY_VERSIONS_MAX, RELATIONS_MAX};

use super::open;
use crate::conformance::people;
use crate::directory::{DirectoryError, RelationChange, RelationState};
use crate::sqlite::value::sql;
use crate::{Directory, StoreError};

/// One user has all relations but one: the last is free for a request, then neither can they ask, nor be asked, nor
/// block somebody new; ending one makes room.
#[tokio::test]
async fn a_user_has_a_bounded_number_of_relations() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let users = people(&store, "user", 4).await;
    let full = users[0];
    let filled = store.shared.writer.write(move |db| {
        let fill = "WITH RECURSIVE peer (id) AS (SELECT 1001 UNION ALL SELECT id + 1 FROM peer LIMIT ?2) \
             INSERT INTO relation (user, peer, state, changed_at) SELECT ?1, id, 2, 1 FROM peer";
        Ok::<_, StoreError>(db.execute(fill, params![sql(full.0), sql(RELATIONS_MAX - 1)])?)
    });
    assert_eq!(filled.await.expect("answers") as u64, RELATIONS_MAX - 1);
    let ask = || RelationChange::Request { greeting: String::new() };
    let change = |user: UserId, peer: UserId, change: RelationChange| store.change_relation(user, peer, change, 1);
    change(full, users[1], ask()).await.expect("the last one");
    for (user, peer, refused) in
        [(full, users[2], ask()), (users[2], full, ask()), (full, users[2], RelationChange::Block)]
    {
        assert!(matches!(change(user, peer, refused).await, Err(DirectoryError::TooManyRelations)));
    }
    change(full, users[1], RelationChange::Block).await.expect("one that is there already");
    change(full, users[1], RelationChange::Unblock).await.expect("blocked");
    change(users[2], full, ask()).await.expect("room again");
}

/// Friends again and again: a version more each time up to the maximum, then the same keys with the newest one last,
/// and still friends.
#[tokio::test]
async fn a_conversation_has_a_bounded_number_of_key_versions() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let users = people(&store, "user", 2).await;
    let [one, two] = users[..] else { unreachable!("two people") };
    let mut newest = Vec::new();
    for round in 1..=KEY_VERSIONS_MAX + 3 {
        let ask = RelationChange::Request { greeting: String::new() };
        store.change_relation(one, two, ask, 1).await.expect("strangers");
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
