//! What holds for groups on MySQL beyond what holds for every engine: several processes at once, and archivers among them.

mod archiver;
mod races;
mod searching;

use sqlx::mysql::MySqlConnection;
use sqlx::query_as;
use whimbrel_core::limits::GROUP_CHANGE_USERS_MAX;
use whimbrel_core::{Seq, UserId};

use super::super::MySqlStore;
use super::super::tests::{TestDatabase, fresh};
use crate::conformance::people;
use crate::groups::{Actor, Group, GroupChange, JoinMode, NewGroup};
use crate::{Directory, Groups};

/// Two processes on one database, and a connection past both.
async fn two() -> ([MySqlStore; 2], MySqlConnection, TestDatabase) {
    let (one, database) = fresh().await;
    let two = database.open().await;
    let db = database.connect().await;
    ([one, two], db, database)
}

fn new(owner: UserId) -> NewGroup {
    NewGroup {
        owner,
        handle: None,
        name: "a group".into(),
        avatar: String::new(),
        announcement: String::new(),
        join: JoinMode::Approval,
        listed: true,
        history_for_all: false,
        member_limit: 10_000,
        members: Vec::new(),
    }
}

/// A group of all of these, the first of whom owns it.
async fn group_of(store: &MySqlStore, users: &[UserId]) -> Group {
    let (group, _) = store.create_group(new(users[0]), 1).await.expect("a good group");
    if users.len() == 1 {
        return group;
    }
    let add = GroupChange::Add { users: users[1..].to_vec() };
    store.change_group(group.id, Actor::Operator, add, 2).await.expect("they have accounts").0
}

/// A number that the database counts.
async fn count(db: &mut MySqlConnection, text: &'static str) -> i64 {
    let (count,): (i64,) = query_as(text).fetch_one(db).await.expect("a good statement");
    count
}

/// Whatever happened at once: places without holes, and members, counts, keys and revisions that are those of the rows.
async fn assert_sound(db: &mut MySqlConnection) {
    for (what, wrong) in [
        (
            "a conversation has holes",
            "SELECT COUNT(*) FROM (SELECT conv FROM message GROUP BY conv HAVING MIN(seq) <> 1 OR MAX(seq) <> COUNT(*)) w",
        ),
        (
            "time or a count went back",
            "SELECT COUNT(*) FROM message m JOIN message l ON l.conv = m.conv AND l.seq = m.seq - 1 \
             WHERE m.at < l.at OR m.n <> l.n + (m.kind BETWEEN 1 AND 499) AND m.own = 0",
        ),
        (
            "a size is not that of the members",
            "SELECT COUNT(*) FROM chat_group g WHERE g.size <> \
             (SELECT COUNT(*) FROM group_member m WHERE m.conv = g.conv AND m.until = 0)",
        ),
        (
            "a revision is not the last row that tells of a change",
            "SELECT COUNT(*) FROM chat_group g WHERE g.revision <> \
             (SELECT MAX(seq) FROM message m WHERE m.conv = g.conv AND m.kind = 1003)",
        ),
        (
            "a key is missing",
            "SELECT COUNT(*) FROM chat_group g WHERE g.key_version <> \
             (SELECT MAX(version) FROM relation_key k WHERE k.conv = g.conv)",
        ),
        (
            "a member has no cursors",
            "SELECT COUNT(*) FROM group_member g LEFT JOIN member m ON m.conv = g.conv AND m.user = g.user \
             WHERE m.user IS NULL OR m.until <> g.until OR m.since <> g.since",
        ),
        (
            "somebody begins or ends without a row",
            "SELECT COUNT(*) FROM group_member g LEFT JOIN message b ON b.conv = g.conv AND b.seq = g.since \
             LEFT JOIN message e ON e.conv = g.conv AND e.seq = g.until \
             WHERE NOT b.kind <=> 1003 OR (g.until > 0 AND NOT e.kind <=> 1003)",
        ),
        (
            "a count of own messages is wrong",
            "SELECT COUNT(*) FROM member m JOIN chat_group g ON g.conv = m.conv WHERE m.own_total <> \
             (SELECT COUNT(*) FROM message o WHERE o.conv = m.conv AND o.sender = m.user AND o.kind < 500)",
        ),
        (
            "what is read is not what stands there",
            "SELECT COUNT(*) FROM member m JOIN chat_group g ON g.conv = m.conv WHERE \
             m.n_read <> COALESCE((SELECT n FROM message r WHERE r.conv = m.conv AND r.seq = m.`read`), 0) OR \
             m.own_total - m.own_read <> (SELECT COUNT(*) FROM message o WHERE o.conv = m.conv AND o.sender = m.user \
             AND o.kind < 500 AND o.seq > m.`read`)",
        ),
    ] {
        assert_eq!(count(db, wrong).await, 0, "{what}");
    }
}

/// As many as one change may name: all come with one row, each is told, and each sees what follows.
#[tokio::test]
async fn a_thousand_come_with_one_row() {
    let ([store, _], mut db, _database) = two().await;
    let users = people(&store, "user", GROUP_CHANGE_USERS_MAX + 1).await;
    let group = group_of(&store, &users[..1]).await;
    let add = GroupChange::Add { users: users[1..].to_vec() };
    let (after, rows) = store.change_group(group.id, Actor::Operator, add, 5).await.expect("all have accounts");
    assert_eq!((after.size, after.revision), (users.len() as u32, Seq(2)));
    assert_eq!(rows.len(), 1 + GROUP_CHANGE_USERS_MAX);
    let change = rows[0].change.as_ref().expect("of the group");
    assert_eq!((change.after, change.at, &change.joined[..], change.left.len()), (Seq(1), Seq(2), &users[1..], 0));
    let roster = store.rosters(&[group.id]).await.expect("answers").remove(0).expect("a group");
    assert_eq!(roster.audience(Seq(2)).collect::<Vec<_>>(), users);
    assert_eq!(roster.audience(Seq(1)).collect::<Vec<_>>(), users[..1]);
    assert_sound(&mut db).await;
    let rows = store.delete_user(users[0], 9).await.expect("an account");
    assert!(rows.iter().any(|row| row.message.conversation == group.id));
    assert_eq!(store.group(group.id).await.expect("answers").expect("it stands").owner, users[1]);
    assert_sound(&mut db).await;
}
