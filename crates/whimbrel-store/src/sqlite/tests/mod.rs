//! What holds for SQLite: the conformance suites, and what they cannot see.

mod files;
mod groups;
mod limits;
mod search;
mod secrets;
mod seeks;

use std::path::Path;
use std::sync::Arc;

use super::{SqliteConfig, SqliteStore};
use crate::Keyring;
use crate::conformance::Stores;

const KEY: &str = "test:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::from_text(KEY).expect("a good key"))
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, keyring(), SqliteConfig::default()).expect("a good folder")
}

async fn stores() -> Stores {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(open(folder.path()));
    stores_of(store, folder)
}

fn stores_of(store: Arc<SqliteStore>, folder: tempfile::TempDir) -> Stores {
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
        keep: Box::new(folder),
    }
}

crate::timeline_and_directory_conformance!(stores);
crate::groups_conformance!(stores);
crate::history_conformance!(stores);
crate::search_conformance!(stores);
