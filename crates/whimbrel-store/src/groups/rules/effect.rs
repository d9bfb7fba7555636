//! What a change leads to.

use whimbrel_core::limits::GROUPS_MAX;
use whimbrel_core::{Role, UserId};

use super::super::words::{Told, What};
use super::super::{Group, GroupError, RequestKind};
use super::Person;

/// Somebody who becomes a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Joiner {
    pub(crate) user: UserId,
    pub(crate) role: Role,
    /// They were in it before: they keep what they saw then.
    pub(crate) returns: bool,
}

/// A request to write, over one that may be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) user: UserId,
    pub(crate) kind: RequestKind,
    /// Nobody (0) for the operator.
    pub(crate) by: UserId,
    pub(crate) message: String,
}

/// Everything that an engine writes for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The group as it becomes; only its revision is the engine's to say: the seq of the row, if there is one.
    pub(crate) group: Group,
    /// The row of the group, said by who acts; `None`: the group has no row of this.
    pub(crate) told: Option<Told>,
    /// They become members with that row. A mute that they had stands, and so do their counts of own messages.
    pub(crate) joined: Vec<Joiner>,
    /// They go with that row.
    pub(crate) left: Vec<UserId>,
    /// Members who become something else.
    pub(crate) roles: Vec<(UserId, Role)>,
    /// A member who is muted until then.
    pub(crate) muted: Option<(UserId, u64)>,
    /// Requests to write.
    pub(crate) asked: Vec<Request>,
    /// Those whose requests are gone.
    pub(crate) answered: Vec<UserId>,
    /// All requests of the group are gone, and those who waited are told.
    pub(crate) ends_requests: bool,
    /// The group gets a new key, of the version that `group` has.
    pub(crate) new_key: bool,
    /// Those who are told in their private conversations.
    pub(crate) concerns: Vec<UserId>,
    /// The owner and admins are told there, too, up to
    /// [`GROUP_ANSWERERS_TOLD`](whimbrel_core::limits::GROUP_ANSWERERS_TOLD) of them.
    pub(crate) tells_answerers: bool,
}

impl Effect {
    /// Nothing, so far.
    pub(super) fn on(group: &Group) -> Self {
        Self {
            group: group.clone(),
            told: None,
            joined: Vec::new(),
            left: Vec::new(),
            roles: Vec::new(),
            muted: None,
            asked: Vec::new(),
            answered: Vec::new(),
            ends_requests: false,
            new_key: false,
            concerns: Vec::new(),
            tells_answerers: false,
        }
    }

    /// With this row.
    pub(super) fn telling(mut self, what: What, users: Vec<UserId>) -> Self {
        self.told = Some(Told { what, users });
        self
    }

    /// These become members, if there is room for them.
    pub(super) fn admit(&mut self, people: &[&Person]) -> Result<(), GroupError> {
        for person in people {
            if person.groups >= GROUPS_MAX {
                return Err(GroupError::TooManyGroups);
            }
            self.joined.push(Joiner { user: person.user, role: Role::Member, returns: person.member.is_some() });
            self.concerns.push(person.user);
            if person.request.is_some() {
                self.answered.push(person.user);
            }
        }
        self.group.size = u32::try_from(self.group.size as usize + people.len()).unwrap_or(u32::MAX);
        if self.group.size > self.group.member_limit { Err(GroupError::Full) } else { Ok(()) }
    }

    /// A member goes: what is said afterwards is sealed with a key that they never get.
    pub(super) fn dismiss(&mut self, user: UserId) {
        self.left.push(user);
        self.concerns.push(user);
        self.group.size = self.group.size.saturating_sub(1);
        self.group.key_version += 1;
        self.new_key = true;
    }

    /// It ends.
    pub(super) fn dissolve(&mut self, now: u64) {
        self.group.dissolved_at = Some(now);
        self.group.handle = None;
        self.ends_requests = true;
    }
}
