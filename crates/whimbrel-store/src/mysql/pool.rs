//! Connections: how many, what every session is set to, and when one is used again.
//!
//! A pool of our own and not sqlx's: that one asks the server when a connection is given back (one round trip for
//! every transaction), waits out its whole time limit where the server refuses at once, and takes connections back
//! whose transaction was left open by a caller that went away.
//!
//! **Frozen processes.** Every session has a short `wait_timeout`: the server ends it, with its transaction and its row
//! locks, when its client says nothing for so long, between statements or (`net_read_timeout`) in the middle of one. So
//! connections that rest are asked every second by a keeper; those of a process that froze are not, and end.
//!
//! **Another server.** What is remembered of a database is void when that database went back: its server was restored, or
//! another one took its place that lacks the last commits. So connections have a generation ([`Lives`]), and none is used
//! that is not of the newest.
//!
//! Absences: no connection is used again unless its user said that nothing is under way on it; nobody waits for a
//! connection or an answer without a limit.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::MySqlConfig;
use super::life::{self, Lives};
use crate::StoreError;

/// A connection that rested longer is asked before it is used; the keeper asks as often.
const PING_AFTER: Duration = Duration::from_secs(1);
/// A server that needs longer for a ping does not get the connection back.
const PING_MAX: Duration = Duration::from_secs(1);
/// Resting connections beyond the first are closed when nobody used them for so long.
const UNUSED_MAX: Duration = Duration::from_secs(60);

/// The connections of a store.
pub(super) struct Pool {
    options: MySqlConnectOptions,
    /// One text that sets a new session.
    settings: String,
    config: MySqlConfig,
    permits: Arc<Semaphore>,
    /// The one used last is at the end, and used next.
    idle: Mutex<Vec<Idle>>,
    lives: Lives,
}

struct Idle {
    connection: MySqlConnection,
    generation: u64,
    used: Instant,
    heard: Instant,
}

impl Pool {
    /// No connection is made before one is needed.
    pub(super) fn new(options: MySqlConnectOptions, config: MySqlConfig) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(config.connections.max(1) as usize));
        let (settings, idle, lives) = (settings(&config), Mutex::new(Vec::new()), Lives::default());
        let pool = Arc::new(Self { options, settings, config, permits, idle, lives });
        tokio::spawn(keep(Arc::downgrade(&pool)));
        pool
    }

    /// What of the configuration counts later.
    pub(super) fn config(&self) -> &MySqlConfig {
        &self.config
    }

    /// A connection that answers, in autocommit.
    pub(super) async fn session(self: &Arc<Self>) -> Result<Session, StoreError> {
        let permit = timeout(self.config.connect_timeout, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| StoreError::Unavailable("all connections to the database are in use".into()))?
            .map_err(|_| StoreError::Unavailable("the store is closed".into()))?;
        let (connection, generation) = match self.rested().await {
            Some(idle) => (idle.connection, idle.generation),
            None => self.connect().await?,
        };
        Ok(Session { connection: Some(connection), generation, pool: Arc::clone(self), _permit: permit })
    }

    /// The first connection: with the whole reason when there is none.
    pub(super) async fn first_session(self: &Arc<Self>) -> Result<Session, sqlx::Error> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, generation) = self.connect().await?;
        Ok(Session { connection: Some(connection), generation, pool: Arc::clone(self), _permit: permit })
    }

    /// How often the server was reached anew.
    pub(super) fn generation(&self) -> u64 {
        self.lives.generation()
    }

    /// The connection used last that is still alive.
    async fn rested(&self) -> Option<Idle> {
        loop {
            let mut idle = self.idle.lock().pop()?;
            if idle.generation == self.generation()
                && (idle.heard.elapsed() < PING_AFTER || self.is_alive(&mut idle.connection).await)
            {
                return Some(idle);
            }
        }
    }

    /// A new connection, as [`connect`], and its generation.
    async fn connect(&self) -> Result<(MySqlConnection, u64), sqlx::Error> {
        let limit = self.config.connect_timeout;
        let made = connect(&self.options, &self.settings, limit).await.and_then(|(connection, rows)| {
            let generation = self.lives.reached(life::Life::read(&rows)?);
            Ok((connection, generation))
        });
        made.inspect_err(|_| self.lives.lost())
    }

    /// Asks the server whether it still has this session.
    async fn is_alive(&self, connection: &mut MySqlConnection) -> bool {
        let is_alive = matches!(timeout(PING_MAX, connection.ping()).await, Ok(Ok(())));
        if !is_alive {
            self.lives.lost();
        }
        is_alive
    }

    /// Says goodbye on all resting connections; no more are given out.
    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock());
        for idle in idle {
            drop(timeout(PING_MAX, idle.connection.close()).await);
        }
    }
}

/// A new connection whose session is set, and what [`life::Life`] is read from; fails soon where the server is away.
pub(super) async fn connect(
    options: &MySqlConnectOptions,
    settings: &str,
    limit: Duration,
) -> Result<(MySqlConnection, Vec<MySqlRow>), sqlx::Error> {
    let connect = async {
        let mut connection = options.connect().await?;
        let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(settings.to_owned()))).await?;
        Ok((connection, rows))
    };
    timeout(limit, connect).await.unwrap_or_else(|_| {
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database did not answer in time")))
    })
}

/// Everything that a session's behaviour depends on, so that no server's own settings change it.
pub(super) fn settings(config: &MySqlConfig) -> String {
    let seconds = config.wait_timeout.as_secs().max(1);
    format!(
        "SET NAMES utf8mb4, SESSION time_zone = '+00:00', SESSION autocommit = 1, \
         SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
         SESSION wait_timeout = {seconds}, SESSION net_read_timeout = {seconds}, \
         SESSION net_write_timeout = {write}, SESSION innodb_lock_wait_timeout = {lock}; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; {life}",
        life = life::ASK,
        write = config.answer_timeout.as_secs().max(1),
        lock = config.lock_timeout.as_secs().max(1),
    )
}

/// Asks resting connections while the pool lives, so that the server does not end them.
async fn keep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(PING_AFTER).await;
        let Some(pool) = pool.upgrade() else { return };
        let resting = std::mem::take(&mut *pool.idle.lock());
        for (index, idle) in resting.into_iter().rev().enumerate() {
            pool.refresh(idle, index).await;
        }
    }
}

impl Pool {
    /// Puts a resting connection back below those used later, if it is worth it and still alive.
    async fn refresh(&self, mut idle: Idle, index: usize) {
        // Counted as in use meanwhile, so that there are never more than allowed.
        let Ok(_permit) = Arc::clone(&self.permits).try_acquire_owned() else { return };
        let is_old = idle.generation != self.generation();
        if is_old || index > 0 && idle.used.elapsed() > UNUSED_MAX {
            drop(timeout(PING_MAX, idle.connection.close()).await);
        } else if self.is_alive(&mut idle.connection).await {
            idle.heard = Instant::now();
            self.idle.lock().insert(0, idle);
        }
    }
}

/// A connection in use. Dropped without [`Session::done`], it is closed, and the server rolls back.
pub(super) struct Session {
    connection: Option<MySqlConnection>,
    generation: u64,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Session {
    /// What was read on a connection of another generation is void here.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Gives the connection back: no transaction is open, and every answer was read to its end.
    pub(super) fn done(mut self) {
        let now = Instant::now();
        if let Some(connection) = self.connection.take() {
            self.pool.idle.lock().push(Idle { connection, generation: self.generation, used: now, heard: now });
        }
    }
}

impl Deref for Session {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.connection.as_ref().expect("it is there until it is given back")
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.connection.as_mut().expect("it is there until it is given back")
    }
}
