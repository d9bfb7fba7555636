//! Logging in, many at once: who may is decided in memory, in their order, under the locks on all users named; then a
//! few statements write it.

use std::collections::BTreeMap;

use sqlx::query;
use whimbrel_core::UserId;
use whimbrel_core::limits::DEVICES_MAX;

use super::devices::{Key, delete};
use super::many::{STEP, filled, insert, repeat, rows};
use super::work::{Change, Stop, Work};
use super::{users, value};
use crate::directory::words::Account;
use crate::directory::{DirectoryError, LogIn};

pub(super) struct LogInAll {
    pub(super) log_ins: Vec<LogIn>,
}

/// A device's row: when it was made, and the log-in that it shows.
struct Stands<'a> {
    created_at: u64,
    log_in: Option<&'a LogIn>,
}

/// By user and device.
type Devices<'a> = BTreeMap<Key, Stands<'a>>;

impl Change for LogInAll {
    /// For each, whether it is told of (by one row).
    type Answer = Vec<Result<bool, DirectoryError>>;

    async fn make(&self, work: &mut Work) -> Result<Self::Answer, Stop> {
        let named: Vec<UserId> = self.log_ins.iter().map(|log_in| log_in.user).collect();
        let locked = users::lock(work, &named).await?;
        let found: Vec<UserId> = locked.keys().copied().collect();
        let mut devices = read(work, &found).await?;
        let again: Vec<Key> = self.log_ins.iter().map(key).filter(|key| devices.contains_key(key)).collect();
        let mut answers = Vec::with_capacity(self.log_ins.len());
        for log_in in &self.log_ins {
            let answer = locked.get(&log_in.user).ok_or(DirectoryError::NoSuchUser);
            answers.push(answer.and_then(|user| {
                let is_new = admit(&mut devices, log_in)?;
                if is_new {
                    work.tell_account(user, Account::DeviceAdded, log_in.now);
                }
                Ok(is_new)
            }));
        }
        // With the row goes the former token, and those that were spent.
        delete(work, &again).await?;
        write(work, &devices).await?;
        Ok(answers)
    }
}

fn key(log_in: &LogIn) -> Key {
    (log_in.user, log_in.device)
}

/// Whether the device is a new one.
fn admit<'a>(devices: &mut Devices<'a>, log_in: &'a LogIn) -> Result<bool, DirectoryError> {
    if let Some(stands) = devices.get_mut(&key(log_in)) {
        stands.log_in = Some(log_in);
        return Ok(false);
    }
    let all = devices.range((log_in.user, FIRST)..=(log_in.user, LAST)).count();
    if all as u64 >= DEVICES_MAX {
        return Err(DirectoryError::TooManyDevices);
    }
    devices.insert(key(log_in), Stands { created_at: log_in.now, log_in: Some(log_in) });
    Ok(true)
}

const FIRST: whimbrel_core::DeviceId = whimbrel_core::DeviceId::from_bytes([0; 16]);
const LAST: whimbrel_core::DeviceId = whimbrel_core::DeviceId::from_bytes([0xff; 16]);

/// The devices of these users, whose rows are locked.
async fn read<'a>(work: &mut Work, users: &[UserId]) -> Result<Devices<'a>, Stop> {
    let mut devices = Devices::new();
    for chunk in users.chunks(STEP) {
        let chunk = filled(chunk);
        let text = repeat("SELECT user, id, created_at FROM device WHERE user IN (", "?", ", ", chunk.len(), ")");
        let read = chunk.iter().fold(query(text), |read, user| read.bind(user.0));
        for row in read.fetch_all(work.db()).await? {
            let key = (value::user(&row, 0)?, value::device(&row, 1)?);
            devices.insert(key, Stands { created_at: value::get(&row, 2)?, log_in: None });
        }
    }
    Ok(devices)
}

async fn write(work: &mut Work, devices: &Devices<'_>) -> Result<(), Stop> {
    let new = devices.values().filter_map(|stands| Some((stands.log_in?, stands.created_at)));
    let new: Vec<(&LogIn, u64)> = new.collect();
    for chunk in rows(&new) {
        let text = insert("device (user, id, platform, name, created_at, seen_at, refresh_hash)", 7, chunk.len());
        let insert = chunk.iter().fold(query(text), |insert, (log_in, created_at)| {
            let insert = insert.bind(log_in.user.0).bind(&log_in.device.as_bytes()[..]);
            let insert = insert.bind(log_in.platform.as_str()).bind(log_in.name.as_str());
            insert.bind(*created_at).bind(log_in.now).bind(log_in.refresh_hash.as_ref().map(|hash| &hash[..]))
        });
        insert.execute(work.db()).await?;
    }
    Ok(())
}
