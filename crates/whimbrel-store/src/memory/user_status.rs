//! [`UserStatus`] in one process.
//!
//! One flat entry for each session in a few hash tables: no allocation for a user or a session of its own, so that an
//! idle session costs its 72 bytes and its share of the table's free room (about 100 bytes altogether).

use std::hash::BuildHasher;

use async_trait::async_trait;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use parking_lot::Mutex;
use smallvec::SmallVec;
use whimbrel_core::{ConnectorId, Incarnation, SessionId, UserId};

use crate::StoreError;
use crate::user_status::{Renewed, Route, UserStatus};

/// Tables, each with a lock: callers with different users rarely meet.
const SHARDS: usize = 32;

/// Who is online, on a server that runs alone. Leases do not run out: connectors live and die with the process.
pub struct MemoryUserStatus {
    shards: Vec<Mutex<HashTable<Online>>>,
    hasher: DefaultHashBuilder,
    incarnation: Incarnation,
    leases: Mutex<Leases>,
}

/// The term of each, and the last one that was given.
#[derive(Default)]
struct Leases {
    terms: HashMap<ConnectorId, u64>,
    last: u64,
}

/// A user with several sessions has several entries under one hash.
struct Online {
    user: UserId,
    route: Route,
}

impl MemoryUserStatus {
    /// Nobody is online.
    pub fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(HashTable::new())).collect();
        Self {
            shards,
            hasher: DefaultHashBuilder::default(),
            incarnation: Incarnation::generate(),
            leases: Mutex::default(),
        }
    }

    /// Sessions that are online.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether nobody is online.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the tables have allocated, free room included.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().allocation_size()).sum()
    }

    fn hash(&self, user: UserId) -> u64 {
        self.hasher.hash_one(user)
    }

    /// The table uses the hash's low and highest bits; the shard is taken from between.
    fn shard(&self, hash: u64) -> &Mutex<HashTable<Online>> {
        &self.shards[(hash >> 40) as usize % SHARDS]
    }

    /// `is_leased`: whether a connector holds a lease; a newer session counts only there.
    fn add(&self, user: UserId, route: Route, is_leased: impl Fn(ConnectorId) -> bool) -> SmallVec<[Route; 1]> {
        let hash = self.hash(user);
        let mut table = self.shard(hash).lock();
        let same_device = |online: &Online| online.user == user && online.route.device == route.device;
        let mut replaced = SmallVec::new();
        let newer = |online: &Online| online.route.since > route.since && is_leased(online.route.connector);
        if table.iter_hash(hash).any(|online| same_device(online) && newer(online)) {
            replaced.push(route);
            return replaced;
        }
        while let Ok(entry) = table.find_entry(hash, same_device) {
            let (former, _) = entry.remove();
            // The same session says again that it is here: it replaces nobody.
            if former.route.session != route.session {
                replaced.push(former.route);
            }
        }
        table.insert_unique(hash, Online { user, route }, |online| self.hash(online.user));
        replaced
    }

    fn remove(&self, user: UserId, session: SessionId) {
        let hash = self.hash(user);
        let mut table = self.shard(hash).lock();
        if let Ok(entry) = table.find_entry(hash, |online| online.user == user && online.route.session == session) {
            entry.remove();
        }
        // Room that a crowd has left is given back.
        let keep = table.len() * 2;
        if table.capacity() > 64 && keep < table.capacity() / 4 {
            table.shrink_to(keep, |online| self.hash(online.user));
        }
    }

    fn routes(&self, user: UserId) -> SmallVec<[Route; 2]> {
        let hash = self.hash(user);
        let table = self.shard(hash).lock();
        table.iter_hash(hash).filter(|online| online.user == user).map(|online| online.route).collect()
    }
}

impl Default for MemoryUserStatus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl UserStatus for MemoryUserStatus {
    async fn online(&self, sessions: &[(UserId, Route)]) -> Result<Vec<SmallVec<[Route; 1]>>, StoreError> {
        let leases = self.leases.lock();
        let is_leased = |connector| leases.terms.contains_key(&connector);
        Ok(sessions.iter().map(|(user, route)| self.add(*user, *route, is_leased)).collect())
    }

    async fn offline(&self, sessions: &[(UserId, SessionId)]) -> Result<(), StoreError> {
        sessions.iter().for_each(|(user, session)| self.remove(*user, *session));
        Ok(())
    }

    async fn locate(&self, users: &[UserId]) -> Result<Vec<SmallVec<[Route; 2]>>, StoreError> {
        let leases = self.leases.lock();
        let standing = |user: &UserId| {
            let mut routes = self.routes(*user);
            routes.retain(|route| leases.terms.contains_key(&route.connector));
            routes
        };
        Ok(users.iter().map(standing).collect())
    }

    async fn renew(&self, connector: ConnectorId) -> Result<Renewed, StoreError> {
        let Leases { terms, last } = &mut *self.leases.lock();
        let term = *terms.entry(connector).or_insert_with(|| {
            *last += 1;
            *last
        });
        Ok(Renewed { incarnation: self.incarnation, term })
    }

    async fn expel(&self, connectors: &[ConnectorId]) -> Result<(), StoreError> {
        let mut leases = self.leases.lock();
        for connector in connectors {
            leases.terms.remove(connector);
        }
        Ok(())
    }

    async fn connectors(&self) -> Result<Vec<ConnectorId>, StoreError> {
        Ok(self.leases.lock().terms.keys().copied().collect())
    }
}
