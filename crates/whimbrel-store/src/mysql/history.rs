//! [`History`] on MySQL and MariaDB: a snapshot, in which the rows of a page are a range of the clustered key.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use async_trait::async_trait;
use sqlx::Executor;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use whimbrel_core::{ConversationId, Message, Seq, UserId};

use super::MySqlStore;
use super::head::{last_seq, push_ids};
use super::sync::SNAPSHOT;
use super::text::Text;
use super::timeline::read_message;
use super::value::{conversation, number, number_or_zero, seq};
use crate::StoreError;
use crate::history::{FollowUps, History, HistoryPage, PageAt, Ranges, Room, Said, Sight, next_places};

/// With the times before the present one of somebody who came back to a group: a row for each, or one without.
const SIGHT: &str = concat!(
    "SELECT m.since, m.until, c.floor, ",
    last_seq!("m.conv"),
    ", s.since, s.until, m.conv FROM member m STRAIGHT_JOIN conversation c ON c.id = m.conv \
     LEFT JOIN member_span s FORCE INDEX (PRIMARY) ON s.user = m.user AND s.conv = m.conv WHERE m.user = "
);

const ROWS: &str = "SELECT conv, seq, sender, device, message_id, kind, key_version, at, body \
     FROM message FORCE INDEX (PRIMARY) WHERE conv = ";

/// Places whose times are asked for at once: each round leaves a sixteenth.
const PROBES: u64 = 15;

#[async_trait]
impl History for MySqlStore {
    async fn history(
        &self,
        user: UserId,
        conversation: ConversationId,
        from: PageAt,
        limit: usize,
    ) -> Result<Option<HistoryPage>, StoreError> {
        self.read(async |db| {
            let page = page(db, user, conversation, from, limit).await?;
            db.execute("COMMIT").await?;
            Ok(page)
        })
        .await
    }

    async fn follow_ups(
        &self,
        user: UserId,
        conversation: ConversationId,
        about: RangeInclusive<Seq>,
        after: (Seq, Seq),
        limit: usize,
    ) -> Result<Option<FollowUps>, StoreError> {
        self.read(async |db| {
            let found = follow_ups(db, user, conversation, about, after, limit).await?;
            db.execute("COMMIT").await?;
            Ok(found)
        })
        .await
    }

    async fn said_by(&self, user: UserId, after: Option<Place>, look: usize) -> Result<Said, StoreError> {
        self.read(async |db| Ok(said_by(db, user, after, look).await?)).await
    }
}

/// Conversations whose ends are read at once.
const CONVERSATIONS: u64 = 64;

type Place = (ConversationId, Seq);

/// The next ranges of places in the user's conversations, `look` places altogether (a conversation counts as one more); and
/// where to go on.
pub(super) async fn ranges(
    db: &mut MySqlConnection,
    user: UserId,
    after: Option<Place>,
    look: usize,
) -> Result<(Ranges, Option<Place>), sqlx::Error> {
    let (mut at, mut left, mut found) = (after, look as u64, Vec::new());
    loop {
        let from: &[u8] = at.as_ref().map_or(&[], |(conversation, _)| &conversation.as_bytes()[..]);
        let mut text = Text::new("SELECT m.conv, c.floor, ");
        text.words(last_seq!("m.conv"))
            .words(" FROM member m STRAIGHT_JOIN conversation c ON c.id = m.conv WHERE m.user = ");
        text.number(user.0).words(" AND m.conv >= ").bytes(from).words(" ORDER BY m.conv LIMIT ").number(CONVERSATIONS);
        let rows = text.rows(db).await?;
        let begun = at;
        for row in &rows {
            let (conversation, floor, head) = (conversation(row, 0)?, number(row, 1)?, number_or_zero(row, 2)?);
            let seq = match begun {
                Some((known, seq)) if known == conversation => seq.0,
                _ => {
                    left = left.saturating_sub(1);
                    0
                }
            };
            if left == 0 {
                return Ok((found, Some((conversation, Seq(seq)))));
            }
            let mut end = seq;
            if let Some(range) = next_places(seq, floor, head, left) {
                left -= range.end() + 1 - range.start();
                end = *range.end();
                found.push((conversation, range));
            }
            at = Some((conversation, Seq(end)));
            if left == 0 {
                return Ok((found, at));
            }
        }
        if (rows.len() as u64) < CONVERSATIONS {
            return Ok((found, None));
        }
    }
}

async fn said_by(
    db: &mut MySqlConnection,
    user: UserId,
    after: Option<Place>,
    look: usize,
) -> Result<Said, sqlx::Error> {
    let (ranges, next) = ranges(db, user, after, look).await?;
    let (mut messages, mut room) = (Vec::new(), Room::of(1));
    for (conversation, range) in ranges {
        let mut text = Text::new(ROWS);
        text.bytes(conversation.as_bytes()).words(" AND seq BETWEEN ").number(*range.start()).words(" AND ");
        text.number(*range.end()).words(" AND sender = ").number(user.0).words(" AND kind < 1000 ORDER BY seq");
        for row in &text.rows(db).await? {
            let message = read_message(row)?;
            if !room.fits(message.body.len()) {
                return Ok(Said { next: Some((conversation, Seq(message.seq.0 - 1))), messages });
            }
            messages.push(message);
        }
    }
    Ok(Said { messages, next })
}

/// Opens the snapshot, and reads what the user sees, if they are or were in the conversation.
async fn sight(
    db: &mut MySqlConnection,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Sight>, sqlx::Error> {
    let mut text = Text::new(SNAPSHOT);
    text.words(SIGHT).number(user.0).words(" AND m.conv = ").bytes(conversation.as_bytes());
    let rows = text.rows(db).await?;
    if rows.is_empty() { Ok(None) } else { read_sight(&rows.iter().collect::<Vec<_>>()).map(Some) }
}

/// From the rows of one conversation, at least one: the present time stands in each, an earlier one in its own.
fn read_sight(rows: &[&MySqlRow]) -> Result<Sight, sqlx::Error> {
    let present = rows[0];
    let mut spans = vec![(number(present, 0)?, number(present, 1)?)];
    for row in rows {
        // A time that is over has an end; an outer join that met no row has none.
        spans.extend(Some((number_or_zero(row, 4)?, number_or_zero(row, 5)?)).filter(|(_, until)| *until > 0));
    }
    Ok(Sight::of(spans, number(present, 2)?, number_or_zero(present, 3)?))
}

/// What the user sees of those of these conversations that they are or were in; without a snapshot.
pub(super) async fn sights(
    db: &mut MySqlConnection,
    user: UserId,
    conversations: &[ConversationId],
) -> Result<Vec<(ConversationId, Sight)>, sqlx::Error> {
    let mut text = Text::new(SIGHT);
    text.number(user.0).words(" AND m.conv IN ");
    push_ids(&mut text, conversations.iter());
    let rows = text.rows(db).await?;
    let mut of: BTreeMap<ConversationId, Vec<&MySqlRow>> = BTreeMap::new();
    for row in &rows {
        of.entry(conversation(row, 6)?).or_default().push(row);
    }
    of.into_iter().map(|(id, rows)| Ok((id, read_sight(&rows)?))).collect()
}

async fn page(
    db: &mut MySqlConnection,
    user: UserId,
    conversation: ConversationId,
    from: PageAt,
    limit: usize,
) -> Result<Option<HistoryPage>, sqlx::Error> {
    let Some(sight) = sight(db, user, conversation).await? else { return Ok(None) };
    let at = match from {
        PageAt::At(at) => first_since(db, conversation, sight.first() - 1, sight.last(), at).await?,
        _ => 0,
    };
    let [down, up] = sight.page(from, at, limit);
    let directions = [&down, &up].into_iter().flatten().count();
    let mut messages = Vec::new();
    for (range, order) in [(down, " ORDER BY conv DESC, seq DESC"), (up, " ORDER BY conv, seq")] {
        let Some(range) = range else { continue };
        messages.extend(read(db, conversation, range, order, directions).await?);
        if order.ends_with("DESC") {
            messages.reverse();
        }
    }
    Ok(Some(HistoryPage { first: Seq(sight.first()), last: Seq(sight.last()), messages }))
}

/// Those of the range that fit. Where bodies are long, rows beyond them cross the wire for nothing, in vain but in bounds:
/// `HISTORY_MESSAGES_MAX` rows of `BODY_MAX`.
async fn read(
    db: &mut MySqlConnection,
    conversation: ConversationId,
    range: RangeInclusive<u64>,
    order: &'static str,
    directions: usize,
) -> Result<Vec<Message>, sqlx::Error> {
    let mut text = Text::new(ROWS);
    text.bytes(conversation.as_bytes()).words(" AND seq BETWEEN ").number(*range.start());
    text.words(" AND ").number(*range.end()).words(order);
    let (rows, mut room) = (text.rows(db).await?, Room::of(directions));
    let mut messages = Vec::with_capacity(rows.len());
    for row in &rows {
        let message = read_message(row)?;
        if !room.fits(message.body.len()) {
            break;
        }
        messages.push(message);
    }
    Ok(messages)
}

/// The first place in (`after`, `upto`] of this time or later; the one behind if there is none.
pub(super) async fn first_since(
    db: &mut MySqlConnection,
    conversation: ConversationId,
    after: u64,
    upto: u64,
    at: u64,
) -> Result<u64, sqlx::Error> {
    let (mut low, mut high) = (after + 1, upto.max(after) + 1);
    while low < high {
        let step = (high - low).div_ceil(PROBES + 1);
        let probes = (1..=PROBES).map(|probe| low + probe * step - 1).take_while(|probe| *probe < high);
        let mut text = Text::new("SELECT seq, at FROM message FORCE INDEX (PRIMARY) WHERE conv = ");
        text.bytes(conversation.as_bytes()).each(probes, " AND seq IN (", ",", |text, probe| {
            text.number(probe);
        });
        text.words(") ORDER BY seq");
        let (mut from, mut to) = (low, high);
        for row in &text.rows(db).await? {
            let place = number(row, 0)?;
            if number(row, 1)? >= at {
                to = place;
                break;
            }
            from = place + 1;
        }
        // Nothing found where something was looked for: rows are missing, one looks on behind them.
        if (from, to) == (low, high) {
            from = (low + step).min(high);
        }
        (low, high) = (from, to);
    }
    Ok(low)
}

async fn follow_ups(
    db: &mut MySqlConnection,
    user: UserId,
    conversation: ConversationId,
    about: RangeInclusive<Seq>,
    after: (Seq, Seq),
    limit: usize,
) -> Result<Option<FollowUps>, sqlx::Error> {
    let Some(sight) = sight(db, user, conversation).await? else { return Ok(None) };
    let mut found = FollowUps { messages: Vec::new(), next: None };
    let (from, to) = (about.start().0.max(sight.first()), about.end().0.min(sight.last()));
    if from > to {
        return Ok(Some(found));
    }
    let rows = about_text(conversation, (from, to), after, limit).rows(db).await?;
    let mut room = Room::of(1);
    for row in &rows {
        let message = read_message(row)?;
        if !room.fits(message.body.len()) {
            return Ok(Some(found));
        }
        let target = seq(row, 9)?;
        found.next = Some((target, message.seq));
        // When the user is away others go on.
        if sight.sees(target) && sight.sees(message.seq) {
            found.messages.push(message);
        }
    }
    found.next = found.next.filter(|_| rows.len() == limit);
    Ok(Some(found))
}

/// Notes of both tables in one order; each side reads no more than the whole may hold.
fn about_text(conversation: ConversationId, (from, to): (u64, u64), after: (Seq, Seq), limit: usize) -> Text {
    let mut text = Text::new(
        "SELECT m.conv, m.seq, m.sender, m.device, m.message_id, m.kind, m.key_version, m.at, m.body, a.target FROM (",
    );
    text.each(["follow_up", "mark"], "(", " UNION ALL (", |text, table| {
        text.words("SELECT target, seq FROM ").words(table).words(" FORCE INDEX (PRIMARY) WHERE conv = ");
        text.bytes(conversation.as_bytes()).words(" AND target BETWEEN ").number(from.max(after.0.0));
        text.words(" AND ").number(to).words(" AND (target > ").number(after.0.0);
        text.words(" OR seq > ").number(after.1.0).words(") ORDER BY target, seq LIMIT ").number(limit as u64);
        text.words(")");
    });
    text.words(" ORDER BY target, seq LIMIT ").number(limit as u64);
    text.words(") a STRAIGHT_JOIN message m ON m.conv = ").bytes(conversation.as_bytes());
    text.words(" AND m.seq = a.seq ORDER BY a.target, a.seq");
    text
}
