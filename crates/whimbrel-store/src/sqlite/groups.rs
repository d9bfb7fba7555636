//! [`Groups`] on SQLite.

use async_trait::async_trait;
use whimbrel_core::{ConversationId, Roster, Seq, UserId};

use super::SqliteStore;
use crate::StoreError;
use crate::directory::Rows;
use crate::groups::{
    Actor, Group, GroupChange, GroupError, GroupKeys, GroupMember, GroupRequest, Groups, Membership, NewGroup, ReadBy,
};

fn away<T, E: From<StoreError>>() -> Result<T, E> {
    Err(StoreError::Unavailable("groups are not kept here yet".into()).into())
}

#[async_trait]
impl Groups for SqliteStore {
    async fn create_group(&self, _: NewGroup, _: u64) -> Result<(Group, Rows), GroupError> {
        away()
    }

    async fn group(&self, _: ConversationId) -> Result<Option<Group>, StoreError> {
        away()
    }

    async fn group_by_handle(&self, _: &str) -> Result<Option<Group>, StoreError> {
        away()
    }

    async fn groups_of(&self, _: UserId, _: Option<ConversationId>, _: usize) -> Result<Vec<Membership>, StoreError> {
        away()
    }

    async fn search_groups(&self, _: &str, _: Option<ConversationId>, _: usize) -> Result<Vec<Group>, StoreError> {
        away()
    }

    async fn change_group(
        &self,
        _: ConversationId,
        _: Actor,
        _: GroupChange,
        _: u64,
    ) -> Result<(Group, Rows), GroupError> {
        away()
    }

    async fn group_members(&self, _: ConversationId, _: UserId, _: usize) -> Result<Vec<GroupMember>, StoreError> {
        away()
    }

    async fn group_member(&self, _: ConversationId, _: UserId) -> Result<Option<GroupMember>, StoreError> {
        away()
    }

    async fn group_requests(&self, _: ConversationId, _: UserId, _: usize) -> Result<Vec<GroupRequest>, StoreError> {
        away()
    }

    async fn requests_of(
        &self,
        _: UserId,
        _: Option<ConversationId>,
        _: usize,
    ) -> Result<Vec<GroupRequest>, StoreError> {
        away()
    }

    async fn group_keys(&self, _: ConversationId, _: UserId, _: u32, _: usize) -> Result<GroupKeys, GroupError> {
        away()
    }

    async fn rosters(&self, _: &[ConversationId]) -> Result<Vec<Option<Roster>>, StoreError> {
        away()
    }

    async fn read_by(&self, _: ConversationId, _: Seq, _: UserId, _: usize) -> Result<ReadBy, StoreError> {
        away()
    }
}
