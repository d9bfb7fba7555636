//! Heads and members: the end of a conversation, who is in it, and what they may do; what placing asks of a group's
//! members, and of the messages that follow-ups are about.

use rusqlite::{Connection, Row, params};
use whimbrel_core::{
    ConversationId, ConversationKind, DirectStanding, GroupStanding, Members, MessageKind, Role, Seq, Standing, UserId,
};

use super::value::{first_row, number, number_or_zero, seq, small, sql, unreadable, until, user};
use crate::Head;
use crate::timeline::Target;

/// What [`read_members`] wants, as the first columns; the group's only where there is one.
macro_rules! members_sql {
    ($columns:literal, $joins:literal) => {
        concat!(
            "SELECT c.kind, c.first, c.second, c.friends, c.first_blocks, c.second_blocks, \
             g.revision, g.size, g.muted_until, g.dissolved_at IS NOT NULL",
            $columns,
            " FROM conversation c LEFT JOIN chat_group g ON c.kind = 3 AND g.conv = c.id ",
            $joins,
            " WHERE c.id = ?1"
        )
    };
}

/// One seek for the conversation (and one for its group), one for its last row.
pub(super) const HEAD: &str = members_sql!(
    ", h.seq, h.n, h.own, h.sender, h.at",
    "LEFT JOIN message h ON h.conv = c.id AND h.seq = (SELECT max(seq) FROM message WHERE conv = c.id)"
);

pub(super) const MEMBERS: &str = members_sql!("", "");

pub(super) const STANDING: &str = "SELECT role, muted_until, (SELECT since FROM member WHERE user = ?2 AND conv = ?1) \
     FROM group_member WHERE conv = ?1 AND user = ?2 AND until = 0";

/// How many follow-ups with content a message (`?1`, `?2`) has: as the last one says, or counted where that does not.
macro_rules! follow_ups_sql {
    () => {
        "COALESCE(NULLIF((SELECT nth FROM follow_up WHERE conv = ?1 AND target = ?2 ORDER BY seq DESC LIMIT 1), 0), \
         (SELECT count(*) FROM follow_up WHERE conv = ?1 AND target = ?2))"
    };
}
pub(super) use follow_ups_sql;

pub(super) const TARGET: &str = concat!(
    "SELECT sender, kind, at, length(body) = 0, ",
    follow_ups_sql!(),
    ", \
     (SELECT m.kind FROM message m WHERE m.conv = ?1 AND m.seq = \
     (SELECT seq FROM follow_up WHERE conv = ?1 AND target = ?2 ORDER BY seq DESC LIMIT 1)) FROM message \
     WHERE conv = ?1 AND seq = ?2"
);

/// The head of a conversation; `None` if there is no such conversation.
pub(super) fn head(db: &Connection, conversation: ConversationId) -> rusqlite::Result<Option<Head>> {
    first_row(db, HEAD, [conversation.as_bytes()], |row| {
        let members = read_members(row)?;
        if row.get_ref(10)?.data_type() == rusqlite::types::Type::Null {
            return Ok(Head { seq: Seq::ZERO, n: 0, first_own: 0, at: 0, members });
        }
        let (n, own, sender) = (number_or_zero(row, 11)?, number_or_zero(row, 12)?, user(row, 13)?);
        let first_own = match members {
            Members::Direct { first, .. } if sender == first => own,
            Members::Direct { .. } => n.saturating_sub(own),
            Members::Private { .. } | Members::Group(_) => 0,
        };
        Ok(Head { seq: seq(row, 10)?, n, first_own, at: number_or_zero(row, 14)?, members })
    })
}

/// Who is in a conversation; `None` if there is no such conversation.
pub(super) fn members(db: &Connection, conversation: ConversationId) -> rusqlite::Result<Option<Members>> {
    first_row(db, MEMBERS, [conversation.as_bytes()], read_members)
}

/// What a member of a group may do; `None` for who is none.
pub(super) fn standing(db: &Connection, group: ConversationId, user: UserId) -> rusqlite::Result<Option<Standing>> {
    first_row(db, STANDING, params![group.as_bytes(), sql(user.0)], |row| {
        Ok(Standing { role: read_role(row, 0)?, muted_until: until(row, 1)?, sees_from: seq(row, 2)? })
    })
}

/// The message at a place, as far as a follow-up's rights depend on it.
pub(super) fn target(db: &Connection, conversation: ConversationId, place: Seq) -> rusqlite::Result<Option<Target>> {
    first_row(db, TARGET, params![conversation.as_bytes(), sql(place.0)], |row| {
        let kind = MessageKind(small(row, 1)?);
        Ok(Target {
            sender: user(row, 0)?,
            kind,
            at: number(row, 2)?,
            recalled: kind.is_countable() && row.get(3)?,
            follow_ups: small(row, 4)?,
            finished: row.get::<_, Option<u32>>(5)?.map(MessageKind) == Some(MessageKind::FINISH),
        })
    })
}

/// The role in a column.
pub(super) fn read_role(row: &Row<'_>, column: usize) -> rusqlite::Result<Role> {
    Role::from_number(small(row, column)?).ok_or_else(|| unreadable(column, "a role that this version does not know"))
}

/// The first ten columns, of [`members_sql`].
fn read_members(row: &Row<'_>) -> rusqlite::Result<Members> {
    let first = user(row, 1)?;
    Ok(match read_kind(row, 0)? {
        ConversationKind::Direct => Members::Direct {
            first,
            second: UserId(number_or_zero(row, 2)?),
            standing: DirectStanding { friends: row.get(3)?, first_blocks: row.get(4)?, second_blocks: row.get(5)? },
        },
        ConversationKind::Private => Members::Private { owner: first },
        ConversationKind::Group => Members::Group(GroupStanding {
            revision: seq(row, 6)?,
            size: small(row, 7)?,
            muted_until: until(row, 8)?,
            dissolved: row.get(9)?,
        }),
    })
}

/// The kind of conversation in a column.
pub(super) fn read_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<ConversationKind> {
    ConversationKind::from_number(small(row, column)?)
        .ok_or_else(|| unreadable(column, "a kind of conversation that this version does not know"))
}
