//! How conversations are shown to their user: the words, and the draft that is sealed among them.

use bytes::Bytes;
use whimbrel_core::{ConversationId, MessageId, MessageKind, Seq, UserId};
use whimbrel_wire::seal::{self, SealContext};

use crate::relation::RelationKey;

/// How one conversation is shown to the user, on all of their devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Which.
    pub conversation: ConversationId,
    /// When it was pinned, milliseconds since 1970; 0: it is not.
    pub pinned_at: u64,
    /// No alerts until then, milliseconds since 1970; 0: alerts; `u64::MAX`: never.
    pub muted_until: u64,
    /// Out of the list until something new is said.
    pub archived: bool,
    /// The version of the key that sealed the draft; 0: readable.
    pub draft_key_version: u32,
    /// What the user has begun to write, sealed; empty: nothing.
    pub draft: Bytes,
    /// Messages up to and with this one are gone for this user.
    pub cleared: Seq,
    /// Not in the list until something is said beyond this place; 0: it is.
    pub hidden: Seq,
    /// Milliseconds since 1970.
    pub changed_at: u64,
}

/// Changes of how a conversation is shown; `None` and `false` leave as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingChange {
    /// Pinned or not.
    pub pinned: Option<bool>,
    /// No alerts until then, milliseconds since 1970.
    pub muted_until: Option<u64>,
    /// Out of the list.
    pub archived: Option<bool>,
    /// The sealed draft with the version of its key; an empty one takes it away.
    pub draft: Option<(u32, Bytes)>,
    /// All that stands now is gone for this user.
    pub clear: bool,
    /// That, and out of the list.
    pub delete: bool,
}

/// What a draft is sealed as: no message has this name or kind.
fn draft_context(conversation: ConversationId, user: UserId, key_version: u32) -> SealContext {
    let message_id = MessageId::from_bytes([0; 16]);
    SealContext { conversation, sender: user, message_id, kind: MessageKind(0), key_version }
}

/// What the user has begun to write, as it may rest on the server: the version of the key, and the sealed text.
pub(crate) fn seal_draft(id: ConversationId, user: UserId, key: Option<&RelationKey>, text: &str) -> (u32, Bytes) {
    match key {
        _ if text.is_empty() => (0, Bytes::new()),
        Some(key) => (key.version, seal::seal(&key.key, &draft_context(id, user, key.version), text.as_bytes())),
        None => (0, Bytes::copy_from_slice(text.as_bytes())),
    }
}

/// What is written in a setting's draft; `None`: nothing, or it cannot be opened.
pub(crate) fn open_draft(setting: &Setting, user: UserId, key: Option<&seal::ConversationKey>) -> Option<String> {
    let context = draft_context(setting.conversation, user, setting.draft_key_version);
    let plain = match (setting.draft_key_version, key) {
        _ if setting.draft.is_empty() => return None,
        (0, _) => setting.draft.clone(),
        (_, Some(key)) => seal::open(key, &context, &setting.draft).ok()?,
        (_, None) => return None,
    };
    String::from_utf8(plain.to_vec()).ok()
}
