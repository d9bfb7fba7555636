//! What a run will do, made from its seed before anything starts.
//!
//! Only the moments at which things are told to happen follow from the seed; what the machine makes of them does not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::dice::Dice;
use super::groups::plan::{self as groups, GroupPlan};
use super::trouble::{self, Planned, Trouble};

/// Kills are at least so far apart, if there is room.
const BETWEEN_KILLS: Duration = Duration::from_millis(2500);
/// The server is away for so long after a kill, at most.
const DOWN_MAX: Duration = Duration::from_millis(2500);
/// And at least, so that a clock can tell before from after.
const DOWN_MIN: Duration = Duration::from_millis(20);
/// How many clients keep their store in a file and can be away, out of a hundred.
const FILE_PERCENT: usize = 40;
/// How many clients are new devices that join in the middle, out of a hundred.
const LATE_PERCENT: usize = 10;

/// Rounds of faults that are planned for a cluster; one takes about two minutes.
const ROUNDS_MAX: usize = 1000;

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DevicePlan {
    /// Whose device: an index.
    pub(super) user: usize,
    /// Its store is a file.
    pub(super) file: bool,
    /// When it starts.
    pub(super) joins: Duration,
    /// When it is away: from, until; in order and apart. Only with a file: a device that forgets all is a new one.
    pub(super) away: Vec<(Duration, Duration)>,
}

/// A kill of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kill {
    /// When.
    pub(super) at: Duration,
    /// How long until it is started again.
    pub(super) down: Duration,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) users: usize,
    pub(super) devices: Vec<DevicePlan>,
    /// Friends: pairs of indices, each once.
    pub(super) pairs: Vec<(usize, usize)>,
    /// Those of the pairs that hardly ever write, though each of both writes to others.
    pub(super) quiet: BTreeSet<usize>,
    /// The large one is the last.
    pub(super) groups: Vec<GroupPlan>,
    /// In order.
    pub(super) kills: Vec<Kill>,
}

impl Plan {
    /// A run of `duration` with so many clients and kills.
    pub(super) fn new(seed: u64, duration: Duration, clients: usize, kills: usize) -> Self {
        let users = (clients * 3 / 5).max(2);
        let kills = plan_kills(&mut Dice::new(seed, 1), duration, kills);
        let mut dice = Dice::new(seed, 2);
        let devices = (0..clients).map(|index| plan_device(&mut dice, index, users, duration, &kills)).collect();
        let pairs = plan_pairs(&mut Dice::new(seed, 3), users);
        let groups = groups::plan(&mut Dice::new(seed, 5), users, duration);
        Self { users, devices, quiet: plan_quiet(&pairs), pairs, groups, kills }
    }

    /// What is done to a cluster: more than any run has time for.
    pub(super) fn troubles(&self, seed: u64, kinds: &[Trouble]) -> Vec<Planned> {
        trouble::plan(&mut Dice::new(seed, 4), kinds, ROUNDS_MAX)
    }

    /// How often a device goes away and comes back.
    pub(super) fn offline_spells(&self) -> usize {
        self.devices.iter().map(|device| device.away.len()).sum()
    }
}

/// Random moments; moved apart where they are too close.
fn plan_kills(dice: &mut Dice, duration: Duration, count: usize) -> Vec<Kill> {
    let apart = BETWEEN_KILLS.min(duration.mul_f64(0.8) / (count as u32 + 1));
    let mut moments: Vec<_> =
        (0..count).map(|_| dice.between(duration.mul_f64(0.05), duration.mul_f64(0.95))).collect();
    moments.sort();
    let mut earliest = Duration::ZERO;
    let mut kills: Vec<_> = moments
        .into_iter()
        .map(|moment| {
            let at = moment.max(earliest);
            earliest = at + apart;
            // A third comes back at once, as under a supervisor.
            let down = if dice.percent(33) { DOWN_MIN } else { dice.between(DOWN_MIN, DOWN_MAX.min(apart / 2)) };
            Kill { at, down }
        })
        .collect();
    // What was moved beyond the end is moved back, latest first.
    let mut latest = duration.mul_f64(0.97);
    for kill in kills.iter_mut().rev() {
        kill.at = kill.at.min(latest);
        latest = latest.saturating_sub(apart);
    }
    kills
}

fn plan_device(dice: &mut Dice, index: usize, users: usize, duration: Duration, kills: &[Kill]) -> DevicePlan {
    // Every user has one from the start; the others are second and third ones.
    let is_first = index < users;
    let user = if is_first { index } else { dice.below(users) };
    let is_late = !is_first && dice.percent(LATE_PERCENT * 2);
    let joins = if is_late { dice.between(duration.mul_f64(0.1), duration.mul_f64(0.8)) } else { Duration::ZERO };
    let file = dice.percent(FILE_PERCENT);
    let away = if file { plan_away(dice, joins, duration, kills) } else { Vec::new() };
    DevicePlan { user, file, joins, away }
}

/// One or two times away. Every other one ends in the middle of a kill, so that the device comes back to nobody.
fn plan_away(dice: &mut Dice, joins: Duration, duration: Duration, kills: &[Kill]) -> Vec<(Duration, Duration)> {
    let mut away = Vec::new();
    let mut free = joins + duration.mul_f64(0.05);
    for _ in 0..=dice.below(2) {
        let from = dice.between(free, duration.mul_f64(0.9));
        let mut until = from + dice.between(duration.mul_f64(0.02), duration.mul_f64(0.15));
        let next_kill = kills.iter().find(|kill| kill.at > from + Duration::from_millis(500));
        if let Some(kill) = next_kill.filter(|_| dice.percent(50)) {
            until = kill.at + kill.down / 2;
        }
        if from < free || until > duration {
            continue;
        }
        away.push((from, until));
        free = until + duration.mul_f64(0.05);
    }
    away
}

/// A ring, so that everybody has a friend, and half as many chords.
fn plan_pairs(dice: &mut Dice, users: usize) -> Vec<(usize, usize)> {
    let mut pairs = BTreeSet::new();
    for user in 0..users {
        let other = (user + 1) % users;
        pairs.insert((user.min(other), user.max(other)));
    }
    for _ in 0..users / 2 {
        let (a, b) = (dice.below(users), dice.below(users));
        if a != b {
            pairs.insert((a.min(b), a.max(b)));
        }
    }
    pairs.into_iter().collect()
}

/// As many as leave everybody somebody to write to.
fn plan_quiet(pairs: &[(usize, usize)]) -> BTreeSet<usize> {
    let mut loud = BTreeMap::<usize, usize>::new();
    for user in pairs.iter().flat_map(|(a, b)| [a, b]) {
        *loud.entry(*user).or_default() += 1;
    }
    let mut quiet = BTreeSet::new();
    for (pair, (a, b)) in pairs.iter().enumerate() {
        if loud[a] > 1 && loud[b] > 1 {
            quiet.insert(pair);
            for user in [a, b] {
                *loud.entry(*user).or_default() -= 1;
            }
        }
    }
    quiet
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_seed_is_a_plan() {
        assert_eq!(Plan::new(7, MINUTE, 40, 8), Plan::new(7, MINUTE, 40, 8));
        assert_ne!(Plan::new(7, MINUTE, 40, 8), Plan::new(8, MINUTE, 40, 8));
    }

    #[test]
    fn plans_stay_within_their_time_and_their_order() {
        for seed in 0..200 {
            let kills = (seed % 20) as usize;
            let plan = Plan::new(seed, MINUTE, 2 + seed as usize, kills);
            assert_eq!((plan.kills.len(), plan.devices.len()), (kills, 2 + seed as usize));
            assert!(plan.kills.is_sorted_by(|a, b| a.at + a.down < b.at), "{:?}", plan.kills);
            assert!(plan.kills.iter().all(|kill| kill.at < MINUTE));
            assert!((0..plan.users).all(|user| plan.devices.iter().any(|device| device.user == user)));
            assert!(plan.pairs.iter().all(|(a, b)| a < b && *b < plan.users));
            for user in 0..plan.users {
                let mut own = plan.pairs.iter().enumerate().filter(|(_, (a, b))| [*a, *b].contains(&user));
                assert!(own.any(|(pair, _)| !plan.quiet.contains(&pair)), "user {user} has nobody to write to");
            }
            assert!(plan.users < 3 || !plan.quiet.is_empty());
            for device in &plan.devices {
                assert!(device.file || device.away.is_empty());
                assert!(
                    device.away.iter().all(|(from, until)| device.joins < *from && from < until && *until <= MINUTE)
                );
                assert!(device.away.is_sorted_by(|a, b| a.1 < b.0), "{:?}", device.away);
            }
        }
    }

    /// A usual plan has to hold it all: shared users, both kinds of stores, times away, and some that
    /// end while the server is down.
    #[test]
    fn a_usual_plan_holds_every_kind_of_trouble() {
        let plan = Plan::new(1, 2 * MINUTE, 40, 8);
        assert!(plan.devices.len() > plan.users);
        assert!(plan.devices.iter().any(|device| device.file) && plan.devices.iter().any(|device| !device.file));
        assert!(plan.devices.iter().any(|device| device.joins > Duration::ZERO));
        assert!(plan.offline_spells() > 2);
        let mid_kill = |until: &Duration| plan.kills.iter().any(|k| k.at < *until && *until < k.at + k.down);
        assert!(plan.devices.iter().flat_map(|device| &device.away).any(|(_, until)| mid_kill(until)));
    }
}
