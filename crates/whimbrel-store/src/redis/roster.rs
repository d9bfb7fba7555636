//! Which roles there are: each process says who it is, and others read it.
//!
//! Invariants: a member is listed until its lease runs out or it leaves; and nobody forgets members because Redis did. What
//! vanished while Redis was away, or together with its life, stays listed for one more lease: by then every
//! member that lives has said so again.
//!
//! Absences: no answer of Redis is waited for before a process works with the list it has; nobody polls for whom nobody
//! watches.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use redis::Value;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{error, warn};
use uuid::Uuid;

use super::RedisConfig;
use super::engine::{Engine, HOME};
use super::script::{Call, JOIN, Keys, LEAVE, MEMBERS, Script, Unreadable};
use crate::StoreError;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// Holds sockets.
    Connector,
    /// Decides what happens to a message.
    Transfer,
    /// REST.
    Api,
    /// Places what the log holds.
    Archiver,
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connector => "connector",
            Self::Transfer => "transfer",
            Self::Api => "api",
            Self::Archiver => "archiver",
        })
    }
}

/// One run of a role's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What it does.
    pub role: RoleName,
    /// This run of it.
    pub id: Uuid,
    /// Where others of the cluster reach it, host:port; empty for those that nobody asks anything.
    pub address: String,
    /// The number of the roles' protocol that it speaks.
    pub protocol: u32,
    /// What else is worth knowing, by name: a version, a machine.
    #[serde(default)]
    pub detail: BTreeMap<String, String>,
}

impl Member {
    /// Whether this is a transfer at the other's address: the other died, and its lease has not run out yet. Two entries
    /// would be two streams to one process. The addresses of other roles are for people, and may be alike.
    fn follows(&self, other: &Self) -> bool {
        self.role == RoleName::Transfer && !self.address.is_empty() && self.address == other.address
    }
}

/// The roster, as one process uses it.
pub struct Roster {
    engine: Arc<Engine>,
    watched: Mutex<HashMap<RoleName, watch::Sender<Vec<Member>>>>,
}

impl Roster {
    /// Reads the configuration; connects when it is needed. An error names what is wrong in it.
    pub fn new(config: RedisConfig) -> Result<Arc<Self>, StoreError> {
        Ok(Arc::new(Self { engine: Engine::new(config)?, watched: Mutex::default() }))
    }

    /// Lists a process from now on, until it leaves or dies. Returns at once; needs a runtime.
    pub fn join(&self, member: Member) -> Membership {
        let (listed, watched) = watch::channel(false);
        let task = tokio::spawn(keep(self.engine.clone(), member.clone(), listed));
        Membership { engine: self.engine.clone(), member, task, listed: watched }
    }

    /// The members that have a lease now, by id; those whose entry this program cannot read are left out.
    pub async fn members(&self, role: RoleName) -> Result<Vec<Member>, StoreError> {
        Ok(read(&self.engine, role).await?.members)
    }

    /// The members, as they come and go; empty until Redis has answered for the first time. Needs a runtime.
    pub fn watch(self: &Arc<Self>, role: RoleName) -> watch::Receiver<Vec<Member>> {
        let mut watched = self.watched.lock();
        if let Some(list) = watched.get(&role) {
            return list.subscribe();
        }
        let (list, receiver) = watch::channel(Vec::new());
        watched.insert(role, list);
        tokio::spawn(follow(Arc::downgrade(self), role));
        receiver
    }

    /// Roles that are polled.
    #[cfg(test)]
    pub(super) fn watches(&self) -> usize {
        self.watched.lock().len()
    }

    /// Takes a new list, or ends the watch of a role that nobody watches any more. Gives whether it goes on.
    fn publish(&self, role: RoleName, members: Option<Vec<Member>>) -> bool {
        let mut watched = self.watched.lock();
        let Some(list) = watched.get(&role) else { return false };
        if list.is_closed() {
            watched.remove(&role);
            return false;
        }
        if let Some(members) = members {
            list.send_if_modified(|held| {
                let differs = *held != members;
                *held = members;
                differs
            });
        }
        true
    }
}

/// One process's place in the roster. Dropped, it runs out with its lease.
pub struct Membership {
    engine: Arc<Engine>,
    member: Member,
    task: JoinHandle<()>,
    listed: watch::Receiver<bool>,
}

impl Membership {
    /// Returns once Redis has taken it for the first time.
    pub async fn listed(&mut self) {
        // The task ends only with this.
        let _ = self.listed.wait_for(|listed| *listed).await;
    }

    /// Takes it off; with Redis away it runs out instead.
    pub async fn leave(mut self) {
        self.task.abort();
        // An abort does not end a renewal before its next pause; after it nothing follows.
        let _ = (&mut self.task).await;
        let mut call = call(&self.engine, &LEAVE, self.member.role, true);
        call.command.arg(self.member.id.as_bytes());
        if let Err(error) = self.engine.run(vec![call]).await {
            warn!(%error, role = %self.member.role, "not taken off the roster: others see this process for one more lease");
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn call(engine: &Engine, script: &'static Script, role: RoleName, writes: bool) -> Call {
    let (leases, members) = (format!("role:{role}"), format!("role:{role}:is"));
    engine.call(script, HOME, Keys::Named(&[&leases, &members]), writes)
}

/// Renews a lease for ever; what Redis forgot is there again with the next renewal.
async fn keep(engine: Arc<Engine>, member: Member, listed: watch::Sender<bool>) {
    let entry = match serde_json::to_vec(&member) {
        Ok(entry) => entry,
        Err(error) => return error!(%error, role = %member.role, "this process cannot be listed"),
    };
    let mut ticks = interval(engine.config.lease_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut call = call(&engine, &JOIN, member.role, true);
        call.command.arg(member.id.as_bytes()).arg(&entry).arg(engine.config.lease.as_millis() as u64);
        // That Redis is away is said by the engine, once.
        if engine.run(vec![call]).await.is_ok() {
            listed.send_replace(true);
        }
    }
}

struct Read {
    members: Vec<Member>,
    life: [u8; 16],
}

async fn read(engine: &Arc<Engine>, role: RoleName) -> Result<Read, StoreError> {
    let mut answers = engine.run(vec![call(engine, &MEMBERS, role, false)]).await?;
    let mut answer = answers.remove(0);
    let corrupt = |error: Unreadable| StoreError::Corrupt(format!("Redis, members: {error}"));
    let mut members = Vec::new();
    for entry in answer.list().map_err(corrupt)? {
        let Value::BulkString(entry) = entry else { continue };
        match serde_json::from_slice::<Member>(&entry) {
            // By the end of their leases: whoever came to an address later is the one who is there.
            Ok(member) => {
                members.retain(|former| !member.follows(former));
                members.push(member);
            }
            Err(error) => warn!(%error, %role, "an entry of the roster cannot be read"),
        }
    }
    members.sort_by_key(|member| member.id);
    Ok(Read { members, life: answer.life.id })
}

/// What a watcher remembers from poll to poll.
#[derive(Default)]
struct Seen {
    members: Vec<Member>,
    life: Option<[u8; 16]>,
    is_blind: bool,
    /// Until then, who is missing is not believed to be gone.
    grace: Option<Instant>,
}

impl Seen {
    /// The list after an answer of Redis.
    fn take(&mut self, read: Read, now: Instant, lease: std::time::Duration) -> Vec<Member> {
        if self.is_blind || self.life.is_some_and(|life| life != read.life) {
            self.grace = Some(now + lease);
        }
        (self.is_blind, self.life) = (false, Some(read.life));
        let mut members = read.members;
        if self.grace.is_some_and(|grace| now < grace) {
            let is_listed =
                |member: &Member| members.iter().any(|other| other.id == member.id || other.follows(member));
            let missing: Vec<Member> = self.members.iter().filter(|member| !is_listed(member)).cloned().collect();
            members.extend(missing);
            members.sort_by_key(|member| member.id);
        }
        self.members = members.clone();
        members
    }
}

/// Reads the members again and again while somebody watches.
async fn follow(roster: Weak<Roster>, role: RoleName) {
    let mut seen = Seen::default();
    loop {
        let Some(strong) = roster.upgrade() else { return };
        let list = match read(&strong.engine, role).await {
            Ok(read) => Some(seen.take(read, Instant::now(), strong.engine.config.lease)),
            Err(_) => {
                // The last list stands.
                seen.is_blind = true;
                None
            }
        };
        if !strong.publish(role, list) {
            return;
        }
        let pause = strong.engine.config.lease_every;
        drop(strong);
        sleep(pause).await;
    }
}
