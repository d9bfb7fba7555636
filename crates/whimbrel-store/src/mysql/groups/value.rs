//! Groups, members and requests out of rows.

use sqlx::mysql::MySqlRow;
use whimbrel_core::Role;

use super::super::directory::value::account_from;
pub(super) use super::super::directory::value::get;
use super::super::value::{conversation, seq, unreadable, user};
use crate::groups::{Group, GroupMember, GroupRequest, JoinMode, RequestKind};
use crate::keeping::Keep;

/// What [`group`] wants, as the first columns of a row.
macro_rules! group_columns {
    () => {
        "g.conv, g.handle, g.name, g.avatar, g.announcement, g.owner, g.join_mode, g.listed, g.history_for_all, \
         g.member_limit, g.size, g.muted_until, g.revision, g.key_version, g.created_at, g.dissolved_at, \
         g.keep_age, g.keep_messages"
    };
}
pub(super) use group_columns;

/// How many columns those are.
pub(super) const GROUP_COLUMNS: usize = 18;

/// A group from the first columns.
pub(super) fn group(row: &MySqlRow) -> sqlx::Result<Group> {
    Ok(Group {
        id: conversation(row, 0)?,
        handle: get(row, 1)?,
        name: get(row, 2)?,
        avatar: get(row, 3)?,
        announcement: get(row, 4)?,
        owner: user(row, 5)?,
        join: JoinMode::from_number(get(row, 6)?).ok_or_else(|| unreadable(6, "a way to join"))?,
        listed: get::<u8>(row, 7)? != 0,
        history_for_all: get::<u8>(row, 8)? != 0,
        member_limit: get(row, 9)?,
        size: get(row, 10)?,
        muted_until: get(row, 11)?,
        revision: seq(row, 12)?,
        key_version: get(row, 13)?,
        created_at: get(row, 14)?,
        dissolved_at: get(row, 15)?,
        keep: Keep { age_ms: get(row, 16)?, messages: get(row, 17)? },
    })
}

/// The role in a column.
pub(super) fn role(row: &MySqlRow, column: usize) -> sqlx::Result<Role> {
    Role::from_number(get(row, column)?).ok_or_else(|| unreadable(column, "a role"))
}

/// What kind of request a column says.
pub(super) fn request_kind(row: &MySqlRow, column: usize) -> sqlx::Result<RequestKind> {
    use RequestKind::{Asked, Invited, Proposed};
    let number: u8 = get(row, column)?;
    let kind = [Asked, Invited, Proposed].into_iter().find(|kind| *kind as u8 == number);
    kind.ok_or_else(|| unreadable(column, "a kind of request"))
}

/// What [`member`] wants.
macro_rules! member_columns {
    () => {
        "u.id, u.handle, u.display_name, u.avatar, u.created_at, m.role, m.muted_until, m.joined_at, m.until"
    };
}
pub(super) use member_columns;

/// A member from a row of those columns.
pub(super) fn member(row: &MySqlRow) -> sqlx::Result<GroupMember> {
    Ok(GroupMember {
        user: account_from(row, 0)?,
        role: role(row, 5)?,
        muted_until: get(row, 6)?,
        joined_at: get(row, 7)?,
        until: seq(row, 8)?,
    })
}

/// What [`request`] wants.
macro_rules! request_columns {
    () => {
        "u.id, u.handle, u.display_name, u.avatar, u.created_at, r.conv, g.name, r.kind, r.by_user, r.message, r.at"
    };
}
pub(super) use request_columns;

/// A request from a row of those columns.
pub(super) fn request(row: &MySqlRow) -> sqlx::Result<GroupRequest> {
    Ok(GroupRequest {
        user: account_from(row, 0)?,
        group: conversation(row, 5)?,
        group_name: get(row, 6)?,
        kind: request_kind(row, 7)?,
        by: user(row, 8)?,
        message: get(row, 9)?,
        at: get(row, 10)?,
    })
}
