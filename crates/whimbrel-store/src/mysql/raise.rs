//! Cursors up: two round trips, because what they become is decided here, from what stands.

use hashbrown::HashMap;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use whimbrel_core::{ConversationId, ConversationKind, CursorMoved, Cursors, Members, Seq, UserId};

use super::head::{self, last_seq, members_columns, read_members};
use super::text::Text;
use super::value::{conversation, number, number_or_zero, seq, user};
use crate::timeline::CursorWrite;

/// Locks what is about to be raised, in the order of the key.
const STANDING: &str = "SELECT user, conv, delivered, `read`, until, own_total, own_read FROM member WHERE ";

/// Whose cursors these are, and where they end.
const ENDS: &str = concat!(
    "SELECT ",
    members_columns!(),
    ", ",
    last_seq!("c.id"),
    " FROM conversation c LEFT JOIN chat_group g ON g.conv = c.id WHERE c.id IN "
);

/// The rows are there and locked: each becomes what was decided.
const RAISE: &str = "INSERT INTO member (user, conv, delivered, `read`) VALUES ";
const RAISED: &str = " ON DUPLICATE KEY UPDATE delivered = GREATEST(delivered, VALUES(delivered)), \
     `read` = GREATEST(`read`, VALUES(`read`))";

/// In groups with what was said up to there, by all and by oneself.
const RAISE_IN_GROUPS: &str = "INSERT INTO member (user, conv, delivered, `read`, n_read, own_read) VALUES ";
/// `read` last: the counts go with it, and look at what it was.
const RAISED_IN_GROUPS: &str = " ON DUPLICATE KEY UPDATE delivered = GREATEST(delivered, VALUES(delivered)), \
     n_read = IF(VALUES(`read`) > `read`, VALUES(n_read), n_read), \
     own_read = IF(VALUES(`read`) > `read`, VALUES(own_read), own_read), \
     `read` = GREATEST(`read`, VALUES(`read`))";

/// Cursors in one statement: each is a range of its own for the server, whose room to find ranges in is bounded.
const STATEMENT: usize = 512;

/// What one conversation's cursors need.
struct End {
    members: Members,
    head: Seq,
}

/// One member row, as it is and as it was read.
#[derive(Clone, Copy)]
struct Standing {
    cursors: Cursors,
    before: Cursors,
    /// The last row that they see; 0: every one.
    until: Seq,
    /// Countable rows of their own: all, and up to the read cursor that was read.
    own: u64,
    own_read: u64,
}

type Key = (UserId, ConversationId);

/// Raises cursors, each write on what the former ones left; those of people who are not members are passed over.
pub(super) async fn raise(db: &mut MySqlConnection, writes: &[CursorWrite]) -> Result<Vec<CursorMoved>, sqlx::Error> {
    let (mut standing, ends) = read(db, writes).await?;
    let mut moved = Vec::with_capacity(writes.len());
    for CursorWrite { conversation, user, cursors } in writes.iter().copied() {
        if let (Some(stands), Some(end)) = (standing.get_mut(&(user, conversation)), ends.get(&conversation)) {
            stands.cursors = stands.cursors.max(cursors.normalized().clamped(last_seen(stands, end)));
            moved.push(CursorMoved { conversation, user, cursors: stands.cursors, audience: end.members.audience() });
        }
    }
    let (mut plain, mut in_groups) = (Vec::new(), Vec::new());
    for (key, stands) in standing.iter().filter(|(_, stands)| stands.cursors != stands.before) {
        match ends.get(&key.1) {
            Some(end) if end.members.kind() == ConversationKind::Group => in_groups.push((key, stands, end)),
            _ => plain.push((key, stands)),
        }
    }
    let mut text = Text::default();
    if !plain.is_empty() {
        text.words(RAISE).each(plain, "(", ",(", |text, (key, stands)| {
            push_cursors(text, key, stands);
            text.words(")");
        });
        text.words(RAISED);
    }
    if !in_groups.is_empty() {
        text.words(if text.is_empty() { "" } else { ";" }).words(RAISE_IN_GROUPS);
        text.each(in_groups, "(", ",(", |text, (key, stands, end)| {
            push_cursors(text, key, stands);
            push_counts(text, key, stands, end);
            text.words(")");
        });
        text.words(RAISED_IN_GROUPS);
    }
    if !text.is_empty() {
        text.run(db).await?;
    }
    Ok(moved)
}

/// Who left has cursors up to there.
fn last_seen(stands: &Standing, end: &End) -> Seq {
    if stands.until == Seq::ZERO { end.head } else { stands.until.min(end.head) }
}

fn push_cursors(text: &mut Text, (user, conversation): &Key, stands: &Standing) {
    text.number(user.0).words(",").bytes(conversation.as_bytes()).words(",");
    text.number(stands.cursors.delivered.0).words(",").number(stands.cursors.read.0);
}

/// The counts at the read cursor. The user's own rows are counted where the way is shorter: from the former cursor on, or
/// back from the end. Their member row is locked, so none of theirs comes in between.
fn push_counts(text: &mut Text, (user, conversation): &Key, stands: &Standing, end: &End) {
    let (from, to, last) = (stands.before.read, stands.cursors.read, last_seen(stands, end));
    if from == to {
        text.words(",0,0");
        return;
    }
    text.words(",COALESCE((SELECT n FROM message WHERE conv=").bytes(conversation.as_bytes());
    text.words(" AND seq=").number(to.0).words("),0),");
    let is_forward = to.0 - from.0 <= last.0 - to.0;
    let (base, sign, after, until) =
        if is_forward { (stands.own_read, "+", from, to) } else { (stands.own, "-", to, last) };
    text.number(base);
    if after < until {
        text.words(sign).words("(SELECT COUNT(*) FROM message FORCE INDEX (PRIMARY) WHERE conv=");
        text.bytes(conversation.as_bytes()).words(" AND seq>").number(after.0).words(" AND seq<=").number(until.0);
        // Countable kinds, as `MessageKind::is_countable` has them.
        text.words(" AND sender=").number(user.0).words(" AND kind BETWEEN 1 AND 499)");
    }
}

/// What stands, locked; and the ends of the conversations. One round trip.
async fn read(
    db: &mut MySqlConnection,
    writes: &[CursorWrite],
) -> Result<(HashMap<Key, Standing>, HashMap<ConversationId, End>), sqlx::Error> {
    let mut text = Text::default();
    let parts = writes.chunks(STATEMENT);
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
    let mut standing = HashMap::new();
    for row in results.iter().take(locks).flatten() {
        standing.insert((user(row, 0)?, conversation(row, 1)?), read_standing(row)?);
    }
    let mut ends = HashMap::new();
    for row in results.iter().skip(locks).flatten() {
        let end = End { members: read_members(row)?, head: Seq(number_or_zero(row, 11)?) };
        ends.insert(conversation(row, 0)?, end);
    }
    Ok((standing, ends))
}

fn read_standing(row: &MySqlRow) -> Result<Standing, sqlx::Error> {
    let cursors = Cursors { delivered: seq(row, 2)?, read: seq(row, 3)? };
    let (own, own_read) = (number(row, 5)?, number(row, 6)?);
    Ok(Standing { cursors, before: cursors, until: seq(row, 4)?, own, own_read })
}
