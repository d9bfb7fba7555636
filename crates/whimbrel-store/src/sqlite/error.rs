//! What SQLite's errors mean to the callers of the traits.

use rusqlite::{Error, ErrorCode};

use crate::directory::DirectoryError;
use crate::filing::FileError;
use crate::groups::GroupError;
use crate::timeline::CommitError;
use crate::{StoreError, keyring::KeyError};

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::SqliteFailure(failure, _)
                if matches!(failure.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) =>
            {
                StoreError::Corrupt(error.to_string())
            }
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::QueryReturnedNoRows => StoreError::Corrupt(error.to_string()),
            _ => StoreError::Unavailable(error.to_string()),
        }
    }
}

impl From<Error> for DirectoryError {
    fn from(error: Error) -> Self {
        DirectoryError::Store(error.into())
    }
}

impl From<Error> for GroupError {
    fn from(error: Error) -> Self {
        GroupError::Store(error.into())
    }
}

impl From<Error> for FileError {
    fn from(error: Error) -> Self {
        FileError::Store(error.into())
    }
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        CommitError::Store(error.into())
    }
}

impl From<KeyError> for StoreError {
    fn from(error: KeyError) -> Self {
        StoreError::Corrupt(error.to_string())
    }
}

impl From<KeyError> for DirectoryError {
    fn from(error: KeyError) -> Self {
        DirectoryError::Store(error.into())
    }
}
