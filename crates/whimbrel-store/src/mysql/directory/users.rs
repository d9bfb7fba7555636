//! Accounts: their rows, and the lock on them under which everything of a user is decided.

use std::collections::BTreeMap;

use sqlx::{MySqlConnection, query};
use whimbrel_core::{ConversationId, DeviceId, UserId};

use super::devices;
use super::many::{STEP, filled, repeat, rows};
use super::value::{self, user_columns};
use super::work::{Change, Stop, Work};
use crate::StoreError;
use crate::directory::words::Account;
use crate::directory::{DirectoryError, RelationState, User};

/// An account whose row is locked.
#[derive(Debug, Clone)]
pub(in crate::mysql) struct Locked {
    pub(in crate::mysql) user: User,
    pub(in crate::mysql) private: ConversationId,
}

pub(super) async fn by_id(db: &mut MySqlConnection, user: UserId) -> Result<Option<User>, StoreError> {
    let read = concat!("SELECT ", user_columns!(), " FROM user u WHERE u.id = ? AND u.deleted_at IS NULL");
    Ok(query(read).bind(user.0).fetch_optional(db).await?.as_ref().map(value::account).transpose()?)
}

pub(super) async fn by_handle(db: &mut MySqlConnection, handle: &str) -> Result<Option<User>, StoreError> {
    // No handle has other characters, and the column's character set could not compare them.
    if !handle.is_ascii() {
        return Ok(None);
    }
    let read = concat!("SELECT ", user_columns!(), " FROM user u WHERE u.handle = ? AND u.deleted_at IS NULL");
    Ok(query(read).bind(handle).fetch_optional(db).await?.as_ref().map(value::account).transpose()?)
}

pub(super) async fn password_hash(
    db: &mut MySqlConnection,
    user: UserId,
) -> Result<Option<Option<String>>, StoreError> {
    let read = "SELECT password_hash FROM user WHERE id = ? AND deleted_at IS NULL";
    let row = query(read).bind(user.0).fetch_optional(db).await?;
    Ok(row.map(|row| value::get(&row, 0)).transpose()?)
}

/// Locks those of these accounts that exist, in ascending order of their ids.
pub(in crate::mysql) async fn lock(work: &mut Work, ids: &[UserId]) -> Result<BTreeMap<UserId, Locked>, Stop> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut locked = BTreeMap::new();
    for chunk in ids.chunks(STEP) {
        let chunk = filled(chunk);
        let before = concat!(
            "SELECT ",
            user_columns!(),
            ", u.private_conversation, u.deleted_at FROM user u FORCE INDEX (PRIMARY) WHERE u.id IN ("
        );
        let text = repeat(before, "?", ", ", chunk.len(), ") ORDER BY u.id FOR UPDATE");
        let lock = chunk.iter().fold(query(text), |lock, id| lock.bind(id.0));
        for row in lock.fetch_all(work.db()).await? {
            if value::get::<Option<u64>>(&row, 6)?.is_none() {
                let (user, private) = (value::account(&row)?, value::conversation(&row, 5)?);
                locked.insert(user.id, Locked { user, private });
            }
        }
    }
    Ok(locked)
}

/// Locks one account, or says that there is none.
pub(in crate::mysql) async fn lock_one(work: &mut Work, user: UserId) -> Result<Locked, Stop> {
    let locked = lock(work, &[user]).await?.remove(&user);
    Ok(locked.ok_or(DirectoryError::NoSuchUser)?)
}

/// The private conversations of those of these users who have an account. It never changes, so nothing is locked.
pub(in crate::mysql) async fn private(
    work: &mut Work,
    ids: &[UserId],
) -> Result<BTreeMap<UserId, ConversationId>, Stop> {
    let mut private = BTreeMap::new();
    for chunk in ids.chunks(STEP) {
        let chunk = filled(chunk);
        let before = "SELECT id, private_conversation FROM user WHERE deleted_at IS NULL AND id IN (";
        let text = repeat(before, "?", ", ", chunk.len(), ")");
        let read = chunk.iter().fold(query(text), |read, id| read.bind(id.0));
        for row in read.fetch_all(work.db()).await? {
            private.insert(value::user(&row, 0)?, value::conversation(&row, 1)?);
        }
    }
    Ok(private)
}

pub(super) struct SetProfile {
    pub(super) user: UserId,
    pub(super) display_name: Option<String>,
    pub(super) avatar: Option<String>,
    pub(super) now: u64,
}

/// One transaction, however many the friends are (at most
/// [`RELATIONS_MAX`](whimbrel_core::limits::RELATIONS_MAX)): in steps, a friend could be forgotten for good. Their
/// private conversations are locked and written a few hundred at a time.
impl Change for SetProfile {
    type Answer = User;

    async fn make(&self, work: &mut Work) -> Result<User, Stop> {
        let locked = lock_one(work, self.user).await?;
        let before = &locked.user;
        let after = User {
            display_name: self.display_name.clone().unwrap_or_else(|| before.display_name.clone()),
            avatar: self.avatar.clone().unwrap_or_else(|| before.avatar.clone()),
            ..before.clone()
        };
        if after == *before {
            return Ok(after);
        }
        query("UPDATE user SET display_name = ?, avatar = ? WHERE id = ?")
            .bind(&after.display_name)
            .bind(&after.avatar)
            .bind(self.user.0)
            .execute(work.db())
            .await?;
        work.tell_account(&locked, Account::Profile, self.now);
        // Who is a friend changes under this user's lock only, and a private conversation never does.
        let friends = "SELECT r.peer, u.private_conversation FROM relation r JOIN user u ON u.id = r.peer \
             WHERE r.user = ? AND r.state = ? AND u.deleted_at IS NULL ORDER BY r.peer";
        let friends = query(friends).bind(self.user.0).bind(RelationState::Friends as u8);
        for row in friends.fetch_all(work.db()).await? {
            let (friend, private) = (value::user(&row, 0)?, value::conversation(&row, 1)?);
            work.tell_relation(friend, private, self.user, self.now);
        }
        Ok(after)
    }
}

pub(super) struct SetPassword {
    pub(super) user: UserId,
    pub(super) hash: String,
    pub(super) keep: DeviceId,
    pub(super) now: u64,
}

impl Change for SetPassword {
    type Answer = Vec<DeviceId>;

    async fn make(&self, work: &mut Work) -> Result<Vec<DeviceId>, Stop> {
        let locked = lock_one(work, self.user).await?;
        query("UPDATE user SET password_hash = ? WHERE id = ?")
            .bind(&self.hash)
            .bind(self.user.0)
            .execute(work.db())
            .await?;
        let mut removed = devices::ids(work, self.user).await?;
        removed.retain(|device| *device != self.keep);
        work.tell_account(&locked, Account::Password, self.now);
        devices::remove(work, &locked, &removed, self.now).await?;
        Ok(removed)
    }
}

/// Member rows: (user, conversation).
pub(super) async fn insert_members(work: &mut Work, members: &[(UserId, ConversationId)]) -> Result<(), Stop> {
    for chunk in rows(members) {
        let text = super::many::insert("member (user, conv)", 2, chunk.len());
        let insert = chunk
            .iter()
            .fold(query(text), |insert, (user, conversation)| insert.bind(user.0).bind(&conversation.as_bytes()[..]));
        insert.execute(work.db()).await?;
    }
    Ok(())
}
