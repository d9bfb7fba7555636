//! Values out of rows: what does not fit was not written by any version of this program.

use sqlx::mysql::MySqlRow;
use sqlx::{Decode, MySql, Row, Type};
use whimbrel_core::{ConversationId, DeviceId, UserId};

use crate::StoreError;
use crate::directory::User;

/// The value in a column.
pub(super) fn get<'r, T: Decode<'r, MySql> + Type<MySql>>(row: &'r MySqlRow, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The bytes in a column, of which there must be as many.
pub(super) fn bytes<const N: usize>(row: &MySqlRow, column: usize) -> Result<[u8; N], StoreError> {
    let stored: &[u8] = get(row, column)?;
    stored.try_into().map_err(|_| StoreError::Corrupt(format!("{} bytes where there should be {N}", stored.len())))
}

/// The same, or none.
pub(super) fn some_bytes<const N: usize>(row: &MySqlRow, column: usize) -> Result<Option<[u8; N]>, StoreError> {
    let stored: Option<&[u8]> = get(row, column)?;
    stored.map(|_| bytes(row, column)).transpose()
}

/// The user in a column.
pub(super) fn user(row: &MySqlRow, column: usize) -> Result<UserId, StoreError> {
    get(row, column).map(UserId)
}

/// The conversation in a column.
pub(super) fn conversation(row: &MySqlRow, column: usize) -> Result<ConversationId, StoreError> {
    bytes(row, column).map(ConversationId::from_bytes)
}

/// The device in a column.
pub(super) fn device(row: &MySqlRow, column: usize) -> Result<DeviceId, StoreError> {
    bytes(row, column).map(DeviceId::from_bytes)
}

/// What [`account`] wants, as the first columns of a row.
macro_rules! user_columns {
    () => {
        "u.id, u.handle, u.display_name, u.avatar, u.created_at"
    };
}
pub(super) use user_columns;

/// An account from the first five columns.
pub(super) fn account(row: &MySqlRow) -> Result<User, StoreError> {
    Ok(User {
        id: user(row, 0)?,
        handle: get(row, 1)?,
        display_name: get(row, 2)?,
        avatar: get(row, 3)?,
        created_at: get(row, 4)?,
    })
}
