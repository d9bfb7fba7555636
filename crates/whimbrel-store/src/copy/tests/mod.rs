//! Copies of a history that has something of everything, into databases of their own on MariaDB or MySQL.

mod columns;
mod history;
mod interrupted;
mod refused;
mod same;
mod speed;

use std::sync::Arc;

use secrecy::SecretString;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};

use super::table::TABLES;
use super::{Copied, CopyError, copy};
use crate::Keyring;
use crate::mysql::{MySqlConfig, MySqlStore, migrate};

const KEY: &str = "test:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::from_text(KEY).expect("a good key"))
}

/// A database with the schema and nothing in it, which is there as long as this.
struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A name that nobody has.
    async fn named() -> Self {
        let found = whimbrel_engines::find(whimbrel_engines::Kind::Sql).await.expect("a server for tests");
        let server = found.url.trim_end_matches('/').to_owned();
        Self { server, name: format!("wb_copy_{:016x}", rand::random::<u64>()) }
    }

    async fn migrated() -> Self {
        let database = Self::named().await;
        migrate(&database.config(), &mut |_| {}).await.expect("a good server");
        database
    }

    fn config(&self) -> MySqlConfig {
        MySqlConfig::new(SecretString::from(format!("{}/{}", self.server, self.name)))
    }

    async fn open(&self) -> MySqlStore {
        MySqlStore::open(self.config(), keyring()).await.expect("a migrated database")
    }

    /// Runs SQL past everything.
    async fn run(&self, text: &str) {
        let options: MySqlConnectOptions = format!("{}/{}", self.server, self.name).parse().expect("a good URL");
        let mut db = options.connect().await.expect("a good server");
        db.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await.expect(text);
        db.close().await.expect("a good server");
    }

    /// Rows of each table and the sum of their checksums: equal for equal contents.
    async fn contents(&self) -> Vec<(u64, String)> {
        let options: MySqlConnectOptions = format!("{}/{}", self.server, self.name).parse().expect("a good URL");
        let mut db = options.connect().await.expect("a good server");
        let mut contents = Vec::new();
        for table in TABLES {
            let shown = |name: &str| format!("COALESCE(HEX(`{name}`), ''), '|', ISNULL(`{name}`)");
            let hex = table.columns.iter().map(|column| shown(column.name)).collect::<Vec<_>>().join(", ");
            let text = format!(
                "SELECT COUNT(*), CAST(COALESCE(SUM(CONV(LEFT(MD5(CONCAT({hex})), 12), 16, 10)), 0) AS CHAR) FROM `{}`",
                table.name
            );
            let row = db.fetch_one(AssertSqlSafe(text)).await.expect("answers");
            contents.push((row.get::<i64, _>(0).unsigned_abs(), row.get(1)));
        }
        db.close().await.expect("a good server");
        contents
    }
}

impl Drop for Database {
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

async fn copied(folder: &std::path::Path, database: &Database) -> Copied {
    copy(folder, &database.config(), |_| {}).await.expect("a copy")
}

async fn refusal(folder: &std::path::Path, database: &Database) -> String {
    match copy(folder, &database.config(), |_| {}).await {
        Err(CopyError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}
