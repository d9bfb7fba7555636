//! What holds for MySQL and the conformance suites (`directory/tests`) cannot see. Every test has a database of its
//! own, which it drops.

mod faults;
mod opening;
mod search;
mod seeks;

use std::sync::Arc;

use secrecy::SecretString;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use whimbrel_engines::Kind;

use super::{MySqlConfig, MySqlStore, migrate};
use crate::{Keyring, found};

const KEY: &str = "test:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(super) fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::from_text(KEY).expect("a good key"))
}

/// A database that is there as long as this.
pub(super) struct TestDatabase {
    pub(super) server: String,
    pub(super) name: String,
}

impl TestDatabase {
    /// A name that nobody has; the database is not made.
    pub(super) fn named() -> Self {
        Self::at(found::url(Kind::Sql))
    }

    /// The same at another server.
    pub(super) fn at(server: String) -> Self {
        Self { server, name: format!("wb_t_{:016x}", rand::random::<u64>()) }
    }

    pub(super) fn config(&self) -> MySqlConfig {
        MySqlConfig::new(SecretString::from(found::database_url(&self.server, &self.name)))
    }

    /// The newest schema, empty.
    pub(super) async fn migrated() -> Self {
        let database = Self::named();
        migrate(&database.config(), &mut |_| {}).await.expect("a good server");
        database
    }

    pub(super) async fn open(&self) -> MySqlStore {
        MySqlStore::open(self.config(), keyring()).await.expect("a migrated database")
    }

    /// A connection past the store.
    pub(super) async fn connect(&self) -> MySqlConnection {
        let options: MySqlConnectOptions = found::database_url(&self.server, &self.name).parse().expect("a good URL");
        options.connect().await.expect("a good server")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, text) = (self.server.clone(), format!("DROP DATABASE IF EXISTS {}", self.name));
        // Within a runtime one cannot wait for another one; a thread can.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let options: MySqlConnectOptions = server.parse().expect("a good URL");
                if let Ok(mut db) = options.connect().await {
                    drop(db.execute(sqlx::raw_sql(AssertSqlSafe(text))).await);
                }
            });
        });
        drop(dropped.join());
    }
}

/// An empty store, and its database.
pub(super) async fn fresh() -> (MySqlStore, TestDatabase) {
    let database = TestDatabase::migrated().await;
    (database.open().await, database)
}
