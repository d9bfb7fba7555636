//! One push for the members of a group: to those of their sessions that are here.
//!
//! It goes by the shorter side: through the roster, looking each member up in the hub, or through the hub, looking each
//! session's user up in the roster. Either way nothing is allocated for a session besides what its mailbox takes, and
//! others of this thread have their turn every [`SESSIONS_AT_ONCE`].
//!
//! A session that attaches meanwhile is not forgotten, and no lock is needed for that. It is in the hub before the
//! transfer registers it, and syncs after that. A row whose fan-out looked before the session was in the hub was
//! committed by then, so its sync brings it; every other row finds it here. Who joins is owed rows from the one of their
//! joining on: those name its revision, and an older roster is not used for them.

use std::sync::Arc;

use whimbrel_core::Roster;
use whimbrel_rpc::{PushItem, ToGroup};

use crate::hub::{Handle, SHARDS};
use crate::outbound::{HubPush, Round};

/// Looked at, or handed to, before other tasks of the thread have their turn.
const SESSIONS_AT_ONCE: usize = 4096;

impl HubPush {
    /// Hands the item to the group's members; false: nobody knows who they are.
    pub(crate) async fn to_group(&self, to: &ToGroup, item: &PushItem, round: &mut Round) -> bool {
        let Some(roster) = self.roster(to) else { return false };
        if roster.spans().len() <= self.house.hub.introduced() {
            self.through_roster(&roster, to, item, round).await;
        } else {
            self.through_hub(&roster, to, item, round).await;
        }
        true
    }

    /// What comes with the push is remembered for the next ones; it holds for this one also where there is no room for
    /// that.
    fn roster(&self, to: &ToGroup) -> Option<Arc<Roster>> {
        let rosters = &self.house.rosters;
        let mut came = to.roster.clone();
        if let (Some(roster), Some(change)) = (&mut came, &to.change)
            && roster.revision == change.after
        {
            Arc::make_mut(roster).apply(change);
        }
        let came = came.map(|roster| rosters.put(to.group, roster));
        if let Some(change) = &to.change {
            rosters.apply(to.group, change);
        }
        came.filter(|roster| roster.revision >= to.revision).or_else(|| rosters.get(to.group, to.revision))
    }

    async fn through_roster(&self, roster: &Roster, to: &ToGroup, item: &PushItem, round: &mut Round) {
        for (at, user) in roster.audience(to.seq).enumerate() {
            for handle in self.house.hub.of_user(user) {
                self.hand_one(handle, to, item, round);
            }
            if (at + 1) % SESSIONS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn through_hub(&self, roster: &Roster, to: &ToGroup, item: &PushItem, round: &mut Round) {
        let (mut found, mut looked): (Vec<Arc<Handle>>, usize) = (Vec::new(), 0);
        for shard in 0..SHARDS {
            looked += self.house.hub.of_shard(shard, |user| roster.owes(user, to.seq), &mut found);
            for handle in found.drain(..) {
                self.hand_one(handle, to, item, round);
            }
            if looked >= SESSIONS_AT_ONCE {
                looked = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    fn hand_one(&self, handle: Arc<Handle>, to: &ToGroup, item: &PushItem, round: &mut Round) {
        if !to.except.contains(&handle.id) {
            self.hand(handle, item, round);
        }
    }
}
