//! A database of MySQL or MariaDB of a test's own.

use std::sync::Arc;

use secrecy::SecretString;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use whimbrel_engines::Kind;

use crate::Keyring;
use crate::mysql::{MySqlConfig, MySqlStore, migrate};

/// A database that is there as long as this.
pub struct TestDatabase {
    /// The address of its server.
    pub server: String,
    /// Its name there.
    pub name: String,
}

impl TestDatabase {
    /// A name that nobody has; the database is not made.
    pub fn named() -> Self {
        Self::at(super::url(Kind::Sql))
    }

    /// The same at another server.
    pub fn at(server: String) -> Self {
        Self { server, name: format!("wb_t_{:016x}", rand::random::<u64>()) }
    }

    /// How it is reached.
    pub fn config(&self) -> MySqlConfig {
        MySqlConfig::new(SecretString::from(super::database_url(&self.server, &self.name)))
    }

    /// The newest schema, empty.
    ///
    /// # Panics
    /// When the server is none that can be used.
    pub async fn migrated() -> Self {
        let database = Self::named();
        migrate(&database.config(), &mut |_| {}).await.expect("a good server");
        database
    }

    /// A store on it, with these keys.
    ///
    /// # Panics
    /// When it was not migrated.
    pub async fn open_with(&self, keyring: Arc<Keyring>) -> MySqlStore {
        MySqlStore::open(self.config(), keyring).await.expect("a migrated database")
    }

    /// A connection past the store.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn connect(&self) -> MySqlConnection {
        let options: MySqlConnectOptions = super::database_url(&self.server, &self.name).parse().expect("a good URL");
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
