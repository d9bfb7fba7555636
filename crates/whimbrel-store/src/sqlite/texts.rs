//! What messages say, and the words by which it is found: written with what changes it. Runs on the writer only.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use whimbrel_core::{ConversationId, Message, MessageKind, Seq, UserId};

use super::value::{all, conversation, first, first_row, number, number_or_zero, run, seq, small, sql, user};
use crate::search::texts::{self, Deed};
use crate::search::words;

/// A text's id is its time and so many bits of its own.
pub(super) const TIE_BITS: u32 = 20;

/// Texts of these messages, by key: a message's time says where its text stands.
macro_rules! text_sql {
    ($condition:literal) => {
        concat!(
            "SELECT t.id, t.conv, t.sender, t.text FROM message m CROSS JOIN message_text t \
             ON t.conv = m.conv AND t.id BETWEEN m.at << 20 AND (m.at << 20) + 1048575 AND t.seq = m.seq \
             WHERE m.conv = ?1 AND ",
            $condition
        )
    };
}

pub(super) const TEXT: &str = text_sql!("m.seq = ?2");
pub(super) const SAID_BY: &str = text_sql!("m.seq BETWEEN ?2 AND ?3 AND m.sender = ?4");
pub(super) const OLD: &str = text_sql!("m.seq < ?2 AND m.seq < (SELECT min(seq) FROM message WHERE conv = ?1) + ?3");

pub(super) const LAST_ID: &str = "SELECT max(id) FROM message_text WHERE id BETWEEN ?1 AND ?2";

const INSERT: &str =
    "INSERT INTO message_text (id, conv, seq, sender, kind, at, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

const ADD_WORDS: &str = "INSERT INTO message_word (rowid, words) VALUES (?1, ?2)";

/// An index that holds no texts is told what it forgets.
const DROP_WORDS: &str = "INSERT INTO message_word (message_word, rowid, words) VALUES ('delete', ?1, ?2)";

const MESSAGE: &str = "SELECT seq, sender, kind, at, key_version, body FROM message WHERE conv = ?1 AND seq = ?2";

pub(super) const FOLLOW_UPS: &str = "SELECT m.kind, m.key_version, m.body FROM follow_up f \
     CROSS JOIN message m ON m.conv = f.conv AND m.seq = f.seq WHERE f.conv = ?1 AND f.target = ?2 ORDER BY f.seq";

/// A text that stands.
struct Stands {
    id: i64,
    conversation: ConversationId,
    sender: UserId,
    text: String,
}

/// A message whose text is to be kept.
struct Said {
    seq: Seq,
    sender: UserId,
    at: u64,
    row: texts::Row,
}

/// What rows that were placed do. Nothing, if no body of them can be read.
pub(super) fn placed<'a>(db: &Connection, rows: impl IntoIterator<Item = &'a Message>) -> rusqlite::Result<()> {
    apply(db, texts::deeds(rows))
}

fn apply(db: &Connection, deeds: BTreeMap<(ConversationId, Seq), Deed>) -> rusqlite::Result<()> {
    for ((conversation, seq), deed) in deeds {
        match deed {
            Deed::Put { sender, kind, at, text } => {
                put(db, conversation, seq, (sender, kind, at), &text)?;
            }
            Deed::Drop => drop_at(db, conversation, seq)?,
            Deed::Replace(text) => match stands(db, conversation, seq)? {
                Some(old) => replace(db, &old, &text)?,
                None => begin(db, conversation, seq, |_| Ok(Some(text)))?,
            },
            Deed::Append(more) => match stands(db, conversation, seq)? {
                Some(old) => replace(db, &old, &texts::extended(old.text.clone(), &more))?,
                None => begin(db, conversation, seq, |said| whole(db, conversation, said))?,
            },
        }
    }
    Ok(())
}

fn stands(db: &Connection, conversation: ConversationId, seq: Seq) -> rusqlite::Result<Option<Stands>> {
    first_row(db, TEXT, params![conversation.as_bytes(), sql(seq.0)], read_stands)
}

fn read_stands(row: &Row<'_>) -> rusqlite::Result<Stands> {
    Ok(Stands { id: row.get(0)?, conversation: conversation(row, 1)?, sender: user(row, 2)?, text: row.get(3)? })
}

/// A text for a message that has none: what it said was not taken up yet, or nothing.
fn begin(
    db: &Connection,
    conversation: ConversationId,
    seq: Seq,
    text: impl FnOnce(&Said) -> rusqlite::Result<Option<String>>,
) -> rusqlite::Result<()> {
    let said = first_row(db, MESSAGE, params![conversation.as_bytes(), sql(seq.0)], read_said)?;
    let Some(said) = said.filter(|said| said.row.key_version == 0 && !said.row.body.is_empty()) else { return Ok(()) };
    if let Some(text) = text(&said)?.filter(|text| !text.is_empty()) {
        put(db, conversation, seq, (said.sender, said.row.kind, said.at), &text)?;
    }
    Ok(())
}

fn read_said(row: &Row<'_>) -> rusqlite::Result<Said> {
    let body = Bytes::copy_from_slice(row.get_ref(5)?.as_blob()?);
    let kept = texts::Row { kind: MessageKind(small(row, 2)?), key_version: small(row, 4)?, body };
    Ok(Said { seq: seq(row, 0)?, sender: user(row, 1)?, at: number(row, 3)?, row: kept })
}

/// What a message says now, by its rows.
fn whole(db: &Connection, conversation: ConversationId, said: &Said) -> rusqlite::Result<Option<String>> {
    let follow_ups = all(db, FOLLOW_UPS, params![conversation.as_bytes(), sql(said.seq.0)], |row| {
        let body = Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?);
        Ok(texts::Row { kind: MessageKind(small(row, 0)?), key_version: small(row, 1)?, body })
    })?;
    Ok(texts::whole(&said.row, &follow_ups))
}

fn put(
    db: &Connection,
    conversation: ConversationId,
    seq: Seq,
    (sender, kind, at): (UserId, MessageKind, u64),
    text: &str,
) -> rusqlite::Result<()> {
    // Where there are more in one millisecond than it can count, or the time is none, there is no text: no placing fails
    // for it.
    if at >= 1 << (63 - TIE_BITS) {
        return Ok(());
    }
    let first_id = sql(at << TIE_BITS);
    let last_id = first_id + (1 << TIE_BITS) - 1;
    let id = first::<Option<i64>>(db, LAST_ID, params![first_id, last_id])?.flatten().map_or(first_id, |id| id + 1);
    if id > last_id {
        return Ok(());
    }
    let values = params![id, conversation.as_bytes(), sql(seq.0), sql(sender.0), kind.0, sql(at), text];
    run(db, INSERT, values)?;
    run(db, ADD_WORDS, params![id, words::of_text(conversation, sender, text)])?;
    Ok(())
}

fn replace(db: &Connection, old: &Stands, text: &str) -> rusqlite::Result<()> {
    if text.is_empty() {
        return drop_text(db, old);
    }
    drop_words(db, old)?;
    run(db, "UPDATE message_text SET text = ?2 WHERE id = ?1", params![old.id, text])?;
    run(db, ADD_WORDS, params![old.id, words::of_text(old.conversation, old.sender, text)])?;
    Ok(())
}

fn drop_words(db: &Connection, old: &Stands) -> rusqlite::Result<()> {
    let words = words::of_text(old.conversation, old.sender, &old.text);
    run(db, DROP_WORDS, params![old.id, words]).map(drop)
}

fn drop_text(db: &Connection, old: &Stands) -> rusqlite::Result<()> {
    drop_words(db, old)?;
    run(db, "DELETE FROM message_text WHERE id = ?1", [old.id]).map(drop)
}

/// Nothing is left of this message.
pub(super) fn drop_at(db: &Connection, conversation: ConversationId, seq: Seq) -> rusqlite::Result<()> {
    stands(db, conversation, seq)?.map_or(Ok(()), |old| drop_text(db, &old))
}

/// Nothing is left of what this one said here.
pub(super) fn drop_said_by(
    db: &Connection,
    user: UserId,
    conversation: ConversationId,
    range: &RangeInclusive<u64>,
) -> rusqlite::Result<()> {
    let values = params![conversation.as_bytes(), sql(*range.start()), sql(*range.end()), sql(user.0)];
    for old in all(db, SAID_BY, values, read_stands)? {
        drop_text(db, &old)?;
    }
    Ok(())
}

/// Nothing is left of what stands below the floor, among the first `limit` places; before the messages go.
pub(super) fn drop_below(
    db: &Connection,
    conversation: ConversationId,
    floor: u64,
    limit: i64,
) -> rusqlite::Result<()> {
    for old in all(db, OLD, params![conversation.as_bytes(), sql(floor), limit], read_stands)? {
        drop_text(db, &old)?;
    }
    Ok(())
}

const WALK: &str = "SELECT conv, seq, done FROM text_walk";
const WALKED: &str = "INSERT OR REPLACE INTO text_walk (id, conv, seq, done) VALUES (1, ?1, ?2, ?3)";
const NEXT: &str = "SELECT id FROM conversation WHERE id > ?1 ORDER BY id LIMIT 1";
const ENDS: &str = "SELECT floor, (SELECT max(seq) FROM message WHERE conv = ?1) FROM conversation WHERE id = ?1";
const READABLE: &str = "SELECT seq, sender, kind, at, key_version, body FROM message \
     WHERE conv = ?1 AND seq > ?2 AND seq <= ?3 AND key_version = 0 AND kind BETWEEN 1 AND 499 ORDER BY seq";

/// Whether everything from before was taken up.
pub(super) fn is_walked(db: &Connection) -> rusqlite::Result<bool> {
    Ok(first_row(db, WALK, [], |row| row.get::<_, bool>(2))?.unwrap_or(false))
}

/// Takes up the texts of the next `look` places (a conversation counts as one more); whether there are more.
pub(super) fn take_up(db: &Connection, look: usize) -> rusqlite::Result<bool> {
    let state = first_row(db, WALK, [], |row| Ok((row.get::<_, Vec<u8>>(0)?, number(row, 1)?, row.get(2)?)))?;
    let (mut conv, mut place, done): (Vec<u8>, u64, bool) = state.unwrap_or_default();
    if done {
        return Ok(false);
    }
    let mut left = look as u64;
    let more = loop {
        if let Ok(id) = <[u8; 16]>::try_from(&conv[..]) {
            let id = ConversationId::from_bytes(id);
            let ends = first_row(db, ENDS, [id.as_bytes()], |row| Ok((number(row, 0)?, number_or_zero(row, 1)?)))?;
            let (floor, head) = ends.unwrap_or_default();
            let from = place.max(floor);
            if from < head {
                place = head.min(from.saturating_add(left));
                left -= place - from;
                take_up_places(db, id, from, place)?;
            }
            if left == 0 {
                break true;
            }
        }
        let Some(next) = first_row(db, NEXT, [&conv], |row| row.get::<_, Vec<u8>>(0))? else { break false };
        (conv, place) = (next, 0);
        left = left.saturating_sub(1);
        if left == 0 {
            break true;
        }
    };
    run(db, WALKED, params![conv, sql(place), !more])?;
    Ok(more)
}

fn take_up_places(db: &Connection, id: ConversationId, after: u64, upto: u64) -> rusqlite::Result<()> {
    for said in all(db, READABLE, params![id.as_bytes(), sql(after), sql(upto)], read_said)? {
        if stands(db, id, said.seq)?.is_none()
            && let Some(text) = whole(db, id, &said)?
        {
            put(db, id, said.seq, (said.sender, said.row.kind, said.at), &text)?;
        }
    }
    Ok(())
}
