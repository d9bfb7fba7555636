//! A change: one transaction, again from its beginning when others were in its way.
//!
//! Locks are taken in one order, whatever the change: users by ascending id, then what belongs to them (devices before
//! spent tokens; relations, keys), then groups by ascending id, each with what belongs to it, then the other
//! conversations by ascending id, then places in them, then what is noted for tellers, then member rows. Whatever belongs to a user is decided under the lock on that user's row, so its other rows are read without
//! locks; nothing is read before the first lock that a decision rests on.
//!
//! Several processes write at once. Who places at the end of a direct conversation may find an archiver's row there
//! (a taken place), and statements may meet in deadlocks all the same: the whole transaction is undone and made again, a
//! bounded number of times. The first tries read what is committed and lock rows only; later ones are serializable,
//! which locks the end of a conversation too, so that a busy archiver waits for once.
//!
//! Absences: nothing is made twice. A transaction is made again only when the server said that it was undone; when the
//! answer to COMMIT was lost, nobody knows, and the caller is told just that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::{Executor, MySqlConnection, raw_sql};
use tokio::time::sleep;
use whimbrel_core::ConversationId;

use super::super::MySqlStore;
use super::super::change::undo;
use super::super::error::number;
use super::super::groups::Turn;
use super::super::pool::Session;
use super::tell::Letter;
use super::{ended, place};
use crate::StoreError;
use crate::directory::{DirectoryError, LoggedOut, Rows};
use crate::keyring::KeyError;

/// Tries that lock rows only.
const LIGHT_TRIES: u32 = 4;
/// Tries altogether.
const TRIES: u32 = 12;
/// The longest pause before another try.
const PAUSE_MAX_MICROS: u64 = 50_000;

const LIGHT: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION";
const HEAVY: &str = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION";

/// Something that is made in one transaction, and can be made again.
pub(in crate::mysql) trait Change: Sync {
    /// What its caller wants to know.
    type Answer: Send;

    /// Makes it, up to the rows that tell of it: those are written when this returns.
    fn make(&self, work: &mut Work) -> impl Future<Output = Result<Self::Answer, Stop>> + Send;
}

/// Why a try ended.
pub(in crate::mysql) enum Stop {
    /// What was asked for cannot be done, or not here.
    Refused(DirectoryError),
    /// The server said no: perhaps only this time.
    Sql(sqlx::Error),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Stop::Sql(error)
    }
}

impl From<DirectoryError> for Stop {
    fn from(error: DirectoryError) -> Self {
        Stop::Refused(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Refused(error.into())
    }
}

impl From<KeyError> for Stop {
    fn from(error: KeyError) -> Self {
        Stop::Refused(error.into())
    }
}

/// A transaction under way.
pub(in crate::mysql) struct Work {
    session: Session,
    began: Instant,
    /// Rows to place when the change is made.
    pub(in crate::mysql) letters: Vec<Letter>,
    /// Rights of direct conversations to write when their rows are locked.
    pub(in crate::mysql) standings: Vec<place::NewStanding>,
    /// What groups become with the rows that tell of it; each is locked, and has a letter.
    pub(in crate::mysql) turns: BTreeMap<ConversationId, Turn>,
    /// Who may not stay connected, with the time that the caller gave.
    pub(in crate::mysql) logged_out: Vec<(LoggedOut, u64)>,
}

impl Work {
    /// The connection.
    pub(in crate::mysql) fn db(&mut self) -> &mut MySqlConnection {
        &mut self.session
    }

    /// The caller's time, and what has passed since: what others look for by its age may not seem older than it is.
    pub(in crate::mysql) fn late(&self, now: u64) -> u64 {
        now.saturating_add(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Makes a change, in the time that a call may take; returns its answer and the rows that it placed.
pub(in crate::mysql) async fn run<C: Change>(
    store: &MySqlStore,
    change: &C,
) -> Result<(C::Answer, Rows), DirectoryError> {
    store.in_time(tries(store, change)).await?
}

/// The same for changes that cannot be refused.
pub(in crate::mysql) async fn run_all<C: Change>(
    store: &MySqlStore,
    change: &C,
) -> Result<(C::Answer, Rows), StoreError> {
    run(store, change).await.map_err(|error| match error {
        DirectoryError::Store(error) => error,
        refused => StoreError::Corrupt(refused.to_string()),
    })
}

async fn tries<C: Change>(store: &MySqlStore, change: &C) -> Result<(C::Answer, Rows), DirectoryError> {
    let began = Instant::now();
    let mut number = 0;
    loop {
        match attempt(store, change, number, began).await {
            Ok(answer) => return Ok(answer),
            Err(Stop::Refused(error)) => return Err(error),
            Err(Stop::Sql(error)) if passes(&error) && number + 1 < TRIES => sleep(pause(number)).await,
            Err(Stop::Sql(error)) => return Err(DirectoryError::Store(error.into())),
        }
        number += 1;
    }
}

async fn attempt<C: Change>(
    store: &MySqlStore,
    change: &C,
    number: u32,
    began: Instant,
) -> Result<(C::Answer, Rows), Stop> {
    let mut session = store.pool.session().await?;
    session.execute(raw_sql(if number < LIGHT_TRIES { LIGHT } else { HEAVY })).await?;
    let mut work = Work {
        session,
        began,
        letters: Vec::new(),
        standings: Vec::new(),
        turns: BTreeMap::new(),
        logged_out: Vec::new(),
    };
    match finish(&mut work, change).await {
        Ok(answer) => commit(work.session).await.map(|()| answer),
        Err(stop) => {
            // Before another try, so that it does not wait for this one's locks.
            undo(work.session).await;
            Err(stop)
        }
    }
}

async fn commit(mut session: Session) -> Result<(), Stop> {
    match session.execute("COMMIT").await {
        Ok(_) => {
            session.done();
            Ok(())
        }
        // Said by a cluster that certifies at the end: all of it is undone.
        Err(error) if passes(&error) => {
            undo(session).await;
            Err(Stop::Sql(error))
        }
        Err(error) => {
            let why = format!("whether the change was committed is unknown: {error}");
            Err(Stop::Refused(StoreError::Unavailable(why).into()))
        }
    }
}

async fn finish<C: Change>(work: &mut Work, change: &C) -> Result<(C::Answer, Rows), Stop> {
    let answer = change.make(work).await?;
    let rows = place::post(work).await?;
    ended::note(work).await?;
    Ok((answer, rows))
}

/// Whether it is over with this try: the server has undone what others were in the way of.
fn passes(error: &sqlx::Error) -> bool {
    /// Somebody else wrote the same key in between: a place, a handle.
    const DUPLICATE: u16 = 1062;
    const LOCK_WAIT: u16 = 1205;
    const DEADLOCK: u16 = 1213;
    /// MariaDB 11.6 and later: a locked row is newer than what the transaction has read.
    const CHANGED_SINCE_READ: u16 = 1020;
    number(error).is_some_and(|number| matches!(number, DUPLICATE | LOCK_WAIT | DEADLOCK | CHANGED_SINCE_READ))
}

/// Longer each time, and never the same for two who met.
fn pause(number: u32) -> Duration {
    let longest = (500_u64 << number.min(10)).min(PAUSE_MAX_MICROS);
    Duration::from_micros(rand::random_range(0..=longest))
}
