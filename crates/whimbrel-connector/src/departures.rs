//! Telling a transfer who left: what gathered while the last batch was under way goes in one.
//!
//! Bounded by the connections at a time: an entry keeps its connection's slot until the transfer has taken it. Those
//! that are told again after an assertion have none any more, and are bounded by the assertion.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use whimbrel_core::limits::ASSERT_MAX;
use whimbrel_rpc::{SessionRef, Transfer};

use crate::hub::Handle;

/// Sessions in one call.
const BATCH: usize = ASSERT_MAX;

pub(crate) struct Departures(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    gone: Vec<(SessionRef, Option<Arc<Handle>>)>,
    /// The gate is gone: nobody will add any more.
    last: bool,
}

impl Departures {
    /// Starts the task that tells `transfer`; it ends when this is dropped and everybody was told of.
    pub(crate) fn start(transfer: Arc<dyn Transfer>) -> Self {
        let queue = Arc::new(Queue::default());
        tokio::spawn(tell(queue.clone(), transfer));
        Self(queue)
    }

    /// Has a session detached.
    pub(crate) fn add(&self, who: SessionRef, handle: Arc<Handle>) {
        self.put(who, Some(handle));
    }

    /// Has a session detached that was asserted while it ended: the first time may have come before the assertion.
    pub(crate) fn again(&self, who: SessionRef) {
        self.put(who, None);
    }

    fn put(&self, who: SessionRef, handle: Option<Arc<Handle>>) {
        self.0.waiting.lock().gone.push((who, handle));
        self.0.more.notify_one();
    }
}

impl Drop for Departures {
    fn drop(&mut self) {
        self.0.waiting.lock().last = true;
        self.0.more.notify_one();
    }
}

async fn tell(queue: Arc<Queue>, transfer: Arc<dyn Transfer>) {
    loop {
        let (gone, last) = {
            let mut waiting = queue.waiting.lock();
            let from = waiting.gone.len().saturating_sub(BATCH);
            // All of them as a rule; otherwise the last ones, which moves nothing.
            let gone = if from == 0 { std::mem::take(&mut waiting.gone) } else { waiting.gone.split_off(from) };
            (gone, waiting.last)
        };
        if !gone.is_empty() {
            transfer.detach(gone.iter().map(|(who, _)| *who).collect()).await;
        } else if last {
            return;
        } else {
            queue.more.notified().await;
        }
    }
}
