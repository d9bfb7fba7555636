//! What holds for every engine; and for the directory on MySQL beyond that: what it remembers for other
//! processes, what several at once cannot break, and what a lost connection leaves.

mod lost;
mod many;
mod races;
mod secrets;

use sqlx::mysql::MySqlConnection;
use sqlx::query_as;
use whimbrel_core::{DeviceId, UserId};

use super::super::MySqlStore;
use super::super::tests::{TestDatabase, fresh};
use crate::conformance::Stores;
use crate::directory::{LogIn, RelationChange};

async fn stores() -> Stores {
    let (store, database) = fresh().await;
    stores_of(std::sync::Arc::new(store), Box::new(database))
}

/// In which everything from before was taken up.
async fn walked() -> Stores {
    let stores = stores().await;
    while stores.search.take_up(100).await.expect("the store answers") {}
    stores
}

pub(in super::super) fn stores_of(
    store: std::sync::Arc<MySqlStore>,
    keep: Box<dyn std::any::Any + Send + Sync>,
) -> Stores {
    Stores {
        timeline: store.clone(),
        directory: store.clone(),
        groups: store.clone(),
        settings: store.clone(),
        history: store.clone(),
        keeping: store.clone(),
        search: store.clone(),
        presences: store.clone(),
        files: store,
        keep,
    }
}

crate::timeline_and_directory_conformance!(stores);
crate::groups_conformance!(stores);
crate::history_conformance!(stores);
crate::search_conformance!(walked);
crate::remembering_directory_conformance!(stores);

/// Two processes on one database, and a connection past both.
async fn two() -> ([MySqlStore; 2], MySqlConnection, TestDatabase) {
    let (one, database) = fresh().await;
    let two = database.open().await;
    let db = database.connect().await;
    ([one, two], db, database)
}

fn ask() -> RelationChange {
    RelationChange::Request { greeting: "hello".into() }
}

fn log_in(user: UserId, number: u8, refresh_hash: Option<[u8; 32]>) -> LogIn {
    let device = DeviceId::from_bytes([number; 16]);
    LogIn { user, device, platform: "linux".into(), name: format!("device {number}"), refresh_hash, now: 1000 }
}

/// A number that the database counts.
async fn count(db: &mut MySqlConnection, text: &'static str) -> i64 {
    let (count,): (i64,) = query_as(text).fetch_one(db).await.expect("a good statement");
    count
}

/// Whatever happened at once: places without holes, times that never go back, two sides that fit each other, and rights
/// in the conversation that are those of the relation.
async fn assert_sound(db: &mut MySqlConnection) {
    let holes = "SELECT COUNT(*) FROM (SELECT conv FROM message GROUP BY conv \
         HAVING MIN(seq) <> 1 OR MAX(seq) <> COUNT(*)) wrong";
    assert_eq!(count(db, holes).await, 0, "a conversation has holes");
    let back = "SELECT COUNT(*) FROM message m JOIN message l ON l.conv = m.conv AND l.seq = m.seq - 1 \
         WHERE m.at < l.at OR m.n < l.n";
    assert_eq!(count(db, back).await, 0, "time or a count went back");
    let sides = "SELECT COUNT(*) FROM relation r LEFT JOIN relation o ON o.user = r.peer AND o.peer = r.user \
         WHERE COALESCE(o.state, 0) <> ELT(r.state + 1, 0, 2, 1, 3) OR (r.conv IS NOT NULL AND NOT r.conv <=> o.conv)";
    assert_eq!(count(db, sides).await, 0, "two sides do not fit");
    let rights = "SELECT COUNT(*) FROM relation r JOIN conversation c ON c.id = r.conv \
         WHERE c.friends <> (r.state = 3) OR IF(r.user = c.first, c.first_blocks, c.second_blocks) <> r.blocks";
    assert_eq!(count(db, rights).await, 0, "rights are not those of the relation");
    let keys = "SELECT COUNT(*) FROM conversation c WHERE c.kind = 1 \
         AND (SELECT COUNT(*) FROM relation_key k WHERE k.conv = c.id) = 0";
    assert_eq!(count(db, keys).await, 0, "a conversation has no key");
    let pairs = "SELECT COUNT(*) FROM (SELECT first, second FROM conversation WHERE kind = 1 \
         GROUP BY first, second HAVING COUNT(*) > 1) twice";
    assert_eq!(count(db, pairs).await, 0, "a pair has two conversations");
}
