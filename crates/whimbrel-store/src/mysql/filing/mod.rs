//! [`Files`] on MySQL and MariaDB.
//!
//! Locks are taken in one order: what a user's files take up, then the file, then content. Placing locks the files that
//! messages come with (`effects`) before it notes them, and collecting locks a file before it looks whether one is
//! noted: one of the two sees the other.

mod change;
mod read;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{Row, query};
use whimbrel_core::{FileId, UserId};

use super::MySqlStore;
use super::error::Fault;
use crate::StoreError;
use crate::filing::{ContentHash, FileError, FileRow, FileState, Files, Kept, NewFile, NewPicture, Nonce, Usage};

impl From<FileError> for Fault<FileError> {
    fn from(error: FileError) -> Self {
        Fault::Own(error)
    }
}

/// Runs a transaction, and again when it lost to another one.
macro_rules! changed {
    ($store:expr, |$db:ident| $work:expr) => {
        $store
            .retried(|| async {
                let mut change = $store.begin().await?;
                let $db = &mut *change;
                let result = $work.await;
                change.end(result).await
            })
            .await
    };
}

#[async_trait]
impl Files for MySqlStore {
    async fn announce(&self, new: NewFile, room: Usage, now: u64) -> Result<FileRow, FileError> {
        changed!(self, |db| change::announce(db, &new, room, now))
    }

    async fn file(&self, id: FileId) -> Result<Option<FileRow>, StoreError> {
        self.read(async |db| Ok(read::one(db, id).await?)).await
    }

    async fn readable(&self, user: UserId, id: FileId) -> Result<Option<FileRow>, StoreError> {
        self.read(async |db| Ok(read::readable(db, user, id).await?)).await
    }

    async fn usage(&self, user: UserId) -> Result<Usage, StoreError> {
        self.read(async |db| Ok(read::usage(db, user, false).await?.unwrap_or_default())).await
    }

    async fn touch(&self, id: FileId, now: u64) -> Result<(), StoreError> {
        self.read(async |db| {
            let touch = query("UPDATE file SET idle_since = ? WHERE id = ? AND state = 1");
            touch.bind(now).bind(&id.as_bytes()[..]).execute(db).await?;
            Ok(())
        })
        .await
    }

    async fn take_nonce(&self, id: FileId) -> Result<Option<Nonce>, StoreError> {
        changed!(self, |db| async {
            let row = read::locked(db, id).await?.filter(|row| row.state == FileState::Uploading);
            let nonce = row.and_then(|row| row.file.nonce);
            query("UPDATE file SET nonce = NULL WHERE id = ?").bind(&id.as_bytes()[..]).execute(db).await?;
            Ok::<_, Fault<StoreError>>(nonce)
        })
    }

    async fn shared(&self, hash: ContentHash, size: u64) -> Result<Option<FileId>, StoreError> {
        self.read(async |db| Ok(read::shared(db, hash, size).await?)).await
    }

    async fn complete(
        &self,
        id: FileId,
        kept: Kept,
        picture: Option<NewPicture>,
        now: u64,
    ) -> Result<FileRow, FileError> {
        changed!(self, |db| change::complete(db, id, kept, picture.as_ref(), now))
    }

    async fn thumbnail(&self, blob: FileId) -> Result<Option<Bytes>, StoreError> {
        self.read(async |db| Ok(read::thumbnail(db, blob).await?)).await
    }

    async fn files_of(
        &self,
        owner: UserId,
        before: Option<(u64, FileId)>,
        limit: usize,
    ) -> Result<Vec<FileRow>, StoreError> {
        self.read(async |db| Ok(read::files_of(db, owner, before, limit).await?)).await
    }

    async fn copy_file(
        &self,
        user: UserId,
        from: FileId,
        to: FileId,
        room: Usage,
        now: u64,
    ) -> Result<FileRow, FileError> {
        changed!(self, |db| change::copy(db, user, (from, to), room, now))
    }

    async fn discard(&self, user: UserId, id: FileId) -> Result<(), FileError> {
        changed!(self, |db| change::discard(db, user, id))
    }

    async fn collect(&self, uploads_before: u64, files_before: u64, limit: usize) -> Result<usize, StoreError> {
        let mut collected = 0;
        for (state, before) in [(FileState::Uploading, uploads_before), (FileState::Whole, files_before)] {
            let idle = self.read(async |db| read::idle(db, state, before, limit).await).await?;
            for id in idle {
                collected += usize::from(changed!(self, |db| change::collect(db, id, state, before))?);
            }
        }
        Ok(collected)
    }

    async fn trash(&self, limit: usize) -> Result<Vec<FileId>, StoreError> {
        let limit = limit as u64;
        self.read(async |db| {
            let rows = query("SELECT id FROM file_trash LIMIT ?").bind(limit).fetch_all(db).await?;
            Ok(rows.iter().map(|row| read::id(row, 0)).collect::<sqlx::Result<_>>()?)
        })
        .await
    }

    async fn swept(&self, ids: &[FileId]) -> Result<(), StoreError> {
        self.read(async |db| {
            for id in ids {
                query("DELETE FROM file_trash WHERE id = ?").bind(&id.as_bytes()[..]).execute(&mut *db).await?;
            }
            Ok(())
        })
        .await
    }
}

/// A column that is a number or not there.
fn optional(row: &sqlx::mysql::MySqlRow, column: usize) -> sqlx::Result<Option<u64>> {
    row.try_get(column)
}
