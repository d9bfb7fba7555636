//! What messages say: the words for it, and what stands around it (a quote, mentions, where it was said first).
//!
//! Nothing here knows keys or bytes: `wire` goes from and to the body that is sealed.

use std::fmt;

use bytes::Bytes;
use whimbrel_core::{ConversationId, MessageId, MessageKind, Seq, UserId};

use crate::message::StoredMessage;

mod attachment;
mod wire;

pub use attachment::{Attachment, AttachmentKind, Thumbnail};
pub(crate) use wire::{Before, Parts, parts, plain};

/// Characters of a quote's excerpt.
pub const EXCERPT_MAX: usize = 200;
/// Bytes of a reaction.
pub const EMOJI_MAX: usize = 32;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Text.
    Text(String),
    /// The embedding product's own content.
    Custom {
        /// Such as `application/vnd.example.poll+json`.
        content_type: String,
        /// As the product defines.
        data: Bytes,
        /// What to show when the type is not known.
        fallback: String,
    },
    /// A place on the earth.
    Location(Location),
    /// Somebody, or a group, to be looked up.
    Card {
        /// Whose.
        of: CardOf,
        /// What they are called.
        name: String,
    },
    /// An address.
    Link {
        /// The address itself.
        url: String,
        /// Its title.
        title: String,
        /// A sentence or two.
        description: String,
        /// An address of a picture, or nothing.
        image: String,
    },
    /// A sticker, by the embedding product's names.
    Sticker {
        /// The pack.
        pack: String,
        /// The sticker in it.
        name: String,
        /// What a client shows that does not have it, such as an emoji.
        fallback: String,
    },
    /// A file that the server keeps: see [`Client::send_file`](crate::Client::send_file).
    Attachment(Box<Attachment>),
    /// A file at a place of the embedding product's own.
    File {
        /// What it is called.
        name: String,
        /// Its media type.
        content_type: String,
        /// Bytes.
        size: u64,
        /// Where it is, in the product's words.
        id: String,
    },
    /// Messages of elsewhere, copied together in their order.
    Merged {
        /// For people.
        title: String,
        /// The messages.
        messages: Vec<MergedMessage>,
    },
    /// Text that calls everybody in a group; for owners and admins.
    Call(String),
    /// Something that is to vanish.
    Fleeting {
        /// After so many milliseconds,
        after_ms: u64,
        /// counted from when the other has read it (in groups: from when it was said), or from when it was said.
        once_read: bool,
        /// Until then.
        content: Box<Content>,
    },
    /// The beginning of a text that grows.
    Stream(String),
    /// Something about an earlier message. [`Client::picture`](crate::Client::picture) shows what it leads to.
    FollowUp {
        /// That message.
        target: Seq,
        /// What.
        what: FollowUp,
    },
    /// It was taken back, or its time is over: nothing is left of it.
    Gone,
    /// A body that this version does not know.
    Unknown {
        /// The message's kind.
        kind: MessageKind,
        /// The opened body.
        data: Bytes,
    },
    /// It could not be opened: its key is not known on this device, or does not fit.
    Sealed,
    /// A row that the server made.
    System {
        /// What it is, from 1000 on.
        kind: MessageKind,
        /// Readable JSON, or nothing.
        json: Bytes,
    },
}

/// A place on the earth, WGS 84. Two are equal when they are the same numbers, bit by bit.
#[derive(Debug, Clone)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What it is called, or nothing.
    pub name: String,
    /// Where it is, for people, or nothing.
    pub address: String,
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        let bits = |place: &Location| (place.latitude.to_bits(), place.longitude.to_bits());
        bits(self) == bits(other) && self.name == other.name && self.address == other.address
    }
}

impl Eq for Location {}

/// Whom a card is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardOf {
    /// A person.
    User(UserId),
    /// A group.
    Group(ConversationId),
}

/// One of several messages that were copied together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedMessage {
    /// Who said it.
    pub sender: UserId,
    /// What they were called.
    pub sender_name: String,
    /// When, milliseconds since 1970.
    pub at: u64,
    /// As what.
    pub kind: MessageKind,
    /// What.
    pub content: Content,
}

/// What is done to an earlier message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowUp {
    /// It says something else now.
    Edit(Box<Content>),
    /// It is taken back.
    Recall,
    /// A reaction, or its end.
    React {
        /// Such as "👍".
        emoji: String,
        /// It is taken back.
        removed: bool,
    },
    /// More of a stream.
    Append(String),
    /// The whole of a stream, which ends with it.
    Finish(String),
    /// A fleeting message's time is over.
    Vanish,
    /// It held something that went with its target when that was taken back.
    Gone,
    /// Something that this version does not know.
    Unknown {
        /// The follow-up's kind.
        kind: MessageKind,
        /// The opened body behind the target.
        data: Bytes,
    },
    /// It could not be opened.
    Sealed {
        /// The follow-up's kind.
        kind: MessageKind,
    },
}

/// A part of what is answered, so that it can be shown where the message is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The place of what is answered.
    pub seq: Seq,
    /// Its name.
    pub message_id: MessageId,
    /// Who said it.
    pub sender: UserId,
    /// Of what it said, at most [`EXCERPT_MAX`] characters.
    pub excerpt: String,
}

/// Where something was said first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// By whom.
    pub sender: UserId,
    /// What they were called.
    pub sender_name: String,
}

/// Something to send: content, and what stands around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What it says.
    pub content: Content,
    /// What it answers.
    pub quote: Option<Quote>,
    /// Who is called by it.
    pub mentions: Vec<UserId>,
    /// Where it was said first.
    pub origin: Option<Origin>,
}

impl From<Content> for Outgoing {
    fn from(content: Content) -> Self {
        Self { content, quote: None, mentions: Vec::new(), origin: None }
    }
}

impl Outgoing {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Content::Text(text.into()).into()
    }

    /// As an answer to this message.
    #[must_use]
    pub fn answering(self, message: &StoredMessage) -> Self {
        let StoredMessage { seq, message_id, sender, content, .. } = message;
        let excerpt = content.line().chars().take(EXCERPT_MAX).collect();
        Self { quote: Some(Quote { seq: *seq, message_id: *message_id, sender: *sender, excerpt }), ..self }
    }

    /// Calling these users.
    #[must_use]
    pub fn mentioning(self, users: impl IntoIterator<Item = UserId>) -> Self {
        Self { mentions: users.into_iter().collect(), ..self }
    }

    /// As said first by somebody else.
    #[must_use]
    pub fn said_by(self, sender: UserId, sender_name: impl Into<String>) -> Self {
        Self { origin: Some(Origin { sender, sender_name: sender_name.into() }), ..self }
    }

    /// What is done to the message at `target`.
    pub(crate) fn about(target: Seq, what: FollowUp) -> Self {
        Content::FollowUp { target, what }.into()
    }
}

impl Content {
    /// The text, of those that are text: also of a call, and of a stream's beginning.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Content::Text(text) | Content::Call(text) | Content::Stream(text) => Some(text),
            _ => None,
        }
    }

    /// One line for a list or a quote; empty for what is not shown as a message.
    pub fn line(&self) -> String {
        match self {
            Content::Text(text) | Content::Call(text) | Content::Stream(text) => text.clone(),
            Content::Custom { fallback, content_type, .. } if fallback.is_empty() => format!("[{content_type}]"),
            Content::Custom { fallback, .. } | Content::Sticker { fallback, .. } => fallback.clone(),
            Content::Location(place) if place.name.is_empty() => {
                format!("{:.5}, {:.5}", place.latitude, place.longitude)
            }
            Content::Location(place) => place.name.clone(),
            Content::Card { name, .. } | Content::File { name, .. } => name.clone(),
            Content::Attachment(attachment) => attachment.line().to_owned(),
            Content::Link { url, title, .. } => if title.is_empty() { url } else { title }.clone(),
            Content::Merged { title, .. } => title.clone(),
            Content::Fleeting { .. } => "[fleeting]".into(),
            Content::Unknown { kind, .. } => format!("[kind {}]", kind.0),
            Content::Sealed => "[sealed]".into(),
            Content::Gone | Content::FollowUp { .. } | Content::System { .. } => String::new(),
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}
