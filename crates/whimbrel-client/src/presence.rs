//! Whom the user watches, and what they were told of them last: the engine's part. A session's end takes the watch with
//! it; the next session wishes the same again.

use hashbrown::HashMap;
use whimbrel_core::{Presence, UserId};
use whimbrel_wire::convert::Welcome;
use whimbrel_wire::proto;

/// Changes of how one lets oneself be seen; `None` leaves as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrivacyChange {
    /// To look offline, last seen now.
    pub invisible: Option<bool>,
    /// Not to show when one was here.
    pub last_seen_hidden: Option<bool>,
}

/// What was told of those whom the user watches.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// By whom. Those of whom nothing was told yet are unknown.
    told: HashMap<UserId, Presence>,
    /// The server is to be told whom to watch.
    is_due: bool,
    /// Whom this session's server lets be watched at a time; 0: nobody, or there is no session.
    most: usize,
}

impl Watched {
    /// Whoever is watched was known by another session: as it is now the server will say. If it will not, those of whom
    /// something was known are unknown now.
    pub(crate) fn session_started(&mut self, welcome: &Welcome) -> Vec<Presence> {
        self.most = welcome.max_watched as usize;
        self.is_due = !self.told.is_empty();
        match self.most {
            0 => self.told.values_mut().filter_map(forget).collect(),
            _ => Vec::new(),
        }
    }

    /// The user watches these from now on.
    pub(crate) fn watch(&mut self, users: Vec<UserId>) {
        let known = std::mem::take(&mut self.told);
        let told = |user: UserId| (user, known.get(&user).copied().unwrap_or(Presence::unknown(user)));
        self.told = users.into_iter().map(told).collect();
        self.is_due = true;
    }

    /// What the server is to be told, once. Whom it has no room for stays unknown.
    pub(crate) fn next(&mut self) -> Option<proto::Watch> {
        if self.most == 0 || !std::mem::take(&mut self.is_due) {
            return None;
        }
        let mut users: Vec<u64> = self.told.keys().map(|user| user.0).collect();
        users.sort_unstable();
        users.truncate(self.most);
        Some(proto::Watch { users })
    }

    /// The server told this. What is news of it; of those who are not watched any more nothing is.
    pub(crate) fn heard(&mut self, presences: Vec<Presence>) -> Vec<Presence> {
        let news = |presence: &Presence| {
            let told = self.told.get_mut(&presence.user)?;
            (std::mem::replace(told, *presence) != *presence).then_some(*presence)
        };
        presences.iter().filter_map(news).collect()
    }

    /// As it was told last.
    pub(crate) fn all(&self) -> HashMap<UserId, Presence> {
        self.told.clone()
    }
}

fn forget(told: &mut Presence) -> Option<Presence> {
    let unknown = Presence::unknown(told.user);
    (std::mem::replace(told, unknown) != unknown).then_some(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::{PresenceState, SessionId};

    const BOB: UserId = UserId(2);
    const CARL: UserId = UserId(3);

    fn welcome(max_watched: u32) -> Welcome {
        Welcome {
            session: SessionId::generate(),
            user: UserId(1),
            max_frame: 4096,
            window: 256,
            heartbeat_ms: 1000,
            silence_ms: 3000,
            ack_timeout_ms: 1000,
            ack_timeouts: 3,
            server_time_ms: 0,
            bodies_readable: true,
            max_body: 1024,
            max_drafts: 3,
            max_conversations: 500,
            max_watched,
        }
    }

    fn online(user: UserId) -> Presence {
        Presence { user, state: PresenceState::Online, last_seen: 0 }
    }

    #[test]
    fn each_session_is_told_once_whom_to_watch() {
        let mut watched = Watched::default();
        watched.session_started(&welcome(200));
        assert_eq!(watched.next(), None, "nobody is watched");
        watched.watch(vec![CARL, BOB]);
        assert_eq!(watched.next().map(|watch| watch.users), Some(vec![2, 3]));
        assert_eq!(watched.next(), None);
        watched.session_started(&welcome(1));
        assert_eq!(watched.next().map(|watch| watch.users), Some(vec![2]), "as many as this server lets");
        watched.watch(Vec::new());
        assert_eq!(watched.next().map(|watch| watch.users), Some(vec![]));
    }

    #[test]
    fn only_what_is_new_of_those_who_are_watched_is_news() {
        let mut watched = Watched::default();
        watched.watch(vec![BOB]);
        assert_eq!(watched.heard(vec![online(BOB), online(CARL)]), [online(BOB)]);
        assert_eq!(watched.heard(vec![online(BOB)]), []);
        watched.watch(vec![BOB, CARL]);
        assert_eq!((watched.all()[&BOB], watched.all()[&CARL]), (online(BOB), Presence::unknown(CARL)));
    }

    #[test]
    fn a_server_without_presence_is_asked_for_none_and_nobody_is_known_any_more() {
        let mut watched = Watched::default();
        watched.watch(vec![BOB, CARL]);
        watched.heard(vec![online(BOB)]);
        assert_eq!(watched.session_started(&welcome(0)), [Presence::unknown(BOB)]);
        assert_eq!(watched.next(), None);
    }
}
