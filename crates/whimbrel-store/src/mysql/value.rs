//! Values out of rows: ids are their bytes, numbers are unsigned.

use sqlx::Row;
use sqlx::mysql::MySqlRow;
use whimbrel_core::{ConversationId, DeviceId, MessageId, Seq, UserId};

type Read<T> = Result<T, sqlx::Error>;

/// The number in a column.
pub(super) fn number(row: &MySqlRow, column: usize) -> Read<u64> {
    row.try_get(column)
}

/// The number in a column, 0 where there is none (an outer join that met no row).
pub(super) fn number_or_zero(row: &MySqlRow, column: usize) -> Read<u64> {
    Ok(row.try_get::<Option<u64>, _>(column)?.unwrap_or(0))
}

/// The user in a column.
pub(super) fn user(row: &MySqlRow, column: usize) -> Read<UserId> {
    number(row, column).map(UserId)
}

/// The place in a column.
pub(super) fn seq(row: &MySqlRow, column: usize) -> Read<Seq> {
    number(row, column).map(Seq)
}

/// The conversation in a column.
pub(super) fn conversation(row: &MySqlRow, column: usize) -> Read<ConversationId> {
    bytes(row, column).map(ConversationId::from_bytes)
}

/// The device in a column.
pub(super) fn device(row: &MySqlRow, column: usize) -> Read<DeviceId> {
    bytes(row, column).map(DeviceId::from_bytes)
}

/// The message id in a column.
pub(super) fn message_id(row: &MySqlRow, column: usize) -> Read<MessageId> {
    bytes(row, column).map(MessageId::from_bytes)
}

/// Bytes of a fixed length.
pub(super) fn bytes<const N: usize>(row: &MySqlRow, column: usize) -> Read<[u8; N]> {
    let stored: &[u8] = row.try_get(column)?;
    stored.try_into().map_err(|_| unreadable(column, "bytes of another length than this version writes"))
}

/// An error for a value that no version of this program wrote.
pub(super) fn unreadable(column: usize, what: &'static str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_string(), source: what.into() }
}
