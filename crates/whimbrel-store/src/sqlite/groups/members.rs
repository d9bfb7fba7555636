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
use crate::history::joined;
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

/// The versions of all times in which somebody is or was in it.
const KEYS: &str = "SELECT key_from, key_to FROM group_member WHERE conv = ?1 AND user = ?2 \
     UNION ALL SELECT key_from, key_to FROM member_span WHERE conv = ?1 AND user = ?2";

/// `None`: the user is not in the group, and was not.
pub(super) fn keys(
    db: &Connection,
    keyring: &Keyring,
    id: ConversationId,
    user: UserId,
    after: u32,
    limit: usize,
) -> Result<Option<GroupKeys>, StoreError> {
    let ranges = all(db, KEYS, params![id.as_bytes(), sql(user.0)], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
    if ranges.is_empty() {
        return Ok(None);
    }
    let ranges = ranges.into_iter().map(|(from, to)| from..=if to == 0 { u64::from(u32::MAX) } else { to });
    let mut keys = Vec::new();
    for range in joined(ranges.collect()) {
        let [from, to] = [*range.start(), *range.end()].map(|version| u32::try_from(version).unwrap_or(u32::MAX));
        let range = (from.max(after.saturating_add(1)), to);
        keys.extend(stored_keys::between(db, keyring, id, range, limit - keys.len())?);
    }
    Ok(Some(GroupKeys(keys)))
}

pub(super) fn roster(db: &Connection, id: ConversationId) -> rusqlite::Result<Option<Roster>> {
    let revision = "SELECT revision FROM chat_group WHERE conv = ?1";
    let Some(revision) = first_row(db, revision, [id.as_bytes()], |row| seq(row, 0))? else { return Ok(None) };
    let spans = "SELECT user, since, until FROM group_member WHERE conv = ?1";
    let members =
        all(db, spans, [id.as_bytes()], |row| Ok((user(row, 0)?, Span { since: seq(row, 1)?, until: seq(row, 2)? })))?;
    Ok(Some(Roster::new(revision, members)))
}

/// Those to whom the row at `?2` was said, but for who said it (`?3`), beyond `$after`: of one of their times in the group it
/// is, so each is there once.
macro_rules! audience_sql {
    ($columns:expr, $joins:literal, $after:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (SELECT p.user, m.delivered, m.read FROM group_member p \
             CROSS JOIN member m ON m.user = p.user AND m.conv = p.conv \
             WHERE p.conv = ?1 AND p.user > ",
            $after,
            " AND p.since <= ?2 AND (p.until = 0 OR p.until >= ?2) AND p.user <> ?3 \
             UNION ALL SELECT s.user, s.delivered, s.read FROM member_span s \
             WHERE s.conv = ?1 AND s.until >= ?2 AND s.came <= ?2 AND s.user > ",
            $after,
            " AND s.user <> ?3) a ",
            $joins,
            $rest
        )
    };
}

/// The message, if somebody sees it.
const SAID: &str = "SELECT sender, kind FROM message WHERE conv = ?1 AND seq = ?2 AND (EXISTS (SELECT 1 FROM member \
     WHERE user = ?3 AND conv = ?1 AND since <= ?2 AND (until = 0 OR until >= ?2)) OR EXISTS (SELECT 1 FROM member_span \
     WHERE user = ?3 AND conv = ?1 AND since <= ?2 AND until >= ?2))";

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
    let counts = audience_sql!("count(*), sum(a.read >= ?2), sum(a.delivered >= ?2)", "", "0", "");
    let key = params![id.as_bytes(), sql(place.0), sql(sender.0)];
    let counts = first_row(db, counts, key, |row| {
        Ok([number_or_zero(row, 0)?, number_or_zero(row, 1)?, number_or_zero(row, 2)?])
    })?;
    let [of, read, delivered] = counts.unwrap_or_default().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let page = audience_sql!(
        concat!(user_columns!(), ", a.delivered, a.read"),
        "CROSS JOIN user u ON u.id = a.user",
        "?4",
        " ORDER BY a.user LIMIT ?5"
    );
    let key = params![id.as_bytes(), sql(place.0), sql(sender.0), sql(after.0), sql(limit as u64)];
    let readers = all(db, page, key, |row| {
        let delivered = if is_small { seq(row, 5)? } else { Seq::ZERO };
        Ok(Reader { user: users::read(row)?, cursors: Cursors { delivered, read: seq(row, 6)? } })
    })?;
    Ok(ReadBy { of, read, delivered: if is_small { delivered } else { 0 }, readers })
}
