//! Relations and keys in memory, shared by the driver, which writes, and the application's calls, which read.
//!
//! What is here is in the store as well, except that it may be a moment behind or ahead of it.

use hashbrown::HashMap;
use parking_lot::RwLock;
use whimbrel_core::{ConversationId, UserId};
use whimbrel_wire::seal::ConversationKey;

use crate::message::{ConversationSummary, StoredMessage};
use crate::relation::{Relation, RelationKey};
use crate::store::ConversationRow;

/// Everybody whom the user stands in a relation with.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    relations: HashMap<UserId, Relation>,
    peers: HashMap<ConversationId, UserId>,
}

impl Directory {
    pub(crate) fn new(relations: &[Relation]) -> Self {
        let directory = Self::default();
        for relation in relations {
            directory.put(relation.clone());
        }
        directory
    }

    pub(crate) fn put(&self, relation: Relation) {
        let mut inner = self.inner.write();
        if let Some(conversation) = relation.conversation {
            inner.peers.insert(conversation, relation.peer.id);
        }
        inner.relations.insert(relation.peer.id, relation);
    }

    /// The key of this version.
    pub(crate) fn key(&self, conversation: ConversationId, version: u32) -> Option<ConversationKey> {
        let inner = self.inner.read();
        let relation = inner.relation_of(conversation)?;
        relation.keys.iter().find(|key| key.version == version).map(|key| key.key.clone())
    }

    /// The newest key, which seals.
    pub(crate) fn newest_key(&self, conversation: ConversationId) -> Option<RelationKey> {
        let inner = self.inner.read();
        inner.relation_of(conversation)?.keys.iter().max_by_key(|key| key.version).cloned()
    }

    pub(crate) fn has_key(&self, conversation: ConversationId, version: u32) -> bool {
        let inner = self.inner.read();
        inner.relation_of(conversation).is_some_and(|relation| relation.keys.iter().any(|key| key.version == version))
    }

    /// Whether two friends' conversation is known by this name.
    pub(crate) fn peer_of(&self, conversation: ConversationId) -> Option<UserId> {
        self.inner.read().peers.get(&conversation).copied()
    }

    pub(crate) fn conversation_with(&self, peer: UserId) -> Option<ConversationId> {
        self.inner.read().relations.get(&peer)?.conversation
    }

    /// Whether this says the same as what is known.
    pub(crate) fn is_news(&self, relation: &Relation) -> bool {
        let inner = self.inner.read();
        inner.relations.get(&relation.peer.id).is_none_or(|known| !known.says_the_same(relation))
    }

    pub(crate) fn summary(&self, row: ConversationRow, last: Option<StoredMessage>) -> ConversationSummary {
        let inner = self.inner.read();
        let peer = row.peer.unwrap_or(UserId(0));
        let profile = inner.relations.get(&peer).map(|relation| &relation.peer);
        let peer_handle = profile.map_or_else(String::new, |profile| profile.handle.clone());
        let name = profile.map(|profile| &profile.display_name).filter(|name| !name.is_empty());
        let peer_name = match name {
            Some(name) => name.clone(),
            None if !peer_handle.is_empty() => peer_handle.clone(),
            None => format!("user {peer}"),
        };
        ConversationSummary {
            id: row.id,
            peer,
            peer_name,
            peer_handle,
            head: row.head,
            own: row.own,
            peer_cursors: row.peer_cursors,
            unread: row.unread,
            last,
        }
    }
}

impl Inner {
    fn relation_of(&self, conversation: ConversationId) -> Option<&Relation> {
        self.relations.get(self.peers.get(&conversation)?)
    }
}
