//! Sync: what a device is told about a user's conversations, from one state (client.proto, `Sync`).
//!
//! Two kinds of statement: one for everything about a conversation but its messages (for a whole range at once), and
//! one for the messages after a cursor, only where there are any.

use rusqlite::{Connection, Row, params};
use whimbrel_core::limits::{SYNC_BYTES_MAX, SYNC_CONVERSATIONS_MAX, SYNC_MESSAGES_MAX};
use whimbrel_core::{
    ConversationId, ConversationKind, Counts, Cursors, Known, Message, MessageId, Seq, SyncAnswer, SyncQuestion,
    UserId, View, unread_direct,
};

use super::head::read_kind;
use super::timeline::read_message;
use super::value::{all, conversation, first, first_row, number, number_or_zero, seq, sql, user};

/// `h`: the last row that the user sees: that of their leaving, if they left. `r`: the row at the read cursor. `p`: the
/// other user's cursors (groups name nobody in `first` and `second`).
macro_rules! state_sql {
    ($range:literal) => {
        concat!(
            "SELECT m.conv, c.kind, c.first, c.second, c.floor, m.delivered, m.read, p.delivered, p.read, \
             h.seq, h.at, h.n, h.own, h.sender, h.message_id, r.n, r.own, r.sender, \
             m.since, m.until, m.own_total, m.n_read, m.own_read \
             FROM member m CROSS JOIN conversation c ON c.id = m.conv \
             LEFT JOIN member p ON p.user = CASE c.first WHEN m.user THEN c.second ELSE c.first END AND p.conv = m.conv \
             LEFT JOIN message h ON h.conv = m.conv AND h.seq = \
             CASE m.until WHEN 0 THEN (SELECT max(seq) FROM message WHERE conv = m.conv) ELSE m.until END \
             LEFT JOIN message r ON r.conv = m.conv AND r.seq = m.read \
             WHERE m.user = ?1 AND ",
            $range
        )
    };
}

const RANGE: &str = state_sql!("m.conv > ?2 AND m.conv <= ?3 ORDER BY m.conv LIMIT ?4");
const ONE: &str = state_sql!("m.conv = ?2");

/// Messages of a conversation after a place and up to another; columns as [`read_message`] wants them.
const BETWEEN: &str = "SELECT conv, seq, sender, device, message_id, kind, key_version, at, body \
     FROM message WHERE conv = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4";

/// A conversation but for its messages.
struct State {
    view: View,
    /// The message at the head.
    head_id: Option<MessageId>,
}

/// The answer to one question.
pub(super) fn answer(db: &Connection, user: UserId, question: &SyncQuestion) -> rusqlite::Result<SyncAnswer> {
    let (states, next) = if question.only_known { named(db, user, question)? } else { range(db, user, question)? };
    let mut budget = Budget::new(question.max_messages);
    let mut views = Vec::with_capacity(states.len());
    for State { mut view, head_id } in states {
        match question.known.binary_search_by_key(&view.conversation, |known| known.conversation) {
            Ok(index) => follow(db, &mut view, head_id, &question.known[index], &mut budget)?,
            // Nothing comes unasked: it is complete only if there is nothing.
            Err(_) => view.complete = view.head <= view.floor,
        }
        views.push(view);
    }
    Ok(SyncAnswer { id: question.id, views, next })
}

/// Every conversation of the user in the range, as far as one answer goes; and where it stopped.
fn range(
    db: &Connection,
    user: UserId,
    question: &SyncQuestion,
) -> rusqlite::Result<(Vec<State>, Option<ConversationId>)> {
    let after = question.after.as_ref().map_or(&[][..], |id| &id.as_bytes()[..]);
    let until = question.until.as_ref().map_or(&[0xff; 17][..], |id| &id.as_bytes()[..]);
    let mut states =
        all(db, RANGE, params![sql(user.0), after, until, sql(SYNC_CONVERSATIONS_MAX as u64 + 1)], |row| {
            read_state(row, user)
        })?;
    let more = states.len() > SYNC_CONVERSATIONS_MAX;
    states.truncate(SYNC_CONVERSATIONS_MAX);
    let next = states.last().filter(|_| more).map(|state| state.view.conversation);
    Ok((states, next))
}

/// The named conversations of the range; those that are not the user's are passed over.
fn named(
    db: &Connection,
    user: UserId,
    question: &SyncQuestion,
) -> rusqlite::Result<(Vec<State>, Option<ConversationId>)> {
    let inside = |known: &&Known| {
        question.after.is_none_or(|after| known.conversation > after)
            && question.until.is_none_or(|until| known.conversation <= until)
    };
    let mut ids = question.known.iter().filter(inside).map(|known| known.conversation).peekable();
    let mut states = Vec::new();
    let mut last = None;
    for id in ids.by_ref().take(SYNC_CONVERSATIONS_MAX) {
        states.extend(first_row(db, ONE, params![sql(user.0), id.as_bytes()], |row| read_state(row, user))?);
        last = Some(id);
    }
    let next = ids.peek().and(last);
    Ok((states, next))
}

fn read_state(row: &Row<'_>, me: UserId) -> rusqlite::Result<State> {
    let kind = read_kind(row, 1)?;
    let (one, two) = (user(row, 2)?, user(row, 3)?);
    let peer = (kind == ConversationKind::Direct).then_some(if one == me { two } else { one });
    let read = seq(row, 6)?;
    let until = seq(row, 19)?;
    let head = if until == Seq::ZERO { Seq(number_or_zero(row, 9)?) } else { until };
    let since = number(row, 18)?;
    let view = View {
        conversation: conversation(row, 0)?,
        kind,
        peer,
        head,
        head_at: number_or_zero(row, 10)?,
        floor: seq(row, 4)?.max(Seq(since.saturating_sub(1))).min(head),
        own: Cursors { delivered: seq(row, 5)?, read },
        unread: match kind {
            ConversationKind::Direct => unread_direct(counts(row, 11, me)?, counts(row, 15, me)?),
            ConversationKind::Private => 0,
            ConversationKind::Group => unread_group(row)?,
        },
        peer_cursors: Cursors { delivered: Seq(number_or_zero(row, 7)?), read: Seq(number_or_zero(row, 8)?) },
        reset: false,
        messages: Vec::new(),
        complete: false,
    };
    let head_id: Option<[u8; 16]> = row.get(14)?;
    Ok(State { view, head_id: head_id.map(MessageId::from_bytes) })
}

/// What others said after the read cursor, as the member row and the last row's `n` have it.
fn unread_group(row: &Row<'_>) -> rusqlite::Result<u64> {
    let (own_total, n_read, own_read) = (number(row, 20)?, number(row, 21)?, number(row, 22)?);
    let n = number_or_zero(row, 11)?;
    Ok(n.saturating_sub(n_read).saturating_sub(own_total - own_read))
}

/// The counts in three columns (n, own, sender); zeros where there is no row.
fn counts(row: &Row<'_>, at: usize, me: UserId) -> rusqlite::Result<Counts> {
    if row.get_ref(at)?.data_type() == rusqlite::types::Type::Null {
        return Ok(Counts::default());
    }
    Ok(Counts::for_user(number(row, at)?, number(row, at + 1)?, user(row, at + 2)? == me))
}

/// Fills a view with what follows the device's cursor.
fn follow(
    db: &Connection,
    view: &mut View,
    head_id: Option<MessageId>,
    known: &Known,
    budget: &mut Budget,
) -> rusqlite::Result<()> {
    if !belongs(db, view, head_id, known)? {
        view.reset = true;
        return Ok(());
    }
    let start = known.cursor.max(view.floor);
    if start < view.head && !budget.is_spent() {
        view.messages = budget.take_from(db, view.conversation, start, view.head)?;
    }
    let end = view.messages.last().map_or(start, |message| message.seq);
    view.complete = end >= view.head;
    Ok(())
}

/// Whether the device's run is one of this timeline: it ends within, at the same message.
fn belongs(db: &Connection, view: &View, head_id: Option<MessageId>, known: &Known) -> rusqlite::Result<bool> {
    if known.cursor > view.head {
        return Ok(false);
    }
    let Some(expected) = known.message_id.filter(|_| known.cursor > Seq::ZERO) else { return Ok(true) };
    let stored = if known.cursor == view.head {
        head_id
    } else {
        let sql_text = "SELECT message_id FROM message WHERE conv = ?1 AND seq = ?2";
        let key = params![view.conversation.as_bytes(), sql(known.cursor.0)];
        first::<[u8; 16]>(db, sql_text, key)?.map(MessageId::from_bytes)
    };
    // At or below the floor a row may be gone: nothing speaks against the device then.
    Ok(stored.map_or(known.cursor <= view.floor, |stored| stored == expected))
}

/// What one answer may still hold.
struct Budget {
    messages: usize,
    bytes: usize,
    /// The first message always goes, however long: so an answer never stands still.
    untouched: bool,
}

impl Budget {
    /// 0 means the server's own limit, as in the protocol.
    fn new(max_messages: usize) -> Self {
        let messages = if max_messages == 0 { SYNC_MESSAGES_MAX } else { max_messages.min(SYNC_MESSAGES_MAX) };
        Self { messages, bytes: SYNC_BYTES_MAX, untouched: true }
    }

    fn is_spent(&self) -> bool {
        self.messages == 0 || self.bytes == 0
    }

    /// Whether one more of this length fits; what does not fit spends the rest, so that order is kept.
    fn fits(&mut self, len: usize) -> bool {
        if len > self.bytes && !self.untouched {
            self.bytes = 0;
            return false;
        }
        self.untouched = false;
        self.messages -= 1;
        self.bytes = self.bytes.saturating_sub(len);
        true
    }

    fn take_from(
        &mut self,
        db: &Connection,
        conversation: ConversationId,
        after: Seq,
        until: Seq,
    ) -> rusqlite::Result<Vec<Message>> {
        let mut statement = db.prepare_cached(BETWEEN)?;
        let limit = sql(self.messages as u64);
        let mut rows = statement.query(params![conversation.as_bytes(), sql(after.0), sql(until.0), limit])?;
        let mut messages = Vec::new();
        while let Some(row) = rows.next()? {
            let message = read_message(row)?;
            if !self.fits(message.body.len()) {
                break;
            }
            messages.push(message);
        }
        Ok(messages)
    }
}
