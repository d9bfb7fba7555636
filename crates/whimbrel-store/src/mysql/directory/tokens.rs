//! Refresh tokens, as their hashes: each is good once, and using one a second time betrays a copy.
//!
//! The usual exchange compares and sets the device's row and locks nothing else. Whoever loses that race, or comes with
//! a token that was spent, decides anew under the user's lock.

use sqlx::{MySqlConnection, query};

use super::super::MySqlStore;
use super::devices::{self, Key};
use super::users;
use super::value;
use super::work::{Change, Stop, Work, run_all};
use crate::StoreError;
use crate::directory::{DirectoryError, Refreshed};

/// Spent tokens that are remembered for each device; older ones are simply unknown.
const SPENT_KEPT: u64 = 256;

/// A question to exchange a token.
#[derive(Clone, Copy)]
pub(super) struct Exchange {
    pub(super) token: [u8; 32],
    pub(super) successor: [u8; 32],
    pub(super) now: u64,
    pub(super) grace_ms: u64,
}

pub(super) async fn refresh(store: &MySqlStore, exchange: Exchange) -> Result<Refreshed, StoreError> {
    let Some((owner, is_current)) = store.read(async |db| owner(db, &exchange.token).await).await? else {
        return Ok(Refreshed::Unknown);
    };
    let (user, device) = owner;
    if is_current && run_all(store, &Rotate { owner, exchange }).await?.0 {
        return Ok(Refreshed::Rotated { user, device });
    }
    let (decided, rows) = run_all(store, &Decide { owner, exchange }).await?;
    Ok(match decided {
        Decided::Rotated => Refreshed::Rotated { user, device },
        Decided::Repeated => Refreshed::Repeated { user, device },
        Decided::Stolen => Refreshed::Stolen { user, device, rows },
        Decided::Unknown => Refreshed::Unknown,
    })
}

/// Whose token it is or was, and whether it is the device's current one.
async fn owner(db: &mut MySqlConnection, token: &[u8; 32]) -> Result<Option<(Key, bool)>, StoreError> {
    let read = "SELECT user, id, 1 FROM device WHERE refresh_hash = ? \
         UNION ALL SELECT user, device, 0 FROM spent_token WHERE hash = ?";
    let row = query(read).bind(&token[..]).bind(&token[..]).fetch_optional(db).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(((value::user(&row, 0)?, value::device(&row, 1)?), value::get::<i64>(&row, 2)? == 1)))
}

/// The usual way; answers whether the token was still the current one.
struct Rotate {
    owner: Key,
    exchange: Exchange,
}

impl Change for Rotate {
    type Answer = bool;

    async fn make(&self, work: &mut Work) -> Result<bool, Stop> {
        let ((user, device), exchange) = (self.owner, &self.exchange);
        let swap = "UPDATE device FORCE INDEX (PRIMARY) SET refresh_hash = ?, seen_at = ? \
             WHERE user = ? AND id = ? AND refresh_hash = ?";
        let swapped = query(swap)
            .bind(&exchange.successor[..])
            .bind(exchange.now)
            .bind(user.0)
            .bind(&device.as_bytes()[..])
            .bind(&exchange.token[..])
            .execute(work.db())
            .await?;
        if swapped.rows_affected() == 0 {
            return Ok(false);
        }
        spend(work, self.owner, exchange).await?;
        Ok(true)
    }
}

/// Remembers the token as spent, and forgets those beyond the number that is kept.
async fn spend(work: &mut Work, (user, device): Key, exchange: &Exchange) -> Result<(), Stop> {
    query("INSERT INTO spent_token (hash, user, device, successor, spent_at) VALUES (?, ?, ?, ?, ?)")
        .bind(&exchange.token[..])
        .bind(user.0)
        .bind(&device.as_bytes()[..])
        .bind(&exchange.successor[..])
        .bind(exchange.now)
        .execute(work.db())
        .await?;
    let forget = "DELETE s FROM spent_token s JOIN (SELECT hash FROM spent_token WHERE user = ? AND device = ? \
         ORDER BY spent_at DESC, hash LIMIT 64 OFFSET ?) old ON old.hash = s.hash";
    query(forget).bind(user.0).bind(&device.as_bytes()[..]).bind(SPENT_KEPT).execute(work.db()).await?;
    Ok(())
}

/// The way of everybody else.
struct Decide {
    owner: Key,
    exchange: Exchange,
}

enum Decided {
    Rotated,
    Repeated,
    Stolen,
    Unknown,
}

impl Change for Decide {
    type Answer = Decided;

    async fn make(&self, work: &mut Work) -> Result<Decided, Stop> {
        let locked = match users::lock_one(work, self.owner.0).await {
            Err(Stop::Refused(DirectoryError::NoSuchUser)) => return Ok(Decided::Unknown),
            locked => locked?,
        };
        // A token that was lost to another exchange cannot be current again, unless it was made so since.
        if (Rotate { owner: self.owner, exchange: self.exchange }).make(work).await? {
            return Ok(Decided::Rotated);
        }
        let Some(spent) = spent(work, self.owner, &self.exchange.token).await? else { return Ok(Decided::Unknown) };
        if self.exchange.now.saturating_sub(spent.spent_at) <= self.exchange.grace_ms {
            return self.within_grace(work, &spent).await;
        }
        devices::remove(work, &locked, &[self.owner.1], self.exchange.now).await?;
        Ok(Decided::Stolen)
    }
}

impl Decide {
    /// The same successor stands, if it has not been used yet itself; a straggler of an older exchange is refused and
    /// harms nobody. Afterwards it is a copy, and nobody can tell whose.
    async fn within_grace(&self, work: &mut Work, spent: &Spent) -> Result<Decided, Stop> {
        let (user, device) = self.owner;
        let stands = query("SELECT refresh_hash FROM device WHERE user = ? AND id = ?")
            .bind(user.0)
            .bind(&device.as_bytes()[..])
            .fetch_optional(work.db())
            .await?;
        let stands = stands.map(|row| value::some_bytes::<32>(&row, 0)).transpose()?.flatten();
        let same = stands == Some(spent.successor) && spent.successor == self.exchange.successor;
        Ok(if same { Decided::Repeated } else { Decided::Unknown })
    }
}

struct Spent {
    successor: [u8; 32],
    spent_at: u64,
}

async fn spent(work: &mut Work, (user, device): Key, token: &[u8; 32]) -> Result<Option<Spent>, Stop> {
    let row = query("SELECT successor, spent_at FROM spent_token WHERE hash = ? AND user = ? AND device = ?")
        .bind(&token[..])
        .bind(user.0)
        .bind(&device.as_bytes()[..])
        .fetch_optional(work.db())
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Spent { successor: value::bytes(&row, 0)?, spent_at: value::get(&row, 1)? }))
}
