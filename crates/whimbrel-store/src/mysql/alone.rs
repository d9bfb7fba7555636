//! One connection outside any pool, for work on the whole database that nobody else may do at the same time.

use std::time::Duration;

use sqlx::Row;
use sqlx::mysql::MySqlConnection;

use super::error::OpenError;
use super::open::Target;
use super::{MySqlConfig, migrate, server};

/// The server's patience between two statements: whoever works here may be busy elsewhere.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The session of one who was killed may last for a moment longer.
const LOCK_WAIT_S: u32 = 10;

/// Connects to a database of this program's schema and takes the named lock `purpose`, which ends with the connection.
pub(crate) async fn alone(config: &MySqlConfig, purpose: &str) -> Result<MySqlConnection, OpenError> {
    let target = Target::of(config)?;
    let config = MySqlConfig { wait_timeout: SILENCE_MAX, ..config.clone() };
    let Some(mut db) = target.connect(&config).await? else {
        return Err(OpenError::Wrong(format!(
            "there is no database {}: run `whimbrel migrate`, which makes it",
            target.database
        )));
    };
    server::check(&mut db, &target).await?;
    migrate::check(&mut db, &target).await?;
    let text = "SELECT GET_LOCK(CONCAT('whimbrel.', ?, '.', MD5(DATABASE())), ?)";
    let lock = sqlx::query(text).bind(purpose).bind(LOCK_WAIT_S).fetch_one(&mut db);
    let row = lock.await.map_err(|error| target.explain(&error))?;
    match row.try_get::<Option<i64>, _>(0) {
        Ok(Some(1)) => Ok(db),
        _ => Err(OpenError::Away(format!("another `whimbrel {purpose}` is at work on {}", target.database))),
    }
}
