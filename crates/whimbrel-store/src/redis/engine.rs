//! The connection, and every call over it.
//!
//! Invariants: one connection at a time, and one attempt to make one; a call waits for Redis no longer than
//! `RedisConfig::timeout`, and not at all while Redis is away. A connection counts once every group has answered a
//! script over it, writes included. A call that got no answer, or one that says that this server cannot serve, ends its
//! connection.
//!
//! Absences: nothing is sent twice (a call that failed may have been done: all scripts may be repeated); errors name the
//! script, never the URL.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::try_join_all;
use parking_lot::Mutex;
use redis::{ErrorKind, ServerErrorKind, Value};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};

use super::config::{RedisConfig, Target};
use super::connection::{Connection, Failure};
use super::life::Lives;
use super::script::{Answer, Asks, Call, Caller, Keys, PROBE, Script};
use crate::StoreError;

/// Groups of keys in a Redis Cluster: what spreads over its masters. Part of the layout: processes that differ do not
/// find each other's keys.
const CLUSTER_GROUPS: usize = 16;
/// The group that holds what is not by user: the roster.
pub(super) const HOME: usize = 0;
/// Pauses between attempts to connect: the first, doubling up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

#[derive(Clone)]
enum State {
    /// Nobody has asked anything yet.
    Idle,
    /// The first attempt is under way, the only one that callers wait for.
    First,
    /// Connected; the number tells connections apart.
    Up(Connection, u64),
    /// Away since the last attempt; the next one is on its way.
    Away(Arc<str>),
}

/// One Redis, as one process uses it.
pub(super) struct Engine {
    target: Target,
    pub(super) config: RedisConfig,
    pub(super) caller: Caller,
    /// When each group last took a write of this process.
    written: Mutex<Vec<Option<Instant>>>,
    state: watch::Sender<State>,
    connections: Mutex<u64>,
}

impl Engine {
    /// Reads the configuration; connects when it is needed.
    pub(super) fn new(config: RedisConfig) -> Result<Arc<Self>, StoreError> {
        let target = Target::read(&config)?;
        let is_cluster = matches!(target, Target::Cluster(_));
        let groups = if is_cluster { CLUSTER_GROUPS } else { 1 };
        let caller = Caller {
            prefix: config.prefix.clone(),
            lives: Lives::new(groups),
            routes_unsure: config.routes_unsure,
            checks_run: is_cluster,
        };
        let (written, state) = (Mutex::new(vec![None; groups]), watch::Sender::new(State::Idle));
        Ok(Arc::new(Self { target, config, caller, written, state, connections: Mutex::new(0) }))
    }

    pub(super) fn groups(&self) -> usize {
        if self.caller.checks_run { CLUSTER_GROUPS } else { 1 }
    }

    /// A call to one group; its own arguments are to follow. It raises the beat if it `writes`, and once a while anyway: a
    /// server that refuses writes lets leases run out, and would look like one where nobody is online.
    pub(super) fn call(&self, script: &'static Script, group: usize, keys: Keys<'_>, writes: bool) -> Call {
        let is_due = self.written.lock()[group].is_none_or(|at| at.elapsed() >= self.config.lease_every);
        self.caller.call(script, group, keys, Asks { run: false, beat: writes || is_due })
    }

    /// Makes these calls at once; the first that fails is the outcome.
    pub(super) async fn run(self: &Arc<Self>, calls: Vec<Call>) -> Result<Vec<Answer>, StoreError> {
        let Some(name) = calls.first().map(|call| call.script.name) else { return Ok(Vec::new()) };
        let deadline = Instant::now() + self.config.timeout;
        let (connection, number) = self.connection(name, deadline).await?;
        let all = try_join_all(calls.iter().map(|call| self.ask(connection.clone(), call)));
        match timeout_at(deadline, all).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(failure)) => {
                if failure.ends_connection {
                    self.lost(number, &failure.error.to_string());
                }
                Err(failure.error)
            }
            Err(_) => {
                let error = StoreError::Unavailable(format!("Redis, {name}: no answer in {:?}", self.config.timeout));
                self.lost(number, &error.to_string());
                Err(error)
            }
        }
    }

    async fn ask(&self, mut connection: Connection, call: &Call) -> Result<Answer, Failure> {
        let value = match connection.send(&call.command).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                connection.send(&call.with_code()).await
            }
            other => other,
        };
        let value = value.map_err(|error| Failure::of(call.script.name, &error))?;
        let answer = Answer::read(value).map_err(|error| Failure {
            error: StoreError::Corrupt(format!("Redis, {}: {error}", call.script.name)),
            ends_connection: false,
        })?;
        if answer.life.beat > self.caller.lives.known(call.group).beat {
            self.written.lock()[call.group] = Some(Instant::now());
        }
        self.caller.lives.note(call.group, answer.life);
        if answer.began {
            warn!(
                life = answer.life.number,
                group = call.group,
                "Redis is new, or lost something: messages go to every connector until these have said who is online"
            );
        }
        Ok(answer)
    }

    async fn connection(self: &Arc<Self>, name: &str, deadline: Instant) -> Result<(Connection, u64), StoreError> {
        let begin = |state: &mut State| {
            let is_idle = matches!(state, State::Idle);
            if is_idle {
                *state = State::First;
            }
            is_idle
        };
        if matches!(*self.state.borrow(), State::Idle) && self.state.send_if_modified(begin) {
            tokio::spawn(dial(Arc::downgrade(self)));
        }
        let mut states = self.state.subscribe();
        let settled = states.wait_for(|state| !matches!(state, State::First | State::Idle));
        let state = timeout_at(deadline, settled).await.ok().and_then(Result::ok);
        match state.as_deref() {
            Some(State::Up(connection, number)) => Ok((connection.clone(), *number)),
            Some(State::Away(why)) => Err(StoreError::Unavailable(format!("Redis, {name}: away: {why}"))),
            _ => Err(StoreError::Unavailable(format!("Redis, {name}: not connected yet"))),
        }
    }

    /// This connection is of no use any more; the next attempt begins now.
    fn lost(self: &Arc<Self>, number: u64, why: &str) {
        let end = |state: &mut State| {
            let is_current = matches!(state, State::Up(_, current) if *current == number);
            if is_current {
                *state = State::Away(why.into());
            }
            is_current
        };
        if self.state.send_if_modified(end) {
            warn!(why, "Redis is away: messages go to every connector, presence is unknown");
            tokio::spawn(dial(Arc::downgrade(self)));
        }
    }

    /// A connection over which every group answers and takes writes.
    async fn attempt(&self) -> Result<Connection, String> {
        let late = |what: &str, limit: Duration| format!("{what} within {limit:?}");
        let connection = timeout(self.config.connect_timeout, Connection::open(&self.target, &self.config)).await;
        let connection = connection.map_err(|_| late("no connection", self.config.connect_timeout))??;
        let probes: Vec<Call> = (0..self.groups())
            .map(|group| self.caller.call(&PROBE, group, Keys::Named(&[]), Asks { run: true, beat: true }))
            .collect();
        let all = try_join_all(probes.iter().map(|call| self.ask(connection.clone(), call)));
        match timeout(self.config.timeout, all).await {
            Ok(Ok(answers)) => {
                warn_of_eviction(&answers);
                Ok(connection)
            }
            Ok(Err(failure)) => Err(failure.error.to_string()),
            Err(_) => Err(late("no answer", self.config.timeout)),
        }
    }
}

/// An evicted key is a user who looks offline, and nothing notices.
fn warn_of_eviction(probes: &[Answer]) {
    for probe in probes {
        if let Some(Value::BulkString(policy)) = probe.rest.first()
            && policy.starts_with(b"allkeys")
        {
            let policy = String::from_utf8_lossy(policy);
            return warn!(%policy, "this Redis may evict who is online: its maxmemory-policy should be noeviction");
        }
    }
}

/// Attempts until one succeeds or the engine is gone.
async fn dial(engine: Weak<Engine>) {
    let mut pause = PAUSES.0;
    let mut is_again = false;
    loop {
        let Some(engine) = engine.upgrade() else { return };
        match engine.attempt().await {
            Ok(connection) => {
                let number = {
                    let mut connections = engine.connections.lock();
                    *connections += 1;
                    *connections
                };
                info!(number, "connected to Redis");
                engine.state.send_replace(State::Up(connection, number));
                return;
            }
            Err(why) => {
                if !is_again {
                    warn!(why, "Redis does not answer");
                }
                engine.state.send_replace(State::Away(why.into()));
            }
        }
        drop(engine);
        is_again = true;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
