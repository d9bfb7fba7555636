//! Heads and members: the end of a conversation, who is in it, and what they may do.

use rusqlite::{Connection, Row};
use whimbrel_core::{ConversationId, ConversationKind, DirectStanding, GroupStanding, Members, UserId};

use super::value::{first_row, number_or_zero, seq, small, unreadable, user};
use crate::Head;

/// One seek for the conversation, one for its last row.
const HEAD: &str = "SELECT c.kind, c.first, c.second, c.friends, c.first_blocks, c.second_blocks, \
     h.seq, h.n, h.own, h.sender, h.at \
     FROM conversation c LEFT JOIN message h \
     ON h.conv = c.id AND h.seq = (SELECT max(seq) FROM message WHERE conv = c.id) WHERE c.id = ?1";

const MEMBERS: &str =
    "SELECT kind, first, second, friends, first_blocks, second_blocks FROM conversation WHERE id = ?1";

/// The head of a conversation; `None` if there is no such conversation.
pub(super) fn head(db: &Connection, conversation: ConversationId) -> rusqlite::Result<Option<Head>> {
    first_row(db, HEAD, [conversation.as_bytes()], |row| {
        let members = read_members(row)?;
        if row.get_ref(6)?.data_type() == rusqlite::types::Type::Null {
            return Ok(Head { seq: whimbrel_core::Seq::ZERO, n: 0, first_own: 0, at: 0, members });
        }
        let (n, own, sender) = (number_or_zero(row, 7)?, number_or_zero(row, 8)?, user(row, 9)?);
        let first_own = match members {
            Members::Direct { first, .. } if sender == first => own,
            Members::Direct { .. } => n.saturating_sub(own),
            Members::Private { .. } | Members::Group(_) => 0,
        };
        Ok(Head { seq: seq(row, 6)?, n, first_own, at: number_or_zero(row, 10)?, members })
    })
}

/// Who is in a conversation; `None` if there is no such conversation.
pub(super) fn members(db: &Connection, conversation: ConversationId) -> rusqlite::Result<Option<Members>> {
    first_row(db, MEMBERS, [conversation.as_bytes()], read_members)
}

/// The first six columns: kind, first, second, friends, first_blocks, second_blocks.
fn read_members(row: &Row<'_>) -> rusqlite::Result<Members> {
    let first = user(row, 1)?;
    Ok(match read_kind(row, 0)? {
        ConversationKind::Direct => Members::Direct {
            first,
            second: UserId(number_or_zero(row, 2)?),
            standing: DirectStanding { friends: row.get(3)?, first_blocks: row.get(4)?, second_blocks: row.get(5)? },
        },
        ConversationKind::Private => Members::Private { owner: first },
        ConversationKind::Group => Members::Group(GroupStanding::default()),
    })
}

/// The kind of conversation in a column.
pub(super) fn read_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<ConversationKind> {
    ConversationKind::from_number(small(row, column)?)
        .ok_or_else(|| unreadable(column, "a kind of conversation that this version does not know"))
}
