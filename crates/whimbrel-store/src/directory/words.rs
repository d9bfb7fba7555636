//! What changes say in the rows that tell of them, and what wrapped keys are bound to: the same for every engine.

use bytes::Bytes;
use whimbrel_core::{ConversationId, UserId};

/// What about an account changed; the words are read by clients.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Account {
    Profile,
    Password,
    DeviceAdded,
    DeviceRemoved,
    Presence,
}

impl Account {
    /// The row's body.
    pub(crate) const fn body(self) -> Bytes {
        Bytes::from_static(match self {
            Account::Profile => br#"{"what":"profile"}"#,
            Account::Password => br#"{"what":"password"}"#,
            Account::DeviceAdded => br#"{"what":"device_added"}"#,
            Account::DeviceRemoved => br#"{"what":"device_removed"}"#,
            Account::Presence => br#"{"what":"presence"}"#,
        })
    }
}

/// The body of a row that tells of a relation with `peer`.
pub(crate) fn about(peer: UserId) -> Bytes {
    format!(r#"{{"user":{peer}}}"#).into()
}

/// To whom a wrapped key is bound: conversation id, then version.
pub(crate) fn owner(conversation: ConversationId, version: u32) -> [u8; 20] {
    let mut owner = [0; 20];
    owner[..16].copy_from_slice(conversation.as_bytes());
    owner[16..].copy_from_slice(&version.to_be_bytes());
    owner
}
