//! Changes of groups: what is read under which locks, decided by the rules, and written.
//!
//! A refusal is an answer like any other, for a transaction that has written nothing.

use whimbrel_core::{ConversationId, MessageKind, UserId};

use super::super::MySqlStore;
use super::super::directory::users;
use super::super::directory::work::{Change, Stop, Work, run};
use super::{load, write};
use crate::directory::{DirectoryError, Rows};
use crate::groups::rules::{self, Needs, Scene};
use crate::groups::{Actor, Group, GroupChange, GroupError, NewGroup};
use crate::{Keyring, StoreError};

type Answer = Result<Group, GroupError>;

pub(super) async fn create(store: &MySqlStore, new: NewGroup, now: u64) -> Result<(Group, Rows), GroupError> {
    finish(store, &CreateGroup { keyring: store.keyring(), new, now }).await
}

pub(super) async fn change(
    store: &MySqlStore,
    id: ConversationId,
    by: Actor,
    change: GroupChange,
    now: u64,
) -> Result<(Group, Rows), GroupError> {
    let needs = rules::needs(by, &change)?;
    finish(store, &ChangeGroup { keyring: store.keyring(), id, by, change, needs, now }).await
}

/// Makes the change; the group with the revision that it has by the row that was placed.
async fn finish(store: &MySqlStore, change: &impl Change<Answer = Answer>) -> Result<(Group, Rows), GroupError> {
    let (answer, rows) = run(store, change).await.map_err(|error| match error {
        DirectoryError::Store(error) => GroupError::Store(error),
        DirectoryError::NoSuchUser => GroupError::NoSuchUser,
        refused => StoreError::Corrupt(refused.to_string()).into(),
    })?;
    let mut group = answer?;
    if let Some(row) = rows.iter().find(|row| row.message.kind == MessageKind::GROUP) {
        group.revision = row.message.seq;
    }
    Ok((group, rows))
}

struct ChangeGroup<'a> {
    keyring: &'a Keyring,
    id: ConversationId,
    by: Actor,
    change: GroupChange,
    needs: Needs,
    now: u64,
}

impl Change for ChangeGroup<'_> {
    type Answer = Answer;

    async fn make(&self, work: &mut Work) -> Result<Answer, Stop> {
        let accounts = users::lock(work, &self.needs.people).await?;
        let Some(group) = load::lock_group(work, self.id).await? else { return Ok(Err(GroupError::NoSuchGroup)) };
        let by = match self.by {
            Actor::User(user) => Some(user),
            Actor::Operator => None,
        };
        let people = load::people(work, self.id, &accounts, &self.needs, by).await?;
        let waiting = if self.needs.waiting { load::waiting(work, self.id).await? } else { 0 };
        let scene = Scene { group: &group, by: self.by, people: &people, waiting, now: self.now };
        let effect = match rules::decide(&scene, &self.change) {
            Ok(effect) => effect,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(handle) = effect.group.handle.as_deref().filter(|handle| Some(*handle) != group.handle.as_deref())
            && load::is_taken(work, handle).await?
        {
            return Ok(Err(GroupError::HandleTaken));
        }
        let by = by.unwrap_or(UserId(0));
        Ok(Ok(write::effect(work, self.keyring, effect, (by, self.now), Some(&group)).await?))
    }
}

struct CreateGroup<'a> {
    keyring: &'a Keyring,
    new: NewGroup,
    now: u64,
}

impl Change for CreateGroup<'_> {
    type Answer = Answer;

    async fn make(&self, work: &mut Work) -> Result<Answer, Stop> {
        let owner = self.new.owner;
        let mut named = self.new.members.clone();
        named.push(owner);
        let accounts = users::lock(work, &named).await?;
        let id = ConversationId::generate();
        let needs = Needs { people: Vec::new(), groups: true, blocks: true, waiting: false };
        let people = load::people(work, id, &accounts, &needs, Some(owner)).await?;
        let effect = match rules::begin(id, self.new.clone(), &people, self.now) {
            Ok(effect) => effect,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(handle) = &self.new.handle
            && load::is_taken(work, handle).await?
        {
            return Ok(Err(GroupError::HandleTaken));
        }
        write::conversation(work, id, self.now).await?;
        Ok(Ok(write::effect(work, self.keyring, effect, (owner, self.now), None).await?))
    }
}

/// Somebody whose account is being deleted goes.
pub(in crate::mysql) struct Bereave<'a> {
    pub(in crate::mysql) keyring: &'a Keyring,
    pub(in crate::mysql) id: ConversationId,
    pub(in crate::mysql) user: UserId,
    pub(in crate::mysql) now: u64,
}

impl Change for Bereave<'_> {
    type Answer = ();

    async fn make(&self, work: &mut Work) -> Result<(), Stop> {
        users::lock_one(work, self.user).await?;
        let Some(group) = load::lock_group(work, self.id).await? else { return Ok(()) };
        if !load::is_member(work, self.id, self.user).await? {
            return Ok(());
        }
        let is_owner = group.owner == self.user;
        let heir = if is_owner { load::heir(work, self.id, self.user).await? } else { None };
        let effect = rules::bereft(&group, self.user, heir, self.now);
        write::effect(work, self.keyring, effect, (self.user, self.now), Some(&group)).await?;
        Ok(())
    }
}
