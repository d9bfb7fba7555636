//! Counters: those that bound the house, and those that are shown.
//!
//! The metrics' handles are looked up once; the hot path adds to atomics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::network::Network;

pub(crate) struct Figures {
    connections: AtomicUsize,
    sessions: AtomicUsize,
    /// Connections by where they come from; only those that count against the limit per address.
    networks: Mutex<HashMap<Network, u32>>,
    /// Most of them; 0 for no limit.
    max_per_network: usize,
    /// Notified when the last connection is gone.
    empty: Notify,
    sessions_shown: Gauge,
    pub(crate) frames_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    /// Mailboxes that overflowed, so that their session was poked instead.
    pub(crate) overflows: Counter,
    /// Sessions that watch.
    pub(crate) watching: Gauge,
    /// What they were told of those whom they watch.
    pub(crate) presences: Counter,
    /// Requests that made a session wait before it is read from again.
    pub(crate) throttled: Counter,
}

impl Figures {
    pub(crate) fn new(max_per_network: usize) -> Self {
        Self {
            connections: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            networks: Mutex::default(),
            max_per_network,
            empty: Notify::new(),
            sessions_shown: gauge!("whimbrel_connector_sessions"),
            frames_in: counter!("whimbrel_connector_frames_in_total"),
            frames_out: counter!("whimbrel_connector_frames_out_total"),
            bytes_in: counter!("whimbrel_connector_bytes_in_total"),
            bytes_out: counter!("whimbrel_connector_bytes_out_total"),
            overflows: counter!("whimbrel_connector_mailbox_overflows_total"),
            watching: gauge!("whimbrel_connector_watching_sessions"),
            presences: counter!("whimbrel_connector_presences_total"),
            throttled: counter!("whimbrel_connector_throttled_total"),
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::SeqCst)
    }

    pub(crate) fn session_opened(&self) {
        self.sessions.fetch_add(1, Ordering::SeqCst);
        self.sessions_shown.increment(1.0);
    }

    /// A session that was opened has ended.
    pub(crate) fn session_ended(&self) {
        self.sessions.fetch_sub(1, Ordering::SeqCst);
        self.sessions_shown.decrement(1.0);
    }

    /// Why a connection ended; the name is a goodbye's, or `broken`.
    pub(crate) fn goodbye(&self, name: &'static str) {
        counter!("whimbrel_connector_goodbyes_total", "code" => name).increment(1);
    }

    /// This machine itself has no limit.
    fn counts(&self, network: Network) -> bool {
        self.max_per_network > 0 && !network.is_loopback()
    }

    /// One more from there, unless there are as many as may.
    fn come(&self, network: Network) -> bool {
        let mut networks = self.networks.lock();
        let count = networks.entry(network).or_default();
        let room = (*count as usize) < self.max_per_network;
        *count += u32::from(room);
        room
    }

    /// One that had come has gone. Room that a crowd has left is given back.
    fn go(&self, network: Network) {
        let mut networks = self.networks.lock();
        match networks.get_mut(&network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(networks.remove(&network)),
        }
        let keep = networks.len() * 2;
        if networks.capacity() > NETWORKS_KEPT && keep < networks.capacity() / 4 {
            networks.shrink_to(keep);
        }
    }

    /// Returns when there is no connection.
    pub(crate) async fn wait_empty(&self) {
        loop {
            let notified = self.empty.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.connections() == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// One of the connections that may be open at a time; free again when dropped.
pub(crate) struct Slot {
    figures: Arc<Figures>,
    /// [`Network::UNKNOWN`] until it is placed.
    from: Network,
}

/// A table of networks for so few gives nothing back.
const NETWORKS_KEPT: usize = 64;

impl Slot {
    pub(crate) fn take(figures: &Arc<Figures>, max: usize) -> Option<Self> {
        let more = |n| (n < max).then_some(n + 1);
        figures.connections.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Self { figures: figures.clone(), from: Network::UNKNOWN })
    }
}

impl Slot {
    /// Notes where the connection comes from, once; false when as many as may come from there already.
    #[must_use]
    pub(crate) fn place(&mut self, from: Network) -> bool {
        let room = !self.figures.counts(from) || self.figures.come(from);
        if room {
            self.from = from;
        }
        room
    }

    /// Where the connection comes from.
    pub(crate) fn from(&self) -> Network {
        self.from
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.from != Network::UNKNOWN && self.figures.counts(self.from) {
            self.figures.go(self.from);
        }
        if self.figures.connections.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.figures.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_where_they_come_from_as_long_as_they_are_there() {
        let figures = [2, 0].map(|max| Arc::new(Figures::new(max)));
        let take_of = |figures: &Arc<Figures>, address: &str| {
            let mut slot = Slot::take(figures, usize::MAX).expect("room");
            slot.place(Network::of(address.parse().expect("an address"))).then_some(slot)
        };
        let take = |address| take_of(&figures[0], address);
        let mut here = vec![take("203.0.113.9"), take("203.0.113.9")];
        assert!(here.iter().all(Option::is_some));
        assert!(take("203.0.113.9").is_none() && take("203.0.113.9").is_none());
        assert!(take("203.0.113.10").is_some(), "another address");
        here.pop();
        assert!(take("203.0.113.9").is_some(), "one has gone; and those who were refused do not count");
        here.extend((0..5).flat_map(|_| [take("127.0.0.1"), take("::1"), take_of(&figures[1], "9.9.9.9")]));
        assert!(here.iter().all(Option::is_some), "this machine, and without a limit");
        drop(here);
        assert!(figures.iter().all(|figures| figures.networks.lock().is_empty() && figures.connections() == 0));
    }
}
