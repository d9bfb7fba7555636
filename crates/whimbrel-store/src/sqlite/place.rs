//! Placing: rows into the message table with what follows from their kinds, counts of senders, cursors up. Runs on the
//! writer only.

use std::collections::BTreeMap;

use bytes::Bytes;
use rusqlite::{CachedStatement, Connection, ErrorCode, params};
use sha2::{Digest, Sha256};
use whimbrel_core::{
    ConversationId, CursorMoved, Cursors, DeviceId, Members, Message, MessageId, MessageKind, PlacedRow, Seq, UserId,
};

use super::value::{all, first, first_row, number, run, seq, sql};
use super::{filing, head, texts};
use crate::Head;
use crate::StoreError;
use crate::timeline::{CommitError, CursorWrite, NewRow, PlaceBatch};

const INSERT: &str = "INSERT INTO message \
     (conv, seq, sender, device, message_id, kind, key_version, at, n, own, hash, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const CURSOR: &str = "SELECT delivered, read, until, own_total, n_read, own_read, \
     (SELECT max(seq) FROM message WHERE conv = ?2) FROM member WHERE user = ?1 AND conv = ?2";

const RAISE: &str = "UPDATE member SET delivered = ?3, read = ?4, n_read = ?5, own_read = ?6 \
     WHERE user = ?1 AND conv = ?2";

const OWN_TOTAL: &str = "UPDATE member SET own_total = own_total + ?3 WHERE user = ?1 AND conv = ?2";

/// Countable rows of one sender after a place and up to another.
const OWN_BETWEEN: &str = "SELECT count(*) FROM message \
     WHERE conv = ?1 AND seq > ?2 AND seq <= ?3 AND sender = ?4 AND kind BETWEEN 1 AND 499";

/// Follow-ups are noted by their targets: they go with them, and pages of history bring them.
const FOLLOW_UP: &str = concat!(
    "INSERT OR IGNORE INTO follow_up (conv, target, seq, nth) VALUES (?1, ?2, ?3, 1 + ",
    head::follow_ups_sql!(),
    ")"
);

const MARK: &str = "INSERT OR IGNORE INTO mark (conv, target, seq) VALUES (?1, ?2, ?3)";

const FOLLOW_UPS: &str = "SELECT seq FROM follow_up WHERE conv = ?1 AND target = ?2";

const TAKE_BACK: &str = "UPDATE message SET body = x'' WHERE conv = ?1 AND seq = ?2 AND kind BETWEEN 1 AND 499";

/// What names its target is left of it.
const CUT: &str = "UPDATE message SET body = substr(body, 1, 8) WHERE conv = ?1 AND seq = ?2";

/// A batch: its rows in order, then its cursors.
pub(super) fn batch(db: &Connection, batch: &PlaceBatch) -> Result<Vec<CursorMoved>, CommitError> {
    let mut insert = db.prepare_cached(INSERT)?;
    let mut said = BTreeMap::new();
    for (index, row) in batch.rows.iter().enumerate() {
        if let Err(error) = put(&mut insert, row) {
            return Err(refusal(db, row, index, error)?);
        }
        follow(db, &row.message)?;
        if row.in_group && row.message.kind.is_countable() {
            *said.entry((row.message.sender, row.message.conversation)).or_insert(0) += 1;
        }
    }
    texts::placed(db, batch.rows.iter().map(|row| &row.message))?;
    for ((user, conversation), count) in said {
        run(db, OWN_TOTAL, params![sql(user.0), conversation.as_bytes(), sql(count)])?;
    }
    let mut moved = Vec::with_capacity(batch.cursors.len());
    for write in &batch.cursors {
        moved.extend(raise(db, write)?);
    }
    Ok(moved)
}

/// What a row does to the file that it comes with, or to the message that it is about.
fn follow(db: &Connection, message: &Message) -> Result<(), CommitError> {
    let Some(target) = message.kind.target(&message.body) else { return filing::used(db, message) };
    let conv = message.conversation.as_bytes();
    let note = if message.kind.adds_content() { FOLLOW_UP } else { MARK };
    run(db, note, params![conv, sql(target.0), sql(message.seq.0)])?;
    if message.kind.takes_back() {
        run(db, TAKE_BACK, params![conv, sql(target.0)])?;
        for place in all(db, FOLLOW_UPS, params![conv, sql(target.0)], |row| seq(row, 0))? {
            run(db, CUT, params![conv, sql(place.0)])?;
        }
        filing::unused(db, message.conversation, target, message.at)?;
    }
    Ok(())
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
    let message = put_at_end(db, conversation, &head, sender, kind, body, now)?;
    Ok(PlacedRow { message, audience: head.members.audience(), change: None })
}

/// The same behind a head that was read in this transaction.
pub(super) fn put_at_end(
    db: &Connection,
    conversation: ConversationId,
    head: &Head,
    sender: UserId,
    kind: MessageKind,
    body: Bytes,
    now: u64,
) -> Result<Message, StoreError> {
    let own = match &head.members {
        Members::Direct { first, .. } if *first == sender => head.first_own,
        Members::Direct { .. } => head.n - head.first_own,
        Members::Private { .. } | Members::Group(_) => 0,
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
    Ok(row.message)
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

/// A member's row, and where their conversation ends.
struct Stands {
    cursors: Cursors,
    /// They left with this row; 0: they are in it.
    until: Seq,
    own_total: u64,
    n_read: u64,
    own_read: u64,
    head: Seq,
}

/// Raises one user's cursors; `None` if they are not a member.
fn raise(db: &Connection, write: &CursorWrite) -> Result<Option<CursorMoved>, CommitError> {
    let (conversation, user) = (write.conversation, write.user);
    let key = params![sql(user.0), conversation.as_bytes()];
    let stands = first_row(db, CURSOR, key, |row| {
        let head = row.get::<_, Option<i64>>(6)?.and_then(|head| u64::try_from(head).ok()).unwrap_or(0);
        Ok(Stands {
            cursors: Cursors { delivered: seq(row, 0)?, read: seq(row, 1)? },
            until: seq(row, 2)?,
            own_total: number(row, 3)?,
            n_read: number(row, 4)?,
            own_read: number(row, 5)?,
            head: Seq(head),
        })
    })?;
    let Some(stands) = stands else { return Ok(None) };
    let Some(members) = head::members(db, conversation)? else { return Ok(None) };
    let end = if stands.until == Seq::ZERO { stands.head } else { stands.until.min(stands.head) };
    let cursors = stands.cursors.max(write.cursors.normalized().clamped(end));
    if cursors != stands.cursors {
        let (mut n_read, mut own_read) = (stands.n_read, stands.own_read);
        if matches!(members, Members::Group(_)) && cursors.read > stands.cursors.read {
            n_read = n_at(db, conversation, cursors.read)?.unwrap_or(n_read);
            own_read = own_up_to(db, conversation, user, &stands, cursors.read)?;
        }
        let (delivered, read) = (sql(cursors.delivered.0), sql(cursors.read.0));
        run(db, RAISE, params![sql(user.0), conversation.as_bytes(), delivered, read, sql(n_read), sql(own_read)])?;
    }
    Ok(Some(CursorMoved { conversation, user, cursors, audience: members.audience() }))
}

/// Countable messages up to and with a row; `None` if the row is not there.
pub(super) fn n_at(db: &Connection, conversation: ConversationId, place: Seq) -> rusqlite::Result<Option<u64>> {
    let query = "SELECT n FROM message WHERE conv = ?1 AND seq = ?2";
    first_row(db, query, params![conversation.as_bytes(), sql(place.0)], |row| number(row, 0))
}

/// How many of the user's own countable rows stand up to a place, counted over the shorter of the two ways to it: from
/// the read cursor, or back from the end.
fn own_up_to(
    db: &Connection,
    conversation: ConversationId,
    user: UserId,
    stands: &Stands,
    place: Seq,
) -> rusqlite::Result<u64> {
    let between = |after: Seq, to: Seq| {
        let range = params![conversation.as_bytes(), sql(after.0), sql(to.0), sql(user.0)];
        Ok::<_, rusqlite::Error>(first_row(db, OWN_BETWEEN, range, |row| number(row, 0))?.unwrap_or(0))
    };
    let read = stands.cursors.read;
    Ok(if place.0 - read.0 <= stands.head.0 - place.0 {
        stands.own_read + between(read, place)?
    } else {
        stands.own_total.saturating_sub(between(place, stands.head)?)
    })
}
