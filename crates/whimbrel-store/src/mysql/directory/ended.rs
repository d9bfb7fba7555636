//! Who may not stay connected: noted for an hour with the change that ended it, for every role that polls.

use sqlx::{MySqlConnection, query};
use whimbrel_core::{DeviceId, UserId};

use super::many::{insert, rows};
use super::value;
use super::work::{Stop, Work};
use crate::StoreError;
use crate::directory::LoggedOut;

/// How long it is remembered, milliseconds.
const KEPT_MS: u64 = 60 * 60 * 1000;
/// Old ones that a change forgets: more than one can add, so that they do not pile up.
const FORGOTTEN_AT_ONCE: u64 = 256;

impl Work {
    /// Notes that these devices were logged out.
    pub(super) fn logged_out(&mut self, user: UserId, devices: &[DeviceId], now: u64) {
        let ended = devices.iter().map(|device| (LoggedOut { user, device: Some(*device) }, now));
        self.logged_out.extend(ended);
    }

    /// Notes that this account was deleted.
    pub(super) fn deleted(&mut self, user: UserId, now: u64) {
        self.logged_out.push((LoggedOut { user, device: None }, now));
    }
}

/// Writes what was noted, and forgets old ones. Last of all: others who forget the same ones wait for this.
pub(super) async fn note(work: &mut Work) -> Result<(), Stop> {
    let noted = std::mem::take(&mut work.logged_out);
    let Some((_, now)) = noted.last().copied() else { return Ok(()) };
    for chunk in rows(&noted) {
        let mut ended = query(insert("logged_out (user, device, at)", 3, chunk.len()));
        for (LoggedOut { user, device }, now) in chunk {
            let device = device.as_ref().map(|device| &device.as_bytes()[..]);
            ended = ended.bind(user.0).bind(device).bind(work.late(*now));
        }
        ended.execute(work.db()).await?;
    }
    query("DELETE FROM logged_out WHERE at < ? ORDER BY at LIMIT ?")
        .bind(now.saturating_sub(KEPT_MS))
        .bind(FORGOTTEN_AT_ONCE)
        .execute(work.db())
        .await?;
    Ok(())
}

/// Those at or after this time, each once, the oldest first.
pub(super) async fn since(db: &mut MySqlConnection, since: u64) -> Result<Vec<LoggedOut>, StoreError> {
    let read = "SELECT user, device, MIN(at) AS ended FROM logged_out WHERE at >= ? GROUP BY user, device \
         ORDER BY ended, user, device";
    let rows = query(read).bind(since).fetch_all(db).await?;
    let read = rows.iter().map(|row| {
        let device = value::some_bytes(row, 1)?.map(DeviceId::from_bytes);
        Ok(LoggedOut { user: value::user(row, 0)?, device })
    });
    read.collect()
}
