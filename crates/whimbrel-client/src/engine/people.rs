//! Relations and keys as they come from REST, and what waited for them.

use tokio::time::Instant;
use whimbrel_core::{ConversationId, Message, Seq, UserId};

use super::Engine;
use crate::content::Outgoing;
use crate::error::Error;
use crate::event::Event;
use crate::inbox::Conversation;
use crate::message::{draft, is_showable};
use crate::relation::Relation;

/// What can be done with content that is to be sent.
pub(crate) enum Sendable {
    /// It is in the outbox under this id.
    Drafted(whimbrel_core::MessageId),
    /// Its key has to be fetched first, or the first session be awaited; here it is back.
    Waits(Box<Outgoing>),
}

impl Engine {
    /// Seals content and puts it into the outbox, if its key is known.
    pub(crate) fn send(&mut self, conversation: ConversationId, outgoing: Outgoing) -> Result<Sendable, Error> {
        if self.outbox.is_full() {
            return Err(Error::OutboxFull);
        }
        let key = self.directory.newest_key(conversation);
        self.check_group(conversation, key.as_ref().map(|key| key.version))?;
        let key = match (self.bodies_readable, key) {
            (Some(true), _) => None,
            (Some(false), Some(key)) => Some(key),
            _ => return Ok(Sendable::Waits(Box::new(outgoing))),
        };
        let max = self.limits.as_ref().map_or(whimbrel_core::limits::BODY_MAX, |limits| limits.max_body as usize);
        let sealed = draft(self.habits.user, conversation, outgoing, key.as_ref())?;
        if sealed.body.len() > max {
            return Err(Error::TooLong { len: sealed.body.len(), max });
        }
        let id = sealed.message_id;
        if sealed.kind.is_countable() {
            self.passing.said(conversation);
        }
        self.draft(conversation, sealed);
        Ok(Sendable::Drafted(id))
    }

    /// Who is known to have left a group sends nothing there. If somebody else left, there is a newer key than this
    /// device has: it seals what comes next, and old ones are good too.
    fn check_group(&mut self, id: ConversationId, newest: Option<u32>) -> Result<(), Error> {
        let Some(info) = self.directory.group(id) else { return Ok(()) };
        if self.due.awaits_group(id) {
            return Ok(());
        }
        if !info.is_member() {
            return Err(Error::NotInGroup(id));
        }
        if self.bodies_readable == Some(false) && newest < Some(info.group.key_version) {
            self.group_due(id);
        }
        Ok(())
    }

    /// Somebody wants to send to a conversation whose key is not known.
    pub(crate) fn want_key(&mut self, conversation: ConversationId) {
        let peer = self.conversations.get(&conversation).and_then(|conversation| conversation.row.peer);
        match peer.or_else(|| self.directory.peer_of(conversation)) {
            Some(peer) if !self.due.awaits(peer) => self.due.user(peer),
            Some(_) => {}
            None if self.is_group(conversation) || self.directory.group(conversation).is_some() => {
                self.group_due(conversation);
            }
            // A friend's or a group's.
            None => {
                self.due.all();
                self.group_due(conversation);
            }
        }
    }

    /// The newest version of a group's key that is here; 0: none.
    pub(crate) fn newest_key_version(&self, group: ConversationId) -> u32 {
        self.directory.newest_key(group).map_or(0, |key| key.version)
    }

    /// Whether sending waits for anything that can still come.
    pub(crate) fn may_learn_key(&self) -> bool {
        self.bodies_readable.is_none() || !self.due.is_idle()
    }

    /// A page of relations; `last`: the user to go on after.
    pub(crate) fn relations_page(&mut self, relations: Vec<Relation>, last: Option<UserId>) {
        relations.into_iter().for_each(|relation| self.learn_relation(relation));
        if self.due.page(last) {
            self.batch.commit.relations_loaded = Some(true);
        }
    }

    /// One relation; `None` when there is no such user any more.
    pub(crate) fn relation(&mut self, user: UserId, relation: Option<Relation>) {
        if self.due.settled(user) {
            self.batch.commit.relations_due.retain(|due| *due != user);
            self.batch.commit.relations_settled.push(user);
        }
        if let Some(relation) = relation {
            self.learn_relation(relation);
        }
    }

    pub(crate) fn fetch_failed(&mut self, now: Instant) {
        self.due.failed(now);
    }

    fn learn_relation(&mut self, relation: Relation) {
        if !self.directory.is_news(&relation) {
            return;
        }
        if let Some(id) = relation.conversation {
            self.keyless.retain(|(conversation, _)| *conversation != id);
            if !self.conversations.contains_key(&id) {
                self.syncs.gap(id);
            }
        }
        self.directory.put(relation.clone());
        self.batch.commit.relations.push(relation.clone());
        self.batch.events.push(Event::RelationChanged(relation));
    }

    /// Conversations whose messages were held back and can be shown now, each with the place to go on after: their
    /// keys came, or will not come.
    pub(crate) fn releasable(&self) -> Vec<(ConversationId, Seq)> {
        let held = self.conversations.values().filter(|conversation| conversation.row.shown < conversation.row.cursor);
        let may_show = |conversation: &&Conversation| {
            let waits = match conversation.row.peer {
                Some(peer) => self.due.awaits(peer),
                None => self.due.awaits_group(conversation.id()),
            };
            !waits || self.due.is_hopeless()
        };
        held.filter(may_show).map(|conversation| (conversation.id(), conversation.row.shown)).collect()
    }

    /// Shows messages that were held back, as the store has them.
    pub(crate) fn release(&mut self, messages: &[Message], now: Instant) {
        for message in messages {
            if !is_showable(&self.directory, message) {
                self.keyless.insert((message.conversation, message.key_version));
            }
            self.show(message, now);
        }
    }

    /// The store has nothing above `shown` (it forgot it): there is nothing to show.
    pub(crate) fn nothing_to_release(&mut self, id: ConversationId) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.row.shown = conversation.row.cursor;
            self.batch.touched.insert(id);
        }
    }

    pub(super) fn is_showable(&self, message: &Message) -> bool {
        is_showable(&self.directory, message) || self.keyless.contains(&(message.conversation, message.key_version))
    }
}
