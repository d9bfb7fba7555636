//! [`History`] on SQLite: one read, one state.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use whimbrel_core::{ConversationId, Message, Seq, UserId};

use super::SqliteStore;
use super::timeline::read_message;
use super::value::{all, first_row, number, number_or_zero, sql};
use crate::StoreError;
use crate::history::{FollowUps, History, HistoryPage, PageAt, Ranges, Room, Said, Sight, next_places};

/// What the user sees of it, if they are or were in it.
pub(super) const SIGHT: &str = "SELECT m.since, m.until, c.floor, (SELECT max(seq) FROM message WHERE conv = ?2) \
     FROM member m CROSS JOIN conversation c ON c.id = m.conv WHERE m.user = ?1 AND m.conv = ?2";

/// The times before the present one of somebody who came back to a group.
pub(super) const EARLIER: &str = "SELECT since, until FROM member_span WHERE user = ?1 AND conv = ?2";

pub(super) const AT: &str = "SELECT at FROM message WHERE conv = ?1 AND seq = ?2";

const UP: &str = "SELECT conv, seq, sender, device, message_id, kind, key_version, at, body \
     FROM message WHERE conv = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq";

const DOWN: &str = "SELECT conv, seq, sender, device, message_id, kind, key_version, at, body \
     FROM message WHERE conv = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq DESC";

/// Notes beyond (?4, ?5), of both tables in one order; each side reads no more than the whole may hold.
pub(super) const ABOUT: &str = "SELECT m.conv, m.seq, m.sender, m.device, m.message_id, m.kind, m.key_version, m.at, \
     m.body, a.target FROM (\
     SELECT target, seq FROM (SELECT target, seq FROM follow_up WHERE conv = ?1 AND target BETWEEN ?2 AND ?3 \
     AND (target, seq) > (?4, ?5) ORDER BY target, seq LIMIT ?6) UNION ALL \
     SELECT target, seq FROM (SELECT target, seq FROM mark WHERE conv = ?1 AND target BETWEEN ?2 AND ?3 \
     AND (target, seq) > (?4, ?5) ORDER BY target, seq LIMIT ?6) ORDER BY target, seq LIMIT ?6) a \
     CROSS JOIN message m ON m.conv = ?1 AND m.seq = a.seq ORDER BY a.target, a.seq";

#[async_trait]
impl History for SqliteStore {
    async fn history(
        &self,
        user: UserId,
        conversation: ConversationId,
        from: PageAt,
        limit: usize,
    ) -> Result<Option<HistoryPage>, StoreError> {
        self.shared.readers.read(move |db| Ok(page(db, user, conversation, from, limit)?)).await
    }

    async fn follow_ups(
        &self,
        user: UserId,
        conversation: ConversationId,
        about: RangeInclusive<Seq>,
        after: (Seq, Seq),
        limit: usize,
    ) -> Result<Option<FollowUps>, StoreError> {
        self.shared.readers.read(move |db| Ok(follow_ups(db, user, conversation, about, after, limit)?)).await
    }

    async fn said_by(
        &self,
        user: UserId,
        after: Option<(ConversationId, Seq)>,
        look: usize,
    ) -> Result<Said, StoreError> {
        self.shared.readers.read(move |db| Ok(said_by(db, user, after, look)?)).await
    }
}

/// The end and the floor of a conversation.
pub(super) const ENDS: &str =
    "SELECT floor, (SELECT max(seq) FROM message WHERE conv = ?1) FROM conversation WHERE id = ?1";

pub(super) const NEXT: &str = "SELECT conv FROM member WHERE user = ?1 AND conv > ?2 ORDER BY conv LIMIT 1";

const SAID: &str = "SELECT conv, seq, sender, device, message_id, kind, key_version, at, body \
     FROM message WHERE conv = ?1 AND seq BETWEEN ?2 AND ?3 AND sender = ?4 AND kind < 1000 ORDER BY seq";

/// The next ranges of places in the user's conversations, `look` places altogether (a conversation counts as one more); and
/// where to go on.
pub(super) fn ranges(
    db: &Connection,
    user: UserId,
    after: Option<(ConversationId, Seq)>,
    look: usize,
) -> rusqlite::Result<(Ranges, Option<(ConversationId, Seq)>)> {
    let (mut at, mut left, mut found) = (after, look as u64, Vec::new());
    loop {
        if let Some((conversation, seq)) = at {
            let ends =
                first_row(db, ENDS, [conversation.as_bytes()], |row| Ok((number(row, 0)?, number_or_zero(row, 1)?)))?;
            let (floor, head) = ends.unwrap_or((0, 0));
            if let Some(range) = next_places(seq.0, floor, head, left) {
                left -= range.end() + 1 - range.start();
                let end = Seq(*range.end());
                found.push((conversation, range));
                if left == 0 {
                    return Ok((found, Some((conversation, end))));
                }
            }
        }
        let behind = at.as_ref().map_or(&[][..], |(conversation, _)| &conversation.as_bytes()[..]);
        let next = first_row(db, NEXT, params![sql(user.0), behind], |row| super::value::conversation(row, 0))?;
        let Some(next) = next else { return Ok((found, None)) };
        at = Some((next, Seq::ZERO));
        left = left.saturating_sub(1);
        if left == 0 {
            return Ok((found, at));
        }
    }
}

fn said_by(db: &Connection, user: UserId, after: Option<(ConversationId, Seq)>, look: usize) -> rusqlite::Result<Said> {
    let (ranges, next) = ranges(db, user, after, look)?;
    let (mut messages, mut room) = (Vec::new(), Room::of(1));
    for (conversation, range) in ranges {
        let mut statement = db.prepare_cached(SAID)?;
        let values = params![conversation.as_bytes(), sql(*range.start()), sql(*range.end()), sql(user.0)];
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            let message = read_message(row)?;
            if !room.fits(message.body.len()) {
                return Ok(Said { next: Some((conversation, Seq(message.seq.0 - 1))), messages });
            }
            messages.push(message);
        }
    }
    Ok(Said { messages, next })
}

pub(super) fn sight(db: &Connection, user: UserId, conversation: ConversationId) -> rusqlite::Result<Option<Sight>> {
    let key = params![sql(user.0), conversation.as_bytes()];
    let span = |row: &Row<'_>| Ok((number(row, 0)?, number(row, 1)?));
    let ends = first_row(db, SIGHT, key, |row| Ok((span(row)?, number(row, 2)?, number_or_zero(row, 3)?)))?;
    let Some((present, floor, head)) = ends else { return Ok(None) };
    let mut spans = all(db, EARLIER, key, span)?;
    spans.push(present);
    Ok(Some(Sight::of(spans, floor, head)))
}

fn page(
    db: &Connection,
    user: UserId,
    conversation: ConversationId,
    from: PageAt,
    limit: usize,
) -> rusqlite::Result<Option<HistoryPage>> {
    let Some(sight) = sight(db, user, conversation)? else { return Ok(None) };
    let at = match from {
        PageAt::At(at) => first_since(db, conversation, sight.first() - 1, sight.last(), at)?,
        _ => 0,
    };
    let [down, up] = sight.page(from, at, limit);
    let directions = [&down, &up].into_iter().flatten().count();
    let mut messages = read(db, DOWN, conversation, down, directions)?;
    messages.reverse();
    messages.extend(read(db, UP, conversation, up, directions)?);
    Ok(Some(HistoryPage { first: Seq(sight.first()), last: Seq(sight.last()), messages }))
}

fn read(
    db: &Connection,
    statement: &str,
    conversation: ConversationId,
    range: Option<RangeInclusive<u64>>,
    directions: usize,
) -> rusqlite::Result<Vec<Message>> {
    let (mut messages, mut room) = (Vec::new(), Room::of(directions));
    let Some(range) = range else { return Ok(messages) };
    let mut statement = db.prepare_cached(statement)?;
    let mut rows = statement.query(params![conversation.as_bytes(), sql(*range.start()), sql(*range.end())])?;
    while let Some(row) = rows.next()? {
        let message = read_message(row)?;
        if !room.fits(message.body.len()) {
            break;
        }
        messages.push(message);
    }
    Ok(messages)
}

/// The first place in (`after`, `upto`] of this time or later; the one behind if there is none.
pub(super) fn first_since(
    db: &Connection,
    conversation: ConversationId,
    after: u64,
    upto: u64,
    at: u64,
) -> rusqlite::Result<u64> {
    let (mut low, mut high) = (after + 1, upto.max(after) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let placed = first_row(db, AT, params![conversation.as_bytes(), sql(middle)], |row| number(row, 0))?;
        match placed {
            Some(placed) if placed >= at => high = middle,
            // Where a row is missing one looks on behind it.
            _ => low = middle + 1,
        }
    }
    Ok(low)
}

fn follow_ups(
    db: &Connection,
    user: UserId,
    conversation: ConversationId,
    about: RangeInclusive<Seq>,
    after: (Seq, Seq),
    limit: usize,
) -> rusqlite::Result<Option<FollowUps>> {
    let Some(sight) = sight(db, user, conversation)? else { return Ok(None) };
    let mut found = FollowUps { messages: Vec::new(), next: None };
    let (from, to) = (about.start().0.max(sight.first()), about.end().0.min(sight.last()));
    if from > to {
        return Ok(Some(found));
    }
    let mut statement = db.prepare_cached(ABOUT)?;
    let (target, seq) = (sql(after.0.0), sql(after.1.0));
    let values = params![conversation.as_bytes(), sql(from), sql(to), target, seq, sql(limit as u64)];
    let (mut rows, mut room, mut read) = (statement.query(values)?, Room::of(1), 0);
    while let Some(row) = rows.next()? {
        let message = read_message(row)?;
        let fits = room.fits(message.body.len());
        if !fits {
            return Ok(Some(found));
        }
        read += 1;
        let target = Seq(number(row, 9)?);
        found.next = Some((target, message.seq));
        // When the user is away others go on.
        if sight.sees(target) && sight.sees(message.seq) {
            found.messages.push(message);
        }
    }
    found.next = found.next.filter(|_| read == limit);
    Ok(Some(found))
}
