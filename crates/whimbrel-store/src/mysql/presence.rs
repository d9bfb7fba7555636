//! [`Presences`] on MySQL and MariaDB.
//!
//! "Last seen" of many is one statement and locks nothing but these rows, in their order; nobody who holds them waits for
//! anything else.

use async_trait::async_trait;
use sqlx::{MySqlConnection, query};
use whimbrel_core::limits::LAST_SEEN_ROWS;
use whimbrel_core::{Privacy, Sight, UserId};

use super::MySqlStore;
use super::directory::value::get;
use super::directory::work::{Change, Stop, Work, run, run_all};
use super::directory::{place, users};
use super::text::Text;
use super::value::{number, number_or_zero, user};
use crate::StoreError;
use crate::directory::words::Account;
use crate::directory::{DirectoryError, RelationState, Rows};
use crate::presence::{Pair, Presences, PrivacyChange};

/// Both rows of each pair, and what is kept of the second user.
const SIGHTS: &str = "SELECT mine.user, mine.peer, p.invisible, p.last_seen_hidden, p.seen_at FROM relation mine \
     JOIN relation theirs ON theirs.user = mine.peer AND theirs.peer = mine.user \
     LEFT JOIN presence p ON p.user = mine.peer WHERE mine.blocks = 0 AND theirs.blocks = 0 AND mine.state = ";

const STIRRED: &str = "(SELECT user, user AS other FROM presence WHERE changed_at >= ? LIMIT ?) \
     UNION ALL (SELECT user, peer FROM relation WHERE changed_at >= ? LIMIT ?)";

#[async_trait]
impl Presences for MySqlStore {
    async fn sights(&self, pairs: &[Pair]) -> Result<Vec<Option<Sight>>, StoreError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.read(async |db| sights(db, pairs).await).await?;
        Ok(pairs
            .iter()
            .map(|pair| found.binary_search_by_key(pair, |(of, _)| *of).ok().map(|at| found[at].1))
            .collect())
    }

    async fn seen(&self, sightings: &[(UserId, u64)], now: u64) -> Result<(), StoreError> {
        let mut sightings = sightings.to_vec();
        sightings.sort_unstable();
        for sightings in sightings.chunks(LAST_SEEN_ROWS) {
            run_all(self, &Seen { sightings, now }).await?;
        }
        Ok(())
    }

    async fn here(&self, users: &[UserId], at: u64) -> Result<(), StoreError> {
        let mut users = users.to_vec();
        users.sort_unstable();
        for users in users.chunks(LAST_SEEN_ROWS) {
            run_all(self, &Here { users, at }).await?;
        }
        Ok(())
    }

    async fn stirred(&self, since: u64, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let limit = limit as u64;
        self.read(async |db| {
            let read = query(STIRRED).bind(since).bind(limit).bind(since).bind(limit);
            let rows = read.fetch_all(db).await?;
            let both = rows.iter().flat_map(|row| [user(row, 0), user(row, 1)]);
            Ok(both.collect::<sqlx::Result<_>>()?)
        })
        .await
    }

    async fn privacy(&self, user: UserId) -> Result<Privacy, StoreError> {
        self.read(async |db| Ok(privacy(db, user).await?)).await
    }

    async fn set_privacy(
        &self,
        user: UserId,
        change: PrivacyChange,
        now: u64,
    ) -> Result<(Privacy, Rows), DirectoryError> {
        run(self, &SetPrivacy { user, change, now }).await
    }
}

/// By pair, in ascending order.
async fn sights(db: &mut MySqlConnection, pairs: &[Pair]) -> Result<Vec<(Pair, Sight)>, StoreError> {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    pairs.dedup();
    let mut text = Text::new(SIGHTS);
    text.number(RelationState::Friends as u64).words(" AND (");
    text.each(pairs.chunk_by(|one, two| one.0 == two.0), "", " OR ", |text, of_one| {
        text.words("mine.user = ").number(of_one[0].0.0).words(" AND mine.peer IN (");
        text.each(of_one, "", ", ", |text, (_, peer)| {
            text.number(peer.0);
        });
        text.words(")");
    });
    text.words(") ORDER BY mine.user, mine.peer");
    let read = |row: &sqlx::mysql::MySqlRow| {
        let sight = Sight {
            invisible: get::<Option<u8>>(row, 2)?.is_some_and(|flag| flag != 0),
            last_seen_hidden: get::<Option<u8>>(row, 3)?.is_some_and(|flag| flag != 0),
            seen_at: number_or_zero(row, 4)?,
        };
        Ok(((user(row, 0)?, user(row, 1)?), sight))
    };
    Ok(text.rows(db).await?.iter().map(read).collect::<sqlx::Result<_>>()?)
}

async fn privacy(db: &mut MySqlConnection, user: UserId) -> sqlx::Result<Privacy> {
    let read = "SELECT invisible, last_seen_hidden FROM presence WHERE user = ?";
    let row = query(read).bind(user.0).fetch_optional(db).await?;
    let read = |row| -> sqlx::Result<_> {
        Ok(Privacy { invisible: number(&row, 0)? != 0, last_seen_hidden: number(&row, 1)? != 0 })
    };
    Ok(row.map(read).transpose()?.unwrap_or_default())
}

struct Seen<'a> {
    sightings: &'a [(UserId, u64)],
    now: u64,
}

impl Change for Seen<'_> {
    type Answer = ();

    async fn make(&self, work: &mut Work) -> Result<(), Stop> {
        let mut text = Text::new("INSERT INTO presence (user, seen_at, changed_at) VALUES ");
        text.each(self.sightings, "(", ", (", |text, (user, at)| {
            text.number(user.0).words(", ").number(*at).words(", ").number(self.now).words(")");
        });
        // The first assignment decides by what was there before.
        text.words(
            " ON DUPLICATE KEY UPDATE changed_at = IF(invisible = 0 AND seen_at < VALUES(seen_at), VALUES(changed_at), \
             changed_at), seen_at = IF(invisible = 0, GREATEST(seen_at, VALUES(seen_at)), seen_at)",
        );
        text.run(work.db()).await?;
        Ok(())
    }
}

struct Here<'a> {
    users: &'a [UserId],
    at: u64,
}

impl Change for Here<'_> {
    type Answer = ();

    async fn make(&self, work: &mut Work) -> Result<(), Stop> {
        let mut text = Text::new("INSERT INTO presence (user, seen_at) VALUES ");
        text.each(self.users, "(", ", (", |text, user| {
            text.number(user.0).words(", ").number(self.at).words(")");
        });
        // Nothing else is shown of who is here: no change.
        text.words(" ON DUPLICATE KEY UPDATE seen_at = IF(invisible = 0, GREATEST(seen_at, VALUES(seen_at)), seen_at)");
        text.run(work.db()).await?;
        Ok(())
    }
}

struct SetPrivacy {
    user: UserId,
    change: PrivacyChange,
    now: u64,
}

impl Change for SetPrivacy {
    type Answer = Privacy;

    async fn make(&self, work: &mut Work) -> Result<Privacy, Stop> {
        let locked = users::lock_one(work, self.user).await?;
        place::lock_one(work, locked.private).await?;
        let before = privacy(work.db(), self.user).await?;
        let after = self.change.on(before);
        if after == before {
            return Ok(after);
        }
        // Who becomes invisible was seen now; everybody else, when they were.
        let seen_at = if after.invisible && !before.invisible { self.now } else { 0 };
        let set = "INSERT INTO presence (user, invisible, last_seen_hidden, seen_at, changed_at) VALUES (?, ?, ?, ?, ?) \
             ON DUPLICATE KEY UPDATE invisible = VALUES(invisible), last_seen_hidden = VALUES(last_seen_hidden), \
             seen_at = GREATEST(seen_at, VALUES(seen_at)), changed_at = VALUES(changed_at)";
        let set = query(set).bind(self.user.0).bind(after.invisible).bind(after.last_seen_hidden);
        set.bind(seen_at).bind(work.late(self.now)).execute(work.db()).await?;
        work.tell_account(&locked, Account::Presence, self.now);
        Ok(after)
    }
}
