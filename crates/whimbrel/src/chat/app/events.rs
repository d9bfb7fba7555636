//! What the client tells, and what it changes on the screen.

use whimbrel_client::{
    Closed, ConnectionState, Content, ConversationId, ConversationSummary, Cursors, Event, GoodbyeCode, MessageKind,
    Picture, Relation, RelationState, StoredMessage, UserId,
};

use super::{App, Effect, Notice, Selected};

/// What may be another one when events were missed.
const EVERYTHING: [Effect; 4] =
    [Effect::RefreshConversations, Effect::RefreshRequests, Effect::RefreshInvitations, Effect::RefreshPrivacy];

impl App {
    pub(super) fn event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::State(state) => return self.state(state),
            Event::Message(message) => return self.message(message),
            // The message itself follows, and takes its draft's place.
            Event::Sent { .. } => {}
            Event::AccountChanged => return vec![Effect::RefreshPrivacy],
            Event::Presence(presence) => self.presences.told(presence),
            Event::Refused { conversation, message_id, refusal } => {
                let of_no_draft = self.drafts.refused(conversation, message_id, refusal.sentence().to_owned());
                self.not_done(of_no_draft);
            }
            Event::Receipt { conversation, user, cursors } => self.receipt(conversation, user, cursors),
            Event::Unread { conversation, unread } => {
                if let Some(row) = self.conversations.iter_mut().find(|row| row.id == conversation) {
                    row.unread = unread;
                    row.mentions = row.mentions.min(unread.try_into().unwrap_or(usize::MAX));
                }
            }
            Event::Changed { conversation, seq } => {
                let is_shown = self.open() == Some(conversation) && self.messages.contains_key(&seq);
                return is_shown.then_some(Effect::Look(conversation, seq)).into_iter().collect();
            }
            // Any number of messages, and the last one in the list perhaps.
            Event::Erased { conversation, user, .. } => {
                let load = (self.open() == Some(conversation)).then_some(Effect::Load(conversation));
                if load.is_some() {
                    self.notify(Notice::Good(erased(&self.name(user))));
                }
                return [Effect::RefreshConversations].into_iter().chain(load).collect();
            }
            // Its name, or that one is in it, or asked in.
            Event::GroupChanged { .. } => return vec![Effect::RefreshConversations, Effect::RefreshInvitations],
            // What was cleared is gone.
            Event::SettingChanged { conversation } => {
                let load = (self.open() == Some(conversation)).then_some(Effect::Load(conversation));
                return [Effect::RefreshConversations].into_iter().chain(load).collect();
            }
            Event::Typing { conversation, user, typing } => self.people.writes(conversation, user, typing),
            Event::Signal { .. } => {}
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
                return load.into_iter().chain(EVERYTHING).collect();
            }
        }
        Vec::new()
    }

    /// The list as the store has it. Events that were told meanwhile may be ahead of what was read.
    pub(super) fn list(&mut self, mut list: Vec<ConversationSummary>) -> Vec<Effect> {
        for row in &mut list {
            let Some(known) = self.conversations.iter().find(|known| known.id == row.id) else { continue };
            if known.head > row.head || known.own.read > row.own.read {
                (row.unread, row.mentions) = (known.unread, known.mentions);
            }
            row.head = row.head.max(known.head);
            row.own = row.own.max(known.own);
            row.peer_cursors = row.peer_cursors.max(known.peer_cursors);
            if known.last.as_ref().map(|last| last.seq) > row.last.as_ref().map(|last| last.seq) {
                row.last = known.last.clone();
            }
        }
        list.retain(|row| !row.hidden && !row.archived);
        list.sort_by_key(ConversationSummary::order);
        self.conversations = list;
        let mut effects = self.reselect();
        effects.extend(self.mark_read());
        effects
    }

    fn state(&mut self, state: ConnectionState) -> Vec<Effect> {
        let mut effects = Vec::new();
        match &state {
            ConnectionState::Waiting { retry_in } => self.retry_in = *retry_in,
            ConnectionState::Online => {
                self.people.ask_again();
                effects.extend(EVERYTHING);
            }
            ConnectionState::Closed { why } => {
                let why = match why {
                    Closed::Goodbye(GoodbyeCode::REPLACED) => "this device is connected from somewhere else".to_owned(),
                    why => why.to_string(),
                };
                self.notify(Notice::Bad(format!("Closed for good: {why}. Ctrl-Q quits.")));
            }
            ConnectionState::Connecting { .. } => {}
        }
        if state != ConnectionState::Online {
            self.people.nobody_writes();
        }
        self.state = state;
        effects
    }

    fn message(&mut self, message: StoredMessage) -> Vec<Effect> {
        let conversation = message.conversation;
        if message.sender == self.me && message.device == self.device {
            self.drafts.came(conversation, message.message_id);
        }
        // What is about an earlier message changes that one.
        if !message.kind.is_countable() && message.kind != MessageKind::GROUP {
            return Vec::new();
        }
        let known = self.conversations.iter_mut().find(|row| row.id == conversation);
        let is_known = known.is_some();
        if let Some(row) = known {
            row.head = row.head.max(message.seq);
            row.mentions += usize::from(message.calls(self.me));
            row.last = Some(message.clone());
            self.conversations.sort_by_key(ConversationSummary::order);
        }
        let mut effects = Vec::new();
        if self.open() == Some(conversation) {
            // It was loaded before its key was known; what was done to it may be loaded too.
            if self.messages.get(&message.seq).is_some_and(|item| item.content == Content::Sealed) {
                effects.push(Effect::Look(conversation, message.seq));
            }
            Picture::of([message]).into_items().into_iter().for_each(|item| self.put(item, false));
            self.trim();
        }
        effects.extend(if is_known { self.mark_read() } else { vec![Effect::RefreshConversations] });
        effects
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

/// What is said of somebody whose messages are gone.
pub(in crate::chat) fn erased(name: &str) -> String {
    format!("what {name} said before is erased, everywhere")
}
