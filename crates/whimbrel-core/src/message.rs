//! Drafts, which senders submit, and messages, which timelines hold.

use bytes::Bytes;

use crate::{ConversationId, DeviceId, MessageId, Refusal, Seq, UserId};

/// SHA-256 of a stored body, made by the server; tells a retry from another message under the same id.
pub type BodyHash = [u8; 32];

/// What a row of a timeline is. Numbers are for ever: they are stored, sent and sealed into the body's associated
/// data. Unknown ones pass through.
///
/// | range | what | who may send it | counts as unread |
/// |---|---|---|---|
/// | 1..=999 | what people say | members | yes |
/// | 1000..=1999 | changes, placed by the server with the change itself | nobody | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageKind(pub u32);

impl MessageKind {
    /// Text; the body is a sealed `Body.text`.
    pub const TEXT: MessageKind = MessageKind(1);
    /// The embedding product's own content; the body is a sealed `Body.custom`.
    pub const CUSTOM: MessageKind = MessageKind(2);

    /// In a private conversation: something about the user's relation with another changed. The body is readable
    /// JSON: `{"user":12}`; what it is now is asked by REST, so that no key ever rests in a body.
    pub const RELATION: MessageKind = MessageKind(1000);
    /// In a private conversation: the user's account changed. The body is readable JSON: `{"what":"…"}` with
    /// `profile`, `password`, `device_added` or `device_removed`.
    pub const ACCOUNT: MessageKind = MessageKind(1001);
    /// In a direct conversation: what the two may do changed. The body is empty: who blocked whom is told in
    /// private conversations only; the row is there so that the order of "blocked" and "sent" is one order.
    pub const STANDING: MessageKind = MessageKind(1002);

    /// Whether a sender may submit it.
    pub const fn is_submittable(self) -> bool {
        self.0 >= 1 && self.0 < 1000
    }

    /// Whether it raises unread counts.
    pub const fn is_countable(self) -> bool {
        self.is_submittable()
    }

    /// Whether the rights of the conversation's members may have changed with this row.
    pub const fn changes_members(self) -> bool {
        self.0 == Self::STANDING.0
    }
}

/// What a sender submits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Chosen by the SDK, kept over retries.
    pub message_id: MessageId,
    /// What it is.
    pub kind: MessageKind,
    /// The version of the conversation's key that sealed the body; 0 when the body is readable.
    pub key_version: u32,
    /// Nonce and ciphertext (or a readable `Body` where the deployment keeps bodies readable).
    pub body: Bytes,
}

/// What a timeline holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The conversation that it stands in.
    pub conversation: ConversationId,
    /// Its place there.
    pub seq: Seq,
    /// Who said it.
    pub sender: UserId,
    /// On which of their devices; all zeros for rows that the server placed.
    pub device: DeviceId,
    /// The sender's name for it.
    pub message_id: MessageId,
    /// What it is.
    pub kind: MessageKind,
    /// Which key version sealed it; 0 when readable.
    pub key_version: u32,
    /// As submitted.
    pub body: Bytes,
    /// The server's clock when it was placed, milliseconds since 1970; never decreases along a conversation.
    pub at: u64,
}

/// What became of a submitted draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has its place, for ever.
    Sent {
        /// The place.
        seq: Seq,
        /// The server's clock when it was placed, milliseconds since 1970.
        at: u64,
    },
    /// Another body was placed under the same id before.
    Conflict,
    /// It was not placed and will not be.
    Refused(Refusal),
    /// Nothing is known yet, or the server has too much to do: send the same draft again.
    Retry {
        /// Not before this many milliseconds.
        after_ms: u32,
    },
}
