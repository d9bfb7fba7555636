//! Sync: what a device says it has, and what it is told (client.proto, `Sync` and `Synced`).

use crate::{ConversationId, ConversationKind, Cursors, Message, MessageId, Seq, UserId};

/// A sync as a device asks it (client.proto, `Sync`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncQuestion {
    /// Chosen by the client, returned with the answer.
    pub id: u32,
    /// The range of conversations begins after this one; `None`: at the first.
    pub after: Option<ConversationId>,
    /// The range ends with this one; `None`: with the last.
    pub until: Option<ConversationId>,
    /// The conversations that the device names, in the order of their ids, each once.
    pub known: Vec<Known>,
    /// Answer for the named ones only.
    pub only_known: bool,
    /// At most this many messages; already clamped to the server's limit.
    pub max_messages: usize,
}

/// A conversation as a device knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub conversation: ConversationId,
    /// The end of the device's run.
    pub cursor: Seq,
    /// The message there; `None` when the device does not know.
    pub message_id: Option<MessageId>,
}

/// The answer to a [`SyncQuestion`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncAnswer {
    /// As asked.
    pub id: u32,
    /// In the order of the conversations' ids.
    pub views: Vec<View>,
    /// Where the answer stopped, if it did not reach the end of the range.
    pub next: Option<ConversationId>,
}

/// A conversation as it is now, for one user (client.proto, `View`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Which.
    pub conversation: ConversationId,
    /// Of which kind.
    pub kind: ConversationKind,
    /// In direct ones: the other user.
    pub peer: Option<UserId>,
    /// The last message's place.
    pub head: Seq,
    /// When that was placed, milliseconds since 1970.
    pub head_at: u64,
    /// Up to here messages are gone.
    pub floor: Seq,
    /// The user's own cursors.
    pub own: Cursors,
    /// Exact.
    pub unread: u64,
    /// In direct ones: the other user's cursors.
    pub peer_cursors: Cursors,
    /// The device's run does not belong to this timeline: it starts the conversation again.
    pub reset: bool,
    /// What follows the device's cursor, as far as it fitted.
    pub messages: Vec<Message>,
    /// Nothing is left behind `messages`.
    pub complete: bool,
}
