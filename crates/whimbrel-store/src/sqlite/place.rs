//! Placing: rows into the message table, cursors up. Runs on the writer only.

use bytes::Bytes;
use rusqlite::{CachedStatement, Connection, ErrorCode, params};
use sha2::{Digest, Sha256};
use whimbrel_core::{
    ConversationId, CursorMoved, Cursors, DeviceId, Message, MessageId, MessageKind, PlacedRow, Seq, UserId,
};

use super::head;
use super::value::{first, first_row, run, seq, sql};
use crate::StoreError;
use crate::timeline::{CommitError, CursorWrite, NewRow, PlaceBatch};

const INSERT: &str = "INSERT INTO message \
     (conv, seq, sender, device, message_id, kind, key_version, at, n, own, hash, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const CURSOR: &str = "SELECT delivered, read, (SELECT max(seq) FROM message WHERE conv = ?2) \
     FROM member WHERE user = ?1 AND conv = ?2";

const RAISE: &str = "UPDATE member SET delivered = ?3, read = ?4 WHERE user = ?1 AND conv = ?2";

/// A batch: its rows in order, then its cursors.
pub(super) fn batch(db: &Connection, batch: &PlaceBatch) -> Result<Vec<CursorMoved>, CommitError> {
    let mut insert = db.prepare_cached(INSERT)?;
    for (index, row) in batch.rows.iter().enumerate() {
        if let Err(error) = put(&mut insert, row) {
            return Err(refusal(db, row, index, error)?);
        }
    }
    let mut moved = Vec::with_capacity(batch.cursors.len());
    for write in &batch.cursors {
        moved.extend(raise(db, write)?);
    }
    Ok(moved)
}

/// A row that the server itself says, at the end of a conversation, with the change that it tells of.
pub(super) fn system_row(
    db: &Connection,
    conversation: ConversationId,
    sender: UserId,
    kind: MessageKind,
    body: Bytes,
    now: u64,
) -> Result<PlacedRow, StoreError> {
    let head = head::head(db, conversation)?
        .ok_or_else(|| StoreError::Corrupt(format!("conversation {conversation} is missing")))?;
    let own = match &head.members {
        whimbrel_core::Members::Direct { first, .. } if *first == sender => head.first_own,
        whimbrel_core::Members::Direct { .. } => head.n - head.first_own,
        whimbrel_core::Members::Private { .. } | whimbrel_core::Members::Group(_) => 0,
    };
    let message = Message {
        conversation,
        seq: head.seq.next(),
        sender,
        device: DeviceId::from_bytes([0; 16]),
        message_id: MessageId::generate(),
        kind,
        key_version: 0,
        body,
        at: now.max(head.at),
    };
    let row = NewRow { hash: Sha256::digest(&message.body).into(), message, n: head.n, own, in_group: false };
    put(&mut db.prepare_cached(INSERT)?, &row)?;
    Ok(PlacedRow { message: row.message, audience: head.members.audience(), change: None })
}

fn put(insert: &mut CachedStatement<'_>, row: &NewRow) -> rusqlite::Result<usize> {
    let message = &row.message;
    // Out of range, it becomes a number that the table's own check refuses.
    let place = i64::try_from(message.seq.0).unwrap_or(-1);
    insert.execute(params![
        message.conversation.as_bytes(),
        place,
        sql(message.sender.0),
        message.device.as_bytes(),
        message.message_id.as_bytes(),
        message.kind.0,
        message.key_version,
        sql(message.at),
        sql(row.n),
        sql(row.own),
        row.hash,
        &message.body[..],
    ])
}

/// What a failed insert means. Both keys are asked for in words of our own: the place first, because a taken place
/// says that everything else the caller believes may be stale.
fn refusal(db: &Connection, row: &NewRow, index: usize, error: rusqlite::Error) -> Result<CommitError, CommitError> {
    let rusqlite::Error::SqliteFailure(failure, _) = &error else { return Err(error.into()) };
    match failure.code {
        ErrorCode::ConstraintViolation if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE => {
            let taken: Option<i64> = first(
                db,
                "SELECT 1 FROM message WHERE conv = ?1 AND seq = ?2",
                params![row.message.conversation.as_bytes(), sql(row.message.seq.0)],
            )?;
            Ok(if taken.is_some() { CommitError::SeqTaken } else { CommitError::IdTaken })
        }
        ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch => {
            Ok(CommitError::RowRefused { index, reason: error.to_string() })
        }
        _ => Err(error.into()),
    }
}

/// Raises one user's cursors; `None` if they are not a member.
fn raise(db: &Connection, write: &CursorWrite) -> Result<Option<CursorMoved>, CommitError> {
    let key = params![sql(write.user.0), write.conversation.as_bytes()];
    let standing = first_row(db, CURSOR, key, |row| {
        let stored = Cursors { delivered: seq(row, 0)?, read: seq(row, 1)? };
        let head = row.get::<_, Option<i64>>(2)?.and_then(|head| u64::try_from(head).ok()).unwrap_or(0);
        Ok((stored, Seq(head)))
    })?;
    let Some((stored, head)) = standing else { return Ok(None) };
    let Some(members) = head::members(db, write.conversation)? else { return Ok(None) };
    let cursors = stored.max(write.cursors.normalized().clamped(head));
    if cursors != stored {
        let (user, conv) = (sql(write.user.0), write.conversation.as_bytes());
        run(db, RAISE, params![user, conv, sql(cursors.delivered.0), sql(cursors.read.0)])?;
    }
    let (conversation, user) = (write.conversation, write.user);
    Ok(Some(CursorMoved { conversation, user, cursors, audience: members.audience() }))
}
