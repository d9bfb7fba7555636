//! The hub: session id → session, user → sessions, for pushes, the sweep, assertions and the drain.
//!
//! Every connection is found by its id from before its Hello is read until it begins to end, so that the sweep finds
//! all; and by its user from when its Hello was good, before the transfer is asked to attach it. Ids are random and
//! given here: none comes twice, so an entry is only ever removed by its own session. Locks are held for a look-up or a
//! walk over one shard, and nothing foreign is called under them.
//!
//! An entry is a pointer and nothing else, in tables without an allocation for a user or a session of its own: what it
//! is found by stands in the session's handle. Both tables together cost a session about 25 bytes.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;
use smallvec::SmallVec;
use whimbrel_core::{DeviceId, SessionId, UserId};
use whimbrel_rpc::{SessionRef, Standing};

use crate::figures::Slot;
use crate::mailbox::Mailbox;

/// The part of a session that others reach.
pub(crate) struct Handle {
    pub(crate) id: SessionId,
    who: OnceLock<Who>,
    pub(crate) mailbox: Mailbox,
    /// The task of the connection, which registers at the start of every poll and looks at the rest after that.
    pub(crate) waker: AtomicWaker,
    /// When the session wants to be woken at the latest, milliseconds of the house's clock.
    pub(crate) due: AtomicU64,
    pub(crate) slot: Slot,
}

/// Who speaks, and since when (as in [`Standing::since`]).
struct Who {
    user: UserId,
    device: DeviceId,
    since: u64,
}

impl Handle {
    pub(crate) fn new(slot: Slot, due: u64) -> Self {
        Self {
            id: SessionId::generate(),
            who: OnceLock::new(),
            mailbox: Mailbox::default(),
            waker: AtomicWaker::new(),
            due: AtomicU64::new(due),
            slot,
        }
    }

    /// Who speaks; nobody (user 0) before Hello.
    pub(crate) fn who(&self) -> SessionRef {
        let (user, device) =
            self.who.get().map_or((UserId(0), DeviceId::from_bytes([0; 16])), |who| (who.user, who.device));
        SessionRef { session: self.id, user, device }
    }

    /// As it is asserted; `None` before Hello.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.who.get().map(|who| Standing { session: self.who(), since: who.since })
    }

    fn user(&self) -> UserId {
        self.who.get().map_or(UserId(0), |who| who.user)
    }
}

/// Of each of the two tables.
pub(crate) const SHARDS: usize = 64;
/// A table for so few gives nothing back.
const SHRINK_ABOVE: usize = 64;

type Shard = Mutex<HashTable<Arc<Handle>>>;

pub(crate) struct Hub {
    sessions: Box<[Shard]>,
    users: Box<[Shard]>,
    /// Sessions in `users`.
    introduced: AtomicUsize,
    hasher: DefaultHashBuilder,
}

impl Default for Hub {
    fn default() -> Self {
        let shards = || (0..SHARDS).map(|_| Shard::default()).collect();
        Self {
            sessions: shards(),
            users: shards(),
            introduced: AtomicUsize::new(0),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

/// Ids are random already: eight of their bytes are their hash.
fn id_hash(id: &SessionId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// Takes a session out; false: it was not in. Room that a crowd has left is given back.
fn take_out(
    table: &mut HashTable<Arc<Handle>>,
    hash: u64,
    id: SessionId,
    hash_of: impl Fn(&Arc<Handle>) -> u64,
) -> bool {
    let entry = table.find_entry(hash, |handle| handle.id == id);
    let found = entry.map(|entry| entry.remove()).is_ok();
    let keep = table.len() * 2;
    if table.capacity() > SHRINK_ABOVE && keep < table.capacity() / 4 {
        table.shrink_to(keep, hash_of);
    }
    found
}

impl Hub {
    fn shard(&self, id: &SessionId) -> &Shard {
        // The last byte: the table inside uses the first eight.
        &self.sessions[usize::from(id.as_bytes()[15]) % SHARDS]
    }

    fn user_hash(&self, user: UserId) -> u64 {
        self.hasher.hash_one(user)
    }

    /// The table uses the hash's low and highest bits; the shard is taken from between.
    fn user_shard(&self, hash: u64) -> &Shard {
        &self.users[(hash >> 40) as usize % SHARDS]
    }

    pub(crate) fn insert(&self, handle: Arc<Handle>) {
        let hash = id_hash(&handle.id);
        self.shard(&handle.id).lock().insert_unique(hash, handle, |handle| id_hash(&handle.id));
    }

    /// Has the session found by its user and device too. Once for each session, and by itself.
    pub(crate) fn introduce(&self, handle: &Arc<Handle>, who: SessionRef, since: u64) {
        if handle.who.set(Who { user: who.user, device: who.device, since }).is_err() {
            return;
        }
        let hash = self.user_hash(who.user);
        let hash_of = |handle: &Arc<Handle>| self.user_hash(handle.user());
        self.user_shard(hash).lock().insert_unique(hash, handle.clone(), hash_of);
        self.introduced.fetch_add(1, Ordering::Relaxed);
    }

    /// How many sessions are found by their users; a figure to choose by.
    pub(crate) fn introduced(&self) -> usize {
        self.introduced.load(Ordering::Relaxed)
    }

    /// The sessions of one shard whose users match, added to `found`; gives how many were looked at. `matches` is called
    /// under the shard's lock.
    pub(crate) fn of_shard(
        &self,
        shard: usize,
        matches: impl Fn(UserId) -> bool,
        found: &mut Vec<Arc<Handle>>,
    ) -> usize {
        let table = self.users[shard].lock();
        found.extend(table.iter().filter(|handle| matches(handle.user())).cloned());
        table.len()
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<Arc<Handle>> {
        self.shard(id).lock().find(id_hash(id), |handle| handle.id == *id).cloned()
    }

    /// All sessions of a user, without a look at anybody else's.
    pub(crate) fn of_user(&self, user: UserId) -> SmallVec<[Arc<Handle>; 4]> {
        let hash = self.user_hash(user);
        let table = self.user_shard(hash).lock();
        table.iter_hash(hash).filter(|handle| handle.user() == user).cloned().collect()
    }

    pub(crate) fn remove(&self, handle: &Handle) {
        take_out(&mut self.shard(&handle.id).lock(), id_hash(&handle.id), handle.id, |handle| id_hash(&handle.id));
        if handle.who.get().is_some() {
            let hash = self.user_hash(handle.user());
            let hash_of = |handle: &Arc<Handle>| self.user_hash(handle.user());
            if take_out(&mut self.user_shard(hash).lock(), hash, handle.id, hash_of) {
                self.introduced.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Wakes every session whose time has come; outside of the locks, since a wake may end in a session's end.
    pub(crate) fn wake_due(&self, now: u64) {
        for shard in &self.sessions {
            let is_due = |handle: &&Arc<Handle>| handle.due.load(Ordering::Relaxed) <= now;
            let take = |handle: &Arc<Handle>| handle.waker.take();
            let wakers: Vec<Waker> = shard.lock().iter().filter(is_due).filter_map(take).collect();
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// Everybody, in random order (that of their ids).
    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        self.sessions.iter().flat_map(|shard| shard.lock().iter().cloned().collect::<Vec<_>>()).collect()
    }

    /// Those whom a transfer has let in and who have not ended, in random order.
    pub(crate) fn admitted(&self) -> Vec<SessionId> {
        let of = |shard: &Shard| -> Vec<SessionId> {
            let table = shard.lock();
            table.iter().filter(|handle| handle.mailbox.is_admitted()).map(|handle| handle.id).collect()
        };
        self.sessions.iter().flat_map(of).collect()
    }

    /// Bytes that the tables have allocated, free room included.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.sessions.iter().chain(&self.users).map(|shard| shard.lock().allocation_size()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;

    fn handles(hub: &Hub, count: u64) -> Vec<Arc<Handle>> {
        let figures = Arc::new(Figures::new(0));
        let handle = |n| {
            let handle = Arc::new(Handle::new(Slot::take(&figures, usize::MAX).expect("room"), 0));
            hub.insert(handle.clone());
            let device = DeviceId::generate();
            hub.introduce(&handle, SessionRef { session: handle.id, user: UserId(1 + n / 2), device }, n);
            handle
        };
        (0..count).map(handle).collect()
    }

    #[test]
    fn a_users_sessions_are_found_and_nobody_elses_until_they_end() {
        let hub = Hub::default();
        let handles = handles(&hub, 2000);
        let ids = |user| -> Vec<SessionId> {
            let mut ids: Vec<_> = hub.of_user(UserId(user)).iter().map(|handle| handle.id).collect();
            ids.sort_unstable();
            ids
        };
        for pair in handles.chunks(2) {
            let mut expected = [pair[0].id, pair[1].id];
            expected.sort_unstable();
            assert_eq!(ids(pair[0].who().user.0), expected);
            hub.remove(&pair[0]);
            assert_eq!(ids(pair[0].who().user.0), [pair[1].id]);
            hub.remove(&pair[0]);
            assert!(hub.get(&pair[0].id).is_none() && hub.get(&pair[1].id).is_some());
        }
        assert!(ids(5000).is_empty());
        assert_eq!(hub.introduced(), 1000);
        handles.iter().for_each(|handle| hub.remove(handle));
        assert_eq!(hub.introduced(), 0);
        assert!(hub.all().is_empty() && handles.iter().all(|handle| Arc::strong_count(handle) == 1));
    }

    #[test]
    fn both_tables_together_cost_a_session_little_and_an_empty_hub_next_to_nothing() {
        let hub = Hub::default();
        let count = 100_000;
        let handles = handles(&hub, count);
        let each = hub.bytes() / count as usize;
        assert!(each <= 40, "{each} bytes a session");
        handles.iter().for_each(|handle| hub.remove(handle));
        assert!(hub.bytes() < 200_000, "{}", hub.bytes());
    }
}
