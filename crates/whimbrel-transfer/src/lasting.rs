//! Those who are here and stay: now and then it is written that they were seen, so that somebody whose whole server is
//! killed was last seen about then, and not when they came.
//!
//! Invariants
//! - One round in each [`Config::last_seen_every`] over all who came through this transfer and have not left it, so each is
//!   written at most once in that time. Who has no route any more has left through another transfer: nothing is written of
//!   them, and they are forgotten. While UserStatus does not say who is where, nothing is written of anybody.
//! - Off the way of messages: a task of its own, [`LAST_SEEN_ROWS`] users in a write, the writes spread over the round. No
//!   task runs while nobody is here.
//! - Nobody is told: of who is here no time is shown.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;
use whimbrel_core::UserId;
use whimbrel_core::limits::LAST_SEEN_ROWS;
use whimbrel_store::Presences;

use crate::Config;
use crate::clock::now_ms;
use crate::reach::{Reach, Whereabouts};

pub(crate) struct Lasting {
    config: Arc<Config>,
    presences: Arc<dyn Presences>,
    reach: Arc<Reach>,
    tasks: TaskTracker,
    stop: CancellationToken,
    here: Mutex<Here>,
}

#[derive(Default)]
struct Here {
    /// With as many sessions.
    users: HashMap<UserId, u32>,
    looking: bool,
}

impl Here {
    fn came(&mut self, user: UserId, most: usize) {
        if let Some(sessions) = self.users.get_mut(&user) {
            *sessions = sessions.saturating_add(1);
        } else if self.users.len() < most {
            self.users.insert(user, 1);
        }
    }

    fn left(&mut self, user: UserId) {
        if let Some(sessions) = self.users.get_mut(&user) {
            *sessions -= 1;
            if *sessions == 0 {
                self.users.remove(&user);
            }
        }
    }

    /// They have left through another transfer, unless they came again since.
    fn forget(&mut self, gone: &[(UserId, u32)]) {
        for (user, sessions) in gone {
            if self.users.get(user) == Some(sessions) {
                self.users.remove(user);
            }
        }
    }
}

impl Lasting {
    pub(crate) fn new(
        config: Arc<Config>,
        presences: Arc<dyn Presences>,
        reach: Arc<Reach>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self { config, presences, reach, tasks, stop, here: Mutex::default() })
    }

    /// Sessions of these users have begun.
    pub(crate) fn came(self: &Arc<Self>, users: impl Iterator<Item = UserId>) {
        let mut here = self.here.lock();
        users.for_each(|user| here.came(user, self.config.last_seen_lasting));
        if !here.users.is_empty() && !std::mem::replace(&mut here.looking, true) {
            let lasting = self.clone();
            self.tasks.spawn(async move { lasting.rounds().await });
        }
    }

    /// Sessions of these users have ended.
    pub(crate) fn left(&self, users: impl Iterator<Item = UserId>) {
        let mut here = self.here.lock();
        users.for_each(|user| here.left(user));
    }

    /// Until nobody is here, or the transfer stops.
    async fn rounds(self: Arc<Self>) {
        loop {
            let users: Vec<(UserId, u32)> = {
                let mut here = self.here.lock();
                here.looking = !here.users.is_empty();
                here.users.iter().map(|(user, sessions)| (*user, *sessions)).collect()
            };
            if users.is_empty() {
                return;
            }
            let writes = u32::try_from(users.len().div_ceil(LAST_SEEN_ROWS)).unwrap_or(u32::MAX);
            for some in users.chunks(LAST_SEEN_ROWS) {
                if tokio::time::timeout(self.config.last_seen_every / writes, self.stop.cancelled()).await.is_ok() {
                    return;
                }
                self.write(some).await;
            }
        }
    }

    async fn write(&self, users: &[(UserId, u32)]) {
        let asked = users.iter().map(|(user, _)| *user).collect();
        let now = now_ms();
        let Whereabouts::Known(routes) = self.reach.locate(asked).await else { return };
        let (here, gone): (Vec<_>, Vec<_>) = users.iter().partition(|(user, _)| !routes.of(*user).is_empty());
        self.here.lock().forget(&gone);
        let here: Vec<UserId> = here.into_iter().map(|(user, _)| user).collect();
        if let Err(error) = self.presences.here(&here, now).await {
            debug!(%error, users = here.len(), "that users are here is not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    #[test]
    fn who_has_another_session_stays_and_there_is_room_for_so_many() {
        let mut here = Here::default();
        for user in [ANN, ANN, BOB, UserId(3)] {
            here.came(user, 2);
        }
        here.left(ANN);
        here.left(UserId(3));
        assert_eq!((here.users.get(&ANN), here.users.get(&BOB), here.users.len()), (Some(&1), Some(&1), 2));
        here.forget(&[(ANN, 2), (BOB, 1)]);
        assert_eq!(here.users.keys().collect::<Vec<_>>(), [&ANN], "Ann came again since");
        here.left(ANN);
        assert!(here.users.is_empty());
    }
}
