//! The MySQL side: one connection, under a lock that keeps other copies out. Every statement is waited for with a limit.

use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row as _};
use tokio::time::timeout;

use super::table::{EMPTY, Table};
use super::value::{Row, Value};
use super::verify::End;
use super::{CopyError, Moment, OnMoment};
use crate::mysql::{self, MySqlConfig};

/// So long a page may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// So long counting a whole table may take.
const COUNT_MAX: Duration = Duration::from_secs(60 * 60);
/// Rows of one INSERT, so that there are few texts for the server to parse.
const ROWS: [usize; 3] = [256, 16, 1];

/// The target.
pub(super) struct Target {
    db: MySqlConnection,
}

impl Target {
    /// Connects, and checks that the database has this program's schema and that nobody else copies into it.
    pub(super) async fn open(config: &MySqlConfig) -> Result<Self, CopyError> {
        let db = mysql::alone(config, "copy").await.map_err(|error| CopyError::Target(error.to_string()))?;
        Ok(Self { db })
    }

    /// The next rows behind this key.
    pub(super) async fn rows(
        &mut self,
        table: &Table,
        after: Option<&[Value]>,
        limit: usize,
    ) -> Result<Vec<Row>, CopyError> {
        let text = sqlx::query(AssertSqlSafe(table.read_mysql(after.is_some())));
        let keys = after.map(|key| table.after(key)).unwrap_or_default();
        let query = keys.into_iter().fold(text, |query, value| value.bind(query)).bind(limit as u64);
        let found = answer(ANSWER_MAX, query.fetch_all(&mut self.db)).await?;
        let read =
            |row| table.columns.iter().enumerate().map(|(at, column)| Value::of_mysql(column, row, at)).collect();
        found.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(|error| failed(&error))
    }

    /// The table, of those that only a cluster fills, that is not empty.
    pub(super) async fn has_served(&mut self) -> Result<Option<&'static str>, CopyError> {
        for table in EMPTY {
            let text = AssertSqlSafe(format!("SELECT 1 FROM `{table}` LIMIT 1"));
            if !answer(ANSWER_MAX, self.db.fetch_all(text)).await?.is_empty() {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    /// Writes rows that are not there, one transaction.
    pub(super) async fn insert(&mut self, table: &Table, rows: &[Row], moment: OnMoment<'_>) -> Result<(), CopyError> {
        answer(ANSWER_MAX, self.db.execute("START TRANSACTION")).await?;
        let mut rest = rows;
        while let Some(count) = ROWS.into_iter().find(|count| *count <= rest.len()) {
            let (chunk, behind) = rest.split_at(count);
            let text = sqlx::query(AssertSqlSafe(table.insert(count)));
            let values = chunk.iter().flat_map(|row| row.iter());
            let query = values.fold(text, |query, value| value.bind(query));
            answer(ANSWER_MAX, query.execute(&mut self.db)).await.map_err(|error| at(table, chunk, &error))?;
            rest = behind;
        }
        moment(Moment::Written)?;
        answer(ANSWER_MAX, self.db.execute("COMMIT")).await?;
        moment(Moment::Committed)
    }

    /// All rows of a table.
    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, CopyError> {
        let text = AssertSqlSafe(format!("SELECT COUNT(*) FROM `{}`", table.name));
        let row = answer(COUNT_MAX, self.db.fetch_one(text)).await?;
        row.try_get::<i64, _>(0).map(i64::unsigned_abs).map_err(|error| failed(&error))
    }

    /// The ends of the conversations behind this one, at most `limit`.
    pub(super) async fn ends(&mut self, after: &[u8], limit: usize) -> Result<Vec<End>, CopyError> {
        let query = sqlx::query(super::verify::ENDS).bind(after).bind(limit as u64);
        let rows = answer(ANSWER_MAX, query.fetch_all(&mut self.db)).await?;
        let read = |row: &sqlx::mysql::MySqlRow| {
            let number = |column: usize| row.try_get::<Option<u64>, _>(column).map(Option::unwrap_or_default);
            Ok(End { conversation: row.try_get(0)?, seq: number(1)?, n: number(2)?, own: number(3)? })
        };
        rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(|error| failed(&error))
    }

    /// Ends the lock, too.
    pub(super) async fn close(self) {
        drop(timeout(ANSWER_MAX, self.db.close()).await);
    }
}

async fn answer<T>(limit: Duration, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, CopyError> {
    match timeout(limit, asked).await {
        Ok(answered) => answered.map_err(|error| failed(&error)),
        Err(_) => Err(CopyError::Target(format!("the database did not answer in {} seconds", limit.as_secs()))),
    }
}

fn failed(error: &sqlx::Error) -> CopyError {
    CopyError::Target(format!("the database failed: {error}"))
}

/// Says which rows were being written.
fn at(table: &Table, rows: &[Row], error: &CopyError) -> CopyError {
    let name = |row: Option<&Row>| row.map(|row| table.name_of(row)).unwrap_or_default();
    CopyError::Target(format!("{} to {}: {error}", name(rows.first()), name(rows.last())))
}
