//! Which friends are here, and whether one lets oneself be seen.

use std::collections::HashMap;

use whimbrel_client::{
    ConnectionState, ConversationKind, ConversationSummary, Presence, PresenceState, Privacy, UserId,
};

use super::{App, Effect};

/// Friends who are watched: those with whom one spoke last. The server takes no more.
const WATCHED_MAX: usize = 200;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Presences {
    told: HashMap<UserId, Presence>,
    watched: Vec<UserId>,
    pub(super) own: Privacy,
}

impl Presences {
    pub(super) fn told(&mut self, presence: Presence) {
        self.told.insert(presence.user, presence);
    }
}

impl App {
    /// How a conversation's person is, as far as it is known now: nothing is while there is no connection.
    pub(in crate::chat) fn presence(&self, row: &ConversationSummary) -> Option<Presence> {
        let is_known = row.kind == ConversationKind::Direct && self.state == ConnectionState::Online;
        let told = self.presences.told.get(&row.peer).filter(|_| is_known)?;
        (told.state != PresenceState::Unknown).then_some(*told)
    }

    /// Whether one looks offline to one's friends.
    pub(in crate::chat) fn is_invisible(&self) -> bool {
        self.presences.own.invisible
    }

    /// Watches the friends in the list, if they are others than before.
    pub(super) fn watch(&mut self) -> Option<Effect> {
        let direct =
            self.conversations.iter().filter(|row| row.kind == ConversationKind::Direct && row.peer != UserId(0));
        let mut users: Vec<UserId> = direct.map(|row| row.peer).take(WATCHED_MAX).collect();
        users.sort_unstable();
        if self.headless || users == self.presences.watched {
            return None;
        }
        self.presences.watched.clone_from(&users);
        self.presences.told.retain(|user, _| users.binary_search(user).is_ok());
        Some(Effect::Watch(users))
    }
}
