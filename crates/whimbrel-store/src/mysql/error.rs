//! What MySQL's errors mean to the callers of the traits.

use sqlx::mysql::MySqlDatabaseError;

use crate::StoreError;
use crate::directory::DirectoryError;
use crate::keyring::KeyError;

/// Two transactions wait for each other: this one was rolled back (`ER_LOCK_DEADLOCK`).
const DEADLOCK: u16 = 1213;
/// A lock was not had in `innodb_lock_wait_timeout` (`ER_LOCK_WAIT_TIMEOUT`).
const LOCK_WAIT: u16 = 1205;
/// MariaDB: a row changed between two statements of a snapshot (`ER_CHECKREAD`).
const CHANGED_SINCE: u16 = 1020;
/// `ER_DUP_ENTRY`.
const DUPLICATE: u16 = 1062;
/// Wrong tables, columns or pages: `ER_NOT_KEYFILE`, `ER_BAD_FIELD_ERROR`, `ER_NO_SUCH_TABLE`, `ER_CRASHED_ON_USAGE`,
/// `ER_INDEX_CORRUPT`, `ER_TABLE_CORRUPT`.
const CORRUPT: [u16; 6] = [1034, 1054, 1146, 1194, 1712, 1877];

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not answer, or cannot serve now: the same call may succeed later.
    #[error("{0}")]
    Away(String),
    /// Nothing becomes better by waiting: somebody has to change something.
    #[error("{0}")]
    Wrong(String),
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Away(why) => StoreError::Unavailable(why),
            OpenError::Wrong(why) => StoreError::Corrupt(why),
        }
    }
}

/// How a transaction failed: whether it may go better from its beginning, without the caller hearing of it.
#[derive(Debug)]
pub(super) enum Fault<E> {
    /// It lost to another transaction, and everything of it is undone.
    Contended(StoreError),
    /// This is the answer.
    Own(E),
}

impl<E: From<StoreError>> Fault<E> {
    /// The answer when there are no more attempts.
    pub(super) fn into_answer(self) -> E {
        match self {
            Fault::Contended(error) => error.into(),
            Fault::Own(error) => error,
        }
    }
}

impl<E: From<StoreError>> From<sqlx::Error> for Fault<E> {
    fn from(error: sqlx::Error) -> Self {
        let contended = number(&error).is_some_and(|number| [DEADLOCK, LOCK_WAIT, CHANGED_SINCE].contains(&number));
        let error = StoreError::from(error);
        if contended { Fault::Contended(error) } else { Fault::Own(error.into()) }
    }
}

impl<E: From<StoreError>> From<StoreError> for Fault<E> {
    fn from(error: StoreError) -> Self {
        Fault::Own(error.into())
    }
}

impl From<DirectoryError> for Fault<DirectoryError> {
    fn from(error: DirectoryError) -> Self {
        Fault::Own(error)
    }
}

impl From<KeyError> for Fault<DirectoryError> {
    fn from(error: KeyError) -> Self {
        Fault::Own(error.into())
    }
}

impl From<KeyError> for Fault<StoreError> {
    fn from(error: KeyError) -> Self {
        Fault::Own(error.into())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        match &error {
            Error::Database(database) if number_of(&**database).is_some_and(|number| CORRUPT.contains(&number)) => {
                StoreError::Corrupt(error.to_string())
            }
            Error::RowNotFound
            | Error::TypeNotFound { .. }
            | Error::ColumnIndexOutOfBounds { .. }
            | Error::ColumnNotFound(_)
            | Error::ColumnDecode { .. }
            | Error::Decode(_) => StoreError::Corrupt(error.to_string()),
            _ => StoreError::Unavailable(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for DirectoryError {
    fn from(error: sqlx::Error) -> Self {
        DirectoryError::Store(error.into())
    }
}

/// The server's number for what went wrong; `None` if it was not the server that said it.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    number_of(error.as_database_error()?)
}

fn number_of(error: &(dyn sqlx::error::DatabaseError + 'static)) -> Option<u16> {
    Some(error.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

/// The name of the key that a row met another row in: MySQL says `table.key`, MariaDB `key`.
pub(super) fn duplicate_key(error: &sqlx::Error) -> Option<&str> {
    let said = error.as_database_error().filter(|_| number(error) == Some(DUPLICATE))?.message();
    // "Duplicate entry '…' for key 'message.PRIMARY'": the entry may hold anything, so the key is read from the end.
    let key = said.strip_suffix('\'')?.rsplit('\'').next()?;
    Some(key.rsplit('.').next().unwrap_or(key))
}
