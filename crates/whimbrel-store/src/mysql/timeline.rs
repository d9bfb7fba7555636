//! [`Timeline`] on MySQL.

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::Row;
use sqlx::mysql::MySqlRow;
use whimbrel_core::{
    ConversationId, CursorMoved, FileId, Message, MessageId, MessageKind, Seq, Standing, SyncAnswer, SyncQuestion,
    UserId,
};

use super::value::{conversation, device, message_id, number, seq, user};
use super::{MySqlStore, head, place, rights, sync};
use crate::StoreError;
use crate::timeline::{CommitError, FoundRow, Head, PlaceBatch, Target, Timeline};

/// The columns as [`read_message`] wants them.
pub(super) const COLUMNS: &str = "SELECT conv, seq, sender, device, message_id, kind, key_version, at, body";

const FOLLOWING: &str = "SELECT conv, seq, sender, device, message_id, kind, key_version, at, body \
     FROM message WHERE conv = ? AND seq > ? ORDER BY seq LIMIT ?";

#[async_trait]
impl Timeline for MySqlStore {
    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError> {
        self.read(async |db| Ok(head::heads(db, conversations).await?)).await
    }

    async fn find(&self, ids: &[(ConversationId, UserId, MessageId)]) -> Result<Vec<Option<FoundRow>>, StoreError> {
        self.read(async |db| Ok(head::find(db, ids).await?)).await
    }

    async fn standings(&self, of: &[(ConversationId, UserId)]) -> Result<Vec<Option<Standing>>, StoreError> {
        self.read(async |db| Ok(rights::standings(db, of).await?)).await
    }

    async fn targets(&self, of: &[(ConversationId, Seq)]) -> Result<Vec<Option<Target>>, StoreError> {
        self.read(async |db| Ok(rights::targets(db, of).await?)).await
    }

    async fn files(&self, of: &[(FileId, UserId)]) -> Result<Vec<bool>, StoreError> {
        self.read(async |db| Ok(rights::files(db, of).await?)).await
    }

    async fn commit(&self, batch: PlaceBatch) -> Result<(PlaceBatch, Vec<CursorMoved>), (PlaceBatch, CommitError)> {
        match place::commit(self, &batch, None).await {
            Ok(moved) => Ok((batch, moved)),
            Err(error) => Err((batch, error)),
        }
    }

    fn connections(&self) -> u64 {
        self.pool.generation()
    }

    async fn commit_since(
        &self,
        batch: PlaceBatch,
        connections: u64,
    ) -> Result<(PlaceBatch, Vec<CursorMoved>), (PlaceBatch, CommitError)> {
        match place::commit(self, &batch, Some(connections)).await {
            Ok(moved) => Ok((batch, moved)),
            Err(error) => Err((batch, error)),
        }
    }

    async fn sync(&self, user: UserId, question: SyncQuestion) -> Result<SyncAnswer, StoreError> {
        self.read(async |db| Ok(sync::answer(db, user, &question).await?)).await
    }

    async fn read(&self, conversation: ConversationId, after: Seq, limit: usize) -> Result<Vec<Message>, StoreError> {
        self.read(async |db| {
            let range = sqlx::query(FOLLOWING).bind(&conversation.as_bytes()[..]).bind(after.0).bind(limit as u64);
            let rows = range.fetch_all(db).await?;
            Ok(rows.iter().map(read_message).collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// A message from a row of [`COLUMNS`].
pub(super) fn read_message(row: &MySqlRow) -> Result<Message, sqlx::Error> {
    Ok(Message {
        conversation: conversation(row, 0)?,
        seq: seq(row, 1)?,
        sender: user(row, 2)?,
        device: device(row, 3)?,
        message_id: message_id(row, 4)?,
        kind: MessageKind(row.try_get(5)?),
        key_version: row.try_get(6)?,
        at: number(row, 7)?,
        body: Bytes::copy_from_slice(row.try_get(8)?),
    })
}
