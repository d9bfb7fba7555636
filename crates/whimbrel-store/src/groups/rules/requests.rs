//! Coming in: asking, inviting, and the answers.

use whimbrel_core::limits::GROUP_REQUESTS_MAX;
use whimbrel_core::{Action, UserId};

use super::super::words::What;
use super::super::{Actor, GroupError, JoinMode, RequestKind};
use super::{Decided, Effect, Person, Request, Scene};

pub(super) fn join(scene: &Scene<'_>, message: &str) -> Decided {
    let me = scene.myself()?;
    if me.role().is_some() {
        return Err(GroupError::NotApplicable("you are in this group already"));
    }
    let mut effect = Effect::on(scene.group);
    match (scene.group.join, me.asks()) {
        (JoinMode::Open, _) | (_, Some(RequestKind::Invited)) => {
            effect.admit(&[me])?;
            return Ok(effect.telling(What::Joined, vec![me.user]));
        }
        (JoinMode::Invitation, _) => {
            return Err(match scene.outside() {
                GroupError::Forbidden(_) => GroupError::Forbidden("this group is joined by invitation"),
                other => other,
            });
        }
        (JoinMode::Approval, Some(RequestKind::Asked)) => {
            return Err(GroupError::NotApplicable("you have asked already"));
        }
        (JoinMode::Approval, Some(RequestKind::Proposed)) => {}
        (JoinMode::Approval, None) => has_room(scene, 1)?,
    }
    let (user, message) = (me.user, message.to_owned());
    effect.asked.push(Request { user, kind: RequestKind::Asked, by: user, message });
    effect.concerns.push(user);
    effect.tells_answerers = true;
    Ok(effect)
}

fn has_room(scene: &Scene<'_>, more: u64) -> Result<(), GroupError> {
    if scene.waiting + more > GROUP_REQUESTS_MAX { Err(GroupError::TooManyRequests) } else { Ok(()) }
}

/// Who asked takes it back, or who is invited says no. Of a proposal the one whom it names knows nothing.
pub(super) fn decline(scene: &Scene<'_>) -> Decided {
    let me = scene.myself()?;
    let mut effect = Effect::on(scene.group);
    match me.request {
        Some(request) if request.kind != RequestKind::Proposed => {
            effect.answered.push(me.user);
            effect.concerns.push(me.user);
            if request.kind == RequestKind::Asked {
                effect.tells_answerers = true;
            } else {
                tell(&mut effect, request.by);
            }
            Ok(effect)
        }
        _ if me.role().is_none() && matches!(scene.outside(), GroupError::NoSuchGroup) => Err(GroupError::NoSuchGroup),
        _ => Err(GroupError::NotApplicable("there is no request to take back, and no invitation")),
    }
}

/// Nobody (the operator) has no conversation.
fn tell(effect: &mut Effect, user: UserId) {
    if user != UserId(0) && !effect.concerns.contains(&user) {
        effect.concerns.push(user);
    }
}

/// Passed over without a word: those who block the one who invites, so that a block is told to nobody.
pub(super) fn invite(scene: &Scene<'_>, users: &[UserId]) -> Decided {
    let role = scene.may(Action::Invite)?;
    let answers = role.may(Action::Answer);
    let kind =
        if answers || scene.group.join != JoinMode::Approval { RequestKind::Invited } else { RequestKind::Proposed };
    let by = match scene.by {
        Actor::User(user) => user,
        Actor::Operator => UserId(0),
    };
    let mut effect = Effect::on(scene.group);
    let (mut admitted, mut new, mut quiet) = (Vec::<&Person>::new(), 0, false);
    for user in each_once(users) {
        let person = scene.person(user).ok_or(GroupError::NoSuchUser)?;
        match person.asks() {
            _ if person.role().is_some() => continue,
            _ if person.blocks => {
                quiet = true;
                continue;
            }
            Some(RequestKind::Asked) if answers => {
                admitted.push(person);
                continue;
            }
            Some(RequestKind::Proposed) if kind == RequestKind::Invited => {}
            Some(_) => continue,
            None => new += 1,
        }
        effect.asked.push(Request { user, kind, by, message: String::new() });
        if kind == RequestKind::Invited {
            effect.concerns.push(user);
        } else {
            effect.tells_answerers = true;
        }
    }
    if effect.asked.is_empty() && admitted.is_empty() && !quiet {
        return Err(GroupError::NotApplicable("they are in the group already, or invited"));
    }
    if new > 0 {
        has_room(scene, new)?;
    }
    if admitted.is_empty() {
        return Ok(effect);
    }
    effect.admit(&admitted)?;
    Ok(effect.telling(What::Joined, admitted.iter().map(|person| person.user).collect()))
}

/// In ascending order.
pub(super) fn each_once(users: &[UserId]) -> Vec<UserId> {
    let mut users = users.to_vec();
    users.sort_unstable();
    users.dedup();
    users
}

pub(super) fn approve(scene: &Scene<'_>, user: UserId) -> Decided {
    scene.may(Action::Answer)?;
    let mut effect = Effect::on(scene.group);
    let waits = scene.person(user).and_then(|person| Some((person, person.request?)));
    match waits {
        Some((person, request)) if request.kind == RequestKind::Asked => {
            effect.admit(&[person])?;
            Ok(effect.telling(What::Joined, vec![user]))
        }
        Some((_, request)) if request.kind == RequestKind::Proposed => {
            effect.asked.push(Request { user, kind: RequestKind::Invited, by: request.by, message: String::new() });
            effect.concerns.push(user);
            Ok(effect)
        }
        _ => Err(GroupError::NotApplicable("there is no request to answer")),
    }
}

/// Owner and admins reject whatever waits; others take back what they themselves began.
pub(super) fn reject(scene: &Scene<'_>, user: UserId) -> Decided {
    let role = scene.role()?;
    let request = scene.person(user).and_then(|person| person.request);
    let own = request.is_some_and(|request| scene.by == Actor::User(request.by));
    if !own && !role.may(Action::Answer) {
        scene.may(Action::Answer)?;
    }
    let request = request.ok_or(GroupError::NotApplicable("there is no request to answer"))?;
    let mut effect = Effect::on(scene.group);
    effect.answered.push(user);
    // Of a proposal the one whom it names was never told.
    tell(&mut effect, if request.kind == RequestKind::Proposed { request.by } else { user });
    Ok(effect)
}
