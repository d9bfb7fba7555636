//! Values on their way into statements and out of rows.
//!
//! Numbers are unsigned here and signed 64 bits in SQLite: what is stored is always below 2^63.

use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, Row};
use whimbrel_core::{ConversationId, DeviceId, MessageId, Seq, UserId};

/// A number as SQLite holds it. Beyond its range the largest one, which no row reaches: comparisons stay right, and
/// look-ups find nothing.
pub(super) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The number in a column.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let stored: i64 = row.get(column)?;
    u64::try_from(stored).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, stored))
}

/// The number in a column, 0 where there is none (an outer join that met no row).
pub(super) fn number_or_zero(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, Option<i64>>(column)?.and_then(|stored| u64::try_from(stored).ok()).unwrap_or(0))
}

/// A time in a column. The largest number that SQLite holds stands for the largest there is: for good.
pub(super) fn until(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    number(row, column).map(|time| if time == i64::MAX.unsigned_abs() { u64::MAX } else { time })
}

/// The small number in a column.
pub(super) fn small<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let stored: i64 = row.get(column)?;
    T::try_from(stored).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, stored))
}

/// The user in a column.
pub(super) fn user(row: &Row<'_>, column: usize) -> rusqlite::Result<UserId> {
    number(row, column).map(UserId)
}

/// The place in a column.
pub(super) fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    number(row, column).map(Seq)
}

/// The conversation in a column.
pub(super) fn conversation(row: &Row<'_>, column: usize) -> rusqlite::Result<ConversationId> {
    row.get(column).map(ConversationId::from_bytes)
}

/// The device in a column.
pub(super) fn device(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceId> {
    row.get(column).map(DeviceId::from_bytes)
}

/// The message id in a column.
pub(super) fn message_id(row: &Row<'_>, column: usize) -> rusqlite::Result<MessageId> {
    row.get(column).map(MessageId::from_bytes)
}

/// An error for a value that no version of this program wrote.
pub(super) fn unreadable(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, what.into())
}

/// Runs a statement that returns nothing, from the cache of prepared statements.
pub(super) fn run(db: &Connection, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(params)
}

/// The first column of the first row, if there is one.
pub(super) fn first<T: FromSql>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Option<T>> {
    first_row(db, sql, params, |row| row.get(0))
}

/// The first row, if there is one.
pub(super) fn first_row<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// All rows, read one by one.
pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map(params, read)?.collect()
}
