//! Groups: rosters that a test says, with absences to order; everything else is the store's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use whimbrel_core::{ConversationId, Roster, Seq, UserId};
use whimbrel_store::directory::Rows;
use whimbrel_store::groups::{
    Actor, Group, GroupChange, GroupError, GroupKeys, GroupMember, GroupRequest, Membership, NewGroup, ReadBy,
};
use whimbrel_store::sqlite::SqliteStore;
use whimbrel_store::{Groups, StoreError};

use super::wrapped::take;

pub struct WrappedGroups {
    inner: SqliteStore,
    /// Instead of the store's.
    pub rosters: Mutex<HashMap<ConversationId, Roster>>,
    /// So many reads of rosters fail.
    pub away: AtomicUsize,
    /// Reads of rosters.
    pub reads: AtomicUsize,
}

impl WrappedGroups {
    pub fn new(inner: SqliteStore) -> Self {
        Self { inner, rosters: Mutex::default(), away: AtomicUsize::new(0), reads: AtomicUsize::new(0) }
    }
}

macro_rules! passing {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        #[async_trait]
        impl Groups for WrappedGroups {
            $(async fn $name(&self, $($arg: $type),*) -> $out {
                self.inner.$name($($arg),*).await
            })*

            async fn rosters(&self, ids: &[ConversationId]) -> Result<Vec<Option<Roster>>, StoreError> {
                self.reads.fetch_add(1, Ordering::AcqRel);
                if take(&self.away) {
                    return Err(StoreError::Unavailable("gone for a test".into()));
                }
                let said: Vec<_> = ids.iter().map(|id| self.rosters.lock().get(id).cloned()).collect();
                if said.iter().all(Option::is_some) { Ok(said) } else { self.inner.rosters(ids).await }
            }
        }
    };
}

passing! {
    create_group(new: NewGroup, now: u64) -> Result<(Group, Rows), GroupError>;
    group(id: ConversationId) -> Result<Option<Group>, StoreError>;
    group_by_handle(handle: &str) -> Result<Option<Group>, StoreError>;
    groups_of(user: UserId, after: Option<ConversationId>, limit: usize) -> Result<Vec<Membership>, StoreError>;
    search_groups(text: &str, after: Option<ConversationId>, limit: usize) -> Result<Vec<Group>, StoreError>;
    change_group(id: ConversationId, by: Actor, change: GroupChange, now: u64) -> Result<(Group, Rows), GroupError>;
    group_members(id: ConversationId, after: UserId, limit: usize) -> Result<Vec<GroupMember>, StoreError>;
    group_member(id: ConversationId, user: UserId) -> Result<Option<GroupMember>, StoreError>;
    group_requests(id: ConversationId, after: UserId, limit: usize) -> Result<Vec<GroupRequest>, StoreError>;
    requests_of(user: UserId, after: Option<ConversationId>, limit: usize) -> Result<Vec<GroupRequest>, StoreError>;
    group_keys(id: ConversationId, user: UserId, after: u32, limit: usize) -> Result<GroupKeys, GroupError>;
    read_by(id: ConversationId, seq: Seq, asker: UserId, after: UserId, limit: usize) -> Result<ReadBy, StoreError>;
}
