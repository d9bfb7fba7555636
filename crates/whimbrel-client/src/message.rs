//! Messages as the application sees them, and the way there from what is stored: opening and sealing.
//!
//! What rests in a store is the message as it was received; nothing opened is ever written.

use bytes::Bytes;
use prost::Message as _;
use whimbrel_core::{ConversationId, Cursors, DeviceId, Draft, Message, MessageId, MessageKind, Seq, UserId};
use whimbrel_wire::proto::{self, body};
use whimbrel_wire::seal::{self, SealContext};

use crate::error::Error;
use crate::keys::Directory;
use crate::relation::RelationKey;

/// A message that is stored on this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Where it stands.
    pub conversation: ConversationId,
    /// Its place there.
    pub seq: Seq,
    /// Who said it.
    pub sender: UserId,
    /// On which of their devices; all zeros for rows that the server made.
    pub device: DeviceId,
    /// The sender's name for it.
    pub message_id: MessageId,
    /// What it is.
    pub kind: MessageKind,
    /// Which version of the conversation's key sealed it; 0 when it was not sealed.
    pub key_version: u32,
    /// When it was placed, by the server's clock, milliseconds since 1970.
    pub at: u64,
    /// What it says.
    pub content: Content,
}

impl StoredMessage {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// A direct conversation as a list of chats shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationSummary {
    /// Which.
    pub id: ConversationId,
    /// The other user.
    pub peer: UserId,
    /// What the other is called: the display name, or the handle, or the number while neither is known.
    pub peer_name: String,
    /// The other's handle; empty while it is not known.
    pub peer_handle: String,
    /// The last message's place, as far as this device has heard.
    pub head: Seq,
    /// One's own cursors.
    pub own: Cursors,
    /// The other's cursors.
    pub peer_cursors: Cursors,
    /// Messages of the other after one's own read cursor.
    pub unread: u64,
    /// The last message that is stored here.
    pub last: Option<StoredMessage>,
}

/// A stored message with its content, opened if its key is known.
pub(crate) fn show(directory: &Directory, message: Message) -> StoredMessage {
    let content = open(directory, &message);
    let Message { conversation, seq, sender, device, message_id, kind, key_version, body: _, at } = message;
    StoredMessage { conversation, seq, sender, device, message_id, kind, key_version, at, content }
}

/// Whether [`show`] would show what it says, as far as keys are concerned.
pub(crate) fn is_showable(directory: &Directory, message: &Message) -> bool {
    !message.kind.is_submittable()
        || message.key_version == 0
        || directory.has_key(message.conversation, message.key_version)
}

fn open(directory: &Directory, message: &Message) -> Content {
    if !message.kind.is_submittable() {
        return Content::System { kind: message.kind, json: message.body.clone() };
    }
    let plain = if message.key_version == 0 {
        message.body.clone()
    } else {
        let context = SealContext {
            conversation: message.conversation,
            sender: message.sender,
            message_id: message.message_id,
            kind: message.kind,
            key_version: message.key_version,
        };
        let key = directory.key(message.conversation, message.key_version);
        match key.and_then(|key| seal::open(&key, &context, &message.body).ok()) {
            Some(plain) => plain,
            None => return Content::Sealed,
        }
    };
    match proto::Body::decode(plain.clone()).ok().and_then(|body| body.content) {
        Some(body::Content::Text(text)) => Content::Text(text.text),
        Some(body::Content::Custom(custom)) => {
            Content::Custom { content_type: custom.content_type, data: custom.data, fallback: custom.fallback }
        }
        None => Content::Unknown { kind: message.kind, data: plain },
    }
}

/// A draft of this content: sealed with `key`, or readable without one.
pub(crate) fn draft(
    sender: UserId,
    conversation: ConversationId,
    content: Content,
    key: Option<&RelationKey>,
) -> Result<Draft, Error> {
    let (kind, content) = match content {
        Content::Text(text) => (MessageKind::TEXT, body::Content::Text(proto::Text { text })),
        Content::Custom { content_type, data, fallback } => {
            (MessageKind::CUSTOM, body::Content::Custom(proto::Custom { content_type, data, fallback }))
        }
        Content::Unknown { .. } | Content::Sealed | Content::System { .. } => return Err(Error::NotSendable),
    };
    let plain = proto::Body { content: Some(content) }.encode_to_vec();
    // Version 7, from one counter of the process: later drafts have greater ids.
    let message_id = MessageId::generate();
    let (key_version, body) = match key {
        Some(RelationKey { version, key }) => {
            let context = SealContext { conversation, sender, message_id, kind, key_version: *version };
            (*version, seal::seal(key, &context, &plain))
        }
        None => (0, plain.into()),
    };
    Ok(Draft { message_id, kind, key_version, body })
}
