//! Who is in a group, and as what.

use whimbrel_core::{Action, Role, UserId};

use super::super::words::What;
use super::super::{Actor, GroupError};
use super::requests::each_once;
use super::{Decided, Effect, Scene};

pub(super) fn leave(scene: &Scene<'_>) -> Decided {
    let me = scene.myself()?;
    scene.may(Action::Leave)?;
    let mut effect = Effect::on(scene.group);
    effect.dismiss(me.user);
    Ok(effect.telling(What::Left { heir: None }, vec![me.user]))
}

pub(super) fn add(scene: &Scene<'_>, users: &[UserId]) -> Decided {
    if scene.by != Actor::Operator {
        return Err(match scene.role() {
            Ok(_) => GroupError::Forbidden("members are asked, and not added: invite them"),
            Err(refusal) => refusal,
        });
    }
    let mut new = Vec::new();
    for user in each_once(users) {
        let person = scene.person(user).ok_or(GroupError::NoSuchUser)?;
        if person.role().is_none() {
            new.push(person);
        }
    }
    if new.is_empty() {
        return Err(GroupError::NotApplicable("they are in the group already"));
    }
    let mut effect = Effect::on(scene.group);
    effect.admit(&new)?;
    Ok(effect.telling(What::Added, new.iter().map(|person| person.user).collect()))
}

pub(super) fn remove(scene: &Scene<'_>, user: UserId) -> Decided {
    scene.role()?;
    let (_, target) = scene.member(user)?;
    if scene.by == Actor::User(user) {
        return Err(GroupError::NotApplicable("one leaves, and does not remove oneself"));
    }
    scene.may(Action::Remove { target })?;
    let mut effect = Effect::on(scene.group);
    effect.dismiss(user);
    Ok(effect.telling(What::Removed, vec![user]))
}

pub(super) fn set_role(scene: &Scene<'_>, user: UserId, role: Role) -> Decided {
    scene.may(Action::SetRole)?;
    let (_, stands) = scene.member(user)?;
    if role == Role::Owner || stands == Role::Owner {
        return Err(GroupError::NotApplicable("a group has one owner, who gives it to another"));
    }
    if role == stands {
        return Err(GroupError::NotApplicable("they have this role already"));
    }
    let mut effect = Effect::on(scene.group);
    effect.roles.push((user, role));
    effect.concerns.push(user);
    Ok(effect.telling(What::Role(role), vec![user]))
}

pub(super) fn transfer(scene: &Scene<'_>, to: UserId) -> Decided {
    scene.may(Action::Transfer)?;
    let (_, role) = scene.member(to)?;
    if role == Role::Owner {
        return Err(GroupError::NotApplicable("the group is theirs already"));
    }
    let before = scene.group.owner;
    let mut effect = Effect::on(scene.group);
    effect.group.owner = to;
    effect.roles = vec![(before, Role::Admin), (to, Role::Owner)];
    effect.concerns = vec![before, to];
    Ok(effect.telling(What::Owner, vec![to]))
}
