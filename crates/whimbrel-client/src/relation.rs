//! People and devices as REST tells of them.

use whimbrel_core::{ConversationId, DeviceId, UserId};
use whimbrel_wire::seal::ConversationKey;

/// What others see of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Who.
    pub id: UserId,
    /// The unique name to log in and be found with.
    pub handle: String,
    /// What they want to be called; may be empty.
    pub display_name: String,
    /// An address of a picture, or whatever the embedding product keeps there.
    pub avatar: Option<String>,
}

/// Changes of one's own profile; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileChange {
    /// What one wants to be called.
    pub display_name: Option<String>,
    /// The picture.
    pub avatar: Option<String>,
}

/// How one stands to another user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelationState {
    /// Nothing (any more).
    None,
    /// One has asked to be friends.
    RequestSent,
    /// The other has asked.
    RequestReceived,
    /// Friends: the two may write to each other.
    Friends,
}

/// One's relation with another user.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The other user.
    pub peer: Profile,
    /// How the two stand to each other.
    pub state: RelationState,
    /// One blocks the other.
    pub blocked: bool,
    /// What came with the request.
    pub greeting: Option<String>,
    /// Their conversation, once they have been friends.
    pub conversation: Option<ConversationId>,
    /// Every version of the conversation's key.
    pub keys: Vec<RelationKey>,
    /// When it changed last, milliseconds since 1970.
    pub changed_at: u64,
}

/// One version of a conversation's key. Debug does not show it.
#[derive(Debug, Clone)]
pub struct RelationKey {
    /// Counts from 1; the highest seals.
    pub version: u32,
    /// The key.
    pub key: ConversationKey,
}

impl RelationKey {
    /// The key's bytes. Whoever has them can read the conversation.
    pub fn key_bytes(&self) -> [u8; 32] {
        *self.key.expose()
    }
}

/// One of one's own devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub id: DeviceId,
    /// Such as "linux".
    pub platform: String,
    /// What a person calls it.
    pub name: String,
    /// When it logged in first, milliseconds since 1970; 0 when the server does not tell.
    pub created_at: u64,
    /// When it was seen last, milliseconds since 1970; 0 when the server does not tell.
    pub seen_at: u64,
    /// It is the one that asks.
    pub current: bool,
}

impl Relation {
    /// Whether nothing that is shown or used differs.
    pub(crate) fn says_the_same(&self, other: &Relation) -> bool {
        let versions = |relation: &Relation| relation.keys.iter().map(|key| key.version).collect::<Vec<_>>();
        self.peer == other.peer
            && self.state == other.state
            && self.blocked == other.blocked
            && self.greeting == other.greeting
            && self.conversation == other.conversation
            && self.changed_at == other.changed_at
            && versions(self) == versions(other)
    }
}
