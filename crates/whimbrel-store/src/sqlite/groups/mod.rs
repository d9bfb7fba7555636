//! [`Groups`] on SQLite.
//!
//! | room | does |
//! |---|---|
//! | `scene` | reads what the rules decide on |
//! | `change`, `write` | a change as one job of the writer, and its effect on the tables |
//! | `leaving` | what a deleted account leaves behind |
//! | `read`, `members` | groups, members, requests, keys, rosters, who has read what |
//! | `find` | what searches find groups by |

mod change;
mod find;
mod leaving;
mod members;
mod read;
mod scene;
mod write;

use async_trait::async_trait;
use rusqlite::Connection;
use whimbrel_core::{ConversationId, Roster, Seq, UserId};

use super::SqliteStore;
use crate::StoreError;
use crate::directory::Rows;
use crate::groups::{
    Actor, Group, GroupChange, GroupError, GroupKeys, GroupMember, GroupRequest, Groups, Membership, NewGroup, ReadBy,
};

pub(super) use find::all as find_all;
pub(super) use leaving::leave_all;

/// What a change of a large group runs that names few people: a test looks at how SQLite finds the rows.
#[cfg(test)]
pub(super) const BY_KEY: &[&str] = &[
    scene::PERSON,
    scene::GROUPS,
    write::KEEP_SPAN,
    write::FORGET_SPANS,
    write::MEMBER,
    write::CURSORS,
    write::ANSWERERS,
    write::OLDEST,
    find::SEARCH,
];

#[async_trait]
impl Groups for SqliteStore {
    async fn create_group(&self, new: NewGroup, now: u64) -> Result<(Group, Rows), GroupError> {
        let keyring = self.keyring();
        self.shared.writer.write(move |db| change::create(db, &keyring, new, now)).await
    }

    async fn group(&self, id: ConversationId) -> Result<Option<Group>, StoreError> {
        self.shared.readers.read(move |db| Ok(read::by_id(db, id)?)).await
    }

    async fn group_by_handle(&self, handle: &str) -> Result<Option<Group>, StoreError> {
        let handle = handle.to_owned();
        self.shared.readers.read(move |db| Ok(read::by_handle(db, &handle)?)).await
    }

    async fn groups_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, StoreError> {
        self.shared.readers.read(move |db| Ok(read::of_user(db, user, after, limit)?)).await
    }

    async fn search_groups(
        &self,
        text: &str,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Group>, StoreError> {
        let text = text.to_owned();
        self.shared.readers.read(move |db| Ok(find::search(db, &text, after, limit)?)).await
    }

    async fn change_group(
        &self,
        id: ConversationId,
        by: Actor,
        change: GroupChange,
        now: u64,
    ) -> Result<(Group, Rows), GroupError> {
        let keyring = self.keyring();
        self.shared.writer.write(move |db| change::change(db, &keyring, id, by, &change, now)).await
    }

    async fn group_members(
        &self,
        id: ConversationId,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<GroupMember>, StoreError> {
        self.shared.readers.read(move |db| Ok(members::list(db, id, after, limit)?)).await
    }

    async fn group_member(&self, id: ConversationId, user: UserId) -> Result<Option<GroupMember>, StoreError> {
        self.shared.readers.read(move |db| Ok(members::one(db, id, user)?)).await
    }

    async fn group_requests(
        &self,
        id: ConversationId,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<GroupRequest>, StoreError> {
        self.shared.readers.read(move |db| Ok(read::requests(db, id, after, limit)?)).await
    }

    async fn requests_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<GroupRequest>, StoreError> {
        self.shared.readers.read(move |db| Ok(read::requests_of(db, user, after, limit)?)).await
    }

    async fn group_keys(
        &self,
        id: ConversationId,
        user: UserId,
        after: u32,
        limit: usize,
    ) -> Result<GroupKeys, GroupError> {
        let keyring = self.keyring();
        let keys = self.shared.readers.read(move |db| members::keys(db, &keyring, id, user, after, limit)).await?;
        match keys {
            Some(keys) => Ok(keys),
            None if self.group(id).await?.is_none() => Err(GroupError::NoSuchGroup),
            None => Err(GroupError::NotMember),
        }
    }

    async fn rosters(&self, ids: &[ConversationId]) -> Result<Vec<Option<Roster>>, StoreError> {
        let wanted = ids.to_vec();
        let read = move |db: &Connection| {
            Ok(wanted.iter().map(|id| members::roster(db, *id)).collect::<rusqlite::Result<_>>()?)
        };
        self.shared.readers.read(read).await
    }

    async fn read_by(
        &self,
        id: ConversationId,
        seq: Seq,
        asker: UserId,
        after: UserId,
        limit: usize,
    ) -> Result<ReadBy, StoreError> {
        self.shared.readers.read(move |db| Ok(members::read_by(db, (id, seq), asker, after, limit)?)).await
    }
}
