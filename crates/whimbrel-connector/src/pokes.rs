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

#[cfg(test)]
mod tests {
    use whimbrel_core::ConnectorId;
    use whimbrel_rpc::token::TokenKey;

    use super::*;
    use crate::figures::Slot;
    use crate::hub::Handle;
    use crate::mailbox::Kind;
    use crate::{Config, Connector};

    fn house(max_connections: usize, count: usize) -> (Arc<House>, Vec<Arc<Handle>>) {
        let config = Config { max_connections, ..Config::default() };
        let key = Arc::new(TokenKey::new(&vec![7; 32].into()));
        let house = Connector::new(config, ConnectorId::generate(), key).house;
        let handle = || {
            let handle = Arc::new(Handle::new(Slot::take(&house.figures, max_connections).expect("room"), 0));
            house.hub.insert(handle.clone());
            handle
        };
        let handles = (0..count).map(|_| handle()).collect();
        (house, handles)
    }

    fn ids(handles: &[Arc<Handle>]) -> Vec<SessionId> {
        handles.iter().map(|handle| handle.id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn few_are_poked_at_once_and_many_spread_over_time() {
        let (house, handles) = house(10_000, 2500);
        let mut total = 0;
        let mut poked = || {
            for handle in &handles {
                handle.mailbox.take(1, usize::MAX, |kind, _| total += usize::from(kind == Kind::Poke));
            }
            total
        };
        let moment = Duration::from_millis(1);
        poke(&house, ids(&handles));
        for expected in [1000, 2000, 2500] {
            tokio::time::sleep(moment).await;
            assert_eq!(poked(), expected);
            tokio::time::sleep(PAUSE - moment).await;
        }
        tokio::time::sleep(PAUSE).await;
        assert!(!house.pokes.0.lock().going, "nobody waits, nothing runs");
        poke(&house, ids(&handles[..10]));
        tokio::time::sleep(moment).await;
        assert_eq!(poked(), 2510);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_to_be_poked_again_and_again_waits_once() {
        let (house, handles) = house(2000, 2000);
        handles.iter().for_each(|handle| handle.mailbox.admit());
        for _ in 0..10 {
            poke(&house, ids(&handles));
            assert!(house.pokes.0.lock().waiting.len() <= 4000);
        }
    }
}
