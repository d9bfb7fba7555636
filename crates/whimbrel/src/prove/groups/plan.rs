//! Which groups there are, and who comes and goes when.

use std::time::Duration;

use super::super::dice::Dice;

/// Small groups have so many members at the start.
const SMALL: (usize, usize) = (3, 12);
/// So many small groups at most.
const SMALL_MAX: usize = 6;
/// Users for each small group.
const USERS_PER_GROUP: usize = 4;
/// Users who are in a small group later or never, besides its first members.
const OUTSIDERS: usize = 2;
/// Members of the large group, most of them without a client.
pub(in crate::prove) const LARGE: usize = 500;
/// Mean pause between two deeds in a group.
const DEED_EVERY: Duration = Duration::from_secs(6);
/// Who went does not come back sooner.
const GONE_MIN: Duration = Duration::from_secs(3);
/// A mute is this long.
const MUTED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// Out of a hundred deeds: mutes. The others are comings and goings.
const MUTE_PERCENT: usize = 15;
/// Somebody who is outside comes in with a deed, out of a hundred, if anybody may.
const COME_PERCENT: usize = 55;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prove) enum What {
    /// Goes by themselves.
    Leave,
    /// Is sent away by the owner.
    Remove,
    /// Comes by themselves, into an open group.
    Join,
    /// Is invited by the owner, and comes.
    BeInvited,
    /// Is added by the administrator, without being asked.
    BeAdded,
    /// Is muted by the owner for so long.
    BeMuted(Duration),
}

/// One deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prove) struct Deed {
    pub(in crate::prove) at: Duration,
    /// To whom, or by whom: an index.
    pub(in crate::prove) user: usize,
    pub(in crate::prove) what: What,
}

/// A group, and what is done in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prove) struct GroupPlan {
    /// Users who are in it from the start: indices, the owner first. The owner stays.
    pub(in crate::prove) members: Vec<usize>,
    /// Others who may come: indices.
    pub(in crate::prove) outsiders: Vec<usize>,
    /// Members besides them, who have no client.
    pub(in crate::prove) silent: usize,
    /// Everybody may come in.
    pub(in crate::prove) open: bool,
    /// Who comes sees what was said before.
    pub(in crate::prove) history: bool,
    /// In order.
    pub(in crate::prove) deeds: Vec<Deed>,
}

/// Some small groups, and a large one in which everybody is.
pub(in crate::prove) fn plan(dice: &mut Dice, users: usize, duration: Duration) -> Vec<GroupPlan> {
    let small = if users < SMALL.0 { 0 } else { (users / USERS_PER_GROUP).clamp(1, SMALL_MAX) };
    let mut groups: Vec<_> = (0..small).map(|number| plan_small(dice, number, users)).collect();
    let members = shuffled(dice, users);
    let silent = LARGE.saturating_sub(users);
    groups.push(GroupPlan { members, outsiders: vec![], silent, open: true, history: false, deeds: vec![] });
    for group in &mut groups {
        group.deeds = plan_deeds(dice, group, duration);
    }
    groups
}

fn plan_small(dice: &mut Dice, number: usize, users: usize) -> GroupPlan {
    let most = SMALL.1.min(users);
    let size = SMALL.0 + dice.below(most - SMALL.0 + 1);
    let mut members = shuffled(dice, users);
    let mut outsiders = members.split_off(size);
    outsiders.truncate(OUTSIDERS);
    GroupPlan { members, outsiders, silent: 0, open: number.is_multiple_of(2), history: number % 3 == 1, deeds: vec![] }
}

fn shuffled(dice: &mut Dice, users: usize) -> Vec<usize> {
    let mut all: Vec<_> = (0..users).collect();
    for at in (1..users).rev() {
        all.swap(at, dice.below(at + 1));
    }
    all
}

/// Whoever is inside may go, and whoever is outside may come: each deed fits what those before it led to.
fn plan_deeds(dice: &mut Dice, group: &GroupPlan, duration: Duration) -> Vec<Deed> {
    let mut inside = group.members[1..].to_vec();
    let mut outside: Vec<_> = group.outsiders.iter().map(|user| (*user, Duration::ZERO)).collect();
    let (mut deeds, mut at) = (Vec::new(), Duration::ZERO);
    loop {
        at += dice.pause(DEED_EVERY);
        if at >= duration.mul_f64(0.97) {
            return deeds;
        }
        let come: Vec<_> = (0..outside.len()).filter(|index| outside[*index].1 + GONE_MIN <= at).collect();
        let (user, what) = if !come.is_empty() && dice.percent(COME_PERCENT) {
            let (user, _) = outside.swap_remove(come[dice.below(come.len())]);
            inside.push(user);
            let ways = [What::BeInvited, What::BeAdded, What::Join];
            (user, ways[dice.below(if group.open { 3 } else { 2 })])
        } else if !inside.is_empty() && dice.percent(MUTE_PERCENT) {
            (inside[dice.below(inside.len())], What::BeMuted(dice.between(MUTED.0, MUTED.1)))
        } else if inside.len() > 1 {
            let user = inside.swap_remove(dice.below(inside.len()));
            outside.push((user, at));
            (user, if dice.percent(50) { What::Leave } else { What::Remove })
        } else {
            continue;
        };
        deeds.push(Deed { at, user, what });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn every_deed_fits_what_those_before_it_led_to() {
        for seed in 0..200 {
            let users = 2 + seed as usize % 40;
            for group in plan(&mut Dice::new(seed, 5), users, 2 * MINUTE) {
                let mut inside: BTreeSet<_> = group.members.iter().copied().collect();
                assert_eq!(inside.len(), group.members.len(), "each once");
                assert!(group.deeds.is_sorted_by_key(|deed| deed.at));
                for Deed { user, what, at } in &group.deeds {
                    assert!(*user < users && *user != group.members[0] && *at < 2 * MINUTE);
                    let fits = match what {
                        What::Leave | What::Remove => inside.remove(user),
                        What::Join => group.open && inside.insert(*user),
                        What::BeInvited | What::BeAdded => inside.insert(*user),
                        What::BeMuted(_) => inside.contains(user),
                    };
                    assert!(fits, "{what:?} of {user}");
                }
            }
        }
    }

    #[test]
    fn a_usual_run_has_small_groups_and_a_large_one_and_everything_is_done_in_them() {
        let groups = plan(&mut Dice::new(1, 5), 24, 2 * MINUTE);
        let (large, small) = groups.split_last().expect("at least the large one");
        assert_eq!((large.members.len() + large.silent, large.members.len()), (LARGE, 24));
        assert!(small.len() >= 3 && small.iter().all(|group| (SMALL.0..=SMALL.1).contains(&group.members.len())));
        assert!(small.iter().any(|group| group.history) && small.iter().any(|group| !group.history));
        assert!(small.iter().any(|group| group.open) && small.iter().any(|group| !group.open));
        let done = |is: fn(&What) -> bool| groups.iter().flat_map(|group| &group.deeds).any(|deed| is(&deed.what));
        assert!(done(|what| *what == What::Leave) && done(|what| *what == What::Remove));
        assert!(done(|what| *what == What::Join) && done(|what| *what == What::BeInvited));
        assert!(done(|what| *what == What::BeAdded) && done(|what| matches!(what, What::BeMuted(_))));
    }
}
