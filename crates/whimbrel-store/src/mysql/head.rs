//! Heads and members: the end of a conversation, who is in it, and what they may do; and rows by their message ids.
//!
//! Whoever asks for members joins a conversation with its group, if it is one: a seek that finds nothing for the others.

use hashbrown::HashMap;
use sqlx::Row;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use whimbrel_core::{ConversationId, ConversationKind, DirectStanding, GroupStanding, Members, MessageId, Seq, UserId};

use super::text::Text;
use super::value::{bytes, conversation, message_id, number, number_or_zero, seq, unreadable, user};
use crate::timeline::{FoundRow, Head};

/// The last row's seq, by one seek. `conv DESC` is there for MySQL, which without it reads every row of the conversation
/// and sorts them; so does `max(seq)`, in MariaDB too.
macro_rules! last_seq {
    ($conv:literal) => {
        concat!("(SELECT seq FROM message WHERE conv = ", $conv, " ORDER BY conv DESC, seq DESC LIMIT 1)")
    };
}
pub(super) use last_seq;

/// The columns that [`read_members`] wants, the first ones of a row.
macro_rules! members_columns {
    () => {
        "c.id, c.kind, c.first, c.second, c.friends, c.first_blocks, c.second_blocks, \
         g.revision, g.size, g.muted_until, g.dissolved_at"
    };
}
pub(super) use members_columns;

/// One statement, so that the head and the members are of one state.
const HEADS: &str = concat!(
    "SELECT ",
    members_columns!(),
    ", h.seq, h.n, h.own, h.sender, h.at FROM conversation c LEFT JOIN chat_group g ON g.conv = c.id \
     LEFT JOIN message h ON h.conv = c.id AND h.seq = ",
    last_seq!("c.id"),
    " WHERE c.id IN "
);

const MEMBERS: &str = concat!(
    "SELECT ",
    members_columns!(),
    " FROM conversation c LEFT JOIN chat_group g ON g.conv = c.id WHERE c.id IN "
);

const FIND: &str = "SELECT conv, sender, message_id, seq, at, hash FROM message FORCE INDEX (message_identity) WHERE ";

/// Message ids in one statement. Each is a range of its own for the server, whose room to find ranges in is bounded.
const FIND_MAX: usize = 512;

/// The heads of these conversations, in their order.
pub(super) async fn heads(
    db: &mut MySqlConnection,
    wanted: &[ConversationId],
) -> Result<Vec<Option<Head>>, sqlx::Error> {
    of_each(db, HEADS, wanted, head).await
}

/// Who is in these conversations, in their order.
pub(super) async fn members(
    db: &mut MySqlConnection,
    wanted: &[ConversationId],
) -> Result<Vec<Option<Members>>, sqlx::Error> {
    of_each(db, MEMBERS, wanted, read_members).await
}

/// Runs a statement over conversations whose first column says which one it is about.
async fn of_each<T: Clone>(
    db: &mut MySqlConnection,
    statement: &'static str,
    wanted: &[ConversationId],
    read: impl Fn(&MySqlRow) -> Result<T, sqlx::Error>,
) -> Result<Vec<Option<T>>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut text = Text::new(statement);
    push_ids(&mut text, wanted.iter());
    let rows = text.rows(db).await?;
    let found = rows.iter().map(|row| Ok((conversation(row, 0)?, read(row)?)));
    let found: HashMap<_, _> = found.collect::<Result<_, sqlx::Error>>()?;
    Ok(wanted.iter().map(|id| found.get(id).cloned()).collect())
}

/// `(x'…',x'…')`
pub(super) fn push_ids<'a>(text: &mut Text, ids: impl Iterator<Item = &'a ConversationId>) {
    text.each(ids, "(", ",", |text, id| {
        text.bytes(id.as_bytes());
    });
    text.words(")");
}

fn head(row: &MySqlRow) -> Result<Head, sqlx::Error> {
    let members = read_members(row)?;
    let place = Seq(number_or_zero(row, 11)?);
    if place == Seq::ZERO {
        return Ok(Head { seq: place, n: 0, first_own: 0, at: 0, members });
    }
    let (n, own, sender) = (number(row, 12)?, number(row, 13)?, user(row, 14)?);
    let first_own = match members {
        Members::Direct { first, .. } if sender == first => own,
        Members::Direct { .. } => n.saturating_sub(own),
        Members::Private { .. } | Members::Group(_) => 0,
    };
    Ok(Head { seq: place, n, first_own, at: number(row, 15)?, members })
}

/// From a row that begins with [`members_columns`].
pub(super) fn read_members(row: &MySqlRow) -> Result<Members, sqlx::Error> {
    let first = user(row, 2)?;
    let flag = |column| Ok::<_, sqlx::Error>(number(row, column)? != 0);
    Ok(match read_kind(row, 1)? {
        ConversationKind::Direct => Members::Direct {
            first,
            second: user(row, 3)?,
            standing: DirectStanding { friends: flag(4)?, first_blocks: flag(5)?, second_blocks: flag(6)? },
        },
        ConversationKind::Private => Members::Private { owner: first },
        ConversationKind::Group => Members::Group(GroupStanding {
            revision: seq(row, 7)?,
            size: row.try_get(8)?,
            muted_until: number(row, 9)?,
            dissolved: row.try_get::<Option<u64>, _>(10)?.is_some(),
        }),
    })
}

/// The kind of conversation in a column.
pub(super) fn read_kind(row: &MySqlRow, column: usize) -> Result<ConversationKind, sqlx::Error> {
    ConversationKind::from_number(row.try_get(column)?)
        .ok_or_else(|| unreadable(column, "a kind of conversation that this version does not know"))
}

/// The rows under these ids, in their order.
pub(super) async fn find(
    db: &mut MySqlConnection,
    wanted: &[(ConversationId, UserId, MessageId)],
) -> Result<Vec<Option<FoundRow>>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // Several statements where one would be too long, and one round trip all the same.
    let mut text = Text::default();
    for part in wanted.chunks(FIND_MAX) {
        text.words(if text.is_empty() { "" } else { ";" }).words(FIND);
        text.each(part, "", " OR ", |text, (conversation, sender, id)| {
            text.words("(message_id=").bytes(id.as_bytes());
            text.words(" AND conv=").bytes(conversation.as_bytes());
            text.words(" AND sender=").number(sender.0).words(")");
        });
    }
    let mut found = HashMap::new();
    for row in text.run(db).await?.iter().flatten() {
        let key = (conversation(row, 0)?, user(row, 1)?, message_id(row, 2)?);
        found.insert(key, FoundRow { seq: seq(row, 3)?, at: number(row, 4)?, hash: bytes(row, 5)? });
    }
    Ok(wanted.iter().map(|key| found.get(key).copied()).collect())
}
