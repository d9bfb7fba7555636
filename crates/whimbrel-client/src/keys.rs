//! Relations, groups, keys, settings and presence in memory, shared by the driver, which writes, and the application's calls, which read.
//!
//! What is here is in the store as well, except that it may be a moment behind or ahead of it; and except presence, which
//! is of the moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;
use whimbrel_core::{ConversationId, ConversationKind, Presence, Seq, UserId};
use whimbrel_wire::seal::ConversationKey;

use crate::group::GroupInfo;
use crate::message::{ConversationSummary, StoredMessage};
use crate::relation::{Relation, RelationKey};
use crate::setting::{Setting, open_draft};
use crate::store::{ConversationRow, Snapshot};

/// Everybody whom the user stands in a relation with, and every group that is known.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    inner: RwLock<Inner>,
    /// The server's clock less this machine's, milliseconds.
    clock: AtomicI64,
    /// The deployment keeps bodies readable, as far as is known.
    readable: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    relations: HashMap<UserId, Relation>,
    peers: HashMap<ConversationId, UserId>,
    groups: HashMap<ConversationId, GroupInfo>,
    group_keys: HashMap<ConversationId, BTreeMap<u32, ConversationKey>>,
    settings: HashMap<ConversationId, Setting>,
    /// Fleeting messages whose time is over and that are still stored.
    hidden: HashSet<(ConversationId, Seq)>,
    /// Of those whom the user watches.
    presences: HashMap<UserId, Presence>,
}

impl Directory {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let directory = Self::default();
        directory.set_readable_bodies(snapshot.bodies_readable == Some(true));
        for relation in &snapshot.relations {
            directory.put(relation.clone());
        }
        for info in &snapshot.groups {
            directory.put_group(info.clone());
        }
        for (group, key) in &snapshot.group_keys {
            directory.put_group_key(*group, key);
        }
        for setting in &snapshot.settings {
            directory.put_setting(setting.clone());
        }
        directory
    }

    /// Whether this deployment keeps bodies readable.
    pub(crate) fn has_readable_bodies(&self) -> bool {
        self.readable.load(Ordering::Relaxed)
    }

    pub(crate) fn set_readable_bodies(&self, readable: bool) {
        self.readable.store(readable, Ordering::Relaxed);
    }

    /// The server said what time it is.
    pub(crate) fn set_clock(&self, server_ms: u64) {
        let offset = i64::try_from(server_ms).unwrap_or(i64::MAX).saturating_sub(unix_ms());
        // A server that does not say has this machine's time.
        self.clock.store(if server_ms == 0 { 0 } else { offset }, Ordering::Relaxed);
    }

    /// The server's clock, milliseconds since 1970.
    pub(crate) fn server_now(&self) -> u64 {
        unix_ms().saturating_add(self.clock.load(Ordering::Relaxed)).max(0) as u64
    }

    pub(crate) fn set_presences(&self, presences: HashMap<UserId, Presence>) {
        self.inner.write().presences = presences;
    }

    pub(crate) fn presence(&self, user: UserId) -> Option<Presence> {
        self.inner.read().presences.get(&user).copied()
    }

    pub(crate) fn put_group(&self, info: GroupInfo) {
        self.inner.write().groups.insert(info.group.id, info);
    }

    pub(crate) fn group(&self, id: ConversationId) -> Option<GroupInfo> {
        self.inner.read().groups.get(&id).cloned()
    }

    pub(crate) fn put_group_key(&self, group: ConversationId, key: &RelationKey) {
        self.inner.write().group_keys.entry(group).or_default().insert(key.version, key.key.clone());
    }

    pub(crate) fn put_setting(&self, setting: Setting) {
        self.inner.write().settings.insert(setting.conversation, setting);
    }

    pub(crate) fn setting(&self, id: ConversationId) -> Option<Setting> {
        self.inner.read().settings.get(&id).cloned()
    }

    /// A fleeting message's time is over, or the message itself is gone.
    pub(crate) fn hide(&self, conversation: ConversationId, seq: Seq, hide: bool) {
        let hidden = &mut self.inner.write().hidden;
        if hide {
            hidden.insert((conversation, seq));
        } else {
            hidden.remove(&(conversation, seq));
        }
    }

    pub(crate) fn is_hidden(&self, conversation: ConversationId, seq: Seq) -> bool {
        self.inner.read().hidden.contains(&(conversation, seq))
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
        if let Some(keys) = inner.group_keys.get(&conversation) {
            return keys.get(&version).cloned();
        }
        let relation = inner.relation_of(conversation)?;
        relation.keys.iter().find(|key| key.version == version).map(|key| key.key.clone())
    }

    /// The newest key, which seals.
    pub(crate) fn newest_key(&self, conversation: ConversationId) -> Option<RelationKey> {
        let inner = self.inner.read();
        if let Some(keys) = inner.group_keys.get(&conversation) {
            return keys.last_key_value().map(|(version, key)| RelationKey { version: *version, key: key.clone() });
        }
        inner.relation_of(conversation)?.keys.iter().max_by_key(|key| key.version).cloned()
    }

    pub(crate) fn has_key(&self, conversation: ConversationId, version: u32) -> bool {
        self.key(conversation, version).is_some()
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

    /// A conversation as the list shows it to `me`.
    pub(crate) fn summary(&self, me: UserId, row: ConversationRow, last: Option<StoredMessage>) -> ConversationSummary {
        let mut summary = match row.kind {
            ConversationKind::Group => self.group_summary(row, last),
            _ => self.direct_summary(row, last),
        };
        if let Some(setting) = self.setting(summary.id) {
            let key = self.key(summary.id, setting.draft_key_version);
            let said_since = summary.last.as_ref().is_some_and(|last| last.at > setting.changed_at);
            summary.pinned_at = setting.pinned_at;
            summary.muted_until = setting.muted_until;
            summary.archived = setting.archived && !said_since;
            summary.hidden = setting.hidden > Seq::ZERO && summary.head <= setting.hidden;
            summary.draft = open_draft(&setting, me, key.as_ref());
        }
        summary
    }

    fn group_summary(&self, row: ConversationRow, last: Option<StoredMessage>) -> ConversationSummary {
        let group = self.group(row.id);
        let title = group.as_ref().map_or_else(|| "group".to_owned(), |info| info.group.name.clone());
        ConversationSummary {
            kind: ConversationKind::Group,
            peer_name: title.clone(),
            title,
            group,
            head: row.head,
            own: row.own,
            unread: row.unread,
            mentions: row.mentions.len(),
            last,
            ..ConversationSummary::direct(row.id, UserId(0))
        }
    }

    fn direct_summary(&self, row: ConversationRow, last: Option<StoredMessage>) -> ConversationSummary {
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
            title: peer_name.clone(),
            peer_name,
            peer_handle,
            head: row.head,
            own: row.own,
            peer_cursors: row.peer_cursors,
            unread: row.unread,
            mentions: row.mentions.len(),
            last,
            ..ConversationSummary::direct(row.id, peer)
        }
    }
}

/// This device's clock, milliseconds since 1970.
pub(crate) fn device_now() -> u64 {
    unix_ms().unsigned_abs()
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Inner {
    fn relation_of(&self, conversation: ConversationId) -> Option<&Relation> {
        self.relations.get(self.peers.get(&conversation)?)
    }
}
