//! Refresh tokens, as their hashes: each is good once, and using one a second time betrays a copy.

use rusqlite::{Connection, params};
use whimbrel_core::{DeviceId, UserId};

use super::super::value::{device as device_at, first_row, number, run, sql, user as user_at};
use super::devices;
use super::tell::{Account, Teller};
use crate::StoreError;
use crate::directory::Refreshed;

/// Spent tokens that are remembered for each device; older ones are simply unknown.
const SPENT_KEPT: i64 = 256;

struct Spent {
    user: UserId,
    device: DeviceId,
    successor: [u8; 32],
    spent_at: u64,
}

pub(super) fn refresh(
    db: &Connection,
    token: &[u8; 32],
    successor: &[u8; 32],
    now: u64,
    grace_ms: u64,
) -> Result<Refreshed, StoreError> {
    let current = "SELECT user, id FROM device WHERE refresh_hash = ?1";
    let holder = first_row(db, current, [token], |row| Ok((user_at(row, 0)?, device_at(row, 1)?)))?;
    if let Some((user, device)) = holder {
        rotate(db, user, device, token, successor, now)?;
        return Ok(Refreshed::Rotated { user, device });
    }
    let query = "SELECT user, device, successor, spent_at FROM spent_token WHERE hash = ?1";
    let spent = first_row(db, query, [token], |row| {
        let (user, device) = (user_at(row, 0)?, device_at(row, 1)?);
        Ok(Spent { user, device, successor: row.get(2)?, spent_at: number(row, 3)? })
    })?;
    match spent {
        Some(spent) => reused(db, &spent, successor, now, grace_ms),
        None => Ok(Refreshed::Unknown),
    }
}

fn rotate(
    db: &Connection,
    user: UserId,
    device: DeviceId,
    token: &[u8; 32],
    successor: &[u8; 32],
    now: u64,
) -> rusqlite::Result<()> {
    let (user, device) = (sql(user.0), device.as_bytes());
    let update = "UPDATE device SET refresh_hash = ?3, seen_at = ?4 WHERE user = ?1 AND id = ?2";
    run(db, update, params![user, device, successor, sql(now)])?;
    let insert = "INSERT INTO spent_token (hash, user, device, successor, spent_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    run(db, insert, params![token, user, device, successor, sql(now)])?;
    let prune = "DELETE FROM spent_token WHERE hash IN (SELECT hash FROM spent_token \
         WHERE user = ?1 AND device = ?2 ORDER BY spent_at DESC LIMIT -1 OFFSET ?3)";
    run(db, prune, params![user, device, SPENT_KEPT])?;
    Ok(())
}

/// Within the time of grace the same successor stands, if it has not been used yet itself; a straggler of an older
/// exchange is refused and harms nobody. Afterwards it is a copy, and nobody can tell whose.
fn reused(
    db: &Connection,
    spent: &Spent,
    successor: &[u8; 32],
    now: u64,
    grace_ms: u64,
) -> Result<Refreshed, StoreError> {
    let Spent { user, device, .. } = *spent;
    if now.saturating_sub(spent.spent_at) <= grace_ms {
        let current = "SELECT refresh_hash FROM device WHERE user = ?1 AND id = ?2";
        let key = params![sql(user.0), device.as_bytes()];
        let stands = first_row(db, current, key, |row| row.get::<_, Option<[u8; 32]>>(0))?.flatten();
        let same = stands == Some(spent.successor) && spent.successor == *successor;
        return Ok(if same { Refreshed::Repeated { user, device } } else { Refreshed::Unknown });
    }
    devices::remove(db, user, device)?;
    let mut teller = Teller::new(db, now);
    teller.account(user, Account::DeviceRemoved)?;
    Ok(Refreshed::Stolen { user, device, rows: teller.into_rows() })
}
