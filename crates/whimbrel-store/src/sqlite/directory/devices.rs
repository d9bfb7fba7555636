//! Devices: a row stands exactly as long as its device is logged in.

use rusqlite::{Connection, params};
use whimbrel_core::limits::DEVICES_MAX;
use whimbrel_core::{DeviceId, UserId};

use super::super::value::{all, device as device_at, first, number, run, sql};
use super::tell::{Account, Teller};
use super::users;
use crate::StoreError;
use crate::directory::{Device, DirectoryError, LogIn, Rows};

pub(super) fn is_logged_in(db: &Connection, user: UserId, device: DeviceId) -> rusqlite::Result<bool> {
    let query = "SELECT 1 FROM device WHERE user = ?1 AND id = ?2";
    Ok(first::<i64>(db, query, params![sql(user.0), device.as_bytes()])?.is_some())
}

pub(super) fn ids(db: &Connection, user: UserId) -> rusqlite::Result<Vec<DeviceId>> {
    all(db, "SELECT id FROM device WHERE user = ?1", params![sql(user.0)], |row| device_at(row, 0))
}

/// The longest logged in first.
pub(super) fn list(db: &Connection, user: UserId) -> rusqlite::Result<Vec<Device>> {
    let query = "SELECT id, platform, name, created_at, seen_at FROM device WHERE user = ?1 ORDER BY created_at, id";
    all(db, query, params![sql(user.0)], |row| {
        Ok(Device {
            id: device_at(row, 0)?,
            platform: row.get(1)?,
            name: row.get(2)?,
            created_at: number(row, 3)?,
            seen_at: number(row, 4)?,
        })
    })
}

/// Each is answered for itself; only an engine's failure fails them all.
pub(super) fn log_in_all(db: &Connection, log_ins: &[LogIn]) -> Result<Vec<Result<Rows, DirectoryError>>, StoreError> {
    let answers = log_ins.iter().map(|log_in| match log_in_one(db, log_in) {
        Err(DirectoryError::Store(failure)) => Err(failure),
        answer => Ok(answer),
    });
    answers.collect()
}

/// Decides before it writes anything, so that a refusal leaves nothing to undo.
fn log_in_one(db: &Connection, log_in: &LogIn) -> Result<Rows, DirectoryError> {
    users::existing(db, log_in.user)?;
    let is_new = !is_logged_in(db, log_in.user, log_in.device)?;
    if is_new {
        let count: Option<i64> = first(db, "SELECT count(*) FROM device WHERE user = ?1", [sql(log_in.user.0)])?;
        if count.unwrap_or(0) >= sql(DEVICES_MAX) {
            return Err(DirectoryError::TooManyDevices);
        }
    }
    forget_spent(db, log_in.user, log_in.device)?;
    let upsert = "INSERT INTO device (user, id, platform, name, created_at, seen_at, refresh_hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6) ON CONFLICT (user, id) DO UPDATE SET \
         platform = excluded.platform, name = excluded.name, seen_at = excluded.seen_at, \
         refresh_hash = excluded.refresh_hash";
    let (user, id) = (sql(log_in.user.0), log_in.device.as_bytes());
    run(db, upsert, params![user, id, log_in.platform, log_in.name, sql(log_in.now), log_in.refresh_hash])?;
    let mut teller = Teller::new(db, log_in.now);
    if is_new {
        teller.account(log_in.user, Account::DeviceAdded)?;
    }
    Ok(teller.into_rows())
}

pub(super) fn log_out(
    db: &Connection,
    user: UserId,
    device: Option<DeviceId>,
    now: u64,
) -> Result<(Vec<DeviceId>, Rows), DirectoryError> {
    users::existing(db, user)?;
    let removed = match device {
        Some(device) if is_logged_in(db, user, device)? => vec![device],
        Some(_) => return Err(DirectoryError::NoSuchDevice),
        None => ids(db, user)?,
    };
    for device in &removed {
        remove(db, user, *device)?;
    }
    let mut teller = Teller::new(db, now);
    if !removed.is_empty() {
        teller.account(user, Account::DeviceRemoved)?;
    }
    Ok((removed, teller.into_rows()))
}

/// The device's row goes, and with it everything that its tokens could open.
pub(super) fn remove(db: &Connection, user: UserId, device: DeviceId) -> rusqlite::Result<()> {
    forget_spent(db, user, device)?;
    run(db, "DELETE FROM device WHERE user = ?1 AND id = ?2", params![sql(user.0), device.as_bytes()])?;
    Ok(())
}

fn forget_spent(db: &Connection, user: UserId, device: DeviceId) -> rusqlite::Result<()> {
    run(db, "DELETE FROM spent_token WHERE user = ?1 AND device = ?2", params![sql(user.0), device.as_bytes()])?;
    Ok(())
}
