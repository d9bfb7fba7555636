//! What rests in the database, and under which master key.

use std::sync::Arc;

use sqlx::mysql::MySqlConnection;
use sqlx::query_as;
use whimbrel_core::UserId;

use super::super::super::tests::TestDatabase;
use super::{MySqlStore, ask, log_in};
use crate::conformance::{befriend, people};
use crate::directory::{Relation, RelationChange};
use crate::{Directory, Keyring, StoreError};

const OLD_KEY: &str = "test:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW_KEY: &str = "new:ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

async fn open_with(database: &TestDatabase, keys: &str) -> MySqlStore {
    let ring = Arc::new(Keyring::from_text(keys).expect("good keys"));
    MySqlStore::open(database.config(), ring).await.expect("a migrated database")
}

fn keys(relations: Vec<Relation>) -> Vec<Vec<(u32, [u8; 32])>> {
    relations.into_iter().map(|relation| relation.keys).collect()
}

/// Friendships under the old key, more than one step looks at; two processes with both keys on their rings wrap them
/// again at once, while others make new ones: each is wrapped by the new key once, none is lost, and the old key opens
/// nothing any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_wrapped_again_while_others_write() {
    let database = TestDatabase::migrated().await;
    let old = open_with(&database, OLD_KEY).await;
    let users = people(&old, "user", 7).await;
    let [one, two] = [users[0], users[1]];
    for _ in 0..60 {
        befriend(&old, one, two).await;
        old.change_relation(one, two, RelationChange::Remove, 5).await.expect("friends");
    }
    for peer in &users[2..] {
        for _ in 0..45 {
            befriend(&old, one, *peer).await;
            old.change_relation(one, *peer, RelationChange::Remove, 5).await.expect("friends");
        }
    }
    let before = keys(old.relations(one, UserId(0), 10).await.expect("answers"));
    let both = open_with(&database, &format!("{NEW_KEY}\n{OLD_KEY}")).await;
    let again = open_with(&database, &format!("{NEW_KEY}\n{OLD_KEY}")).await;
    let writes = async {
        for _ in 0..10 {
            both.change_relation(one, two, ask(), 5).await.expect("strangers");
            both.change_relation(two, one, ask(), 5).await.expect("a yes");
            both.change_relation(one, two, RelationChange::Remove, 5).await.expect("friends");
        }
    };
    let (first, second, ()) = tokio::join!(both.rewrap_keys(), again.rewrap_keys(), writes);
    assert_eq!(first.expect("answers") + second.expect("answers"), 60 + 5 * 45);
    assert_eq!(both.rewrap_keys().await.expect("answers"), 0);

    let new = open_with(&database, NEW_KEY).await;
    let after = keys(new.relations(one, UserId(0), 10).await.expect("answers"));
    assert_eq!((after[0].len(), &after[0][..60]), (70, &before[0][..]));
    assert_eq!(after[1..], before[1..]);
    let refused = old.relations(one, UserId(0), 10).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(why)) if why.contains("new")));
}

/// All of the tables that hold what is derived from secrets, as text: neither a conversation's key nor a token is in
/// them, as bytes; what is meant to be readable is found, so the search would find them.
#[tokio::test]
async fn no_key_and_no_token_rests_in_plain_text() {
    use sha2::{Digest, Sha256};
    let database = TestDatabase::migrated().await;
    let store = database.open().await;
    let users = people(&store, "findable", 2).await;
    let key = befriend(&store, users[0], users[1]).await.keys[0].1;
    let hash: [u8; 32] = Sha256::digest(b"a token").into();
    store.log_in(vec![log_in(users[0], 1, Some(hash))]).await.expect("answers").remove(0).expect("room");
    let mut rests = Vec::new();
    let mut db: MySqlConnection = database.connect().await;
    for text in [
        "SELECT CAST(handle AS BINARY), private_conversation FROM user",
        "SELECT wrapped, conv FROM relation_key",
        "SELECT refresh_hash, id FROM device",
        "SELECT body, hash FROM message",
        "SELECT CAST(greeting AS BINARY), conv FROM relation",
    ] {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = query_as(text).fetch_all(&mut db).await.expect("a good statement");
        assert!(!rows.is_empty());
        rests.extend(rows.into_iter().flat_map(|(one, two)| [one, two]).flatten());
    }
    let holds = |needle: &[u8]| rests.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"findable0") && holds(&hash));
    assert!(!holds(&key) && !holds(b"a token"));
}
