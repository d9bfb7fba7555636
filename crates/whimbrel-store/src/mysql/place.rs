//! Placing: rows into the message table, what they do besides, cursors up.
//!
//! Rows alone are one round trip: a single statement, which commits itself, or several between START TRANSACTION and
//! COMMIT in one packet. So a process that freezes holds no locks while the server waits for its next word: there is
//! none. What rows do besides ([`Effects`], [`Texts`]) goes in the last packet; cursors ([`raise`]), and what is added to
//! readable streams, need more round trips.

use std::ops::Range;

use sqlx::mysql::MySqlConnection;
use whimbrel_core::{CursorMoved, Seq};

use super::MySqlStore;
use super::change::undo;
use super::effects::{Effects, is_missing_file};
use super::error::{Fault, duplicate_key, number};
use super::raise::raise;
use super::text::Text;
use super::texts::{Texts, append};
use crate::timeline::{CommitError, CursorWrite, NewRow, PlaceBatch};

const INSERT: &str =
    "INSERT INTO message (conv,seq,sender,device,message_id,kind,key_version,at,n,own,hash,body) VALUES ";

/// Bytes of a row without its body, as text, at most.
const ROW_TEXT: usize = 512;
/// Bytes of one packet at most, whatever the server takes: the rest goes in another one.
const PACKET_MAX: usize = 4 * 1024 * 1024;
/// The longest body that the column holds.
const BODY_COLUMN_MAX: usize = (1 << 24) - 1;

/// What the server says of data that it will never take: `ER_BAD_NULL_ERROR`, `ER_TOO_BIG_ROWSIZE`,
/// `ER_WARN_DATA_OUT_OF_RANGE`, `WARN_DATA_TRUNCATED`, `ER_TRUNCATED_WRONG_VALUE_FOR_FIELD`, `ER_DATA_TOO_LONG`,
/// `ER_CHECK_CONSTRAINT_VIOLATED` (MySQL), `ER_CONSTRAINT_FAILED` (MariaDB).
const REFUSED: [u16; 8] = [1048, 1118, 1264, 1265, 1366, 1406, 3819, 4025];

/// Commits a batch; the cursors that were named, as they stand then. `since`: on no connection of another generation.
pub(super) async fn commit(
    store: &MySqlStore,
    batch: &PlaceBatch,
    since: Option<u64>,
) -> Result<Vec<CursorMoved>, CommitError> {
    refuse(&batch.rows, store.packet_max)?;
    let texts = Texts::of(&batch.rows, &store.texts.pace);
    match (&batch.rows[..], &batch.cursors[..]) {
        ([], []) => Ok(Vec::new()),
        (rows, []) if texts.appends.is_empty() => {
            store.retried(|| place(store, rows, &texts, since)).await.map(|()| Vec::new())
        }
        (rows, cursors) => {
            store
                .retried(|| async {
                    let mut change = store.begin().await?;
                    if since.is_some_and(|since| since != change.generation()) {
                        return change.end(Err(Fault::Own(CommitError::Anew))).await;
                    }
                    let result = both(&mut change, store, rows, &texts, cursors).await;
                    change.end(result).await
                })
                .await
        }
    }
}

/// What no server takes, found before anything is sent, by its index.
fn refuse(rows: &[NewRow], packet_max: usize) -> Result<(), CommitError> {
    let longest = BODY_COLUMN_MAX.min(packet_max.saturating_sub(2 * ROW_TEXT) / 2);
    for (index, row) in rows.iter().enumerate() {
        if row.message.seq == Seq::ZERO {
            return Err(CommitError::RowRefused { index, reason: "there is no place 0".into() });
        }
        if row.message.body.len() > longest {
            let reason = format!("a body of {} bytes; the database takes {longest}", row.message.body.len());
            return Err(CommitError::RowRefused { index, reason });
        }
    }
    Ok(())
}

/// Rows without cursors.
async fn place(
    store: &MySqlStore,
    rows: &[NewRow],
    texts: &Texts,
    since: Option<u64>,
) -> Result<(), Fault<CommitError>> {
    let mut session = store.pool.session().await?;
    if since.is_some_and(|since| since != session.generation()) {
        session.done();
        return Err(Fault::Own(CommitError::Anew));
    }
    if let Err(fault) = insert(&mut session, store.packet_max, rows, texts, true).await {
        undo(session).await;
        return Err(fault);
    }
    session.done();
    Ok(())
}

/// Rows and cursors, in an open transaction.
async fn both(
    db: &mut MySqlConnection,
    store: &MySqlStore,
    rows: &[NewRow],
    texts: &Texts,
    cursors: &[CursorWrite],
) -> Result<Vec<CursorMoved>, Fault<CommitError>> {
    insert(db, store.packet_max, rows, texts, false).await?;
    append(db, &texts.appends).await?;
    if cursors.is_empty() { Ok(Vec::new()) } else { Ok(raise(db, cursors).await?) }
}

/// The rows, in as many packets as they need, and what they do in the last one. `is_whole`: it is the whole of a
/// transaction, whose beginning and end go along; a single statement needs none.
async fn insert(
    db: &mut MySqlConnection,
    packet_max: usize,
    rows: &[NewRow],
    texts: &Texts,
    is_whole: bool,
) -> Result<(), Fault<CommitError>> {
    let parts = parts(rows, packet_max);
    let effects = Effects::of(rows).text();
    let is_single = parts.len() <= 1 && effects.is_empty() && texts.parts.is_empty();
    let (begin, commit) = if is_whole && !is_single { ("START TRANSACTION;", "COMMIT;") } else { ("", "") };
    let commit = Text::new(commit);
    let last = parts.len();
    for (part, number) in parts.into_iter().zip(1..) {
        let mut text = Text::with_capacity(text_len(&rows[part.clone()]));
        text.words(if number == 1 { begin } else { "" });
        push_rows(&mut text, &rows[part.clone()]);
        if number == last {
            for more in std::iter::once(&effects).chain(&texts.parts).chain([&commit]) {
                if text.len() + more.len() + ROW_TEXT > packet_max {
                    text.run(db).await.map_err(|error| meaning(part.start, error))?;
                    text = Text::default();
                }
                text.append(more);
            }
        }
        text.run(db).await.map_err(|error| meaning(part.start, error))?;
    }
    Ok(())
}

/// Parts of the rows that fit into a packet each.
fn parts(rows: &[NewRow], packet_max: usize) -> Vec<Range<usize>> {
    let limit = PACKET_MAX.min(packet_max.saturating_sub(ROW_TEXT));
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, row) in rows.iter().enumerate() {
        let len = text_len(std::slice::from_ref(row));
        if index > start && bytes + len > limit {
            parts.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += len;
    }
    if start < rows.len() {
        parts.push(start..rows.len());
    }
    parts
}

fn text_len(rows: &[NewRow]) -> usize {
    rows.iter().map(|row| ROW_TEXT + 2 * row.message.body.len()).sum()
}

fn push_rows(text: &mut Text, rows: &[NewRow]) {
    text.words(INSERT).each(rows, "(", ",(", |text, row| {
        let message = &row.message;
        text.bytes(message.conversation.as_bytes()).words(",").number(message.seq.0);
        text.words(",").number(message.sender.0);
        text.words(",").bytes(message.device.as_bytes());
        text.words(",").bytes(message.message_id.as_bytes());
        text.words(",").number(message.kind.0.into()).words(",").number(message.key_version.into());
        text.words(",").number(message.at).words(",").number(row.n).words(",").number(row.own);
        text.words(",").bytes(&row.hash).words(",").bytes(&message.body).words(")");
    });
    text.words(";");
}

/// What a failed insert means; its first row is the batch's row `first`. A row that meets others under both keys is
/// said to meet them in its place: the primary key is looked at first.
fn meaning(first: usize, error: sqlx::Error) -> Fault<CommitError> {
    match duplicate_key(&error) {
        Some("PRIMARY") => return Fault::Own(CommitError::SeqTaken),
        Some("message_identity") => return Fault::Own(CommitError::IdTaken),
        _ if is_missing_file(&error) => return Fault::Own(CommitError::NoFile),
        _ => {}
    }
    if number(&error).is_some_and(|number| REFUSED.contains(&number)) {
        let reason = error.to_string();
        // "Data too long for column 'body' at row 3"
        let row = reason.rsplit(" row ").next().and_then(|row| row.parse::<usize>().ok()).unwrap_or(1);
        return Fault::Own(CommitError::RowRefused { index: first + row.saturating_sub(1), reason });
    }
    error.into()
}
