//! Who may change what in a group, and what a change leads to: the same for every engine, and pure.
//!
//! An engine asks what a change [`needs()`], reads that under its lock on the group into a [`Scene`], and writes the
//! [`Effect`] that [`decide`] makes of it, with the row that tells of it, in the same transaction. An effect without
//! [`Effect::told`] places no row in the group: nothing is different for its members, only somebody waits for an answer.
//!
//! Absences: nothing here reads or writes, and no refusal depends on anything but the scene.

mod create;
mod effect;
mod members;
mod requests;
mod settle;
#[cfg(test)]
mod tests;

use whimbrel_core::limits::GROUP_CHANGE_USERS_MAX;
use whimbrel_core::{Action, Role, Seq, UserId};

use super::{Actor, Group, GroupChange, GroupError, RequestKind};

pub(crate) use create::{begin, bereft};
pub(crate) use effect::{Effect, Joiner, Request};

type Decided = Result<Effect, GroupError>;

/// What has to be read for a change, beside the group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    /// These people, ascending, each once: the one who acts and those whom the change names.
    pub(crate) people: Vec<UserId>,
    /// In how many groups (that stand) each of them is: [`Person::groups`].
    pub(crate) groups: bool,
    /// Who of them blocks the one who acts: [`Person::blocks`].
    pub(crate) blocks: bool,
    /// How many requests wait: [`Scene::waiting`].
    pub(crate) waiting: bool,
}

/// Somebody's row in a group: they are in it, or were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberRow {
    pub(crate) role: Role,
    /// 0: they are in it.
    pub(crate) until: Seq,
    pub(crate) muted_until: u64,
}

/// What waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestRow {
    pub(crate) kind: RequestKind,
    pub(crate) by: UserId,
}

/// Somebody whom a change is about. Who has no account (any more) is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) member: Option<MemberRow>,
    pub(crate) request: Option<RequestRow>,
    /// Groups that stand and that they are in, counted where [`Needs::groups`] asks for it.
    pub(crate) groups: u64,
    /// They block the one who acts, where [`Needs::blocks`] asks for it.
    pub(crate) blocks: bool,
    /// They are friends of the one who acts: for the group that is being created.
    pub(crate) friend: bool,
}

impl Person {
    /// Their role, while they are in the group.
    pub(crate) fn role(&self) -> Option<Role> {
        self.member.filter(|member| member.until == Seq::ZERO).map(|member| member.role)
    }

    fn asks(&self) -> Option<RequestKind> {
        self.request.map(|request| request.kind)
    }
}

/// What stands, as the engine has read and locked it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) group: &'a Group,
    pub(crate) by: Actor,
    /// Those of [`Needs::people`] who have an account, ascending.
    pub(crate) people: &'a [Person],
    /// Requests and invitations of the group.
    pub(crate) waiting: u64,
    /// Milliseconds since 1970.
    pub(crate) now: u64,
}

/// What has to be read; refuses what is wrong by itself.
pub(crate) fn needs(by: Actor, change: &GroupChange) -> Result<Needs, GroupError> {
    let named: &[UserId] = match change {
        GroupChange::Invite { users } | GroupChange::Add { users } => check_many(users)?,
        GroupChange::Approve { user }
        | GroupChange::Reject { user }
        | GroupChange::Remove { user }
        | GroupChange::SetRole { user, .. }
        | GroupChange::Mute { user, .. } => std::slice::from_ref(user),
        GroupChange::Transfer { to } => std::slice::from_ref(to),
        _ => &[],
    };
    let acts = match by {
        Actor::User(user) => Some(user),
        Actor::Operator => None,
    };
    let mut people: Vec<UserId> = named.iter().copied().chain(acts).collect();
    people.sort_unstable();
    people.dedup();
    Ok(Needs {
        people,
        groups: matches!(
            change,
            GroupChange::Join { .. }
                | GroupChange::Invite { .. }
                | GroupChange::Approve { .. }
                | GroupChange::Add { .. }
        ),
        blocks: matches!(change, GroupChange::Invite { .. }),
        waiting: matches!(change, GroupChange::Join { .. } | GroupChange::Invite { .. }),
    })
}

fn check_many(users: &[UserId]) -> Result<&[UserId], GroupError> {
    match users.len() {
        0 => Err(GroupError::NotApplicable("nobody is named")),
        len if len > GROUP_CHANGE_USERS_MAX => Err(GroupError::NotApplicable("these are too many users at once")),
        _ => Ok(users),
    }
}

/// What the change leads to, or by what it is refused.
pub(crate) fn decide(scene: &Scene<'_>, change: &GroupChange) -> Decided {
    if scene.group.dissolved_at.is_some() {
        return Err(scene.ended());
    }
    match change {
        GroupChange::Settle(settings) => settle::settle(scene, settings),
        GroupChange::Join { message } => requests::join(scene, message),
        GroupChange::Decline => requests::decline(scene),
        GroupChange::Leave => members::leave(scene),
        GroupChange::Invite { users } => requests::invite(scene, users),
        GroupChange::Approve { user } => requests::approve(scene, *user),
        GroupChange::Reject { user } => requests::reject(scene, *user),
        GroupChange::Add { users } => members::add(scene, users),
        GroupChange::Remove { user } => members::remove(scene, *user),
        GroupChange::SetRole { user, role } => members::set_role(scene, *user, *role),
        GroupChange::Transfer { to } => members::transfer(scene, *to),
        GroupChange::Mute { user, until } => settle::mute(scene, *user, *until),
        GroupChange::MuteAll { until } => settle::mute_all(scene, *until),
        GroupChange::Dissolve => settle::dissolve(scene),
    }
}

impl<'a> Scene<'a> {
    fn person(&self, user: UserId) -> Option<&'a Person> {
        let at = self.people.binary_search_by_key(&user, |person| person.user).ok()?;
        Some(&self.people[at])
    }

    /// The user who acts, where an operator has nothing to do.
    fn myself(&self) -> Result<&'a Person, GroupError> {
        match self.by {
            Actor::User(user) => self.person(user).ok_or(GroupError::NoSuchUser),
            Actor::Operator => Err(GroupError::NotApplicable("an administrator is in no group")),
        }
    }

    /// The role with which they act: the operator may do what an owner may.
    fn role(&self) -> Result<Role, GroupError> {
        match self.by {
            Actor::Operator => Ok(Role::Owner),
            Actor::User(_) => self.myself()?.role().ok_or_else(|| self.outside()),
        }
    }

    /// The role with which they act, if it may do this.
    fn may(&self, action: Action) -> Result<Role, GroupError> {
        let role = self.role()?;
        if role.may(action) {
            return Ok(role);
        }
        Err(GroupError::Forbidden(match action {
            Action::Remove { .. } | Action::Mute { .. } => "only somebody of a higher role may do this",
            Action::SetRole | Action::Transfer | Action::Dissolve | Action::Keep => "only the owner may do this",
            Action::Leave => "the owner gives the group away first, or dissolves it",
            _ => "only the owner and admins may do this",
        }))
    }

    /// The refusal for somebody who is not in the group: whether it is there is told only to those who may know of it.
    fn outside(&self) -> GroupError {
        let knows = (self.group.listed && self.group.dissolved_at.is_none())
            || self.myself().is_ok_and(|me| {
                me.member.is_some() || matches!(me.asks(), Some(RequestKind::Asked | RequestKind::Invited))
            });
        if knows { GroupError::Forbidden("you are not in this group") } else { GroupError::NoSuchGroup }
    }

    /// The refusal for whatever is asked of a group that ended.
    fn ended(&self) -> GroupError {
        match self.role() {
            Err(GroupError::NoSuchGroup) => GroupError::NoSuchGroup,
            _ => GroupError::NotApplicable("the group was dissolved"),
        }
    }

    /// Somebody in the group, with their role.
    fn member(&self, user: UserId) -> Result<(&'a Person, Role), GroupError> {
        let person = self.person(user).ok_or(GroupError::NotMember)?;
        Ok((person, person.role().ok_or(GroupError::NotMember)?))
    }

    /// A mute until a time that is over is none.
    fn still(&self, muted_until: u64) -> u64 {
        if muted_until > self.now { muted_until } else { 0 }
    }
}
