//! "Last seen": when sessions ended, gathered and written for many users at once, and for each at most every
//! [`Config::last_seen_every`].
//!
//! A session that ends is written soon. One that begins is written only if it still lasts then: so that somebody whose
//! connector is killed was not last seen days ago. No task runs while nothing waits; what a transfer has not written when
//! it is killed is lost, and what finds no room is: it is a hint for people.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use metrics::counter;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;
use whimbrel_core::UserId;
use whimbrel_core::limits::LAST_SEEN_ROWS;
use whimbrel_store::Presences;

use crate::Config;
use crate::clock::now_ms;

pub(crate) struct Seen {
    config: Arc<Config>,
    presences: Arc<dyn Presences>,
    tasks: TaskTracker,
    stop: CancellationToken,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    users: HashMap<UserId, Sighting>,
    writing: bool,
}

#[derive(Clone, Copy)]
struct Sighting {
    /// What is to be written; 0: it is.
    at: u64,
    /// When it is to be written, by this machine's clock.
    due: u64,
    /// When something was written last; 0: it is not known.
    written: u64,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Waiting {
    /// False: there is no room.
    fn put(&mut self, user: UserId, at: u64, due: u64, config: &Config) -> bool {
        if let Some(sighting) = self.users.get_mut(&user) {
            let due = due.max(sighting.written.saturating_add(ms(config.last_seen_every)));
            sighting.due = if sighting.at == 0 { due } else { sighting.due.min(due) };
            sighting.at = sighting.at.max(at);
        } else if self.users.len() < config.last_seen_gathered {
            self.users.insert(user, Sighting { at, due, written: 0 });
        } else {
            return false;
        }
        true
    }

    /// What is due now, at most so many; what was written long enough ago is forgotten.
    fn take(&mut self, now: u64, every: u64) -> Vec<(UserId, u64)> {
        self.users.retain(|_, sighting| sighting.at != 0 || sighting.written.saturating_add(every) > now);
        let due = self.users.iter_mut().filter(|(_, sighting)| sighting.at != 0 && sighting.due <= now);
        let take = |(user, sighting): (&UserId, &mut Sighting)| {
            let at = sighting.at;
            *sighting = Sighting { at: 0, due: 0, written: now };
            (*user, at)
        };
        due.take(LAST_SEEN_ROWS).map(take).collect()
    }
}

impl Seen {
    pub(crate) fn new(
        config: Arc<Config>,
        presences: Arc<dyn Presences>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self { config, presences, tasks, stop, waiting: Mutex::default() })
    }

    /// Sessions of these users have ended now.
    pub(crate) fn left(self: &Arc<Self>, users: impl Iterator<Item = UserId>) {
        let now = now_ms();
        users.for_each(|user| self.saw(user, now, now));
    }

    /// Sessions of these users have begun now.
    pub(crate) fn came(self: &Arc<Self>, users: impl Iterator<Item = UserId>) {
        let now = now_ms();
        let due = now + ms(self.config.last_seen_every);
        users.for_each(|user| self.put(user, now, due));
    }

    /// A user was here at this time.
    pub(crate) fn saw(self: &Arc<Self>, user: UserId, at: u64, now: u64) {
        self.put(user, at, now + ms(self.config.last_seen_delay));
    }

    fn put(self: &Arc<Self>, user: UserId, at: u64, due: u64) {
        let mut waiting = self.waiting.lock();
        if !waiting.put(user, at, due, &self.config) {
            return counter!("whimbrel_transfer_last_seen_dropped_total").increment(1);
        }
        if !std::mem::replace(&mut waiting.writing, true) {
            let seen = self.clone();
            self.tasks.spawn(async move { seen.write_gathered().await });
        }
    }

    /// Until nothing waits. When the transfer stops, everything is due.
    async fn write_gathered(self: Arc<Self>) {
        loop {
            let stopping = tokio::time::timeout(self.config.last_seen_delay, self.stop.cancelled()).await.is_ok();
            while self.write_due(if stopping { u64::MAX } else { now_ms() }).await {}
            let mut waiting = self.waiting.lock();
            if waiting.users.is_empty() || stopping {
                waiting.users = HashMap::new();
                waiting.writing = stopping;
                return;
            }
        }
    }

    /// False: nothing more is due.
    async fn write_due(&self, now: u64) -> bool {
        let due = self.waiting.lock().take(now, ms(self.config.last_seen_every));
        if due.is_empty() {
            return false;
        }
        if let Err(error) = self.presences.seen(&due, now_ms()).await {
            debug!(%error, users = due.len(), "when users were seen last is not written");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: UserId = UserId(2);

    fn config() -> Config {
        Config { last_seen_every: Duration::from_millis(60), last_seen_gathered: 2, ..Config::default() }
    }

    #[test]
    fn who_comes_and_goes_all_the_time_is_written_now_and_then() {
        let (mut waiting, config) = (Waiting::default(), config());
        let mut written = Vec::new();
        for now in 1000..1300 {
            waiting.put(BOB, now, now + 1, &config);
            written.extend(waiting.take(now, 60).into_iter().map(|(_, at)| (now, at)));
        }
        assert!(written.len() <= 6, "{written:?}");
        assert!(written.iter().all(|(now, at)| now - at <= 1), "the newest is written: {written:?}");
        assert_eq!(waiting.take(u64::MAX - 100, 60).len(), 1, "and in the end the last");
    }

    #[test]
    fn who_came_is_written_when_they_stay_and_at_once_when_they_leave() {
        let (mut waiting, config) = (Waiting::default(), config());
        waiting.put(BOB, 1000, 1060, &config);
        assert!(waiting.take(1050, 60).is_empty());
        assert_eq!(waiting.take(1060, 60), [(BOB, 1000)]);
        waiting.put(UserId(3), 1000, 1060, &config);
        waiting.put(UserId(3), 1010, 1011, &config);
        assert_eq!(waiting.take(1011, 60), [(UserId(3), 1010)]);
    }

    #[test]
    fn there_is_room_for_so_many_and_who_rests_takes_none() {
        let (mut waiting, config) = (Waiting::default(), config());
        assert_eq!([1, 2, 3].map(|user| waiting.put(UserId(user), 1000, 1000, &config)), [true, true, false]);
        assert_eq!(waiting.take(1000, 60).len(), 2);
        assert!(waiting.take(1060, 60).is_empty() && waiting.users.is_empty());
    }
}
