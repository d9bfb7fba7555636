//! Groups and what waits in them.

use rusqlite::{Connection, Row, params};
use whimbrel_core::{ConversationId, UserId};

use super::super::directory::users::{self, user_columns};
use super::super::head::read_role;
use super::super::value::{all, conversation, first_row, number, seq, small, sql, unreadable, until, user};
use crate::groups::{Group, GroupRequest, JoinMode, Membership, RequestKind};
use crate::keeping::Keep;

/// What [`group`] wants, as the first columns; `g` is the group.
macro_rules! group_columns {
    () => {
        "g.conv, g.handle, g.name, g.avatar, g.announcement, g.owner, g.join_mode, g.listed, g.history_for_all, \
         g.member_limit, g.size, g.muted_until, g.revision, g.key_version, g.created_at, g.dissolved_at, g.keep_age, g.keep_messages"
    };
}

pub(super) use group_columns;

/// Columns of [`group_columns`].
pub(super) const GROUP_COLUMNS: usize = 18;

/// A group from the first columns.
pub(super) fn group(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        id: conversation(row, 0)?,
        handle: row.get(1)?,
        name: row.get(2)?,
        avatar: row.get(3)?,
        announcement: row.get(4)?,
        owner: user(row, 5)?,
        join: JoinMode::from_number(small(row, 6)?).ok_or_else(|| unreadable(6, "a way of joining"))?,
        listed: row.get(7)?,
        history_for_all: row.get(8)?,
        member_limit: small(row, 9)?,
        size: small(row, 10)?,
        muted_until: until(row, 11)?,
        revision: seq(row, 12)?,
        key_version: small(row, 13)?,
        created_at: number(row, 14)?,
        dissolved_at: row.get::<_, Option<i64>>(15)?.map(i64::unsigned_abs),
        keep: Keep { age_ms: number(row, 16)?, messages: number(row, 17)? },
    })
}

pub(super) fn by_id(db: &Connection, id: ConversationId) -> rusqlite::Result<Option<Group>> {
    let query = concat!("SELECT ", group_columns!(), " FROM chat_group g WHERE g.conv = ?1");
    first_row(db, query, [id.as_bytes()], group)
}

pub(super) fn by_handle(db: &Connection, handle: &str) -> rusqlite::Result<Option<Group>> {
    let query = concat!("SELECT ", group_columns!(), " FROM chat_group g WHERE g.handle = ?1");
    first_row(db, query, [handle], group)
}

/// What an id is compared with so that everything is beyond it.
fn from(after: Option<&ConversationId>) -> &[u8] {
    after.map_or(&[], |id| &id.as_bytes()[..])
}

/// Without those that the user left, and has had deleted since.
pub(super) fn of_user(
    db: &Connection,
    user: UserId,
    after: Option<ConversationId>,
    limit: usize,
) -> rusqlite::Result<Vec<Membership>> {
    let query = concat!(
        "SELECT ",
        group_columns!(),
        ", p.role, p.muted_until, p.until FROM member m CROSS JOIN chat_group g ON g.conv = m.conv \
         CROSS JOIN group_member p ON p.conv = m.conv AND p.user = m.user \
         LEFT JOIN setting s ON s.user = m.user AND s.conv = m.conv \
         WHERE m.user = ?1 AND m.conv > ?2 AND (m.until = 0 OR COALESCE(s.hidden, 0) < m.until) \
         ORDER BY m.conv LIMIT ?3"
    );
    all(db, query, params![sql(user.0), from(after.as_ref()), sql(limit as u64)], |row| {
        Ok(Membership {
            group: group(row)?,
            role: read_role(row, GROUP_COLUMNS)?,
            muted_until: until(row, GROUP_COLUMNS + 1)?,
            until: seq(row, GROUP_COLUMNS + 2)?,
        })
    })
}

/// The request of a kind in a column.
pub(super) fn request_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<RequestKind> {
    use RequestKind::{Asked, Invited, Proposed};
    let number: u8 = small(row, column)?;
    let found = [Asked, Invited, Proposed].into_iter().find(|kind| *kind as u8 == number);
    found.ok_or_else(|| unreadable(column, "a kind of request"))
}

macro_rules! request_sql {
    ($which:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", r.conv, g.name, r.kind, r.by_user, r.message, r.at FROM group_request r \
             CROSS JOIN chat_group g ON g.conv = r.conv CROSS JOIN user u ON u.id = r.user WHERE ",
            $which
        )
    };
}

fn request(row: &Row<'_>) -> rusqlite::Result<GroupRequest> {
    Ok(GroupRequest {
        user: users::read(row)?,
        group: conversation(row, 5)?,
        group_name: row.get(6)?,
        kind: request_kind(row, 7)?,
        by: user(row, 8)?,
        message: row.get(9)?,
        at: number(row, 10)?,
    })
}

pub(super) fn requests(
    db: &Connection,
    id: ConversationId,
    after: UserId,
    limit: usize,
) -> rusqlite::Result<Vec<GroupRequest>> {
    let query = request_sql!("r.conv = ?1 AND r.user > ?2 ORDER BY r.user LIMIT ?3");
    all(db, query, params![id.as_bytes(), sql(after.0), sql(limit as u64)], request)
}

/// Of what others propose the user knows nothing.
pub(super) fn requests_of(
    db: &Connection,
    user: UserId,
    after: Option<ConversationId>,
    limit: usize,
) -> rusqlite::Result<Vec<GroupRequest>> {
    let query = request_sql!("r.user = ?1 AND r.conv > ?2 AND r.kind <> ?4 ORDER BY r.conv LIMIT ?3");
    let proposed = RequestKind::Proposed as u8;
    all(db, query, params![sql(user.0), from(after.as_ref()), sql(limit as u64), proposed], request)
}
