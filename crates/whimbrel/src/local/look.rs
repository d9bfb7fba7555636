//! A look at what a private database is doing.

use anyhow::Context;
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};

/// A private database, as its root.
pub(crate) struct Database(MySqlPool);

impl Database {
    /// Connects.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let pool = MySqlPoolOptions::new().max_connections(1).connect(url).await;
        Ok(Self(pool.context("The private database does not answer")?))
    }

    /// Whether some transaction has written rows and has not ended.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn has_open_changes(&self) -> anyhow::Result<bool> {
        // The server refreshes this table at most every 0.1 s.
        tokio::time::sleep(std::time::Duration::from_millis(110)).await;
        let open = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_modified > 0";
        let (count,): (i64,) = sqlx::query_as(open).fetch_one(&self.0).await.context("Open transactions")?;
        Ok(count > 0)
    }
}
