//! The hub: session id → session, for pushes, the sweep and the drain.
//!
//! Every connection is in it from before its Hello is read until it begins to end, so that the sweep finds all. Ids
//! are random and given here: none comes twice, so an entry is only ever removed by its own session. Locks are held
//! for a look-up or a walk over one shard, and nothing foreign is called under them.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use hashbrown::HashMap;
use parking_lot::Mutex;
use whimbrel_core::SessionId;

use crate::figures::Slot;
use crate::mailbox::Mailbox;

/// The part of a session that others reach.
pub(crate) struct Handle {
    pub(crate) id: SessionId,
    pub(crate) mailbox: Mailbox,
    /// The task of the connection, which registers at the start of every poll and looks at the rest after that.
    pub(crate) waker: AtomicWaker,
    /// When the session wants to be woken at the latest, milliseconds of the house's clock.
    pub(crate) due: AtomicU64,
    _slot: Slot,
}

impl Handle {
    pub(crate) fn new(slot: Slot, due: u64) -> Self {
        Self {
            id: SessionId::generate(),
            mailbox: Mailbox::default(),
            waker: AtomicWaker::new(),
            due: AtomicU64::new(due),
            _slot: slot,
        }
    }
}

const SHARDS: usize = 64;

/// Ids are random already: eight of their bytes are their hash.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(head) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*head);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

type Shard = Mutex<HashMap<SessionId, Arc<Handle>, BuildHasherDefault<IdHasher>>>;

pub(crate) struct Hub {
    shards: Box<[Shard]>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }
}

impl Hub {
    fn shard(&self, id: &SessionId) -> &Shard {
        // The last byte: the map inside uses the first eight.
        &self.shards[usize::from(id.as_bytes()[15]) % SHARDS]
    }

    pub(crate) fn insert(&self, handle: Arc<Handle>) {
        self.shard(&handle.id).lock().insert(handle.id, handle);
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<Arc<Handle>> {
        self.shard(id).lock().get(id).cloned()
    }

    pub(crate) fn remove(&self, id: &SessionId) {
        self.shard(id).lock().remove(id);
    }

    /// Wakes every session whose time has come; outside of the locks, since a wake may end in a session's end.
    pub(crate) fn wake_due(&self, now: u64) {
        for shard in &self.shards {
            let is_due = |handle: &&Arc<Handle>| handle.due.load(Ordering::Relaxed) <= now;
            let take = |handle: &Arc<Handle>| handle.waker.take();
            let wakers: Vec<Waker> = shard.lock().values().filter(is_due).filter_map(take).collect();
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// Everybody, in random order (that of their ids).
    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        self.shards.iter().flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>()).collect()
    }
}
