//! Messages as the application sees them, and the way there from what is stored: opening and sealing.
//!
//! What rests in a store is the message as it was received; nothing opened is ever written.

use bytes::Bytes;
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, Draft, Message, MessageId, MessageKind, Seq, UserId,
};
use whimbrel_wire::seal::{self, SealContext};

use crate::content::{Attachment, Before, Content, FollowUp, Origin, Outgoing, Parts, Quote, parts, plain};
use crate::error::Error;
use crate::group::GroupInfo;
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
    /// What it answers.
    pub quote: Option<Quote>,
    /// Who is called by it.
    pub mentions: Vec<UserId>,
    /// Where it was said first.
    pub origin: Option<Origin>,
}

impl StoredMessage {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The file that it came with, if it came with one.
    pub fn attachment(&self) -> Option<&Attachment> {
        match &self.content {
            Content::Attachment(attachment) => Some(attachment),
            _ => None,
        }
    }

    /// The earlier message that it is about, if it is about one.
    pub fn target(&self) -> Option<Seq> {
        match &self.content {
            Content::FollowUp { target, .. } => Some(*target),
            _ => None,
        }
    }

    /// Whether it calls this user: by name, or with everybody.
    pub fn calls(&self, user: UserId) -> bool {
        let all = matches!(self.content, Content::Call(_));
        self.sender != user && self.kind.is_countable() && (all || self.mentions.contains(&user))
    }
}

/// A conversation as a list of chats shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationSummary {
    /// Which.
    pub id: ConversationId,
    /// Direct or a group.
    pub kind: ConversationKind,
    /// What to call it: the other user's name, or the group's.
    pub title: String,
    /// The other user; 0 in groups.
    pub peer: UserId,
    /// What the other is called: the display name, or the handle, or the number while neither is known. In groups the
    /// title.
    pub peer_name: String,
    /// The other's handle; empty while it is not known, and in groups.
    pub peer_handle: String,
    /// In groups: what is known of it; `None` until REST has told.
    pub group: Option<GroupInfo>,
    /// The last message's place, as far as this device has heard.
    pub head: Seq,
    /// One's own cursors.
    pub own: Cursors,
    /// The other's cursors; 0 in groups.
    pub peer_cursors: Cursors,
    /// Messages of others after one's own read cursor.
    pub unread: u64,
    /// Of these, those that call the user, as far as this device could open them.
    pub mentions: usize,
    /// The last message that is stored here.
    pub last: Option<StoredMessage>,
    /// When it was pinned, milliseconds since 1970; 0: it is not.
    pub pinned_at: u64,
    /// No alerts until then, milliseconds since 1970; 0: alerts; `u64::MAX`: never.
    pub muted_until: u64,
    /// Out of the list, since nothing was said after it was put away.
    pub archived: bool,
    /// Deleted for this user, and nothing was said since: not to be listed.
    pub hidden: bool,
    /// What the user has begun to write, here or on another device.
    pub draft: Option<String>,
}

impl ConversationSummary {
    /// A direct conversation of which nothing more is known.
    pub fn direct(id: ConversationId, peer: UserId) -> Self {
        let name = format!("user {peer}");
        Self {
            id,
            kind: ConversationKind::Direct,
            title: name.clone(),
            peer,
            peer_name: name,
            peer_handle: String::new(),
            group: None,
            head: Seq::ZERO,
            own: Cursors::default(),
            peer_cursors: Cursors::default(),
            unread: 0,
            mentions: 0,
            last: None,
            pinned_at: 0,
            muted_until: 0,
            archived: false,
            hidden: false,
            draft: None,
        }
    }

    /// Whether it alerts for nothing at this time, milliseconds since 1970.
    pub fn is_muted(&self, now: u64) -> bool {
        self.muted_until > now
    }

    /// In which order lists show conversations: the pinned ones first, the latest pin above; then by the last message.
    pub fn order(&self) -> impl Ord + use<> {
        std::cmp::Reverse((self.pinned_at, self.last.as_ref().map_or(0, |last| last.at)))
    }
}

/// A stored message with its content, opened if its key is known.
pub(crate) fn show(directory: &Directory, message: Message) -> StoredMessage {
    let parts = open(directory, &message);
    let Message { conversation, seq, sender, device, message_id, kind, key_version, body: _, at } = message;
    let Parts { content, quote, mentions, origin } = parts;
    StoredMessage {
        conversation,
        seq,
        sender,
        device,
        message_id,
        kind,
        key_version,
        at,
        content,
        quote,
        mentions,
        origin,
    }
}

/// Whether [`show`] would show what it says, as far as keys are concerned.
pub(crate) fn is_showable(directory: &Directory, message: &Message) -> bool {
    !message.kind.is_submittable()
        || message.key_version == 0
        || holds_nothing(message)
        || directory.has_key(message.conversation, message.key_version)
}

/// Nothing in it is sealed: it was taken back, takes back, or went with its target.
pub(crate) fn holds_nothing(message: &Message) -> bool {
    message.body.len() <= message.kind.open_len()
}

fn context(message: &Message) -> SealContext {
    SealContext {
        conversation: message.conversation,
        sender: message.sender,
        message_id: message.message_id,
        kind: message.kind,
        key_version: message.key_version,
    }
}

fn open(directory: &Directory, message: &Message) -> Parts {
    let kind = message.kind;
    if !kind.is_submittable() {
        return Content::System { kind, json: message.body.clone() }.into();
    }
    let before = Before::of(kind, &message.body);
    if holds_nothing(message) {
        return match before {
            Before::Target(target) => Content::FollowUp { target, what: nothing_left(kind) }.into(),
            Before::File(_) | Before::Nothing => Content::Gone.into(),
        };
    }
    let is_named = before != Before::Nothing;
    let sealed = if is_named { message.body.slice(kind.open_len()..) } else { message.body.clone() };
    if message.key_version == 0 {
        return parts(kind, before, sealed);
    }
    let key = directory.key(message.conversation, message.key_version);
    match key.and_then(|key| seal::open(&key, &context(message), &sealed).ok()) {
        Some(plain) => parts(kind, before, plain),
        None => match before {
            Before::Target(target) => Content::FollowUp { target, what: FollowUp::Sealed { kind } }.into(),
            Before::File(_) | Before::Nothing => Content::Sealed.into(),
        },
    }
}

/// What a follow-up says that has nothing behind its target.
fn nothing_left(kind: MessageKind) -> FollowUp {
    match kind {
        MessageKind::RECALL => FollowUp::Recall,
        MessageKind::VANISH => FollowUp::Vanish,
        kind if kind.adds_content() => FollowUp::Gone,
        kind => FollowUp::Unknown { kind, data: Bytes::new() },
    }
}

/// A draft of this content: sealed with `key`, or readable without one.
pub(crate) fn draft(
    sender: UserId,
    conversation: ConversationId,
    outgoing: impl Into<Outgoing>,
    key: Option<&RelationKey>,
) -> Result<Draft, Error> {
    let plain = plain(outgoing.into())?;
    let kind = plain.kind;
    // Version 7, from one counter of the process: later drafts have greater ids.
    let message_id = MessageId::generate();
    let key_version = key.map_or(0, |key| key.version);
    let rest: Bytes = match key {
        // The server wants the version of the key with every draft, also with those that hold nothing else.
        _ if kind.takes_back() => Bytes::new(),
        Some(RelationKey { version, key }) => {
            let context = SealContext { conversation, sender, message_id, kind, key_version: *version };
            seal::seal(key, &context, &plain.body)
        }
        None => plain.body.into(),
    };
    Ok(Draft { message_id, kind, key_version, body: plain.before.with(rest) })
}
