//! What rests on disk, and under which master key.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use whimbrel_core::{DeviceId, UserId};

use super::super::{SqliteConfig, SqliteStore};
use super::KEY;
use crate::conformance::{befriend, people};
use crate::directory::{LogIn, RelationChange};
use crate::{Directory, Keyring, StoreError};

const NEW_KEY: &str = "new:ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

fn open_with(folder: &Path, keys: &str) -> SqliteStore {
    let ring = Arc::new(Keyring::from_text(keys).expect("good keys"));
    SqliteStore::open(folder, ring, SqliteConfig::default()).expect("a good folder")
}

/// All bytes of all files in the data folder: the database, its write-ahead log, its index.
fn on_disk(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).expect("a folder").flatten();
    files.flat_map(|file| std::fs::read(file.path()).expect("readable")).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keys of three versions, a token, a master key: none occurs in any file, as bytes or as digits, with the write-ahead
/// log still there and after it was moved. What is meant to be readable is found, so the search would find them.
#[tokio::test]
async fn no_key_and_no_token_rests_in_plain_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open_with(folder.path(), KEY);
    let users = people(&store, "findable", 2).await;
    for _ in 0..2 {
        befriend(&store, users[0], users[1]).await;
        store.change_relation(users[0], users[1], RelationChange::Remove, 5).await.expect("friends");
    }
    let keys = befriend(&store, users[0], users[1]).await.keys;
    assert_eq!(keys.len(), 3);
    let (token, successor) = (b"a refresh token of a device".as_slice(), b"and its successor, later".as_slice());
    let log_in = LogIn {
        user: users[0],
        device: DeviceId::from_bytes([1; 16]),
        platform: "linux".into(),
        name: String::new(),
        refresh_hash: Some(Sha256::digest(token).into()),
        now: 5,
    };
    store.log_in(vec![log_in]).await.expect("answers").remove(0).expect("room");
    store.refresh(Sha256::digest(token).into(), Sha256::digest(successor).into(), 6, 1).await.expect("answers");

    let master: Vec<u8> = (0..32).collect();
    let secrets: Vec<&[u8]> =
        keys.iter().map(|(_, key)| &key[..]).chain([token, successor, master.as_slice()]).collect();
    let search = |disk: &[u8]| {
        for secret in &secrets {
            assert!(!contains(disk, secret) && !contains(disk, hex(secret).as_bytes()));
        }
        assert!(contains(disk, b"findable0") && contains(disk, Sha256::digest(successor).as_slice()));
    };
    search(&on_disk(folder.path()));
    store.close().await.expect("an end in order");
    search(&on_disk(folder.path()));
}

/// Three friendships under the old key; both keys on the ring; wrapped again; now the old key opens nothing any more
/// and the new one everything, to the same conversation keys.
#[tokio::test]
async fn keys_are_wrapped_again_by_a_new_master_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open_with(folder.path(), KEY);
    let users = people(&store, "user", 4).await;
    let mut before = Vec::new();
    for other in &users[1..] {
        before.push(befriend(&store, users[0], *other).await.keys);
    }
    store.close().await.expect("an end in order");
    let both = open_with(folder.path(), &format!("{NEW_KEY}\n{KEY}"));
    assert_eq!(both.rewrap_keys().await.expect("answers"), 3);
    assert_eq!(both.rewrap_keys().await.expect("answers"), 0);
    both.close().await.expect("an end in order");
    let new = open_with(folder.path(), NEW_KEY);
    let relations = new.relations(users[0], UserId(0), 10).await.expect("answers");
    assert_eq!(relations.into_iter().map(|relation| relation.keys).collect::<Vec<_>>(), before);
    new.close().await.expect("an end in order");
    let old = open_with(folder.path(), KEY);
    let refused = old.relations(users[0], UserId(0), 10).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(why)) if why.contains("new")));
}
