//! What groups there are, who is in them, and what waits for an answer.

use sqlx::{MySqlConnection, query};
use whimbrel_core::{ConversationId, UserId};

use super::value::{GROUP_COLUMNS, get, group, group_columns, member, member_columns, request, request_columns, role};
use crate::StoreError;
use crate::groups::{Group, GroupMember, GroupRequest, Membership, RequestKind};

/// Before the first conversation.
const NONE: [u8; 16] = [0; 16];

fn beyond(after: Option<ConversationId>) -> Vec<u8> {
    after.map_or(NONE, |after| *after.as_bytes()).to_vec()
}

pub(super) async fn by_id(db: &mut MySqlConnection, id: ConversationId) -> Result<Option<Group>, StoreError> {
    let read = concat!("SELECT ", group_columns!(), " FROM chat_group g WHERE g.conv = ?");
    Ok(query(read).bind(&id.as_bytes()[..]).fetch_optional(db).await?.as_ref().map(group).transpose()?)
}

pub(super) async fn by_handle(db: &mut MySqlConnection, handle: &str) -> Result<Option<Group>, StoreError> {
    // No handle has other characters, and the column's character set could not compare them.
    if !handle.is_ascii() {
        return Ok(None);
    }
    let read = concat!("SELECT ", group_columns!(), " FROM chat_group g WHERE g.handle = ?");
    Ok(query(read).bind(handle).fetch_optional(db).await?.as_ref().map(group).transpose()?)
}

/// Walks the user's conversations, as a sync does; without those that the user left, and has had deleted since.
pub(super) async fn of_user(
    db: &mut MySqlConnection,
    user: UserId,
    after: Option<ConversationId>,
    limit: usize,
) -> Result<Vec<Membership>, StoreError> {
    let read = concat!(
        "SELECT ",
        group_columns!(),
        ", gm.role, gm.muted_until, gm.until FROM member m \
         STRAIGHT_JOIN group_member gm ON gm.conv = m.conv AND gm.user = m.user \
         STRAIGHT_JOIN chat_group g ON g.conv = m.conv LEFT JOIN setting s ON s.user = m.user AND s.conv = m.conv \
         WHERE m.user = ? AND m.conv > ? AND (m.until = 0 OR COALESCE(s.hidden, 0) < m.until) ORDER BY m.conv LIMIT ?"
    );
    let rows = query(read).bind(user.0).bind(beyond(after)).bind(limit as u64).fetch_all(db).await?;
    let memberships = rows.iter().map(|row| {
        Ok(Membership {
            group: group(row)?,
            role: role(row, GROUP_COLUMNS)?,
            muted_until: get(row, GROUP_COLUMNS + 1)?,
            until: super::super::value::seq(row, GROUP_COLUMNS + 2)?,
        })
    });
    Ok(memberships.collect::<sqlx::Result<_>>()?)
}

pub(super) async fn members(
    db: &mut MySqlConnection,
    id: ConversationId,
    after: UserId,
    limit: usize,
) -> Result<Vec<GroupMember>, StoreError> {
    let read = concat!(
        "SELECT ",
        member_columns!(),
        " FROM group_member m FORCE INDEX (PRIMARY) STRAIGHT_JOIN user u ON u.id = m.user \
         WHERE m.conv = ? AND m.user > ? AND m.until = 0 ORDER BY m.user LIMIT ?"
    );
    let rows = query(read).bind(&id.as_bytes()[..]).bind(after.0).bind(limit as u64).fetch_all(db).await?;
    Ok(rows.iter().map(member).collect::<sqlx::Result<_>>()?)
}

pub(super) async fn one_member(
    db: &mut MySqlConnection,
    id: ConversationId,
    user: UserId,
) -> Result<Option<GroupMember>, StoreError> {
    let read = concat!(
        "SELECT ",
        member_columns!(),
        " FROM group_member m JOIN user u ON u.id = m.user WHERE m.conv = ? AND m.user = ?"
    );
    let row = query(read).bind(&id.as_bytes()[..]).bind(user.0).fetch_optional(db).await?;
    Ok(row.as_ref().map(member).transpose()?)
}

pub(super) async fn requests(
    db: &mut MySqlConnection,
    id: ConversationId,
    after: UserId,
    limit: usize,
) -> Result<Vec<GroupRequest>, StoreError> {
    let read = concat!(
        "SELECT ",
        request_columns!(),
        " FROM group_request r FORCE INDEX (PRIMARY) STRAIGHT_JOIN user u ON u.id = r.user \
         STRAIGHT_JOIN chat_group g ON g.conv = r.conv WHERE r.conv = ? AND r.user > ? ORDER BY r.user LIMIT ?"
    );
    let rows = query(read).bind(&id.as_bytes()[..]).bind(after.0).bind(limit as u64).fetch_all(db).await?;
    Ok(rows.iter().map(request).collect::<sqlx::Result<_>>()?)
}

/// Of what others propose the user knows nothing.
pub(super) async fn requests_of(
    db: &mut MySqlConnection,
    user: UserId,
    after: Option<ConversationId>,
    limit: usize,
) -> Result<Vec<GroupRequest>, StoreError> {
    let read = concat!(
        "SELECT ",
        request_columns!(),
        " FROM group_request r FORCE INDEX (group_request_user) STRAIGHT_JOIN user u ON u.id = r.user \
         STRAIGHT_JOIN chat_group g ON g.conv = r.conv WHERE r.user = ? AND r.conv > ? AND r.kind <> ? \
         ORDER BY r.conv LIMIT ?"
    );
    let rows = query(read)
        .bind(user.0)
        .bind(beyond(after))
        .bind(RequestKind::Proposed as u8)
        .bind(limit as u64)
        .fetch_all(db)
        .await?;
    Ok(rows.iter().map(request).collect::<sqlx::Result<_>>()?)
}
