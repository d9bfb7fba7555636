//! [`Timeline`] on SQLite.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use whimbrel_core::{
    BodyHash, ConversationId, CursorMoved, FileId, Message, MessageId, MessageKind, Seq, Standing, SyncAnswer,
    SyncQuestion, UserId,
};

use super::value::{all, conversation, device, first_row, message_id, number, seq, small, sql, user};
use super::{SqliteStore, filing, head, place, sync};
use crate::StoreError;
use crate::timeline::{CommitError, FoundRow, Head, PlaceBatch, Target, Timeline};

/// Messages of a conversation after a place, in order; columns as [`read_message`] wants them.
const FOLLOWING: &str = "SELECT conv, seq, sender, device, message_id, kind, key_version, at, body \
     FROM message WHERE conv = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";

const FIND: &str = "SELECT seq, at, hash FROM message WHERE message_id = ?1 AND conv = ?2 AND sender = ?3";

#[async_trait]
impl Timeline for SqliteStore {
    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError> {
        let wanted = conversations.to_vec();
        self.shared
            .readers
            .read(move |db| Ok(wanted.iter().map(|id| head::head(db, *id)).collect::<Result<_, _>>()?))
            .await
    }

    async fn find(&self, ids: &[(ConversationId, UserId, MessageId)]) -> Result<Vec<Option<FoundRow>>, StoreError> {
        let wanted = ids.to_vec();
        let find = move |db: &Connection| Ok(wanted.iter().map(|id| find_one(db, id)).collect::<Result<_, _>>()?);
        self.shared.readers.read(find).await
    }

    async fn standings(&self, of: &[(ConversationId, UserId)]) -> Result<Vec<Option<Standing>>, StoreError> {
        let wanted = of.to_vec();
        let read = move |db: &Connection| {
            let standings = wanted.iter().map(|(group, user)| head::standing(db, *group, *user));
            Ok(standings.collect::<Result<_, _>>()?)
        };
        self.shared.readers.read(read).await
    }

    async fn targets(&self, of: &[(ConversationId, Seq)]) -> Result<Vec<Option<Target>>, StoreError> {
        let wanted = of.to_vec();
        let read = move |db: &Connection| {
            let targets = wanted.iter().map(|(conversation, seq)| head::target(db, *conversation, *seq));
            Ok(targets.collect::<Result<_, _>>()?)
        };
        self.shared.readers.read(read).await
    }

    async fn files(&self, of: &[(FileId, UserId)]) -> Result<Vec<bool>, StoreError> {
        let wanted = of.to_vec();
        let read = move |db: &Connection| {
            Ok(wanted.iter().map(|(file, owner)| filing::may_be_said(db, *file, *owner)).collect::<Result<_, _>>()?)
        };
        self.shared.readers.read(read).await
    }

    async fn commit(&self, batch: PlaceBatch) -> Result<(PlaceBatch, Vec<CursorMoved>), (PlaceBatch, CommitError)> {
        match self.shared.writer.write_with(batch, place::batch).await {
            (batch, Ok(moved)) => Ok((batch, moved)),
            (batch, Err(error)) => Err((batch, error)),
        }
    }

    async fn sync(&self, user: UserId, question: SyncQuestion) -> Result<SyncAnswer, StoreError> {
        self.shared.readers.read(move |db| Ok(sync::answer(db, user, &question)?)).await
    }

    async fn read(&self, conversation: ConversationId, after: Seq, limit: usize) -> Result<Vec<Message>, StoreError> {
        let read = move |db: &Connection| {
            let range = params![conversation.as_bytes(), sql(after.0), sql(limit as u64)];
            Ok(all(db, FOLLOWING, range, read_message)?)
        };
        self.shared.readers.read(read).await
    }
}

fn find_one(db: &Connection, id: &(ConversationId, UserId, MessageId)) -> rusqlite::Result<Option<FoundRow>> {
    let (conversation, sender, message) = id;
    first_row(db, FIND, params![message.as_bytes(), conversation.as_bytes(), sql(sender.0)], |row| {
        Ok(FoundRow { seq: seq(row, 0)?, at: number(row, 1)?, hash: row.get::<_, BodyHash>(2)? })
    })
}

/// A message from a row of [`FOLLOWING`].
pub(super) fn read_message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        conversation: conversation(row, 0)?,
        seq: seq(row, 1)?,
        sender: user(row, 2)?,
        device: device(row, 3)?,
        message_id: message_id(row, 4)?,
        kind: MessageKind(small(row, 5)?),
        key_version: small(row, 6)?,
        at: number(row, 7)?,
        body: Bytes::copy_from_slice(row.get_ref(8)?.as_blob()?),
    })
}
