//! Transfer → connector, and the shapes of what is pushed.

use std::sync::Arc;

use async_trait::async_trait;
use smallvec::SmallVec;
use whimbrel_core::{
    ConversationId, Cursors, Delivery, GoodbyeCode, MessageId, Outcome, Receipt, SessionId, SyncAnswer,
};

/// One thing for some sessions of one connector.
#[derive(Debug, Clone)]
pub struct PushItem {
    /// The sessions. Those that the connector does not have (any more) are passed over.
    pub to: SmallVec<[SessionId; 4]>,
    /// What they get. A connector encodes it once, whatever the number of sessions.
    pub body: PushBody,
}

/// What can be pushed.
#[derive(Debug, Clone)]
pub enum PushBody {
    /// What became of drafts of this session.
    Answers {
        /// The conversation of all of them.
        conversation: ConversationId,
        /// By message id.
        answers: Vec<(MessageId, Outcome)>,
    },
    /// Messages that were placed.
    Deliver(Arc<Delivery>),
    /// How far others (or the user's other devices) have got.
    Receipts(Vec<Receipt>),
    /// Cursors of the session's own user that are durable now.
    Advanced(Vec<(ConversationId, Cursors)>),
    /// The answer to a sync.
    Synced(Box<SyncAnswer>),
    /// "You may have missed something: sync everything."
    Poke,
    /// The session ends.
    Close {
        /// Why.
        code: GoodbyeCode,
        /// For codes that say "connect again": not before this many milliseconds; 0 for no hint.
        retry_after_ms: u32,
    },
}

/// What became of pushes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Sessions that the connector does not have: their routes are stale.
    pub unknown: Vec<SessionId>,
}

/// A connector, as transfers see it.
#[async_trait]
pub trait Push: Send + Sync + 'static {
    /// Hands pushes to the sessions' mailboxes, in order. When it returns the connector has taken them: each is in its
    /// session's mailbox, or that session was poked or closed instead, or it is named as unknown.
    async fn push(&self, items: Vec<PushItem>) -> Taken;
}
