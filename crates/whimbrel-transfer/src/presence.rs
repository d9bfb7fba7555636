//! What connectors ask about those whom their sessions watch: who is here, what of them may be shown to whom, and since
//! when that may be something else.
//!
//! Nothing is remembered from one question to the next: any transfer answers any connector. While UserStatus does not say
//! who is where, nobody is said to be here or not; while the directory does not answer, changes are found by the first
//! question that it answers again, since the connector names the time from which on it has not heard.

use std::sync::Arc;

use tokio::time::timeout;
use tracing::debug;
use whimbrel_core::limits::PRESENCE_CHANGES_MAX;
use whimbrel_core::{Sight, UserId};
use whimbrel_rpc::{Stirred, Stirring};
use whimbrel_store::Presences;

use crate::Config;
use crate::clock::now_ms;
use crate::reach::{Reach, Whereabouts};
use crate::seen::Seen;

pub(crate) struct Presence {
    pub(crate) config: Arc<Config>,
    pub(crate) presences: Arc<dyn Presences>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) seen: Arc<Seen>,
}

impl Presence {
    /// What the first of each pair may be shown of the second.
    pub(crate) async fn sights(&self, looks: Vec<(UserId, UserId)>) -> Option<Vec<Option<Sight>>> {
        match self.presences.sights(&looks).await {
            Ok(sights) => Some(sights),
            Err(error) => {
                debug!(%error, looks = looks.len(), "what may be shown of whom cannot be read");
                None
            }
        }
    }

    /// Who of these is here, and of whom something else may be shown.
    pub(crate) async fn stirred(&self, stirring: Stirring) -> Stirred {
        let Stirring { users, since, gone } = stirring;
        // Before anything is read: what changes from now on is found by the next question.
        let now = now_ms();
        gone.into_iter().for_each(|(user, at)| self.seen.saw(user, at.min(now), now));
        let (here, changed) = tokio::join!(self.here(users.clone()), self.changed(&users, since));
        let (as_of, changed) = changed.map_or((since, Some(Vec::new())), |changed| (now, changed));
        Stirred { as_of, here, changed }
    }

    async fn here(&self, users: Vec<UserId>) -> Option<Vec<UserId>> {
        let mut asked = users.clone();
        asked.sort_unstable();
        match self.reach.locate(users).await {
            Whereabouts::Known(routes) => {
                asked.retain(|user| !routes.of(*user).is_empty());
                Some(asked)
            }
            Whereabouts::Anywhere(_) => None,
        }
    }

    /// Of these users, those of whom something else may be shown than at `since`; the inner `None`: there are too many
    /// changes to look through, the outer one: the directory does not answer.
    async fn changed(&self, users: &[UserId], since: u64) -> Option<Option<Vec<UserId>>> {
        if since == 0 {
            return Some(Some(Vec::new()));
        }
        // Beyond any difference of the clocks of those who write, and of the time until they have written.
        let back = u64::try_from(self.config.watch_back.as_millis()).unwrap_or(u64::MAX);
        let looking = self.presences.stirred(since.saturating_sub(back), PRESENCE_CHANGES_MAX);
        let mut found = match timeout(self.config.status_timeout, looking).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                debug!(%error, "changes of what is shown cannot be read; they are later");
                return None;
            }
            Err(_) => {
                debug!("changes of what is shown are not read in time; they are later");
                return None;
            }
        };
        if found.len() >= PRESENCE_CHANGES_MAX {
            return Some(None);
        }
        found.sort_unstable();
        found.dedup();
        Some(Some(users.iter().copied().filter(|user| found.binary_search(user).is_ok()).collect()))
    }
}
