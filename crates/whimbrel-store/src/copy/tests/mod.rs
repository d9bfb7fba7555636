//! Copies of a history that has something of everything, into databases of their own on MariaDB or MySQL.

mod columns;
mod history;
mod interrupted;
mod refused;
mod same;
mod speed;

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use super::table::TABLES;
use super::{Copied, CopyError, copy};
use crate::Keyring;
use crate::mysql::MySqlStore;
use crate::testing::TestDatabase;

const KEY: &str = "test:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::from_text(KEY).expect("a good key"))
}

/// A database with the schema and nothing in it, which is there as long as this.
struct Database(TestDatabase);

impl std::ops::Deref for Database {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.0
    }
}

impl Database {
    /// A name that nobody has.
    fn named() -> Self {
        Self(TestDatabase::named())
    }

    async fn migrated() -> Self {
        Self(TestDatabase::migrated().await)
    }

    async fn open(&self) -> MySqlStore {
        self.open_with(keyring()).await
    }

    /// Runs SQL past everything.
    async fn run(&self, text: &str) {
        let mut db = self.connect().await;
        db.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await.expect(text);
        db.close().await.expect("a good server");
    }

    /// Rows of each table and the sum of their checksums: equal for equal contents.
    async fn contents(&self) -> Vec<(u64, String)> {
        let mut db = self.connect().await;
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

async fn copied(folder: &std::path::Path, database: &Database) -> Copied {
    copy(folder, &database.config(), |_| {}).await.expect("a copy")
}

async fn refusal(folder: &std::path::Path, database: &Database) -> String {
    match copy(folder, &database.config(), |_| {}).await {
        Err(CopyError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}
