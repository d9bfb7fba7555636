//! Transfer → connector, and the shapes of what is pushed.

use std::sync::Arc;

use async_trait::async_trait;
use smallvec::SmallVec;
use whimbrel_core::{
    ConversationId, Cursors, Delivery, DeviceId, GoodbyeCode, MessageId, Outcome, Receipt, Roster, RosterChange, Seq,
    SessionId, Signal, SyncAnswer, UserId,
};

/// Whom a push is for, among the sessions of one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// These sessions. Those that the connector does not have (any more) are named in [`Taken::unknown`].
    Sessions(SmallVec<[SessionId; 4]>),
    /// Whatever sessions these users have here, but not these: for when nobody knows who is where.
    Users {
        /// Whose.
        users: SmallVec<[UserId; 2]>,
        /// Not these.
        except: SmallVec<[SessionId; 2]>,
    },
    /// Whatever sessions this device has here.
    Device(UserId, DeviceId),
    /// Whatever sessions here the row at one place of a group is owed to. The connector finds them with the group's
    /// roster; if it has none of this revision (or a later one), and none comes with this, nobody gets the push and
    /// [`Taken::unrostered`] names the group: it is to be pushed again with the roster.
    Group(Box<ToGroup>),
}

/// See [`To::Group`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToGroup {
    /// The group's conversation.
    pub group: ConversationId,
    /// The row: all rows of one push are owed to the same members.
    pub seq: Seq,
    /// The revision that a roster must have at least.
    pub revision: Seq,
    /// Not these sessions.
    pub except: SmallVec<[SessionId; 2]>,
    /// What the roster becomes with this row.
    pub change: Option<Arc<RosterChange>>,
    /// The roster itself, for a connector that has none.
    pub roster: Option<Arc<Roster>>,
}

impl From<SessionId> for To {
    fn from(session: SessionId) -> Self {
        Self::Sessions(SmallVec::from_iter([session]))
    }
}

impl FromIterator<SessionId> for To {
    fn from_iter<I: IntoIterator<Item = SessionId>>(sessions: I) -> Self {
        Self::Sessions(sessions.into_iter().collect())
    }
}

/// One thing for some sessions of one connector.
#[derive(Debug, Clone)]
pub struct PushItem {
    /// Whom it is for.
    pub to: To,
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
    /// Something that passes: typing and the like. Dropped first where there is no room.
    Signal(Arc<Signal>),
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
    /// Groups whose rosters the connector lacks: nobody there got what was for them.
    pub unrostered: Vec<ConversationId>,
    /// The way to the connector broke before it had acknowledged: whether it took the pushes is unknown.
    pub lost: bool,
}

/// A connector, as transfers see it.
#[async_trait]
pub trait Push: Send + Sync + 'static {
    /// Hands pushes to the sessions' mailboxes, in order. When it returns the connector has taken them: each is in its
    /// session's mailbox, or that session was poked or closed instead, or it is named as unknown; or the way to it
    /// broke ([`Taken::lost`]).
    async fn push(&self, items: Vec<PushItem>) -> Taken;
}
