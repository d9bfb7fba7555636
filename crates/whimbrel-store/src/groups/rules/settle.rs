//! What a group is called and how it works; who may speak; its end.

use whimbrel_core::limits::GROUP_MEMBERS_MAX;
use whimbrel_core::{Action, UserId};

use super::super::words::What;
use super::super::{GroupError, GroupSettings};
use super::{Decided, Effect, Scene};

pub(super) fn settle(scene: &Scene<'_>, settings: &GroupSettings) -> Decided {
    scene.may(Action::Settle)?;
    if settings.keep.is_some() {
        scene.may(Action::Keep)?;
    }
    let mut effect = Effect::on(scene.group);
    let mut changed = Vec::new();
    let mut set = |name, differs: bool| {
        if differs {
            changed.push(name);
        }
    };
    let group = &mut effect.group;
    set("handle", take(&mut group.handle, settings.handle.as_ref()));
    set("name", take(&mut group.name, settings.name.as_ref()));
    set("avatar", take(&mut group.avatar, settings.avatar.as_ref()));
    set("announcement", take(&mut group.announcement, settings.announcement.as_ref()));
    set("join", take(&mut group.join, settings.join.as_ref()));
    set("listed", take(&mut group.listed, settings.listed.as_ref()));
    set("history_for_all", take(&mut group.history_for_all, settings.history_for_all.as_ref()));
    set("member_limit", take(&mut group.member_limit, settings.member_limit.as_ref()));
    set("keep", take(&mut group.keep, settings.keep.as_ref()));
    check_limit(group.member_limit)?;
    if group.member_limit < group.size {
        return Err(GroupError::NotApplicable("there are more members than that"));
    }
    if changed.is_empty() {
        return Err(GroupError::NotApplicable("it is so already"));
    }
    Ok(effect.telling(What::Settings { changed }, Vec::new()))
}

pub(super) fn check_limit(limit: u32) -> Result<(), GroupError> {
    if (1..=GROUP_MEMBERS_MAX).contains(&limit) {
        Ok(())
    } else {
        Err(GroupError::NotApplicable("this is no limit that a group can have"))
    }
}

/// Whether it became something else.
fn take<T: Clone + PartialEq>(stands: &mut T, wanted: Option<&T>) -> bool {
    match wanted {
        Some(wanted) if wanted != stands => {
            stands.clone_from(wanted);
            true
        }
        _ => false,
    }
}

pub(super) fn mute(scene: &Scene<'_>, user: UserId, until: u64) -> Decided {
    scene.role()?;
    let (person, target) = scene.member(user)?;
    scene.may(Action::Mute { target })?;
    let until = scene.still(until);
    if until == scene.still(person.member.map_or(0, |member| member.muted_until)) {
        return Err(GroupError::NotApplicable(already(until)));
    }
    let mut effect = Effect::on(scene.group);
    effect.muted = Some((user, until));
    effect.concerns.push(user);
    Ok(effect.telling(What::Muted { until }, vec![user]))
}

pub(super) fn mute_all(scene: &Scene<'_>, until: u64) -> Decided {
    scene.may(Action::MuteAll)?;
    let until = scene.still(until);
    if until == scene.still(scene.group.muted_until) {
        return Err(GroupError::NotApplicable(already(until)));
    }
    let mut effect = Effect::on(scene.group);
    effect.group.muted_until = until;
    Ok(effect.telling(What::AllMuted { until }, Vec::new()))
}

fn already(until: u64) -> &'static str {
    if until == 0 { "nobody is muted here" } else { "they are muted until then already" }
}

pub(super) fn dissolve(scene: &Scene<'_>) -> Decided {
    scene.may(Action::Dissolve)?;
    let mut effect = Effect::on(scene.group);
    effect.dissolve(scene.now);
    Ok(effect.telling(What::Dissolved, Vec::new()))
}
