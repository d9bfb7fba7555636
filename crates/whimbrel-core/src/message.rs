//! Drafts, which senders submit, and messages, which timelines hold.

use bytes::Bytes;

use crate::{ConversationId, DeviceId, FileId, MessageId, Refusal, Seq, UserId};

/// SHA-256 of a stored body, made by the server; tells a retry from another message under the same id.
pub type BodyHash = [u8; 32];

/// What a row of a timeline is. Numbers are for ever: they are stored, sent and sealed into the body's associated
/// data. Unknown ones pass through.
///
/// | range | what | who may send it | counts as unread |
/// |---|---|---|---|
/// | 1..=499 | what people say | members | yes |
/// | 100..=199 | of these, what comes with a file: the body begins with the file's id | members | yes |
/// | 500..=999 | what people do to an earlier message: the body begins with its seq | members, by right | no |
/// | 1000..=1999 | changes, placed by the server with the change itself | nobody | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageKind(pub u32);

impl MessageKind {
    /// Text; the body is a sealed `Body.text`.
    pub const TEXT: MessageKind = MessageKind(1);
    /// The embedding product's own content; the body is a sealed `Body.custom`.
    pub const CUSTOM: MessageKind = MessageKind(2);
    /// A place on the earth; the body is a sealed `Body.location`.
    pub const LOCATION: MessageKind = MessageKind(3);
    /// A person or a group, to be looked up; the body is a sealed `Body.card`.
    pub const CARD: MessageKind = MessageKind(4);
    /// An address with a title; the body is a sealed `Body.link`.
    pub const LINK: MessageKind = MessageKind(5);
    /// The body is a sealed `Body.sticker`.
    pub const STICKER: MessageKind = MessageKind(6);
    /// A file at a place of the embedding product's own; the body is a sealed `Body.file`. A file that this server keeps is
    /// [`MessageKind::ATTACHMENT`].
    pub const FILE: MessageKind = MessageKind(7);
    /// Several messages of elsewhere, copied together; the body is a sealed `Body.merged`.
    pub const MERGED: MessageKind = MessageKind(8);
    /// Text that calls everybody in a group: owners and admins only. The body is a sealed `Body.text`.
    pub const CALL: MessageKind = MessageKind(9);
    /// Something that is to vanish; the body is a sealed `Body.fleeting`. Whoever it was said to may take it away
    /// ([`MessageKind::VANISH`]).
    pub const FLEETING: MessageKind = MessageKind(10);
    /// The beginning of a text that grows ([`MessageKind::APPEND`]) until it is finished ([`MessageKind::FINISH`]).
    pub const STREAM: MessageKind = MessageKind(11);

    /// A file that the server keeps. After the file's id, a sealed `Body.attachment`; so in all kinds from 100 to 199.
    pub const ATTACHMENT: MessageKind = MessageKind(100);
    /// The file is a picture.
    pub const IMAGE: MessageKind = MessageKind(101);
    /// The file is something spoken.
    pub const VOICE: MessageKind = MessageKind(102);
    /// The file is a film.
    pub const VIDEO: MessageKind = MessageKind(103);

    /// Other content for a message of one's own; the target stays as it was. After the target's seq, a sealed `Body`.
    pub const EDIT: MessageKind = MessageKind(500);
    /// Takes a message back: its body and those of its edits are gone for good. Nothing after the target's seq.
    pub const RECALL: MessageKind = MessageKind(501);
    /// A reaction, or its end. After the target's seq, a sealed `Body.reaction`.
    pub const REACTION: MessageKind = MessageKind(502);
    /// More of a stream of one's own. After the target's seq, a sealed `Body.text`.
    pub const APPEND: MessageKind = MessageKind(503);
    /// The whole of a stream of one's own, which ends with it. After the target's seq, a sealed `Body.text`.
    pub const FINISH: MessageKind = MessageKind(504);
    /// A fleeting message's time is over: as RECALL, by anybody who is in the conversation. Nothing after the target's
    /// seq.
    pub const VANISH: MessageKind = MessageKind(505);

    /// In a private conversation: something about the user's relation with another changed. The body is readable
    /// JSON: `{"user":12}`; what it is now is asked by REST, so that no key ever rests in a body.
    pub const RELATION: MessageKind = MessageKind(1000);
    /// In a private conversation: the user's account changed. The body is readable JSON: `{"what":"…"}` with
    /// `profile`, `password`, `device_added` or `device_removed`.
    pub const ACCOUNT: MessageKind = MessageKind(1001);
    /// In a direct conversation: what the two may do changed. The body is empty: who blocked whom is told in
    /// private conversations only; the row is there so that the order of "blocked" and "sent" is one order.
    pub const STANDING: MessageKind = MessageKind(1002);
    /// In a group: who is in it, what they may do, or what it is called changed. The body is readable JSON:
    /// `{"what":"…","by":1,"users":[2,3], …}`; docs/protocol.md lists the words.
    pub const GROUP: MessageKind = MessageKind(1003);
    /// In a private conversation: something about the user and a group changed (they are in it, or not any more, are
    /// invited, are asked for). The body is readable JSON: `{"group":"<conversation id>"}`; what it is now is asked by
    /// REST.
    pub const MEMBERSHIP: MessageKind = MessageKind(1004);
    /// In a private conversation: the user changed how a conversation is shown (pinned, muted, archived, its draft,
    /// cleared). The body is readable JSON: `{"conversation":"<id>"}`; what it is now is asked by REST.
    pub const SETTING: MessageKind = MessageKind(1005);
    /// In a direct conversation or a group: what a user said before this row is gone, as if each of it had been taken back.
    /// The body is readable JSON: `{"user":12}`; the sender is that user too.
    pub const ERASED: MessageKind = MessageKind(1006);

    /// Whether a sender may submit it.
    pub const fn is_submittable(self) -> bool {
        self.0 >= 1 && self.0 < 1000
    }

    /// Whether it raises unread counts.
    pub const fn is_countable(self) -> bool {
        self.0 >= 1 && self.0 < 500
    }

    /// Whether it does something to an earlier message, which its body names first: see [`target`](MessageKind::target).
    pub const fn is_follow_up(self) -> bool {
        self.0 >= 500 && self.0 < 1000
    }

    /// Whether it takes its target's body away.
    pub const fn takes_back(self) -> bool {
        self.0 == Self::RECALL.0 || self.0 == Self::VANISH.0
    }

    /// Whether it holds content that goes with its target when that is taken back.
    pub const fn adds_content(self) -> bool {
        matches!(self, Self::EDIT | Self::APPEND | Self::FINISH)
    }

    /// The message that a follow-up is about: the first 8 bytes of its body, big-endian. `None` for other kinds, and for
    /// a body that is too short or names seq 0.
    pub fn target(self, body: &[u8]) -> Option<Seq> {
        let (seq, _) = body.split_first_chunk::<8>().filter(|_| self.is_follow_up())?;
        Some(Seq(u64::from_be_bytes(*seq))).filter(|seq| *seq > Seq::ZERO)
    }

    /// Whether it comes with a file, whose id its body begins with: see [`file`](MessageKind::file).
    pub const fn has_file(self) -> bool {
        self.0 >= 100 && self.0 < 200
    }

    /// The file that a message comes with: the first 16 bytes of its body. `None` for other kinds, and for a body that is
    /// too short (it was taken back).
    pub fn file(self, body: &[u8]) -> Option<FileId> {
        let (id, _) = body.split_first_chunk::<16>().filter(|_| self.has_file())?;
        Some(FileId::from_bytes(*id))
    }

    /// Bytes that stand readable before what is sealed: a target's seq, a file's id, or none.
    pub const fn open_len(self) -> usize {
        if self.is_follow_up() {
            8
        } else if self.has_file() {
            16
        } else {
            0
        }
    }

    /// Whether the rights of the conversation's members may have changed with this row.
    pub const fn changes_members(self) -> bool {
        self.0 == Self::STANDING.0 || self.0 == Self::GROUP.0
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
