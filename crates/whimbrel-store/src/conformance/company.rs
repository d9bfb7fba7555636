//! Groups and those who are in them, for the cases.

use std::collections::BTreeSet;

use whimbrel_core::{ConversationId, Message, Roster, Seq, SyncQuestion, UserId, View};

use super::Stores;
use super::people::{draft_row, people};
use super::sync::everything;
use crate::directory::Rows;
use crate::groups::{Actor, Group, GroupChange, GroupError, JoinMode, NewGroup};
use crate::{CommitError, NewRow, PlaceBatch};

/// A group that anybody joins and searches find.
pub(super) fn new_group(owner: UserId) -> NewGroup {
    NewGroup {
        owner,
        handle: None,
        name: "Birds".into(),
        avatar: String::new(),
        announcement: String::new(),
        join: JoinMode::Open,
        listed: true,
        history_for_all: false,
        member_limit: 5000,
        members: Vec::new(),
    }
}

/// A group with what its archiver would do.
pub(super) struct Company<'a> {
    pub(super) stores: &'a Stores,
    pub(super) id: ConversationId,
    /// The owner first.
    pub(super) users: Vec<UserId>,
}

impl<'a> Company<'a> {
    /// A group of the first of `count` new people, who is alone in it.
    pub(super) async fn new(stores: &'a Stores, count: usize, new: impl FnOnce(&mut NewGroup)) -> Self {
        let users = people(&*stores.directory, "user", count).await;
        let mut group = new_group(users[0]);
        new(&mut group);
        let (group, _) = stores.groups.create_group(group, 10).await.expect("it fits");
        Self { stores, id: group.id, users }
    }

    /// The same with everybody in it, added one after the other.
    pub(super) async fn of(stores: &'a Stores, count: usize) -> Self {
        let company = Self::new(stores, count, |_| {}).await;
        for user in &company.users[1..] {
            company.does(*user, join()).await;
        }
        company
    }

    /// A change that has to fit.
    pub(super) async fn does(&self, by: UserId, change: GroupChange) -> (Group, Rows) {
        self.by(Actor::User(by), change).await
    }

    pub(super) async fn by(&self, by: Actor, change: GroupChange) -> (Group, Rows) {
        let done = self.stores.groups.change_group(self.id, by, change.clone(), 20).await;
        done.unwrap_or_else(|refusal| panic!("{change:?} by {by:?}: {refusal}"))
    }

    /// A change that has to be refused.
    pub(super) async fn refusal(&self, by: UserId, change: GroupChange) -> GroupError {
        let done = self.stores.groups.change_group(self.id, Actor::User(by), change.clone(), 20).await;
        done.map(|(_, rows)| rows).expect_err(&format!("{change:?} by {by}"))
    }

    pub(super) async fn group(&self) -> Group {
        self.stores.groups.group(self.id).await.expect("the store answers").expect("it is there")
    }

    pub(super) async fn roster(&self) -> Roster {
        let rosters = self.stores.groups.rosters(&[self.id]).await.expect("the store answers");
        rosters[0].clone().expect("a group")
    }

    /// Who is in it now.
    pub(super) async fn members(&self) -> BTreeSet<UserId> {
        let members = self.stores.groups.group_members(self.id, UserId(0), 10_000).await.expect("the store answers");
        members.into_iter().map(|member| member.user.id).collect()
    }

    /// The rows that an archiver would place behind the head, said by these in turn.
    pub(super) async fn rows(&self, senders: &[UserId]) -> Vec<NewRow> {
        let heads = self.stores.timeline.heads(&[self.id]).await.expect("the store answers");
        let head = heads[0].clone().expect("it exists");
        let rows = senders.iter().zip(1..).map(|(sender, step)| {
            let row = draft_row(self.id, head.seq.0 + step, *sender, head.n + step, 0);
            NewRow { in_group: true, ..row }
        });
        rows.collect()
    }

    pub(super) async fn say(&self, senders: &[UserId]) -> Vec<Message> {
        let rows = self.rows(senders).await;
        self.commit(rows).await.expect("places are free")
    }

    pub(super) async fn commit(&self, rows: Vec<NewRow>) -> Result<Vec<Message>, CommitError> {
        let batch = PlaceBatch { rows, cursors: Vec::new() };
        let (batch, _) = self.stores.timeline.commit(batch).await.map_err(|(_, error)| error)?;
        Ok(batch.rows.into_iter().map(|row| row.message).collect())
    }

    pub(super) async fn timeline(&self) -> Vec<Message> {
        self.stores.timeline.read(self.id, Seq::ZERO, 10_000).await.expect("the store answers")
    }

    /// The group as a device of the user sees it that has it up to `cursor`.
    pub(super) async fn view(&self, user: UserId, cursor: u64) -> Option<View> {
        let known = whimbrel_core::Known { conversation: self.id, cursor: Seq(cursor), message_id: None };
        let question = SyncQuestion { known: vec![known], only_known: true, ..everything() };
        let answer = self.stores.timeline.sync(user, question).await.expect("the store answers");
        answer.views.into_iter().next()
    }
}

pub(super) fn join() -> GroupChange {
    GroupChange::Join { message: "hello".into() }
}

/// Places of messages.
pub(super) fn seqs(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.seq.0).collect()
}
