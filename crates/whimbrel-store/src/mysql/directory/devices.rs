//! Devices: a row stands exactly as long as its device is logged in.

use std::collections::BTreeSet;

use sqlx::{MySqlConnection, query};
use whimbrel_core::{DeviceId, UserId};

use super::many::{STEP, filled, lists, repeat};
use super::users::{self, Locked};
use super::value;
use super::work::{Change, Stop, Work};
use crate::StoreError;
use crate::directory::words::Account;
use crate::directory::{Device, DirectoryError};

/// A device of a user.
pub(super) type Key = (UserId, DeviceId);

/// Which of these are logged in: one statement. It reads all devices of the users named, which are a few each.
pub(super) async fn logged_in(db: &mut MySqlConnection, asked: &[Key]) -> Result<Vec<bool>, StoreError> {
    let mut users: Vec<UserId> = asked.iter().map(|(user, _)| *user).collect();
    users.sort_unstable();
    users.dedup();
    let mut stand: BTreeSet<Key> = BTreeSet::new();
    for list in lists(&users) {
        let list = filled(list);
        let text = repeat("SELECT user, id FROM device WHERE user IN (", "?", ", ", list.len(), ")");
        let read = list.iter().fold(query(text), |read, user| read.bind(user.0));
        for row in read.fetch_all(&mut *db).await? {
            stand.insert((value::user(&row, 0)?, value::device(&row, 1)?));
        }
    }
    Ok(asked.iter().map(|key| stand.contains(key)).collect())
}

/// The longest logged in first.
pub(super) async fn list(db: &mut MySqlConnection, user: UserId) -> Result<Vec<Device>, StoreError> {
    let read = "SELECT id, platform, name, created_at, seen_at FROM device WHERE user = ? ORDER BY created_at, id";
    let rows = query(read).bind(user.0).fetch_all(&mut *db).await?;
    let devices = rows.iter().map(|row| {
        Ok(Device {
            id: value::device(row, 0)?,
            platform: value::get(row, 1)?,
            name: value::get(row, 2)?,
            created_at: value::get(row, 3)?,
            seen_at: value::get(row, 4)?,
        })
    });
    devices.collect()
}

/// All devices of a user whose row is locked.
pub(super) async fn ids(work: &mut Work, user: UserId) -> Result<Vec<DeviceId>, Stop> {
    let rows = query("SELECT id FROM device WHERE user = ?").bind(user.0).fetch_all(work.db()).await?;
    Ok(rows.iter().map(|row| value::device(row, 0)).collect::<sqlx::Result<_>>()?)
}

pub(super) struct LogOut {
    pub(super) user: UserId,
    /// `None`: all.
    pub(super) device: Option<DeviceId>,
    pub(super) now: u64,
}

impl Change for LogOut {
    type Answer = Vec<DeviceId>;

    async fn make(&self, work: &mut Work) -> Result<Vec<DeviceId>, Stop> {
        let locked = users::lock_one(work, self.user).await?;
        let mut removed = ids(work, self.user).await?;
        if let Some(device) = self.device {
            removed.retain(|id| *id == device);
            if removed.is_empty() {
                return Err(DirectoryError::NoSuchDevice.into());
            }
        }
        remove(work, &locked, &removed, self.now).await?;
        Ok(removed)
    }
}

/// The devices' rows go, and with them everything that their tokens could open; the user and everyone who polls is
/// told. Nothing removed: nobody is told.
pub(super) async fn remove(work: &mut Work, user: &Locked, removed: &[DeviceId], now: u64) -> Result<(), Stop> {
    if removed.is_empty() {
        return Ok(());
    }
    let keys: Vec<Key> = removed.iter().map(|device| (user.user.id, *device)).collect();
    delete(work, &keys).await?;
    work.tell_account(user, Account::DeviceRemoved, now);
    work.logged_out(user.user.id, removed, now);
    Ok(())
}

/// First the devices, then their spent tokens, as everybody does who takes both.
pub(super) async fn delete(work: &mut Work, keys: &[Key]) -> Result<(), Stop> {
    for [table, column] in [["device", "id"], ["spent_token", "device"]] {
        for chunk in keys.chunks(STEP) {
            let chunk = filled(chunk);
            let which = format!("(user = ? AND {column} = ?)");
            let text = repeat(&format!("DELETE FROM {table} WHERE "), &which, " OR ", chunk.len(), "");
            let delete = chunk
                .iter()
                .fold(query(text), |delete, (user, device)| delete.bind(user.0).bind(&device.as_bytes()[..]));
            delete.execute(work.db()).await?;
        }
    }
    Ok(())
}
