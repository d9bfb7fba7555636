//! [`Groups`] on MySQL and MariaDB.
//!
//! | room | does |
//! |---|---|
//! | `change`, `load`, `write` | changes: what is read under which locks, and what is written |
//! | `turn` | what begins and ends with the row that tells of a change |
//! | `read`, `people` | what groups there are; rosters, readers, keys |
//! | `find` | what searches find groups by |
//! | `value` | values out of rows |
//!
//! A change locks the users that it names, then the group by the row of its conversation, and decides by
//! `crate::groups::rules`; what it refuses it refuses before it writes. Its place in the group's timeline is taken in the
//! way of every change (`directory::place`): an archiver that was there first makes it begin again.

mod change;
mod find;
mod load;
mod people;
mod read;
#[cfg(test)]
mod tests;
mod turn;
mod value;
mod write;

use async_trait::async_trait;
use whimbrel_core::{ConversationId, Roster, Seq, UserId};

use super::MySqlStore;
use crate::StoreError;
use crate::directory::Rows;
use crate::groups::{
    Actor, Group, GroupChange, GroupError, GroupKeys, GroupMember, GroupRequest, Groups, Membership, NewGroup, ReadBy,
};

pub(in crate::mysql) use change::Bereave;
pub(in crate::mysql) use find::all as find_all;
#[cfg(test)]
pub(in crate::mysql) use load::OLDEST;
pub(in crate::mysql) use load::groups_of;
pub(in crate::mysql) use turn::Turn;

#[async_trait]
impl Groups for MySqlStore {
    async fn create_group(&self, new: NewGroup, now: u64) -> Result<(Group, Rows), GroupError> {
        change::create(self, new, now).await
    }

    async fn group(&self, id: ConversationId) -> Result<Option<Group>, StoreError> {
        self.read(async |db| read::by_id(db, id).await).await
    }

    async fn group_by_handle(&self, handle: &str) -> Result<Option<Group>, StoreError> {
        self.read(async |db| read::by_handle(db, handle).await).await
    }

    async fn groups_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, StoreError> {
        self.read(async |db| read::of_user(db, user, after, limit).await).await
    }

    async fn search_groups(
        &self,
        text: &str,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Group>, StoreError> {
        self.read(async |db| find::search(db, text, after, limit).await).await
    }

    async fn change_group(
        &self,
        id: ConversationId,
        by: Actor,
        change: GroupChange,
        now: u64,
    ) -> Result<(Group, Rows), GroupError> {
        change::change(self, id, by, change, now).await
    }

    async fn group_members(
        &self,
        id: ConversationId,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<GroupMember>, StoreError> {
        self.read(async |db| read::members(db, id, after, limit).await).await
    }

    async fn group_member(&self, id: ConversationId, user: UserId) -> Result<Option<GroupMember>, StoreError> {
        self.read(async |db| read::one_member(db, id, user).await).await
    }

    async fn group_requests(
        &self,
        id: ConversationId,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<GroupRequest>, StoreError> {
        self.read(async |db| read::requests(db, id, after, limit).await).await
    }

    async fn requests_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<GroupRequest>, StoreError> {
        self.read(async |db| read::requests_of(db, user, after, limit).await).await
    }

    async fn group_keys(
        &self,
        id: ConversationId,
        user: UserId,
        after: u32,
        limit: usize,
    ) -> Result<GroupKeys, GroupError> {
        self.read(async |db| people::keys(db, self.keyring(), (id, user), after, limit).await).await
    }

    async fn rosters(&self, ids: &[ConversationId]) -> Result<Vec<Option<Roster>>, StoreError> {
        self.read(async |db| people::rosters(db, ids).await).await
    }

    async fn read_by(
        &self,
        id: ConversationId,
        seq: Seq,
        asker: UserId,
        after: UserId,
        limit: usize,
    ) -> Result<ReadBy, StoreError> {
        self.read(async |db| people::read_by(db, (id, seq), asker, after, limit).await).await
    }
}
