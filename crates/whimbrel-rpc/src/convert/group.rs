//! Who is in groups, and what is for them.

use std::sync::Arc;

use whimbrel_core::{Roster, RosterChange, Seq, Signal, Span, UserId};

use super::{Malformed, Result, id, need, out, part, pb};
use crate::ToGroup;

fn numbers(users: &[UserId]) -> Vec<u64> {
    users.iter().map(|user| user.0).collect()
}

fn users(numbers: Vec<u64>) -> Vec<UserId> {
    numbers.into_iter().map(UserId).collect()
}

impl From<&RosterChange> for pb::RosterChange {
    fn from(change: &RosterChange) -> Self {
        Self { after: change.after.0, at: change.at.0, joined: numbers(&change.joined), left: numbers(&change.left) }
    }
}

impl From<pb::RosterChange> for RosterChange {
    fn from(change: pb::RosterChange) -> Self {
        Self { after: Seq(change.after), at: Seq(change.at), joined: users(change.joined), left: users(change.left) }
    }
}

/// A change that need not have come.
pub(super) fn change(came: Option<pb::RosterChange>) -> Option<Arc<RosterChange>> {
    came.map(|change| Arc::new(change.into()))
}

impl From<&Roster> for pb::Roster {
    fn from(roster: &Roster) -> Self {
        let spans = roster.spans();
        let steps = spans.iter().scan(0, |before, (user, _)| Some(user.0 - std::mem::replace(before, user.0)));
        Self {
            revision: roster.revision.0,
            user_steps: steps.collect(),
            since: spans.iter().map(|(_, span)| span.since.0).collect(),
            until: spans.iter().map(|(_, span)| span.until.0).collect(),
        }
    }
}

impl TryFrom<pb::Roster> for Roster {
    type Error = Malformed;
    fn try_from(roster: pb::Roster) -> Result<Self> {
        let pb::Roster { revision, user_steps, since, until } = roster;
        if user_steps.len() != since.len() || user_steps.len() != until.len() {
            return Err(Malformed("Roster.since"));
        }
        let mut members = Vec::with_capacity(user_steps.len());
        let mut user = 0u64;
        for ((step, since), until) in user_steps.into_iter().zip(since).zip(until) {
            let next = user.checked_add(step).filter(|next| *next > user || members.is_empty());
            user = part("Roster.user_steps", next)?;
            members.push((UserId(user), Span { since: Seq(since), until: Seq(until) }));
        }
        Ok(Roster::new(Seq(revision), members))
    }
}

impl From<&ToGroup> for pb::ToGroup {
    fn from(to: &ToGroup) -> Self {
        Self {
            group: Some(out(to.group)),
            seq: to.seq.0,
            revision: to.revision.0,
            except: to.except.iter().copied().map(out).collect(),
            change: to.change.as_deref().map(Into::into),
            roster: to.roster.as_deref().map(Into::into),
        }
    }
}

impl TryFrom<pb::ToGroup> for ToGroup {
    type Error = Malformed;
    fn try_from(to: pb::ToGroup) -> Result<Self> {
        Ok(Self {
            group: need("ToGroup.group", to.group)?,
            seq: Seq(to.seq),
            revision: Seq(to.revision),
            except: to.except.into_iter().map(id).collect(),
            change: change(to.change),
            roster: to.roster.map(|roster| roster.try_into().map(Arc::new)).transpose()?,
        })
    }
}

impl From<&Signal> for pb::Signal {
    fn from(signal: &Signal) -> Self {
        Self {
            conversation: Some(out(signal.conversation)),
            user: signal.user.0,
            device: Some(out(signal.device)),
            body: signal.body.clone(),
        }
    }
}

impl TryFrom<pb::Signal> for Signal {
    type Error = Malformed;
    fn try_from(signal: pb::Signal) -> Result<Self> {
        Ok(Self {
            conversation: need("Signal.conversation", signal.conversation)?,
            user: UserId(signal.user),
            device: need("Signal.device", signal.device)?,
            body: signal.body,
        })
    }
}
