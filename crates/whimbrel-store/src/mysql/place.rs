//! Placing: rows into the message table, cursors up.
//!
//! Rows alone are one round trip: a single statement, which commits itself, or several between START TRANSACTION and
//! COMMIT in one packet. So a process that freezes holds no locks while the server waits for its next word: there is
//! none. Cursors need a second round trip, because what they become is decided here, from what stands.

use std::ops::Range;

use whimbrel_core::{ConversationId, CursorMoved, Cursors, Members, Seq, UserId};

use hashbrown::HashMap;
use sqlx::mysql::MySqlConnection;

use super::MySqlStore;
use super::change::undo;
use super::error::{Fault, duplicate_key, number};
use super::head::{self, last_seq, read_members};
use super::text::Text;
use super::value::{conversation, number_or_zero, seq, user};
use crate::timeline::{CommitError, CursorWrite, NewRow, PlaceBatch};

const INSERT: &str =
    "INSERT INTO message (conv,seq,sender,device,message_id,kind,key_version,at,n,own,hash,body) VALUES ";

/// Locks what is about to be raised, in the order of the key.
const STANDING: &str = "SELECT user, conv, delivered, `read` FROM member WHERE ";

/// Whose cursors these are, and where they end.
const ENDS: &str = concat!(
    "SELECT c.id, c.kind, c.first, c.second, c.friends, c.first_blocks, c.second_blocks, ",
    last_seq!("c.id"),
    " FROM conversation c WHERE c.id IN "
);

/// The rows are there and locked: each becomes what was decided.
const RAISE: &str = "INSERT INTO member (user, conv, delivered, `read`) VALUES ";
const RAISED: &str = " ON DUPLICATE KEY UPDATE delivered = GREATEST(delivered, VALUES(delivered)), \
     `read` = GREATEST(`read`, VALUES(`read`))";

/// Bytes of a row without its body, as text, at most.
const ROW_TEXT: usize = 512;
/// Bytes of one packet at most, whatever the server takes: the rest goes in another one.
const PACKET_MAX: usize = 4 * 1024 * 1024;
/// The longest body that the column holds.
const BODY_COLUMN_MAX: usize = (1 << 24) - 1;
/// Cursors in one statement: each is a range of its own for the server, whose room to find ranges in is bounded.
const CURSORS_STATEMENT: usize = 512;

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
    match (&batch.rows[..], &batch.cursors[..]) {
        ([], []) => Ok(Vec::new()),
        (rows, []) => store.retried(|| place(store, rows, since)).await.map(|()| Vec::new()),
        (rows, cursors) => {
            store
                .retried(|| async {
                    let mut change = store.begin().await?;
                    if since.is_some_and(|since| since != change.generation()) {
                        return change.end(Err(Fault::Own(CommitError::Anew))).await;
                    }
                    let result = both(&mut change, store, rows, cursors).await;
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

/// Rows alone.
async fn place(store: &MySqlStore, rows: &[NewRow], since: Option<u64>) -> Result<(), Fault<CommitError>> {
    let parts = parts(rows, store.packet_max);
    let mut session = store.pool.session().await?;
    if since.is_some_and(|since| since != session.generation()) {
        session.done();
        return Err(Fault::Own(CommitError::Anew));
    }
    let alone = parts.len() == 1;
    let last = parts.len() - 1;
    for (index, part) in parts.into_iter().enumerate() {
        let mut text = Text::with_capacity(text_len(&rows[part.clone()]));
        text.words(if index == 0 && !alone { "START TRANSACTION;" } else { "" });
        push_rows(&mut text, &rows[part.clone()]);
        text.words(if index == last && !alone { ";COMMIT" } else { "" });
        if let Err(error) = text.run(&mut session).await {
            let fault = meaning(part.start, error);
            undo(session).await;
            return Err(fault);
        }
    }
    session.done();
    Ok(())
}

/// Rows and cursors, in an open transaction.
async fn both(
    db: &mut MySqlConnection,
    store: &MySqlStore,
    rows: &[NewRow],
    cursors: &[CursorWrite],
) -> Result<Vec<CursorMoved>, Fault<CommitError>> {
    for part in parts(rows, store.packet_max) {
        let mut text = Text::with_capacity(text_len(&rows[part.clone()]));
        push_rows(&mut text, &rows[part.clone()]);
        text.run(db).await.map_err(|error| meaning(part.start, error))?;
    }
    Ok(raise(db, cursors).await?)
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
}

/// What a failed insert means; its first row is the batch's row `first`. A row that meets others under both keys is
/// said to meet them in its place: the primary key is looked at first.
fn meaning(first: usize, error: sqlx::Error) -> Fault<CommitError> {
    match duplicate_key(&error) {
        Some("PRIMARY") => return Fault::Own(CommitError::SeqTaken),
        Some("message_identity") => return Fault::Own(CommitError::IdTaken),
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

/// What one conversation's cursors need.
struct End {
    members: Members,
    head: Seq,
}

/// Raises cursors, each write on what the former ones left; those of people who are not members are passed over.
async fn raise(db: &mut MySqlConnection, writes: &[CursorWrite]) -> Result<Vec<CursorMoved>, sqlx::Error> {
    let (mut standing, ends) = read_standing(db, writes).await?;
    let before = standing.clone();
    let mut moved = Vec::with_capacity(writes.len());
    for CursorWrite { conversation, user, cursors } in writes.iter().copied() {
        let key = (user, conversation);
        if let (Some(stored), Some(end)) = (standing.get_mut(&key), ends.get(&conversation)) {
            *stored = stored.max(cursors.normalized().clamped(end.head));
            moved.push(CursorMoved { conversation, user, cursors: *stored, audience: end.members.audience() });
        }
    }
    let changed: Vec<_> = standing.iter().filter(|(key, cursors)| before.get(*key) != Some(*cursors)).collect();
    if !changed.is_empty() {
        let mut text = Text::new(RAISE);
        text.each(changed, "(", ",(", |text, ((user, conversation), cursors)| {
            text.number(user.0).words(",").bytes(conversation.as_bytes());
            text.words(",").number(cursors.delivered.0).words(",").number(cursors.read.0).words(")");
        });
        text.words(RAISED);
        text.run(db).await?;
    }
    Ok(moved)
}

type Standing = HashMap<(UserId, ConversationId), Cursors>;

/// What stands, locked; and the ends of the conversations. One round trip.
async fn read_standing(
    db: &mut MySqlConnection,
    writes: &[CursorWrite],
) -> Result<(Standing, HashMap<ConversationId, End>), sqlx::Error> {
    let mut text = Text::default();
    let parts = writes.chunks(CURSORS_STATEMENT);
    let locks = parts.len();
    for part in parts {
        text.words(STANDING).each(part, "", " OR ", |text, write| {
            text.words("(user=").number(write.user.0);
            text.words(" AND conv=").bytes(write.conversation.as_bytes()).words(")");
        });
        text.words(" FOR UPDATE;");
    }
    text.words(ENDS);
    head::push_ids(&mut text, writes.iter().map(|write| &write.conversation));
    let results = text.run(db).await?;
    let mut standing = Standing::new();
    for row in results.iter().take(locks).flatten() {
        let cursors = Cursors { delivered: seq(row, 2)?, read: seq(row, 3)? };
        standing.insert((user(row, 0)?, conversation(row, 1)?), cursors);
    }
    let mut ends = HashMap::new();
    for row in results.iter().skip(locks).flatten() {
        let end = End { members: read_members(row)?, head: Seq(number_or_zero(row, 7)?) };
        ends.insert(conversation(row, 0)?, end);
    }
    Ok((standing, ends))
}
