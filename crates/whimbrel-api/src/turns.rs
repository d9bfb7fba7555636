//! Turns: how many changes one user makes, and that they make them one after another.
//!
//! All changes of a deployment pass one writer, and some of them write a row per friend; so nobody gets more of it than
//! a rate, and nobody has more than one change under way. Owns the rates, in a table of fixed size, and the queues of
//! those whose change waits for the one before, which exist only while somebody is in them. A refused change costs
//! nothing, so that hammering does not extend the wait.
//!
//! What is not here: the administrator's changes, logging in and refreshing. The former are trusted, logging in is
//! bounded by what a password's hash costs.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use whimbrel_core::UserId;

use crate::auth::Caller;

/// What a user changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The profile: a row for every friend.
    Profile,
    /// A relation: a row or two for both.
    Relation,
    /// A group: a row for all, and one for each user whom it is about.
    Group {
        /// How many these are.
        users: usize,
    },
    /// How a conversation is shown, or oneself. Counted apart: a device that keeps a draft while somebody writes it uses up nothing
    /// that they need for anything else.
    Setting,
    /// A search, which changes nothing and reads much. Counted apart.
    Search,
    /// A file. No rate: the room that one's files take up is the price, and one after another they come anyway.
    File,
    /// Devices that are logged out. Counted for the device that asks: who has stolen one cannot use up what the owner
    /// needs in order to log it out.
    LogOut,
    /// What the password was given for. Its hash was the price; no rate keeps an owner from changing a password.
    Proven,
}

/// Changes, in units, that wait for nothing.
const FREE: u32 = 30;

/// Then one unit is there again after this.
const UNIT: Duration = Duration::from_secs(1);

/// Units of a profile's change: three are free, then there is one in ten seconds.
const PROFILE_UNITS: u32 = 10;

/// Users whom a group's change is about, for one unit more.
const GROUP_USERS_PER_UNIT: usize = 100;

/// Stands beside the user in the key of what is counted apart.
const SETTINGS: &str = "settings";
const SEARCHES: &str = "searches";

/// Entries that share a place in the table; the one that owes least makes room.
const WAYS: usize = 4;

#[derive(Clone, Copy)]
struct Slot {
    key: u64,
    /// By then everything that was taken is there again.
    paid_at: Instant,
}

/// Units by key, in bounded memory (the generic cell rate algorithm).
struct Rates {
    hasher: RandomState,
    sets: Mutex<Vec<[Option<Slot>; WAYS]>>,
}

impl Rates {
    fn new(capacity: usize) -> Self {
        let sets = vec![[None; WAYS]; capacity.div_ceil(WAYS).max(1)];
        Self { hasher: RandomState::new(), sets: Mutex::new(sets) }
    }

    /// Takes units, or says how long to wait for them.
    fn take(&self, key: impl Hash, units: u32, now: Instant) -> Result<(), Duration> {
        let key = self.hasher.hash_one(key);
        let mut sets = self.sets.lock();
        let count = sets.len() as u64;
        let set = &mut sets[(key % count) as usize];
        let place = match set.iter().position(|slot| slot.is_some_and(|slot| slot.key == key)) {
            Some(known) => &mut set[known],
            None => {
                let least = set.iter_mut().min_by_key(|slot| slot.map(|slot| slot.paid_at));
                let place = least.expect("a set has places");
                *place = None;
                place
            }
        };
        let owed = place.map_or(Duration::ZERO, |slot| slot.paid_at.saturating_duration_since(now));
        let owed = owed + UNIT * units;
        match owed.checked_sub(UNIT * FREE) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *place = Some(Slot { key, paid_at: now + owed });
                Ok(())
            }
        }
    }
}

/// A queue of one user's changes, and how many are in it.
#[derive(Default)]
struct Queue {
    lock: Arc<tokio::sync::Mutex<()>>,
    people: usize,
}

type Queues = Arc<Mutex<HashMap<UserId, Queue>>>;

/// A place in a user's queue; the last one to leave takes the queue away.
struct Place {
    queues: Queues,
    user: UserId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.queues.lock();
        let Some(queue) = queues.get_mut(&self.user) else { return };
        queue.people -= 1;
        if queue.people == 0 {
            queues.remove(&self.user);
        }
    }
}

/// As long as it is held, the user has no other change under way.
pub(crate) struct Turn {
    _lock: OwnedMutexGuard<()>,
    _place: Place,
}

/// The turns of all users.
pub(crate) struct Turns {
    rates: Rates,
    queues: Queues,
}

impl Turns {
    /// Remembers the rates of about `capacity` users.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { rates: Rates::new(capacity), queues: Queues::default() }
    }

    /// Counts a change, or says how long to wait before it may be asked for again.
    pub(crate) fn admit(&self, caller: &Caller, kind: Kind, now: Instant) -> Result<(), Duration> {
        match kind {
            Kind::Profile => self.rates.take(caller.user, PROFILE_UNITS, now),
            Kind::Relation => self.rates.take(caller.user, 1, now),
            Kind::Group { users } => {
                let more = u32::try_from(users / GROUP_USERS_PER_UNIT).unwrap_or(FREE);
                self.rates.take(caller.user, (1 + more).min(FREE), now)
            }
            Kind::Setting => self.rates.take((caller.user, SETTINGS), 1, now),
            Kind::Search => self.rates.take((caller.user, SEARCHES), 1, now),
            Kind::LogOut => self.rates.take((caller.user, caller.device), 1, now),
            Kind::File | Kind::Proven => Ok(()),
        }
    }

    /// Waits until the user's changes before this one are done.
    pub(crate) async fn wait(&self, user: UserId) -> Turn {
        let (lock, place) = {
            let mut queues = self.queues.lock();
            let queue = queues.entry(user).or_default();
            queue.people += 1;
            (queue.lock.clone(), Place { queues: self.queues.clone(), user })
        };
        Turn { _lock: lock.lock_owned().await, _place: place }
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::DeviceId;

    use super::*;

    fn caller(user: u64, device: u8) -> Caller {
        Caller { user: UserId(user), device: DeviceId::from_bytes([device; 16]) }
    }

    /// Makes changes until one has to wait; says how many were made and for how long the next one waits.
    fn use_up(turns: &Turns, who: &Caller, kind: Kind, now: Instant) -> (u32, Duration) {
        let mut made = 0;
        loop {
            match turns.admit(who, kind, now) {
                Ok(()) => made += 1,
                Err(wait) => return (made, wait),
            }
            assert!(made < 1000, "changes without end");
        }
    }

    #[test]
    fn after_the_free_changes_there_is_one_a_second_and_a_profile_in_ten() {
        let (turns, now) = (Turns::new(1000), Instant::now());
        let anna = caller(1, 1);
        assert_eq!(use_up(&turns, &anna, Kind::Relation, now), (FREE, UNIT));
        assert_eq!(use_up(&turns, &anna, Kind::Profile, now), (0, UNIT * PROFILE_UNITS), "one budget for both");
        assert_eq!(use_up(&turns, &anna, Kind::Relation, now + UNIT), (1, UNIT), "refusals cost nothing");
        assert_eq!(use_up(&turns, &anna, Kind::Relation, now + 4 * UNIT), (3, UNIT));
        assert_eq!(use_up(&turns, &anna, Kind::Relation, now + UNIT * 1000), (FREE, UNIT), "no more is saved up");
        let bert = caller(2, 1);
        assert_eq!(use_up(&turns, &bert, Kind::Profile, now), (3, UNIT * PROFILE_UNITS), "others do not wait");
    }

    #[test]
    fn another_device_uses_up_neither_log_outs_nor_what_the_password_was_given_for() {
        let (turns, now) = (Turns::new(1000), Instant::now());
        let (owner, thief) = (caller(1, 1), caller(1, 2));
        assert_eq!(use_up(&turns, &thief, Kind::Relation, now).0, FREE);
        assert_eq!(use_up(&turns, &thief, Kind::LogOut, now).0, FREE);
        assert!(turns.admit(&owner, Kind::Relation, now).is_err(), "more devices are not more changes");
        assert_eq!(turns.admit(&owner, Kind::LogOut, now), Ok(()));
        assert_eq!(turns.admit(&owner, Kind::Proven, now), Ok(()));
    }

    #[test]
    fn many_users_in_one_change_of_a_group_count_more_and_settings_count_apart() {
        let (turns, now) = (Turns::new(1000), Instant::now());
        let anna = caller(1, 1);
        assert_eq!(use_up(&turns, &anna, Kind::Group { users: 1000 }, now).0, 2);
        assert_eq!(use_up(&turns, &anna, Kind::Group { users: 1 }, now), (FREE - 22, UNIT));
        assert!(turns.admit(&anna, Kind::Relation, now).is_err(), "one budget with relations");
        assert_eq!(use_up(&turns, &anna, Kind::Setting, now), (FREE, UNIT));
    }

    #[test]
    fn the_table_never_grows_and_keeps_those_who_owe_most() {
        // Idea: one set of four; a flood of newcomers passes through while the insistent one stays.
        let (turns, now) = (Turns::new(4), Instant::now());
        let anna = caller(0, 1);
        use_up(&turns, &anna, Kind::Relation, now);
        for newcomer in 1..10_000 {
            assert_eq!(turns.admit(&caller(newcomer, 1), Kind::Relation, now), Ok(()));
        }
        assert!(turns.admit(&anna, Kind::Relation, now).is_err());
        assert_eq!(turns.rates.sets.lock().len(), 1);
    }

    #[tokio::test]
    async fn a_user_has_one_turn_at_a_time_and_nothing_is_left_behind() {
        // Idea: poll by hand; the second waits while the first is held, somebody else does not, and one who gives up
        // leaves the queue.
        let turns = Turns::new(4);
        let first = turns.wait(UserId(1)).await;
        let mut second = Box::pin(turns.wait(UserId(1)));
        let mut third = Box::pin(turns.wait(UserId(1)));
        assert!(futures_util::poll!(&mut second).is_pending() && futures_util::poll!(&mut third).is_pending());
        drop(turns.wait(UserId(2)).await);
        drop(third);
        assert_eq!(turns.queues.lock()[&UserId(1)].people, 2);
        drop(first);
        drop(second.await);
        assert!(turns.queues.lock().is_empty());
    }
}
