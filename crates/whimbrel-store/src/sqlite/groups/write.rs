//! What an effect does to the tables, and the rows that tell of it.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, params};
use whimbrel_core::limits::{GROUP_ANSWERERS_TOLD, GROUP_SPANS_MAX};
use whimbrel_core::{Audience, ConversationId, MessageKind, PlacedRow, Role, RosterChange, Seq, UserId};

use super::super::directory::keys;
use super::super::directory::tell::Teller;
use super::super::value::{all, first, first_row, run, sql, user};
use super::super::{head, place};
use super::find;
use crate::groups::rules::{Effect, Request};
use crate::groups::words::Told;
use crate::groups::{Group, GroupError, RequestKind};
use crate::{Head, Keyring, StoreError};

const GROUP: &str = "UPDATE chat_group SET handle = ?2, name = ?3, avatar = ?4, announcement = ?5, owner = ?6, \
     join_mode = ?7, listed = ?8, history_for_all = ?9, member_limit = ?10, size = ?11, muted_until = ?12, \
     revision = ?13, key_version = ?14, dissolved_at = ?15, keep_age = ?16, keep_messages = ?17 WHERE conv = ?1";

/// Who comes back sees what they saw before: the time that is over, with its keys, and how far they had got in it.
pub(super) const KEEP_SPAN: &str = "INSERT INTO member_span \
     (user, conv, until, since, came, key_from, key_to, delivered, read) \
     SELECT p.user, p.conv, p.until, m.since, p.since, p.key_from, p.key_to, m.delivered, m.read \
     FROM group_member p CROSS JOIN member m ON m.user = p.user AND m.conv = p.conv \
     WHERE p.conv = ?1 AND p.user = ?2 AND p.until > 0";

/// But for the oldest, beyond the number that is kept.
pub(super) const FORGET_SPANS: &str = "DELETE FROM member_span WHERE user = ?2 AND conv = ?1 AND until <= \
     (SELECT until FROM member_span WHERE user = ?2 AND conv = ?1 ORDER BY until DESC LIMIT 1 OFFSET ?3)";

/// Who comes back begins another time, but for a mute: leaving does not end it.
pub(super) const MEMBER: &str = "INSERT INTO group_member (conv, user, role, since, key_from, joined_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (conv, user) DO UPDATE SET role = excluded.role, \
     since = excluded.since, until = 0, key_from = excluded.key_from, key_to = 0, joined_at = excluded.joined_at";

/// Read up to the row before, with all of one's own: what counts as unread begins with the next row. Where history is
/// for all it is seen from its beginning, but for what the user cleared.
pub(super) const CURSORS: &str = "INSERT INTO member (user, conv, delivered, read, since, until, n_read) \
     VALUES (?1, ?2, ?3, ?3, CASE WHEN ?5 THEN 1 + COALESCE((SELECT cleared FROM setting WHERE user = ?1 AND conv = ?2), \
     0) ELSE ?3 + 1 END, 0, ?4) ON CONFLICT (user, conv) DO UPDATE SET delivered = excluded.delivered, \
     read = excluded.read, since = excluded.since, until = 0, n_read = excluded.n_read, own_read = own_total";

pub(super) const ANSWERERS: &str = "SELECT user FROM group_member INDEXED BY group_member_role \
     WHERE conv = ?1 AND role > 1 AND until = 0 ORDER BY role DESC LIMIT ?2";

/// Who waited for an answer; of a proposal the one whom it names was never told.
const END_REQUESTS: &str =
    "DELETE FROM group_request WHERE conv = ?1 RETURNING CASE WHEN kind = ?2 THEN by_user ELSE user END";

const REQUEST: &str = "INSERT OR REPLACE INTO group_request (conv, user, kind, by_user, message, at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// One change on its way into the tables.
pub(super) struct Writing<'a> {
    pub(super) db: &'a Connection,
    pub(super) keyring: &'a Keyring,
    /// Who acts; nobody (0) for the operator.
    pub(super) by: UserId,
    pub(super) now: u64,
}

impl Writing<'_> {
    /// Writes what is different; the group as it is then.
    pub(super) fn write(&self, teller: &mut Teller<'_>, before: &Group, effect: Effect) -> Result<Group, GroupError> {
        let Effect { mut group, told, joined, left, roles, muted, asked, answered, .. } = effect;
        let (db, id) = (self.db, group.id);
        if let Some(handle) = group
            .handle
            .as_ref()
            .filter(|handle| before.handle.as_ref() != Some(handle) || before.revision == Seq::ZERO)
        {
            let taken = "SELECT 1 FROM chat_group WHERE handle = ?1";
            if first::<i64>(db, taken, [handle])?.is_some() {
                return Err(GroupError::HandleTaken);
            }
        }
        if effect.new_key {
            keys::add(db, self.keyring, id, group.key_version)?;
        }
        let mut concerns = effect.concerns;
        if let Some(told) = told {
            let head =
                head::head(db, id)?.ok_or_else(|| StoreError::Corrupt(format!("conversation {id} is missing")))?;
            group.revision = head.seq.next();
            for joiner in &joined {
                if joiner.returns {
                    self.keep_span(id, joiner.user)?;
                }
                self.join(&group, &head, joiner.user, joiner.role as u8)?;
            }
            for user in &left {
                self.leave(&group, *user)?;
            }
            let joined = joined.iter().map(|joiner| joiner.user).collect();
            let change = RosterChange { after: before.revision, at: group.revision, joined, left };
            self.update(&group)?;
            find::update(db, before, &group)?;
            teller.push(self.row(&group, &head, &told, change)?);
        }
        for (user, role) in roles {
            let update = "UPDATE group_member SET role = ?3 WHERE conv = ?1 AND user = ?2";
            run(db, update, params![id.as_bytes(), sql(user.0), role as u8])?;
        }
        if let Some((user, until)) = muted {
            let update = "UPDATE group_member SET muted_until = ?3 WHERE conv = ?1 AND user = ?2";
            run(db, update, params![id.as_bytes(), sql(user.0), sql(until)])?;
        }
        if effect.ends_requests {
            let proposed = RequestKind::Proposed as u8;
            concerns.extend(all(db, END_REQUESTS, params![id.as_bytes(), proposed], |row| user(row, 0))?);
        }
        for user in answered {
            let delete = "DELETE FROM group_request WHERE conv = ?1 AND user = ?2";
            run(db, delete, params![id.as_bytes(), sql(user.0)])?;
        }
        for Request { user, kind, by, message } in asked {
            let (user, by, now) = (sql(user.0), sql(by.0), sql(self.now));
            run(db, REQUEST, params![id.as_bytes(), user, kind as u8, by, message, now])?;
        }
        if effect.tells_answerers {
            let bound = sql(GROUP_ANSWERERS_TOLD as u64);
            concerns.extend(all(db, ANSWERERS, params![id.as_bytes(), bound], |row| user(row, 0))?);
        }
        let mut told = HashSet::new();
        for user in concerns.into_iter().filter(|user| told.insert(*user)) {
            teller.membership(user, id)?;
        }
        Ok(group)
    }

    fn update(&self, group: &Group) -> rusqlite::Result<()> {
        let values = params![
            group.id.as_bytes(),
            group.handle,
            group.name,
            group.avatar,
            group.announcement,
            sql(group.owner.0),
            group.join as u8,
            group.listed,
            group.history_for_all,
            group.member_limit,
            group.size,
            sql(group.muted_until),
            sql(group.revision.0),
            group.key_version,
            group.dissolved_at.map(sql),
            sql(group.keep.age_ms),
            sql(group.keep.messages),
        ];
        run(self.db, GROUP, values)?;
        Ok(())
    }

    fn keep_span(&self, group: ConversationId, user: UserId) -> rusqlite::Result<()> {
        run(self.db, KEEP_SPAN, params![group.as_bytes(), sql(user.0)])?;
        run(self.db, FORGET_SPANS, params![group.as_bytes(), sql(user.0), sql(GROUP_SPANS_MAX as u64)])?;
        Ok(())
    }

    /// With the row that is about to be placed behind `head`.
    fn join(&self, group: &Group, head: &Head, user: UserId, role: u8) -> rusqlite::Result<()> {
        let (conv, user) = (group.id.as_bytes(), sql(user.0));
        let key_from = if group.history_for_all { 1 } else { group.key_version };
        run(self.db, MEMBER, params![conv, user, role, sql(group.revision.0), key_from, sql(self.now)])?;
        run(self.db, CURSORS, params![user, conv, sql(head.seq.0), sql(head.n), group.history_for_all])?;
        Ok(())
    }

    /// The key of the group is a new one already.
    fn leave(&self, group: &Group, user: UserId) -> rusqlite::Result<()> {
        let (conv, user, until) = (group.id.as_bytes(), sql(user.0), sql(group.revision.0));
        let update = "UPDATE group_member SET until = ?3, key_to = ?4 WHERE conv = ?1 AND user = ?2";
        run(self.db, update, params![conv, user, until, group.key_version - 1])?;
        run(self.db, "UPDATE member SET until = ?3 WHERE user = ?1 AND conv = ?2", params![user, conv, until])?;
        Ok(())
    }

    fn row(&self, group: &Group, head: &Head, told: &Told, change: RosterChange) -> Result<PlacedRow, StoreError> {
        let (kind, body) = (MessageKind::GROUP, told.body(self.by));
        let message = place::put_at_end(self.db, group.id, head, self.by, kind, body, self.now)?;
        let audience = Audience::Group { revision: group.revision, size: group.size };
        Ok(PlacedRow { message, audience, change: Some(Arc::new(change)) })
    }
}

/// Who of a role has been in a group longest, but for somebody.
pub(super) const OLDEST: &str = "SELECT user FROM group_member INDEXED BY group_member_heir \
     WHERE conv = ?1 AND until = 0 AND role = ?3 AND user <> ?2 ORDER BY joined_at, user LIMIT 1";

/// Who inherits a group: the oldest admin, else the oldest member.
pub(super) fn heir(db: &Connection, group: ConversationId, owner: UserId) -> rusqlite::Result<Option<UserId>> {
    for role in [Role::Admin, Role::Member] {
        let key = params![group.as_bytes(), sql(owner.0), role as u8];
        if let Some(heir) = first_row(db, OLDEST, key, |row| user(row, 0))? {
            return Ok(Some(heir));
        }
    }
    Ok(None)
}
