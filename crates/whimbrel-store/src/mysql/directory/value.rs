//! Values out of rows, beyond those of every room; accounts.

use sqlx::mysql::MySqlRow;
use sqlx::{Decode, MySql, Row, Type};

pub(super) use super::super::value::{bytes, conversation, device, message_id, seq, unreadable, user};
use crate::directory::User;

/// The value in a column.
pub(in crate::mysql) fn get<'r, T: Decode<'r, MySql> + Type<MySql>>(
    row: &'r MySqlRow,
    column: usize,
) -> sqlx::Result<T> {
    row.try_get(column)
}

/// Bytes of a fixed length, or none.
pub(in crate::mysql) fn some_bytes<const N: usize>(row: &MySqlRow, column: usize) -> sqlx::Result<Option<[u8; N]>> {
    let stored: Option<&[u8]> = get(row, column)?;
    stored.map(|_| bytes(row, column)).transpose()
}

/// What [`account`] wants, as the first columns of a row.
macro_rules! user_columns {
    () => {
        "u.id, u.handle, u.display_name, u.avatar, u.created_at"
    };
}
pub(in crate::mysql) use user_columns;

/// An account from the first five columns.
pub(in crate::mysql) fn account(row: &MySqlRow) -> sqlx::Result<User> {
    account_from(row, 0)
}

/// An account from the five columns that begin here.
pub(in crate::mysql) fn account_from(row: &MySqlRow, at: usize) -> sqlx::Result<User> {
    Ok(User {
        id: user(row, at)?,
        handle: get(row, at + 1)?,
        display_name: get(row, at + 2)?,
        avatar: get(row, at + 3)?,
        created_at: get(row, at + 4)?,
    })
}
