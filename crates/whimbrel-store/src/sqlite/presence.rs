//! [`Presences`] on SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use whimbrel_core::{Privacy, Sight, UserId};

use super::SqliteStore;
use super::directory::tell::Teller;
use super::directory::users;
use super::value::{all, first_row, number_or_zero, run, sql, user as user_at};
use crate::StoreError;
use crate::directory::words::Account;
use crate::directory::{DirectoryError, RelationState, Rows};
use crate::presence::{Pair, Presences, PrivacyChange};

/// Both rows of the pair, and what is kept of the second user.
const SIGHT: &str = "SELECT p.invisible, p.last_seen_hidden, p.seen_at FROM relation mine \
     CROSS JOIN relation theirs ON theirs.user = mine.peer AND theirs.peer = mine.user \
     LEFT JOIN presence p ON p.user = mine.peer \
     WHERE mine.user = ?1 AND mine.peer = ?2 AND mine.state = ?3 AND mine.blocks = 0 AND theirs.blocks = 0";

const SEEN: &str = "INSERT INTO presence (user, seen_at, changed_at) VALUES (?1, ?2, ?3) ON CONFLICT (user) DO UPDATE \
     SET seen_at = excluded.seen_at, changed_at = excluded.changed_at WHERE invisible = 0 AND seen_at < excluded.seen_at";

/// Nothing else is shown of who is here: no change.
const HERE: &str = "INSERT INTO presence (user, seen_at) VALUES (?1, ?2) ON CONFLICT (user) DO UPDATE \
     SET seen_at = excluded.seen_at WHERE invisible = 0 AND seen_at < excluded.seen_at";

const STIRRED: &str = "SELECT * FROM (SELECT user, user FROM presence WHERE changed_at >= ?1 LIMIT ?2) \
     UNION ALL SELECT * FROM (SELECT user, peer FROM relation WHERE changed_at >= ?1 LIMIT ?2)";

const PRIVACY: &str = "SELECT invisible, last_seen_hidden FROM presence WHERE user = ?1";

/// Who becomes invisible was seen now (?4); everybody else, when they were.
const SET: &str = "INSERT INTO presence (user, invisible, last_seen_hidden, seen_at, changed_at) \
     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (user) DO UPDATE SET invisible = excluded.invisible, \
     last_seen_hidden = excluded.last_seen_hidden, seen_at = max(seen_at, excluded.seen_at), \
     changed_at = excluded.changed_at";

#[async_trait]
impl Presences for SqliteStore {
    async fn sights(&self, pairs: &[Pair]) -> Result<Vec<Option<Sight>>, StoreError> {
        let pairs = pairs.to_vec();
        let read = move |db: &Connection| {
            let sights = pairs.iter().map(|pair| sight(db, *pair));
            Ok(sights.collect::<rusqlite::Result<_>>()?)
        };
        self.shared.readers.read(read).await
    }

    async fn seen(&self, sightings: &[(UserId, u64)], now: u64) -> Result<(), StoreError> {
        let sightings = sightings.to_vec();
        let write = move |db: &Connection| -> Result<(), StoreError> {
            for (user, at) in &sightings {
                run(db, SEEN, params![sql(user.0), sql(*at), sql(now)])?;
            }
            Ok(())
        };
        self.shared.writer.write(write).await
    }

    async fn here(&self, users: &[UserId], at: u64) -> Result<(), StoreError> {
        let users = users.to_vec();
        let write = move |db: &Connection| -> Result<(), StoreError> {
            for user in &users {
                run(db, HERE, params![sql(user.0), sql(at)])?;
            }
            Ok(())
        };
        self.shared.writer.write(write).await
    }

    async fn stirred(&self, since: u64, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let read = move |db: &Connection| {
            let both = all(db, STIRRED, params![sql(since), sql(limit as u64)], |row| {
                Ok([user_at(row, 0)?, user_at(row, 1)?])
            })?;
            Ok(both.into_iter().flatten().collect())
        };
        self.shared.readers.read(read).await
    }

    async fn privacy(&self, user: UserId) -> Result<Privacy, StoreError> {
        self.shared.readers.read(move |db| Ok(privacy(db, user)?)).await
    }

    async fn set_privacy(
        &self,
        user: UserId,
        change: PrivacyChange,
        now: u64,
    ) -> Result<(Privacy, Rows), DirectoryError> {
        self.shared.writer.write(move |db| set_privacy(db, user, change, now)).await
    }
}

fn sight(db: &Connection, (user, peer): Pair) -> rusqlite::Result<Option<Sight>> {
    let values = params![sql(user.0), sql(peer.0), RelationState::Friends as u8];
    first_row(db, SIGHT, values, |row| {
        Ok(Sight {
            invisible: number_or_zero(row, 0)? != 0,
            last_seen_hidden: number_or_zero(row, 1)? != 0,
            seen_at: number_or_zero(row, 2)?,
        })
    })
}

fn privacy(db: &Connection, user: UserId) -> rusqlite::Result<Privacy> {
    let found = first_row(db, PRIVACY, params![sql(user.0)], |row| {
        Ok(Privacy { invisible: row.get(0)?, last_seen_hidden: row.get(1)? })
    });
    Ok(found?.unwrap_or_default())
}

fn set_privacy(
    db: &Connection,
    user: UserId,
    change: PrivacyChange,
    now: u64,
) -> Result<(Privacy, Rows), DirectoryError> {
    users::existing(db, user)?;
    let before = privacy(db, user)?;
    let after = change.on(before);
    if after == before {
        return Ok((after, Rows::new()));
    }
    let seen_at = if after.invisible && !before.invisible { now } else { 0 };
    run(db, SET, params![sql(user.0), after.invisible, after.last_seen_hidden, sql(seen_at), sql(now)])?;
    let mut teller = Teller::new(db, now);
    teller.account(user, Account::Presence)?;
    Ok((after, teller.into_rows()))
}
