//! What the client tells, and what it changes on the screen.

use std::cmp::Reverse;

use whimbrel_client::{
    Closed, ConnectionState, ConversationId, ConversationSummary, Cursors, Event, GoodbyeCode, Relation, RelationState,
    StoredMessage, UserId,
};

use super::{App, Effect, Notice, Selected};

impl App {
    pub(super) fn event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::State(state) => return self.state(state),
            Event::Message(message) => return self.message(message),
            // The message itself follows, and takes its draft's place.
            Event::Sent { .. } | Event::AccountChanged => {}
            Event::Changed { .. } | Event::GroupChanged { .. } | Event::SettingChanged { .. } => {}
            Event::Typing { .. } | Event::Signal { .. } => {}
            Event::Refused { conversation, message_id, refusal } => {
                self.drafts.refused(conversation, message_id, refusal.sentence().to_owned());
            }
            Event::Receipt { conversation, user, cursors } => self.receipt(conversation, user, cursors),
            Event::Unread { conversation, unread } => {
                if let Some(row) = self.conversations.iter_mut().find(|row| row.id == conversation) {
                    row.unread = unread;
                }
            }
            Event::RelationChanged(relation) => return self.relation(relation),
            Event::ConversationReset { conversation } => {
                if self.open() == Some(conversation) {
                    self.messages.clear();
                }
                self.marked.remove(&conversation);
                // What is known of it is void: nothing of it is to be kept when the list is read again.
                if let Some(row) = self.conversations.iter_mut().find(|row| row.id == conversation) {
                    (row.head, row.own, row.peer_cursors) = Default::default();
                    (row.unread, row.last) = (0, None);
                }
                return vec![Effect::RefreshConversations];
            }
            Event::Lagged { .. } => {
                let load = self.open().map(Effect::Load);
                return load.into_iter().chain([Effect::RefreshConversations, Effect::RefreshRequests]).collect();
            }
        }
        Vec::new()
    }

    /// The list as the store has it. Events that were told meanwhile may be ahead of what was read.
    pub(super) fn list(&mut self, mut list: Vec<ConversationSummary>) -> Vec<Effect> {
        for row in &mut list {
            let Some(known) = self.conversations.iter().find(|known| known.id == row.id) else { continue };
            if known.head > row.head || known.own.read > row.own.read {
                row.unread = known.unread;
            }
            row.head = row.head.max(known.head);
            row.own = row.own.max(known.own);
            row.peer_cursors = row.peer_cursors.max(known.peer_cursors);
            if known.last.as_ref().map(|last| last.seq) > row.last.as_ref().map(|last| last.seq) {
                row.last = known.last.clone();
            }
        }
        list.sort_by_cached_key(|row| {
            (Reverse(row.last.as_ref().map_or(0, |last| last.at)), row.peer_name.to_lowercase())
        });
        self.conversations = list;
        let mut effects = self.reselect();
        effects.extend(self.mark_read());
        effects
    }

    /// Keeps the selection if it still stands; otherwise what is wanted, otherwise the first conversation.
    pub(super) fn reselect(&mut self) -> Vec<Effect> {
        let entries = self.entries();
        if let Some(wanted) = self.wanted.map(Selected::Conversation).filter(|wanted| entries.contains(wanted)) {
            self.wanted = None;
            return self.select(wanted);
        }
        if self.selected.is_some_and(|selected| entries.contains(&selected)) {
            return Vec::new();
        }
        self.selected = None;
        let first = self.conversations.first().map(|row| Selected::Conversation(row.id));
        match first.or(entries.first().copied()) {
            Some(entry) if self.wanted.is_none() => self.select(entry),
            _ => Vec::new(),
        }
    }

    fn state(&mut self, state: ConnectionState) -> Vec<Effect> {
        let mut effects = Vec::new();
        match &state {
            ConnectionState::Waiting { retry_in } => self.retry_in = *retry_in,
            ConnectionState::Online => effects.extend([Effect::RefreshConversations, Effect::RefreshRequests]),
            ConnectionState::Closed { why } => {
                let why = match why {
                    Closed::Goodbye(GoodbyeCode::REPLACED) => "this device is connected from somewhere else".to_owned(),
                    why => why.to_string(),
                };
                self.notify(Notice::Bad(format!("Closed for good: {why}. Ctrl-Q quits.")));
            }
            ConnectionState::Connecting { .. } => {}
        }
        self.state = state;
        effects
    }

    fn message(&mut self, message: StoredMessage) -> Vec<Effect> {
        let conversation = message.conversation;
        if message.sender == self.me && message.device == self.device {
            self.drafts.came(conversation, message.message_id);
        }
        if !message.kind.is_countable() {
            return Vec::new();
        }
        let known = self.conversations.iter().position(|row| row.id == conversation);
        if let Some(at) = known {
            let mut row = self.conversations.remove(at);
            row.head = row.head.max(message.seq);
            row.last = Some(message.clone());
            self.conversations.insert(0, row);
        }
        if self.open() == Some(conversation) {
            self.messages.insert(message.seq, message);
            self.trim();
        }
        if known.is_none() { vec![Effect::RefreshConversations] } else { self.mark_read() }
    }

    fn receipt(&mut self, conversation: ConversationId, user: UserId, cursors: Cursors) {
        if let Some(row) = self.conversations.iter_mut().find(|row| row.id == conversation) {
            if user == self.me {
                row.own = row.own.max(cursors);
            } else {
                row.peer_cursors = row.peer_cursors.max(cursors);
            }
        }
    }

    fn relation(&mut self, relation: Relation) -> Vec<Effect> {
        let peer = relation.peer.id;
        let name = relation.peer.handle.clone();
        let was_asked = self.requests.iter().any(|request| request.peer.id == peer);
        self.requests.retain(|request| request.peer.id != peer);
        match relation.state {
            RelationState::RequestReceived if !relation.blocked => {
                if !was_asked {
                    self.notify(Notice::Good(format!(
                        "{name} wants to be friends: Tab there, then /accept or /decline"
                    )));
                }
                self.requests.push(relation);
            }
            RelationState::RequestSent => {
                self.asked.insert(peer);
            }
            RelationState::Friends => {
                if self.asked.remove(&peer) {
                    self.notify(Notice::Good(format!("{name} accepted: you are friends now")));
                }
                if self.selected == Some(Selected::Request(peer)) {
                    self.wanted = relation.conversation;
                }
            }
            _ => {}
        }
        let mut effects = self.reselect();
        effects.push(Effect::RefreshConversations);
        effects
    }
}
