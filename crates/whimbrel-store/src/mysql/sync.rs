//! Sync: what a device is told about a user's conversations, from one state (client.proto, `Sync`).
//!
//! Whatever the number of conversations, at most five round trips: the snapshot with everything about the conversations
//! but their messages; the messages at the devices' cursors; the lengths of what follows, if that is more than a few
//! rows; what follows, as far as the answer holds; the end. The snapshot is a read-only transaction of its own
//! (REPEATABLE READ): it locks nothing.

use hashbrown::HashMap;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{Executor, Row};
use whimbrel_core::limits::{SYNC_BYTES_MAX, SYNC_CONVERSATIONS_MAX, SYNC_MESSAGES_MAX};
use whimbrel_core::{
    ConversationId, ConversationKind, Counts, Cursors, Known, MessageId, Seq, SyncAnswer, SyncQuestion, UserId, View,
    unread_direct,
};

use super::head::{last_seq, push_ids, read_kind};
use super::text::Text;
use super::timeline::{COLUMNS, read_message};
use super::value::{conversation, message_id, number, number_or_zero, seq, user};

pub(super) const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;\
     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;";

/// `h`: the last row that the user sees. `r`: the row at the read cursor, of direct conversations. `p`: the other user's
/// cursors.
const STATES: &str = concat!(
    "SELECT m.conv, c.kind, c.first, c.second, c.floor, m.delivered, m.`read`, p.delivered, p.`read`, \
     h.seq, h.at, h.n, h.own, h.sender, h.message_id, r.n, r.own, r.sender, \
     m.since, m.until, m.own_total, m.n_read, m.own_read \
     FROM member m STRAIGHT_JOIN conversation c ON c.id = m.conv \
     LEFT JOIN member p ON p.user = CASE c.first WHEN m.user THEN c.second ELSE c.first END AND p.conv = m.conv \
     LEFT JOIN message h ON h.conv = m.conv AND h.seq = CASE m.until WHEN 0 THEN ",
    last_seq!("m.conv"),
    " ELSE m.until END LEFT JOIN message r ON r.conv = m.conv AND r.seq = m.`read` WHERE m.user = "
);

/// Up to so many rows are fetched without asking how long they are: an answer's bytes may cut off the rest.
const ROWS_UNASKED: u64 = 32;

/// A conversation but for its messages.
struct State {
    view: View,
    /// The message at the head.
    head_id: Option<MessageId>,
}

/// What follows a device's cursor in a conversation: `after < seq ≤ until`, all of which is there.
struct Gap {
    view: usize,
    after: Seq,
    until: Seq,
}

/// The answer to one question.
pub(super) async fn answer(
    db: &mut MySqlConnection,
    user: UserId,
    question: &SyncQuestion,
) -> Result<SyncAnswer, sqlx::Error> {
    let (states, next) = states(db, user, question).await?;
    let at_cursors = at_cursors(db, &states, &question.known).await?;
    let mut views = Vec::with_capacity(states.len());
    let mut gaps = Vec::new();
    for State { mut view, head_id } in states {
        match known(&question.known, view.conversation) {
            Some(known) if belongs(&view, head_id, known, &at_cursors) => {
                let after = known.cursor.max(view.floor);
                view.complete = after >= view.head;
                if !view.complete {
                    gaps.push(Gap { view: views.len(), after, until: view.head });
                }
            }
            Some(_) => view.reset = true,
            // Nothing comes unasked: it is complete only if there is nothing.
            None => view.complete = view.head <= view.floor,
        }
        views.push(view);
    }
    fill(db, &mut views, gaps, question.max_messages).await?;
    db.execute("COMMIT").await?;
    Ok(SyncAnswer { id: question.id, views, next })
}

fn known(all: &[Known], conversation: ConversationId) -> Option<&Known> {
    let index = all.binary_search_by_key(&conversation, |known| known.conversation).ok()?;
    all.get(index)
}

/// Opens the snapshot, and reads the conversations that the question is about, as far as one answer goes; and where it
/// stopped.
async fn states(
    db: &mut MySqlConnection,
    user: UserId,
    question: &SyncQuestion,
) -> Result<(Vec<State>, Option<ConversationId>), sqlx::Error> {
    let mut text = Text::new(SNAPSHOT);
    let mut named_next = None;
    if question.only_known {
        let (ids, next) = named(question);
        named_next = next;
        if !ids.is_empty() {
            text.words(STATES).number(user.0).words(" AND m.conv IN ");
            push_ids(&mut text, ids.iter());
            text.words(" ORDER BY m.conv");
        }
    } else {
        text.words(STATES).number(user.0);
        if let Some(after) = &question.after {
            text.words(" AND m.conv > ").bytes(after.as_bytes());
        }
        if let Some(until) = &question.until {
            text.words(" AND m.conv <= ").bytes(until.as_bytes());
        }
        text.words(" ORDER BY m.conv LIMIT ").number(SYNC_CONVERSATIONS_MAX as u64 + 1);
    }
    let rows = text.rows(db).await?;
    let mut states = rows.iter().map(|row| read_state(row, user)).collect::<Result<Vec<_>, _>>()?;
    if question.only_known {
        return Ok((states, named_next));
    }
    let more = states.len() > SYNC_CONVERSATIONS_MAX;
    states.truncate(SYNC_CONVERSATIONS_MAX);
    let next = states.last().filter(|_| more).map(|state| state.view.conversation);
    Ok((states, next))
}

/// The named conversations of the range, as far as one answer goes; and where it stopped.
fn named(question: &SyncQuestion) -> (Vec<ConversationId>, Option<ConversationId>) {
    let inside = |known: &&Known| {
        question.after.is_none_or(|after| known.conversation > after)
            && question.until.is_none_or(|until| known.conversation <= until)
    };
    let mut all = question.known.iter().filter(inside).map(|known| known.conversation).peekable();
    let ids: Vec<_> = all.by_ref().take(SYNC_CONVERSATIONS_MAX).collect();
    let next = all.peek().and(ids.last().copied());
    (ids, next)
}

fn read_state(row: &MySqlRow, me: UserId) -> Result<State, sqlx::Error> {
    let kind = read_kind(row, 1)?;
    let (one, two) = (user(row, 2)?, user(row, 3)?);
    let peer = (kind == ConversationKind::Direct).then_some(if one == me { two } else { one });
    // What they see begins with `since`, and ends with `until` once they have left.
    let (since, until) = (number(row, 18)?, number(row, 19)?);
    let head = Seq(if until == 0 { number_or_zero(row, 9)? } else { until });
    let view = View {
        conversation: conversation(row, 0)?,
        kind,
        peer,
        head,
        head_at: number_or_zero(row, 10)?,
        floor: seq(row, 4)?.max(Seq(since.saturating_sub(1))).min(head),
        own: Cursors { delivered: seq(row, 5)?, read: seq(row, 6)? },
        unread: match kind {
            ConversationKind::Direct => unread_direct(counts(row, 11, me)?, counts(row, 15, me)?),
            ConversationKind::Group => unread_in_group(row)?,
            ConversationKind::Private => 0,
        },
        peer_cursors: match peer {
            Some(_) => Cursors { delivered: Seq(number_or_zero(row, 7)?), read: Seq(number_or_zero(row, 8)?) },
            None => Cursors::default(),
        },
        reset: false,
        messages: Vec::new(),
        complete: false,
    };
    let head_id = row.try_get::<Option<&[u8]>, _>(14)?.map(|_| message_id(row, 14)).transpose()?;
    Ok(State { view, head_id })
}

/// What others said between the read cursor and the end. Where the last row that somebody saw is gone, there is nothing.
fn unread_in_group(row: &MySqlRow) -> Result<u64, sqlx::Error> {
    let (own_total, n_read, own_read) = (number(row, 20)?, number(row, 21)?, number(row, 22)?);
    Ok(number_or_zero(row, 11)?.saturating_sub(n_read).saturating_sub(own_total.saturating_sub(own_read)))
}

/// The counts in three columns (n, own, sender); zeros where there is no row.
fn counts(row: &MySqlRow, at: usize, me: UserId) -> Result<Counts, sqlx::Error> {
    if row.try_get::<Option<u64>, _>(at)?.is_none() {
        return Ok(Counts::default());
    }
    Ok(Counts::for_user(number(row, at)?, number(row, at + 1)?, user(row, at + 2)? == me))
}

type Place = (ConversationId, Seq);

/// The message ids at the cursors that lie within a conversation and come with one.
async fn at_cursors(
    db: &mut MySqlConnection,
    states: &[State],
    all: &[Known],
) -> Result<HashMap<Place, MessageId>, sqlx::Error> {
    let named = states.iter().filter_map(|state| Some((state, known(all, state.view.conversation)?)));
    let asked = named.filter(|(state, known)| {
        known.message_id.is_some() && known.cursor > Seq::ZERO && known.cursor < state.view.head
    });
    let mut text = Text::default();
    let words = "SELECT conv, seq, message_id FROM message FORCE INDEX (PRIMARY) WHERE ";
    text.each(asked, words, " OR ", |text, (_, known)| {
        text.words("(conv=").bytes(known.conversation.as_bytes()).words(" AND seq=").number(known.cursor.0).words(")");
    });
    if text.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = text.rows(db).await?;
    rows.iter().map(|row| Ok(((conversation(row, 0)?, seq(row, 1)?), message_id(row, 2)?))).collect()
}

/// Whether the device's run is one of this timeline: it ends within, at the same message.
fn belongs(view: &View, head_id: Option<MessageId>, known: &Known, at_cursors: &HashMap<Place, MessageId>) -> bool {
    if known.cursor > view.head {
        return false;
    }
    let Some(expected) = known.message_id.filter(|_| known.cursor > Seq::ZERO) else { return true };
    let stored =
        if known.cursor == view.head { head_id } else { at_cursors.get(&(view.conversation, known.cursor)).copied() };
    // At or below the floor a row may be gone: nothing speaks against the device then.
    stored.map_or(known.cursor <= view.floor, |stored| stored == expected)
}

/// Fetches what follows into the views, in their order, within what one answer holds. The first message always goes,
/// however long: so an answer never stands still.
async fn fill(
    db: &mut MySqlConnection,
    views: &mut [View],
    mut gaps: Vec<Gap>,
    max_messages: usize,
) -> Result<(), sqlx::Error> {
    // 0 means the server's own limit, as in the protocol.
    let limit = if max_messages == 0 { SYNC_MESSAGES_MAX } else { max_messages.min(SYNC_MESSAGES_MAX) };
    let mut rows = cut_to_rows(&mut gaps, limit as u64);
    if rows > ROWS_UNASKED {
        rows = cut_to_bytes(db, views, &mut gaps).await?;
    }
    if rows == 0 {
        return Ok(());
    }
    let found = ranges(COLUMNS, views, &gaps).rows(db).await?;
    let mut found = found.iter().map(read_message).peekable();
    let mut bytes = Bytes::new();
    for gap in gaps {
        let view = &mut views[gap.view];
        while let Some(message) = found.next_if(|message| !is_of_another(message, view.conversation)) {
            let message = message?;
            if !bytes.fit(message.body.len()) {
                return Ok(());
            }
            view.messages.push(message);
        }
        view.complete = view.messages.last().map_or(gap.after, |message| message.seq) >= view.head;
    }
    Ok(())
}

fn is_of_another(message: &Result<whimbrel_core::Message, sqlx::Error>, conversation: ConversationId) -> bool {
    message.as_ref().is_ok_and(|message| message.conversation != conversation)
}

/// Keeps the first `limit` rows of the gaps; how many are left. A gap has a row for each of its places.
fn cut_to_rows(gaps: &mut Vec<Gap>, limit: u64) -> u64 {
    let mut left = limit;
    gaps.retain_mut(|gap| {
        let take = left.min(gap.until.0 - gap.after.0);
        gap.until = Seq(gap.after.0 + take);
        left -= take;
        take > 0
    });
    limit - left
}

/// Keeps those rows whose bodies fit into an answer; how many are left.
async fn cut_to_bytes(db: &mut MySqlConnection, views: &[View], gaps: &mut Vec<Gap>) -> Result<u64, sqlx::Error> {
    let lengths = ranges("SELECT conv, OCTET_LENGTH(body)", views, gaps).rows(db).await?;
    let (mut fitting, mut bytes) = (0, Bytes::new());
    for row in &lengths {
        let len: i64 = row.try_get(1)?;
        if !bytes.fit(usize::try_from(len).unwrap_or(usize::MAX)) {
            break;
        }
        fitting += 1;
    }
    Ok(cut_to_rows(gaps, fitting))
}

/// Columns of the rows of these gaps, in the order of the views.
fn ranges(columns: &'static str, views: &[View], gaps: &[Gap]) -> Text {
    let mut text = Text::new(columns);
    text.each(gaps, " FROM message FORCE INDEX (PRIMARY) WHERE ", " OR ", |text, gap| {
        text.words("(conv=").bytes(views[gap.view].conversation.as_bytes());
        text.words(" AND seq>").number(gap.after.0).words(" AND seq<=").number(gap.until.0).words(")");
    });
    text.words(" ORDER BY conv, seq");
    text
}

/// Bytes of bodies that an answer still holds.
struct Bytes {
    left: usize,
    untouched: bool,
}

impl Bytes {
    fn new() -> Self {
        Self { left: SYNC_BYTES_MAX, untouched: true }
    }

    /// Whether one more of this length fits; what does not fit spends the rest, so that order is kept.
    fn fit(&mut self, len: usize) -> bool {
        if len > self.left && !self.untouched {
            self.left = 0;
            return false;
        }
        self.untouched = false;
        self.left = self.left.saturating_sub(len);
        true
    }
}
