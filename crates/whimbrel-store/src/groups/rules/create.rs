//! The beginning of a group, and what becomes of it when an account is deleted.

use whimbrel_core::limits::{GROUP_CHANGE_USERS_MAX, GROUPS_MAX};
use whimbrel_core::{ConversationId, Role, Seq, UserId};

use super::super::words::What;
use super::super::{Group, GroupError, NewGroup, RequestKind};
use super::requests::each_once;
use super::settle::check_limit;
use super::{Decided, Effect, Joiner, Person, Request};
use crate::keeping::Keep;

/// A new group. `people`: the owner and those whom they name, as far as they have accounts, ascending, with whether they
/// are friends of the owner, block them, and in how many groups they are.
///
/// Friends are in it from the start, others are invited; friends who are in as many groups as one may be in are invited,
/// too, and those who block the owner are passed over.
pub(crate) fn begin(id: ConversationId, new: NewGroup, people: &[Person], now: u64) -> Decided {
    check_limit(new.member_limit)?;
    let mut named = each_once(&new.members);
    named.retain(|user| *user != new.owner);
    if named.len() > GROUP_CHANGE_USERS_MAX {
        return Err(GroupError::NotApplicable("these are too many users at once"));
    }
    let find = |user: UserId| {
        let at = people.binary_search_by_key(&user, |person| person.user).map_err(|_| GroupError::NoSuchUser)?;
        Ok::<_, GroupError>(&people[at])
    };
    let owner = find(new.owner)?;
    if owner.groups >= GROUPS_MAX {
        return Err(GroupError::TooManyGroups);
    }
    let mut effect = Effect::on(&empty(id, &new, now));
    effect.group.size = 1;
    effect.joined.push(Joiner { user: new.owner, role: Role::Owner, returns: false });
    effect.concerns.push(new.owner);
    effect.new_key = true;
    let mut friends = Vec::new();
    for user in named {
        let person = find(user)?;
        if person.blocks {
            continue;
        }
        if person.friend && person.groups < GROUPS_MAX {
            friends.push(person);
        } else {
            let (kind, by) = (RequestKind::Invited, new.owner);
            effect.asked.push(Request { user, kind, by, message: String::new() });
            effect.concerns.push(user);
        }
    }
    effect.admit(&friends)?;
    let users = effect.joined.iter().map(|joiner| joiner.user).collect();
    Ok(effect.telling(What::Created, users))
}

fn empty(id: ConversationId, new: &NewGroup, now: u64) -> Group {
    Group {
        id,
        handle: new.handle.clone(),
        name: new.name.clone(),
        avatar: new.avatar.clone(),
        announcement: new.announcement.clone(),
        owner: new.owner,
        join: new.join,
        listed: new.listed,
        history_for_all: new.history_for_all,
        member_limit: new.member_limit,
        size: 0,
        muted_until: 0,
        revision: Seq::ZERO,
        key_version: 1,
        created_at: now,
        dissolved_at: None,
        keep: Keep::default(),
    }
}

/// What a deleted account leads to in a group that it was in: it leaves. If it owned the group, that goes to `heir` (the
/// oldest admin, else the oldest member), or ends with it. They need not be told: nobody is there any more.
pub(crate) fn bereft(group: &Group, user: UserId, heir: Option<UserId>, now: u64) -> Effect {
    let mut effect = Effect::on(group);
    effect.dismiss(user);
    effect.concerns.clear();
    if group.owner != user || group.dissolved_at.is_some() {
        return effect.telling(What::Left { heir: None }, vec![user]);
    }
    match heir {
        Some(heir) => {
            effect.group.owner = heir;
            effect.roles.push((heir, Role::Owner));
            effect.concerns.push(heir);
            effect.telling(What::Left { heir: Some(heir) }, vec![user])
        }
        None => {
            effect.dissolve(now);
            effect.telling(What::Dissolved, vec![user])
        }
    }
}
