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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use whimbrel_core::{
        ConnectorId, ConversationId, Delivery, DeviceId, Message, MessageId, MessageKind, RosterChange, Seq, Span,
        UserId,
    };
    use whimbrel_rpc::token::TokenKey;
    use whimbrel_rpc::{Push as _, PushBody, SessionRef, To};

    use super::*;
    use crate::figures::{Figures, Slot};
    use crate::{Config, Connector};

    const CHAT: ConversationId = ConversationId::from_bytes([7; 16]);

    struct World {
        push: HubPush,
        handles: Vec<Arc<Handle>>,
    }

    /// One session for each of users 1, 2, 3, ….
    fn world(users: u64, config: Config) -> World {
        let key = Arc::new(TokenKey::new(&vec![7; 32].into()));
        let house = Connector::new(config, ConnectorId::generate(), key).house;
        let figures = Arc::new(Figures::new(0));
        let handle = |user| {
            let handle = Arc::new(Handle::new(Slot::take(&figures, usize::MAX).expect("room"), 0));
            house.hub.insert(handle.clone());
            let device = DeviceId::generate();
            house.hub.introduce(&handle, SessionRef { session: handle.id, user: UserId(user), device }, 1);
            handle
        };
        let handles = (1..=users).map(handle).collect();
        World { push: HubPush::new(house), handles }
    }

    impl World {
        async fn tell(&self, to: ToGroup) -> Vec<ConversationId> {
            let message = Message {
                conversation: CHAT,
                seq: to.seq,
                sender: UserId(1),
                device: DeviceId::from_bytes([1; 16]),
                message_id: MessageId::generate(),
                kind: MessageKind::TEXT,
                key_version: 1,
                body: vec![7; 100].into(),
                at: 1,
            };
            let body = PushBody::Deliver(Arc::new(Delivery { conversation: CHAT, messages: vec![message] }));
            self.push.push(vec![PushItem { to: To::Group(Box::new(to)), body }]).await.unrostered
        }

        /// Whose mailboxes got something, and where the bytes are.
        fn took(&self) -> Vec<(u64, usize)> {
            let mut took = Vec::new();
            for handle in &self.handles {
                let user = handle.who().user.0;
                handle.mailbox.take(u64::MAX, usize::MAX, |_, frame| {
                    took.push((user, frame.as_bytes().as_ptr() as usize));
                });
            }
            took
        }

        fn users(&self) -> Vec<u64> {
            self.took().into_iter().map(|(user, _)| user).collect()
        }
    }

    fn roster(users: impl Iterator<Item = u64>) -> Arc<Roster> {
        let span = Span { since: Seq(1), until: Seq::ZERO };
        Arc::new(Roster::new(Seq(1), users.map(|user| (UserId(user), span)).collect()))
    }

    fn at(seq: u64, revision: u64) -> ToGroup {
        let except = Default::default();
        ToGroup { group: CHAT, seq: Seq(seq), revision: Seq(revision), except, change: None, roster: None }
    }

    /// By either side: few members among many sessions, and few sessions of many members.
    #[tokio::test]
    async fn members_get_it_encoded_once_and_nobody_else_does() {
        for (sessions, members) in [(300, 40..=90), (300, 290..=5000)] {
            let world = world(sessions, Config::default());
            assert_eq!(world.tell(at(2, 1)).await, [CHAT], "nobody knows who they are");
            assert!(world.users().is_empty());
            let first = ToGroup { roster: Some(roster(members.clone())), ..at(2, 1) };
            assert_eq!(world.tell(first).await, []);
            let took = world.took();
            let expected: Vec<u64> = members.filter(|user| *user <= sessions).collect();
            assert_eq!(took.iter().map(|(user, _)| *user).collect::<Vec<_>>(), expected);
            assert!(took.iter().all(|(_, bytes)| *bytes == took[0].1), "all share the same bytes");
            let except = [world.handles[expected[0] as usize - 1].id].into_iter().collect();
            assert_eq!(world.tell(ToGroup { except, ..at(3, 1) }).await, [], "the roster is remembered");
            assert_eq!(world.users(), expected[1..]);
        }
    }

    /// A row brings what it changes; who knows of a change is not needed to tell what was placed before it.
    #[tokio::test]
    async fn a_change_is_followed_and_what_was_placed_before_it_goes_to_who_was_there_then() {
        let world = world(5, Config::default());
        let change = RosterChange { after: Seq(1), at: Seq(4), joined: vec![UserId(5)], left: vec![UserId(1)] };
        world.tell(ToGroup { roster: Some(roster(1..=2)), ..at(2, 1) }).await;
        assert_eq!(world.users(), [1, 2]);
        assert_eq!(world.tell(ToGroup { change: Some(Arc::new(change.clone())), ..at(4, 4) }).await, []);
        assert_eq!(world.users(), [1, 2, 5], "the row of leaving is owed to who leaves");
        assert_eq!(world.tell(at(5, 4)).await, []);
        assert_eq!(world.users(), [2, 5]);
        assert_eq!(world.tell(at(3, 1)).await, []);
        assert_eq!(world.users(), [1, 2]);
        assert_eq!(world.tell(at(9, 8)).await, [CHAT], "a change was missed");
    }

    /// The roster that comes with a push holds for it, also when there is no room to remember it.
    #[tokio::test]
    async fn a_roster_that_is_not_remembered_holds_for_its_own_push() {
        let world = world(5, Config { roster_members_cached: 2, ..Config::default() });
        let change = RosterChange { after: Seq(1), at: Seq(2), joined: vec![UserId(5)], left: Vec::new() };
        let to = ToGroup { roster: Some(roster(1..=3)), change: Some(Arc::new(change)), ..at(2, 2) };
        assert_eq!(world.tell(to).await, []);
        assert_eq!(world.users(), [1, 2, 3, 5]);
        assert_eq!(world.tell(at(3, 2)).await, [CHAT]);
    }

    /// Not a test of speed: it says what a member costs, for whoever wants to know (`--nocapture`).
    #[tokio::test]
    async fn what_a_member_costs() {
        let sessions = 20_000;
        let world = world(sessions, Config::default());
        world.tell(ToGroup { roster: Some(roster(1..=100_000)), ..at(2, 1) }).await;
        assert_eq!(world.took().len() as u64, sessions);
        let began = Instant::now();
        world.tell(at(3, 1)).await;
        let took = began.elapsed();
        eprintln!("{} ns for each of {sessions} sessions here", took.as_nanos() as u64 / sessions);
        assert_eq!(world.took().len() as u64, sessions);
    }
}
