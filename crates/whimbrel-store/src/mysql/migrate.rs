//! Bringing a database up to the schema that this program knows (migrations/README.md).
//!
//! MySQL commits before and after every statement that changes a table, so a migration is no transaction. It is done
//! statement by statement, and `schema_version` holds how far: `number` migrations are done whole, and `done` statements
//! of the next one; `begun` tells that the one after these was sent. So it goes on where it was interrupted, and a
//! statement that was carried out but not counted is recognised: sent again, it finds its own work in its way.
//!
//! Many nodes may migrate at once: one does, under a named lock of the server; the others wait and find it done.

use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use super::MySqlConfig;
use super::error::{OpenError, number};
use super::open::Target;

/// Every migration, in order: the first has number 1. Their number is the schema's number.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/mysql/0001_first.sql"),
    include_str!("../../../../migrations/mysql/0002_telling.sql"),
    include_str!("../../../../migrations/mysql/0003_groups.sql"),
    include_str!("../../../../migrations/mysql/0004_bounds.sql"),
    include_str!("../../../../migrations/mysql/0005_presence.sql"),
    include_str!("../../../../migrations/mysql/0006_history.sql"),
    include_str!("../../../../migrations/mysql/0007_files.sql"),
    include_str!("../../../../migrations/mysql/0008_spans.sql"),
    include_str!("../../../../migrations/mysql/0009_search.sql"),
    include_str!("../../../../migrations/mysql/0010_pictures.sql"),
    include_str!("../../../../migrations/mysql/0011_erased.sql"),
];

/// With this file the groups that stand get what searches find them by: as often as it takes, before it is counted.
const WITH_TERMS: u32 = 4;

/// How long one waits for another node that migrates, in seconds, before saying that it is not done yet.
const LOCK_WAIT_S: u32 = 60;

/// What a statement says that was carried out before: `ER_TABLE_EXISTS_ERROR`, `ER_DUP_FIELDNAME`, `ER_DUP_KEYNAME`,
/// `ER_CANT_DROP_FIELD_OR_KEY`, `ER_BAD_TABLE_ERROR`.
const DONE_BEFORE: [u16; 5] = [1050, 1060, 1061, 1091, 1051];

const STATE: &str = "CREATE TABLE IF NOT EXISTS schema_version (\
     id TINYINT UNSIGNED NOT NULL PRIMARY KEY, number INT UNSIGNED NOT NULL, \
     done INT UNSIGNED NOT NULL, begun TINYINT UNSIGNED NOT NULL) ENGINE = InnoDB";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's number before; 0 for an empty database.
    pub from: u32,
    /// The schema's number now.
    pub to: u32,
}

/// How far the schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    number: u32,
    done: u32,
    begun: bool,
}

/// Brings the database to the newest schema; makes it if it is missing. `progress` hears each step in a sentence.
///
/// # Errors
/// [`OpenError::Away`], also if another node is still at it after a minute: ask again. [`OpenError::Wrong`] if the user
/// may not, the schema is newer than this program, or a statement fails.
pub async fn migrate(config: &MySqlConfig, progress: &mut (dyn FnMut(&str) + Send)) -> Result<Migrated, OpenError> {
    let target = Target::of(config)?;
    // A statement may rebuild a table; nothing else of this session is ever at rest for long.
    let config = MySqlConfig { wait_timeout: Duration::from_secs(60), ..config.clone() };
    let mut db = match target.connect(&config).await? {
        Some(db) => db,
        None => {
            create_database(&target, &config).await?;
            progress(&format!("made the database {}", target.database));
            target
                .connect(&config)
                .await?
                .ok_or_else(|| OpenError::Away(format!("the database {} was made and is not there", target.database)))?
        }
    };
    super::server::check(&mut db, &target).await?;
    lock(&mut db, &target).await?;
    let result = run(&mut db, &target, MIGRATIONS, progress).await;
    // Ends the lock too.
    drop(db.close().await);
    result
}

/// Refuses a database whose schema is not the one that this program knows.
pub(super) async fn check(db: &mut MySqlConnection, target: &Target) -> Result<(), OpenError> {
    let known = known(MIGRATIONS);
    match read_state(db, target).await? {
        Some(State { number, done: 0, begun: false }) if number == known => Ok(()),
        Some(State { number, .. }) if number > known => Err(newer(target, number, known)),
        Some(State { number, .. }) if number > 0 => Err(OpenError::Wrong(format!(
            "the schema of the database {} has number {number}, and this version of the program needs {known}: run \
             `whimbrel migrate`",
            target.database
        ))),
        _ => {
            Err(OpenError::Wrong(format!("the database {} has no schema yet: run `whimbrel migrate`", target.database)))
        }
    }
}

fn known(migrations: &[&str]) -> u32 {
    u32::try_from(migrations.len()).unwrap_or(u32::MAX)
}

fn newer(target: &Target, found: u32, known: u32) -> OpenError {
    OpenError::Wrong(format!(
        "the schema of the database {} has number {found}, and this version of the program knows {known}: use a newer \
         program",
        target.database
    ))
}

async fn create_database(target: &Target, config: &MySqlConfig) -> Result<(), OpenError> {
    let server = target.options.clone().database("information_schema");
    let settings = super::pool::settings(config);
    let create = async {
        let (mut db, _) = super::pool::connect(&server, &settings, config.connect_timeout).await?;
        let name = target.database.replace('`', "``");
        let text = format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4");
        db.execute(sqlx::raw_sql(AssertSqlSafe(text))).await?;
        db.close().await
    };
    create.await.map_err(|error| target.explain(&error))
}

/// One node at a time. The name is bounded, as the server wants it, and each database has its own.
async fn lock(db: &mut MySqlConnection, target: &Target) -> Result<(), OpenError> {
    let text = "SELECT GET_LOCK(CONCAT('whimbrel.migrate.', LEFT(SHA2(DATABASE(), 256), 40)), ?)";
    let row = sqlx::query(text).bind(LOCK_WAIT_S).fetch_one(&mut *db).await.map_err(|error| target.explain(&error))?;
    match row.try_get::<Option<i64>, _>(0) {
        Ok(Some(1)) => Ok(()),
        _ => Err(OpenError::Away(format!("another node is still migrating the database {}", target.database))),
    }
}

/// Goes on from where the database is.
async fn run(
    db: &mut MySqlConnection,
    target: &Target,
    migrations: &[&str],
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<Migrated, OpenError> {
    let explain = |error: sqlx::Error| target.explain(&error);
    db.execute(STATE).await.map_err(explain)?;
    db.execute("INSERT IGNORE INTO schema_version VALUES (1, 0, 0, 0)").await.map_err(explain)?;
    let state = read_state(db, target).await?.unwrap_or(State { number: 0, done: 0, begun: false });
    let known = known(migrations);
    if state.number > known {
        return Err(newer(target, state.number, known));
    }
    let mut at = state;
    for migration in &migrations[state.number as usize..] {
        progress(&format!("schema {}", at.number + 1));
        let statements = statements(migration);
        for statement in &statements[(at.done as usize).min(statements.len())..] {
            step(db, statement, &mut at).await.map_err(|error| failed(target, at, statement, &error))?;
        }
        if at.number + 1 == WITH_TERMS {
            super::groups::find_all(db).await.map_err(explain)?;
        }
        at = State { number: at.number + 1, done: 0, begun: false };
        write_state(db, at).await.map_err(explain)?;
    }
    Ok(Migrated { from: state.number, to: known })
}

/// One statement, with its record before and after.
async fn step(db: &mut MySqlConnection, statement: &str, at: &mut State) -> Result<(), sqlx::Error> {
    let again = at.begun;
    at.begun = true;
    write_state(db, *at).await?;
    match db.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await {
        Err(error) if again && number(&error).is_some_and(|number| DONE_BEFORE.contains(&number)) => {}
        other => other.map(|_| ())?,
    }
    *at = State { done: at.done + 1, begun: false, ..*at };
    write_state(db, *at).await
}

fn failed(target: &Target, at: State, statement: &str, error: &sqlx::Error) -> OpenError {
    match target.explain(error) {
        OpenError::Away(_) if number(error).is_some() => {
            let first = statement.lines().next().unwrap_or_default();
            OpenError::Wrong(format!("schema {} stopped at \"{first}\": {error}", at.number + 1))
        }
        other => other,
    }
}

async fn write_state(db: &mut MySqlConnection, state: State) -> Result<(), sqlx::Error> {
    let text = "UPDATE schema_version SET number = ?, done = ?, begun = ? WHERE id = 1";
    sqlx::query(text).bind(state.number).bind(state.done).bind(state.begun).execute(db).await.map(drop)
}

/// `None` if there is no record at all.
async fn read_state(db: &mut MySqlConnection, target: &Target) -> Result<Option<State>, OpenError> {
    let rows = match db.fetch_all("SELECT number, done, begun FROM schema_version WHERE id = 1").await {
        Err(error) if number(&error) == Some(1146) => return Ok(None),
        other => other.map_err(|error| target.explain(&error))?,
    };
    let read = |row: &sqlx::mysql::MySqlRow| {
        let begun: u32 = row.try_get(2)?;
        Ok(State { number: row.try_get(0)?, done: row.try_get(1)?, begun: begun != 0 })
    };
    rows.first().map(read).transpose().map_err(|error: sqlx::Error| target.explain(&error))
}

/// The statements of a file: each ends with a semicolon at a line's end; lines that begin with `--` are for people.
fn statements(migration: &str) -> Vec<String> {
    let lines = migration.lines().filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty());
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let parts = text.split(";\n").map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests;
