//! Poking many sessions, spread over time: each of them syncs.
//!
//! Ids wait here, at most twice as many as there may be connections; beyond that the list becomes all who are in, once.
//! No task while nobody is to be poked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use whimbrel_core::SessionId;

use crate::House;

/// Pokes at a time, and the pause after them: ten sessions are poked at once, 100,000 in ten seconds.
const AT_ONCE: usize = 1000;
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(crate) struct Pokes(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<SessionId>,
    /// The task is there.
    going: bool,
}

/// Has these sessions poked, after those who wait already.
pub(crate) fn poke(house: &Arc<House>, sessions: Vec<SessionId>) {
    if sessions.is_empty() {
        return;
    }
    let most = house.config.max_connections.saturating_mul(2);
    let mut queue = house.pokes.0.lock();
    if queue.waiting.len() + sessions.len() > most {
        queue.waiting.clear();
        queue.waiting.extend(house.hub.admitted());
    } else {
        queue.waiting.extend(sessions);
    }
    if !std::mem::replace(&mut queue.going, true) {
        tokio::spawn(run(house.clone()));
    }
}

async fn run(house: Arc<House>) {
    while let Some(sessions) = house.pokes.next() {
        for handle in sessions.iter().filter_map(|id| house.hub.get(id)) {
            handle.mailbox.poke();
            handle.waker.wake();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Pokes {
    fn next(&self) -> Option<Vec<SessionId>> {
        let mut queue = self.0.lock();
        let count = queue.waiting.len().min(AT_ONCE);
        if count == 0 {
            *queue = Queue::default();
            return None;
        }
        Some(queue.waiting.drain(..count).collect())
    }
}
