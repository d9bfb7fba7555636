//! Deleting an account: whatever it was to others ends first, each group in a transaction, then a bounded number of
//! relations in each; the last of them deletes the account itself.
//!
//! So one that has few relations is deleted in one transaction. If this process dies between two, the account still
//! stands, has fewer relations, and is deleted by the next call; those who were told were told the truth.

use std::collections::BTreeMap;

use sqlx::{MySqlConnection, query};
use whimbrel_core::UserId;
use whimbrel_core::limits::{GROUPS_MAX, RELATIONS_MAX};

use super::super::MySqlStore;
use super::super::groups::{Bereave, groups_of};
use super::users::{self, Locked};
use super::work::{Change, Stop, Work, run};
use super::{change, devices, pair, value};
use crate::StoreError;
use crate::directory::{DirectoryError, Rows};

/// Relations that one transaction ends.
const ENDED_AT_ONCE: usize = 64;

/// Groups that one step leaves.
const LEFT_AT_ONCE: usize = 64;

/// Steps altogether: enough for all relations and groups that one can have, and for some that come while they end.
const STEPS: u64 = RELATIONS_MAX / ENDED_AT_ONCE as u64 + GROUPS_MAX / LEFT_AT_ONCE as u64 + 32;

pub(super) async fn delete(store: &MySqlStore, user: UserId, now: u64) -> Result<Rows, DirectoryError> {
    let mut told = Rows::new();
    for _ in 0..STEPS {
        told.extend(leave_groups(store, user, now).await?);
        let peers = store.read(async |db| peers(db, user).await).await?;
        let (is_deleted, rows) = run(store, &Delete { user, peers, now }).await?;
        told.extend(rows);
        if is_deleted {
            return Ok(told);
        }
    }
    Err(StoreError::Unavailable("an account gets new relations faster than they end".to_owned()).into())
}

/// Goes from the next groups that the user is in; `Delete` says whether there are more.
async fn leave_groups(store: &MySqlStore, user: UserId, now: u64) -> Result<Rows, DirectoryError> {
    let mut told = Rows::new();
    for id in store.read(async |db| groups_of(db, user, LEFT_AT_ONCE).await).await? {
        told.extend(run(store, &Bereave { keyring: store.keyring(), id, user, now }).await?.1);
    }
    Ok(told)
}

/// The next ones with whom there is something.
async fn peers(db: &mut MySqlConnection, user: UserId) -> Result<Vec<UserId>, StoreError> {
    let read = "SELECT peer FROM relation WHERE user = ? AND (state <> 0 OR blocks <> 0) ORDER BY peer LIMIT ?";
    let rows = query(read).bind(user.0).bind(ENDED_AT_ONCE as u64).fetch_all(db).await?;
    Ok(rows.iter().map(|row| value::user(row, 0)).collect::<sqlx::Result<_>>()?)
}

/// Ends what there is with these peers; if that is all, deletes the account.
pub(super) struct Delete {
    pub(super) user: UserId,
    pub(super) peers: Vec<UserId>,
    pub(super) now: u64,
}

impl Change for Delete {
    /// Whether the account is deleted.
    type Answer = bool;

    async fn make(&self, work: &mut Work) -> Result<bool, Stop> {
        let mut named = self.peers.clone();
        named.push(self.user);
        let mut locked = users::lock(work, &named).await?;
        // Who is being deleted is not told.
        if locked.remove(&self.user).is_none() {
            return Err(DirectoryError::NoSuchUser.into());
        }
        for peer in &self.peers {
            end(work, &locked, (self.user, *peer), self.now).await?;
        }
        // Nobody makes this user anything more to others: that takes the lock on their row.
        if !peers(work.db(), self.user).await?.is_empty() || !groups_of(work.db(), self.user, 1).await?.is_empty() {
            return Ok(false);
        }
        for own in [
            "DELETE FROM group_request WHERE user = ?",
            "DELETE FROM setting WHERE user = ?",
            "DELETE FROM member_span WHERE user = ?",
        ] {
            query(own).bind(self.user.0).execute(work.db()).await?;
        }
        let removed: Vec<devices::Key> =
            devices::ids(work, self.user).await?.into_iter().map(|device| (self.user, device)).collect();
        devices::delete(work, &removed).await?;
        // The row stays, so that its number and handle are never given again; nothing personal stays in it.
        query("UPDATE user SET display_name = '', avatar = '', password_hash = NULL, deleted_at = ? WHERE id = ?")
            .bind(self.now)
            .bind(self.user.0)
            .execute(work.db())
            .await?;
        work.deleted(self.user, self.now);
        Ok(true)
    }
}

async fn end(
    work: &mut Work,
    locked: &BTreeMap<UserId, Locked>,
    (user, peer): (UserId, UserId),
    now: u64,
) -> Result<(), Stop> {
    let before = pair::load(work, user, peer).await?;
    change::settle(work, locked, (user, peer), &before, &before.ended(), now).await
}
