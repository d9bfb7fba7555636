//! What holds for MySQL and the conformance suites (`directory/tests`) cannot see. Every test has a database of its
//! own.

mod faults;
mod opening;
mod search;
mod seeks;

use std::sync::Arc;

use super::MySqlStore;
use crate::Keyring;
pub(super) use crate::testing::TestDatabase;

const KEY: &str = "test:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(super) fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::from_text(KEY).expect("a good key"))
}

impl TestDatabase {
    /// A store on it.
    pub(super) async fn open(&self) -> MySqlStore {
        self.open_with(keyring()).await
    }
}

/// An empty store, and its database.
pub(super) async fn fresh() -> (MySqlStore, TestDatabase) {
    let database = TestDatabase::migrated().await;
    (database.open().await, database)
}
