//! Who is in a group, what they may read, and how far they have.

use rusqlite::{Connection, Row, params};
use whimbrel_core::limits::SMALL_GROUP;
use whimbrel_core::{ConversationId, Cursors, MessageKind, Roster, Seq, Span, UserId};

use super::super::directory::keys as stored_keys;
use super::super::directory::users::{self, user_columns};
use super::super::head::read_role;
use super::super::value::{all, first_row, number, number_or_zero, seq, small, sql, until, user};
use super::read;
use crate::groups::{GroupKeys, GroupMember, ReadBy, Reader};
use crate::{Keyring, StoreError};

macro_rules! member_sql {
    ($which:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", p.role, p.muted_until, p.joined_at, p.until FROM group_member p \
             CROSS JOIN user u ON u.id = p.user WHERE p.conv = ?1 AND ",
            $which
        )
    };
}

fn member(row: &Row<'_>) -> rusqlite::Result<GroupMember> {
    Ok(GroupMember {
        user: users::read(row)?,
        role: read_role(row, 5)?,
        muted_until: until(row, 6)?,
        joined_at: number(row, 7)?,
        until: seq(row, 8)?,
    })
}

pub(super) fn list(
    db: &Connection,
    id: ConversationId,
    after: UserId,
    limit: usize,
) -> rusqlite::Result<Vec<GroupMember>> {
    let query = member_sql!("p.user > ?2 AND p.until = 0 ORDER BY p.user LIMIT ?3");
    all(db, query, params![id.as_bytes(), sql(after.0), sql(limit as u64)], member)
}

pub(super) fn one(db: &Connection, id: ConversationId, user: UserId) -> rusqlite::Result<Option<GroupMember>> {
    first_row(db, member_sql!("p.user = ?2"), params![id.as_bytes(), sql(user.0)], member)
}

/// `None`: the user is not in the group, and was not.
pub(super) fn keys(
    db: &Connection,
    keyring: &Keyring,
    id: ConversationId,
    user: UserId,
    after: u32,
    limit: usize,
) -> Result<Option<GroupKeys>, StoreError> {
    let query = "SELECT key_from, key_to FROM group_member WHERE conv = ?1 AND user = ?2";
    let range = first_row(db, query, params![id.as_bytes(), sql(user.0)], |row| {
        Ok((small::<u32>(row, 0)?, small::<u32>(row, 1)?))
    })?;
    let Some((from, to)) = range else { return Ok(None) };
    let range = (from.max(after.saturating_add(1)), if to == 0 { u32::MAX } else { to });
    Ok(Some(GroupKeys(stored_keys::between(db, keyring, id, range, limit)?)))
}

pub(super) fn roster(db: &Connection, id: ConversationId) -> rusqlite::Result<Option<Roster>> {
    let revision = "SELECT revision FROM chat_group WHERE conv = ?1";
    let Some(revision) = first_row(db, revision, [id.as_bytes()], |row| seq(row, 0))? else { return Ok(None) };
    let spans = "SELECT user, since, until FROM group_member WHERE conv = ?1";
    let members =
        all(db, spans, [id.as_bytes()], |row| Ok((user(row, 0)?, Span { since: seq(row, 1)?, until: seq(row, 2)? })))?;
    Ok(Some(Roster::new(revision, members)))
}

/// Those to whom the row at `?2` was said, but for who said it (`?3`).
macro_rules! audience_sql {
    ($columns:expr, $joins:literal, $which:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM group_member p CROSS JOIN member m ON m.user = p.user AND m.conv = p.conv ",
            $joins,
            " WHERE p.conv = ?1 AND p.since <= ?2 AND (p.until = 0 OR p.until >= ?2) AND p.user <> ?3 ",
            $which
        )
    };
}

/// The message, if somebody sees it.
const SAID: &str = "SELECT sender, kind FROM message WHERE conv = ?1 AND seq = ?2 AND EXISTS (SELECT 1 FROM member \
     WHERE user = ?3 AND conv = ?1 AND since <= ?2 AND (until = 0 OR until >= ?2))";

/// Counts read every member: this is for people who ask about one message.
pub(super) fn read_by(
    db: &Connection,
    (id, place): (ConversationId, Seq),
    asker: UserId,
    after: UserId,
    limit: usize,
) -> rusqlite::Result<ReadBy> {
    let said = first_row(db, SAID, params![id.as_bytes(), sql(place.0), sql(asker.0)], |row| {
        Ok((user(row, 0)?, MessageKind(small(row, 1)?)))
    })?;
    let (Some(group), Some((sender, _))) = (read::by_id(db, id)?, said.filter(|(_, kind)| kind.is_countable())) else {
        return Ok(ReadBy::default());
    };
    let is_small = group.size <= SMALL_GROUP;
    let counts = audience_sql!("count(*), sum(m.read >= ?2), sum(m.delivered >= ?2)", "", "");
    let key = params![id.as_bytes(), sql(place.0), sql(sender.0)];
    let counts = first_row(db, counts, key, |row| {
        Ok([number_or_zero(row, 0)?, number_or_zero(row, 1)?, number_or_zero(row, 2)?])
    })?;
    let [of, read, delivered] = counts.unwrap_or_default().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let page = audience_sql!(
        concat!(user_columns!(), ", m.delivered, m.read"),
        "CROSS JOIN user u ON u.id = p.user",
        "AND p.user > ?4 ORDER BY p.user LIMIT ?5"
    );
    let key = params![id.as_bytes(), sql(place.0), sql(sender.0), sql(after.0), sql(limit as u64)];
    let readers = all(db, page, key, |row| {
        let delivered = if is_small { seq(row, 5)? } else { Seq::ZERO };
        Ok(Reader { user: users::read(row)?, cursors: Cursors { delivered, read: seq(row, 6)? } })
    })?;
    Ok(ReadBy { of, read, delivered: if is_small { delivered } else { 0 }, readers })
}
