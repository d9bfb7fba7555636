//! What goes out, one frame after the other, as long as the driver has room.

use tokio::time::Instant;
use whimbrel_core::Seq;
use whimbrel_wire::convert::WireId;
use whimbrel_wire::{ClientPayload, Encoded, proto};

use super::Engine;
use crate::outbox::SendLimits;

impl Engine {
    /// The next numbered frame, if there is anything to say: questions first, then cursors, then whom to
    /// watch, then signals, then drafts.
    pub(crate) fn next_frame(&mut self, now: Instant) -> Option<Encoded> {
        debug_assert!(self.batch.commit.messages.is_empty(), "what is not stored is not told");
        let limits = self.limits.as_ref()?;
        let (max_frame, max_conversations) = (limits.max_frame as usize, limits.max_conversations as usize);
        let send = SendLimits { drafts: limits.max_drafts as usize, frame: max_frame };
        if let Some(sync) = self.syncs.next(&self.conversations, max_conversations, max_frame, now) {
            return Some(Encoded::client(&ClientPayload::Sync(sync.into())));
        }
        if let Some(advance) = self.advance(max_conversations) {
            return Some(Encoded::client(&ClientPayload::Advance(advance)));
        }
        if let Some(watch) = self.watched.next() {
            return Some(Encoded::client(&ClientPayload::Watch(watch)));
        }
        if let Some((conversation, body)) = self.passing.next() {
            let signal = proto::Signal { conversation_id: conversation.wire(), body };
            return Some(Encoded::client(&ClientPayload::Signal(signal)));
        }
        let (conversation, drafts) = self.outbox.next_send(now, send)?;
        let drafts = drafts.into_iter().map(Into::into).collect();
        Some(Encoded::client(&ClientPayload::Send(proto::Send { conversation_id: conversation.wire(), drafts })))
    }

    fn advance(&mut self, max: usize) -> Option<proto::Advance> {
        let mut cursors = Vec::new();
        for id in self.advances.take(max) {
            let Some(conversation) = self.conversations.get(&id) else { continue };
            let target = self.target(conversation);
            // 0: only DELIVERED is meant.
            let read = if target.read > conversation.durable.read { target.read } else { Seq::ZERO };
            cursors.push(proto::Cursor { conversation_id: id.wire(), delivered: target.delivered.0, read: read.0 });
        }
        (!cursors.is_empty()).then_some(proto::Advance { cursors })
    }

    /// What the passing of time brings. Says whether the session is to end, since answers stay away.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        self.advances.tick(now);
        let over = self.passing.tick(now);
        self.batch.events.extend(over);
        self.vanish_what_is_over(now);
        self.outbox.tick(now) | self.syncs.tick(now)
    }

    /// When something is to be done even if nothing comes in.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.outbox.deadline(),
            self.advances.deadline(),
            self.syncs.deadline(),
            self.due.deadline(),
            self.passing.deadline(),
            self.fleeting.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }
}
