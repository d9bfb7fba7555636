//! Counters: those that bound the house, and those that are shown.
//!
//! The metrics' handles are looked up once; the hot path adds to atomics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::Notify;

pub(crate) struct Figures {
    connections: AtomicUsize,
    sessions: AtomicUsize,
    /// Notified when the last connection is gone.
    empty: Notify,
    sessions_shown: Gauge,
    pub(crate) frames_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    /// Mailboxes that overflowed, so that their session was poked instead.
    pub(crate) overflows: Counter,
    /// Requests that made a session wait before it is read from again.
    pub(crate) throttled: Counter,
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self {
            connections: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            empty: Notify::new(),
            sessions_shown: gauge!("whimbrel_connector_sessions"),
            frames_in: counter!("whimbrel_connector_frames_in_total"),
            frames_out: counter!("whimbrel_connector_frames_out_total"),
            bytes_in: counter!("whimbrel_connector_bytes_in_total"),
            bytes_out: counter!("whimbrel_connector_bytes_out_total"),
            overflows: counter!("whimbrel_connector_mailbox_overflows_total"),
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
pub(crate) struct Slot(Arc<Figures>);

impl Slot {
    pub(crate) fn take(figures: &Arc<Figures>, max: usize) -> Option<Self> {
        let more = |n| (n < max).then_some(n + 1);
        figures.connections.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Self(figures.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.0.connections.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.empty.notify_waiters();
        }
    }
}
