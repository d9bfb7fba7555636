//! What came in.

use tokio::time::Instant;
use whimbrel_core::{
    ConversationId, ConversationKind, GoodbyeCode, Message, MessageId, MessageKind, Outcome, Receipt, Signal,
    SyncAnswer, View,
};
use whimbrel_wire::convert;
use whimbrel_wire::{FrameError, ServerPayload};

use super::groups::{conversation_in, is_done_already};
use super::{Engine, user_in};
use crate::event::{self, Event, NotPlaced};
use crate::inbox::{Conversation, Place, start_of};

/// The tag of `SignalBody.typing`.
const TYPING_TAG: u8 = 1 << 3;

/// Why the session is over after a frame.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server said goodbye.
    Goodbye { code: GoodbyeCode, reason: String, retry_after_ms: u32 },
    /// The frame breaks the protocol; the code is what the server is told.
    Broken(GoodbyeCode),
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Fault::Broken(error.goodbye())
    }
}

impl Engine {
    /// Takes a payload. Heartbeats say nothing here.
    pub(crate) fn receive(&mut self, payload: ServerPayload, now: Instant) -> Result<(), Fault> {
        match payload {
            ServerPayload::Answers(answers) => {
                let (conversation, answers) = convert::answers(answers)?;
                answers.into_iter().for_each(|(id, outcome)| self.answered(conversation, id, outcome, now));
            }
            ServerPayload::Deliver(deliver) => {
                let (_, messages) = convert::deliver(deliver)?;
                messages.into_iter().for_each(|message| self.message(message, now));
            }
            ServerPayload::Receipts(receipts) => {
                convert::receipts(receipts)?.into_iter().for_each(|receipt| self.receipt(receipt, now));
            }
            ServerPayload::Advanced(advanced) => self.advanced(advanced, now)?,
            ServerPayload::Synced(synced) => self.synced(convert::synced(synced)?, now),
            ServerPayload::Poke(_) => self.poke(),
            ServerPayload::Signaled(signaled) => self.signaled(convert::signaled(signaled)?, now),
            ServerPayload::Presences(presences) => self.presences(convert::presences(presences)?),
            ServerPayload::Heartbeat(_) => {}
            ServerPayload::Goodbye(goodbye) => {
                let (code, retry_after_ms) = (GoodbyeCode(goodbye.code), goodbye.retry_after_ms);
                return Err(Fault::Goodbye { code, reason: goodbye.reason, retry_after_ms });
            }
            ServerPayload::Welcome(_) => return Err(Fault::Broken(GoodbyeCode::UNEXPECTED_FRAME)),
        }
        Ok(())
    }

    fn answered(&mut self, conversation: ConversationId, id: MessageId, outcome: Outcome, now: Instant) {
        let Some(draft) = self.outbox.answer(conversation, id, &outcome, now) else { return };
        self.batch.commit.answered.push(id);
        let refused = |refusal| Event::Refused { conversation, message_id: id, refusal };
        let told = match outcome {
            Outcome::Sent { seq, at } => {
                self.batch.events.push(Event::Sent { conversation, message_id: id, seq, at });
                self.batch.outcomes.push((id, event::Outcome::Sent { seq, at }));
                let message = Message {
                    conversation,
                    seq,
                    sender: self.habits.user,
                    device: self.habits.device,
                    message_id: id,
                    kind: draft.kind,
                    key_version: draft.key_version,
                    body: draft.body,
                    at,
                };
                return self.message(message, now);
            }
            Outcome::Refused(refusal) => {
                if !is_done_already(draft.kind, refusal) {
                    self.batch.events.push(refused(NotPlaced::Refused(refusal)));
                }
                event::Outcome::Refused(refusal)
            }
            Outcome::Conflict => {
                self.batch.events.push(refused(NotPlaced::Conflict));
                event::Outcome::Conflict
            }
            Outcome::Retry { .. } => return,
        };
        self.batch.outcomes.push((id, told));
    }

    /// A message, from wherever it comes.
    fn message(&mut self, message: Message, now: Instant) {
        let id = message.conversation;
        let Some(conversation) = self.conversations.get_mut(&id) else {
            // Its kind and where its run starts are in a view.
            return self.syncs.gap(id);
        };
        match conversation.place(message.seq) {
            Place::Known => {}
            Place::Beyond => {
                conversation.heard_of(message.seq);
                self.batch.touched.insert(id);
                self.syncs.gap(id);
            }
            Place::Next => {
                conversation.append(&message, self.habits.user);
                self.batch.touched.insert(id);
                self.stored(message, now);
            }
        }
    }

    /// What follows from a message that was taken into its run.
    fn stored(&mut self, message: Message, now: Instant) {
        let id = message.conversation;
        if message.sender == self.habits.user && self.outbox.resolve(&message) {
            let (message_id, seq, at) = (message.message_id, message.seq, message.at);
            self.batch.commit.answered.push(message_id);
            self.batch.events.push(Event::Sent { conversation: id, message_id, seq, at });
            self.batch.outcomes.push((message_id, event::Outcome::Sent { seq, at }));
        }
        // Nobody waits to hear that one has one's own message.
        let from_here = message.sender == self.habits.user && message.device == self.habits.device;
        self.tell(id, !from_here, now);
        match self.conversations.get(&id).map(|conversation| conversation.row.kind) {
            Some(ConversationKind::Private) => self.private_row(&message),
            kind => {
                self.took_back(&message);
                self.erased(&message);
                if kind == Some(ConversationKind::Group) && message.kind == MessageKind::GROUP {
                    self.group_row(&message);
                }
                self.show_next(&message, now);
            }
        }
        self.batch.commit.messages.push(message);
    }

    /// A row of one's own private conversation: something changed that REST tells.
    fn private_row(&mut self, message: &Message) {
        if let Some(conversation) = self.conversations.get_mut(&message.conversation) {
            conversation.row.shown = message.seq;
        }
        match (message.kind, user_in(&message.body)) {
            (MessageKind::RELATION, Some(user)) => {
                self.due.user(user);
                self.batch.commit.relations_settled.retain(|settled| *settled != user);
                self.batch.commit.relations_due.push(user);
            }
            (MessageKind::RELATION, None) => self.reload_relations(),
            (MessageKind::MEMBERSHIP, _) => {
                if let Some(group) = conversation_in(&message.body) {
                    self.group_due(group);
                }
            }
            (MessageKind::SETTING, _) => match conversation_in(&message.body) {
                Some(conversation) => self.setting_due(conversation),
                None => self.reload_settings(),
            },
            (MessageKind::ACCOUNT, _) => self.batch.events.push(Event::AccountChanged),
            _ => {}
        }
    }

    pub(super) fn reload_relations(&mut self) {
        self.due.all();
        self.batch.commit.relations_loaded = Some(false);
    }

    fn reload_settings(&mut self) {
        self.due.all_settings();
        self.batch.commit.settings_loaded = Some(false);
    }

    /// Rows of one's private conversation were missed: whatever they may have told is asked for.
    fn reload_everything(&mut self) {
        self.reload_relations();
        self.reload_settings();
        let groups: Vec<_> = self.conversations.keys().copied().filter(|id| self.is_group(*id)).collect();
        groups.into_iter().for_each(|group| self.group_due(group));
    }

    fn signaled(&mut self, signal: Signal, now: Instant) {
        // One's own writing on another device is no news.
        if signal.user != self.habits.user || !signal.body.starts_with(&[TYPING_TAG]) {
            self.batch.events.extend(self.passing.heard(signal, now));
        }
    }

    fn receipt(&mut self, receipt: Receipt, now: Instant) {
        let Receipt { conversation: id, user, cursors } = receipt;
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        let news = if user == self.habits.user {
            conversation.own_reached(cursors)
        } else if conversation.row.kind == ConversationKind::Direct {
            conversation.peer_reached(cursors)
        } else {
            // In groups others' cursors are asked for.
            false
        };
        if !news {
            return;
        }
        self.batch.touched.insert(id);
        let row = &conversation.row;
        // How far another device has got in one's private conversation is nobody's business.
        if row.kind != ConversationKind::Private {
            let cursors = if user == self.habits.user { row.own } else { row.peer_cursors };
            self.batch.events.push(Event::Receipt { conversation: id, user, cursors });
            self.fleeting_read(id, cursors.read, user, now);
        }
    }

    fn advanced(&mut self, advanced: whimbrel_wire::proto::Advanced, now: Instant) -> Result<(), FrameError> {
        for (id, cursors) in convert::advanced(advanced)? {
            let Some(conversation) = self.conversations.get_mut(&id) else { continue };
            conversation.durable = conversation.durable.max(cursors);
            // If the device has got further since, that was told when it did.
            self.tell(id, false, now);
        }
        Ok(())
    }

    fn synced(&mut self, synced: SyncAnswer, now: Instant) {
        if !self.syncs.awaits(synced.id) {
            return;
        }
        let mut moved = false;
        for id in self.syncs.unknown_to(&synced) {
            moved |= self.forget(id);
        }
        for view in synced.views {
            moved |= self.view(view, now);
        }
        self.syncs.answered(synced.id, synced.next, moved, now);
    }

    /// A conversation as it is now. Says whether that brought the device further.
    fn view(&mut self, view: View, now: Instant) -> bool {
        let id = view.conversation;
        match self.conversations.get_mut(&id) {
            Some(_) if view.reset => self.reset(view, now),
            None => self.start(view, now),
            Some(conversation) => {
                let before = conversation.row.cursor;
                if before < view.floor {
                    self.jump(&view);
                }
                self.learn(view, now);
                self.conversations.get(&id).is_some_and(|conversation| conversation.row.cursor > before)
            }
        }
    }

    /// The server was restored from a backup: the run is not of its timeline.
    fn reset(&mut self, view: View, now: Instant) -> bool {
        let id = view.conversation;
        tracing::warn!(conversation = %id, "the server was restored; this conversation starts again");
        self.drop_run(id);
        self.advances.confirmed(id);
        self.batch.events.push(Event::ConversationReset { conversation: id });
        let told_unread = self.conversations.remove(&id).map_or(0, |conversation| conversation.told_unread);
        self.start(view, now);
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.told_unread = told_unread;
        }
        true
    }

    /// The server does not have this conversation: it was restored from an older backup, or is another server.
    fn forget(&mut self, id: ConversationId) -> bool {
        if self.conversations.remove(&id).is_none() {
            return false;
        }
        tracing::warn!(conversation = %id, "the server does not have this conversation; it is dropped");
        self.drop_run(id);
        self.advances.confirmed(id);
        self.batch.events.push(Event::ConversationReset { conversation: id });
        self.reload_relations();
        true
    }

    /// A conversation that the device does not know: its run starts. Messages that came with the view are taken if they
    /// follow; others are asked for.
    pub(super) fn start(&mut self, view: View, now: Instant) -> bool {
        let id = view.conversation;
        let conversation = Conversation::starting(&view, start_of(&view, self.habits.first_sync));
        match view.kind {
            ConversationKind::Private => self.reload_everything(),
            ConversationKind::Group if self.directory.group(id).is_none() => self.group_due(id),
            _ => {}
        }
        if let Some(peer) = view.peer.filter(|peer| self.directory.peer_of(id).is_none() && !self.due.awaits(*peer)) {
            self.due.user(peer);
        }
        self.conversations.insert(id, conversation);
        self.batch.touched.insert(id);
        view.messages.into_iter().for_each(|message| self.message(message, now));
        if self.conversations.get(&id).is_some_and(|conversation| conversation.row.cursor < conversation.row.head) {
            self.syncs.gap(id);
        }
        true
    }

    /// What the device has is older than what the server keeps.
    fn jump(&mut self, view: &View) {
        self.drop_run(view.conversation);
        let Some(conversation) = self.conversations.get_mut(&view.conversation) else { return };
        conversation.jump(view.floor);
        if view.kind == ConversationKind::Private {
            self.reload_everything();
        }
    }

    /// Drops a conversation's messages, those of this batch as well.
    fn drop_run(&mut self, id: ConversationId) {
        self.batch.commit.dropped_runs.push(id);
        self.batch.commit.messages.retain(|message| message.conversation != id);
        self.batch.commit.older.retain(|message| message.conversation != id);
        self.batch.events.retain(|event| !matches!(event, Event::Message(message) if message.conversation == id));
        self.batch.commit.taken_back.retain(|(conversation, _)| *conversation != id);
        self.batch.commit.erased.retain(|erased| erased.conversation != id);
        self.batch.unheard.retain(|unheard| unheard.conversation != id);
        self.fleeting.dropped(id, whimbrel_core::Seq(u64::MAX));
        self.batch.touched.insert(id);
    }

    fn learn(&mut self, view: View, now: Instant) {
        let id = view.conversation;
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        if conversation.learn(&view)
            && let Some(user) = conversation.row.peer
        {
            let cursors = conversation.row.peer_cursors;
            self.batch.events.push(Event::Receipt { conversation: id, user, cursors });
            self.fleeting_read(id, cursors.read, user, now);
        }
        self.batch.touched.insert(id);
        for message in view.messages {
            self.message(message, now);
        }
        let Some(conversation) = self.conversations.get(&id) else { return };
        if conversation.row.cursor < conversation.row.head {
            self.syncs.gap(id);
        }
        self.tell(id, true, now);
    }
}
