//! Which of one's own cursors the server has to be told, and whether it confirmed them.
//!
//! Only conversations are remembered here, not values: what is sent is what is true when it is sent. Everything that
//! is not confirmed is repeated; after a reconnect the views of the sync say what is.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use whimbrel_core::ConversationId;

/// Cursors that were not confirmed for so long are sent again.
pub(crate) const REPEAT_AFTER: Duration = Duration::from_secs(5);

/// The advances of one session.
#[derive(Debug, Default)]
pub(crate) struct Advances {
    /// To be told now.
    due: BTreeSet<ConversationId>,
    /// Told, or to be told without haste, and not confirmed.
    unconfirmed: BTreeSet<ConversationId>,
    repeat_at: Option<Instant>,
}

impl Advances {
    /// A session has begun: its sync's views will say what the server does not know.
    pub(crate) fn session_started(&mut self) {
        *self = Self::default();
    }

    /// The server does not know a cursor of this conversation. Without haste (one's own messages) it is told with the
    /// next repetition, or with the next that is urgent.
    pub(crate) fn moved(&mut self, conversation: ConversationId, urgent: bool, now: Instant) {
        if urgent {
            self.due.insert(conversation);
        }
        self.unconfirmed.insert(conversation);
        self.repeat_at.get_or_insert(now + REPEAT_AFTER);
    }

    /// Everything of this conversation is confirmed.
    pub(crate) fn confirmed(&mut self, conversation: ConversationId) {
        self.unconfirmed.remove(&conversation);
        self.due.remove(&conversation);
        if self.unconfirmed.is_empty() {
            self.repeat_at = None;
        }
    }

    /// The conversations for the next Advance, at most `max`.
    pub(crate) fn take(&mut self, max: usize) -> Vec<ConversationId> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some(conversation) = self.due.pop_first() else { break };
            taken.push(conversation);
        }
        taken
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        if self.repeat_at.is_some_and(|at| at <= now) {
            self.due.extend(&self.unconfirmed);
            self.repeat_at = (!self.unconfirmed.is_empty()).then_some(now + REPEAT_AFTER);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.repeat_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: ConversationId = ConversationId::from_bytes([1; 16]);

    #[tokio::test(start_paused = true)]
    async fn an_advance_is_repeated_until_it_is_confirmed() {
        let mut advances = Advances::default();
        advances.moved(CHAT, true, Instant::now());
        assert_eq!(advances.take(10), [CHAT]);
        assert_eq!(advances.take(10), []);
        for _ in 0..3 {
            tokio::time::advance(REPEAT_AFTER).await;
            advances.tick(Instant::now());
            assert_eq!(advances.take(10), [CHAT]);
        }
        advances.confirmed(CHAT);
        tokio::time::advance(REPEAT_AFTER).await;
        advances.tick(Instant::now());
        assert_eq!(advances.take(10), []);
        assert_eq!(advances.deadline(), None);
    }
}
