//! Delays: how long somebody waits after too many attempts.
//!
//! Owns a table of fixed size, so that no flood of names or addresses costs more than it. An attempt counts when it is
//! admitted and is taken back when it succeeds: many attempts at once cannot all slip in before the first one failed.
//! A refused attempt counts nothing, so that hammering does not extend the wait; there is no state in which somebody
//! waits for longer than [`DelayPolicy::longest`].

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// When attempts begin to wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayPolicy {
    /// Attempts without success that wait for nothing.
    pub free: u32,
    /// The wait after these; it doubles with each further attempt.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// After so long without an attempt everything is forgotten.
    pub forget: Duration,
}

impl DelayPolicy {
    fn wait(&self, attempts: u32) -> Duration {
        match attempts.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(beyond) => self.first.saturating_mul(1 << beyond.min(20)).min(self.longest),
        }
    }
}

#[derive(Clone, Copy)]
struct Slot {
    key: u64,
    attempts: u32,
    last: Instant,
}

/// Entries that share a place in the table; the least worth keeping makes room.
const WAYS: usize = 4;

/// Attempts by key, in bounded memory.
pub(crate) struct Delays {
    policy: DelayPolicy,
    hasher: RandomState,
    sets: Mutex<Vec<[Option<Slot>; WAYS]>>,
}

impl Delays {
    /// Remembers about `capacity` keys, never more.
    pub(crate) fn new(policy: DelayPolicy, capacity: usize) -> Self {
        let sets = vec![[None; WAYS]; capacity.div_ceil(WAYS).max(1)];
        Self { policy, hasher: RandomState::new(), sets: Mutex::new(sets) }
    }

    /// Counts an attempt, or says how long to wait.
    pub(crate) fn admit(&self, key: impl Hash, now: Instant) -> Result<(), Duration> {
        self.with(key, now, true, |slot| {
            let ready = slot.last + self.policy.wait(slot.attempts);
            if slot.attempts > 0 && now < ready {
                return Err(ready - now);
            }
            slot.attempts += 1;
            slot.last = now;
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// Takes one attempt back.
    pub(crate) fn forgive(&self, key: impl Hash, now: Instant) {
        self.with(key, now, false, |slot| slot.attempts = slot.attempts.saturating_sub(1));
    }

    /// Takes all attempts back, and remembers the key.
    pub(crate) fn clear(&self, key: impl Hash, now: Instant) {
        self.with(key, now, true, |slot| {
            slot.attempts = 0;
            slot.last = now;
        });
    }

    /// Whether the key is remembered.
    pub(crate) fn knows(&self, key: impl Hash, now: Instant) -> bool {
        self.with(key, now, false, |_| ()).is_some()
    }

    /// Runs `change` on the key's slot; makes one if asked to.
    fn with<R>(&self, key: impl Hash, now: Instant, make: bool, change: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        let key = self.hasher.hash_one(key);
        let fresh = |slot: &Slot| now.saturating_duration_since(slot.last) < self.policy.forget;
        let mut sets = self.sets.lock();
        let count = sets.len() as u64;
        let set = &mut sets[(key % count) as usize];
        if let Some(slot) = set.iter_mut().flatten().find(|slot| slot.key == key)
            && fresh(slot)
        {
            return Some(change(slot));
        }
        if !make {
            return None;
        }
        let worth = |slot: &Option<Slot>| match slot {
            Some(slot) if slot.key == key => (0, None),
            Some(slot) if fresh(slot) => (slot.attempts.saturating_add(1), Some(slot.last)),
            _ => (0, None),
        };
        let place = set.iter_mut().min_by_key(|slot| worth(slot))?;
        Some(change(place.insert(Slot { key, attempts: 0, last: now })))
    }
}

/// The part of an address that one customer of a network has: IPv6 hosts choose the lower half as they like.
fn customer(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let o = v6.octets();
            [o[0], o[1], o[2], o[3], o[4], o[5], o[6], o[7]]
        }
    }
}

/// The delays of the API.
pub(crate) struct Limits {
    accounts: Delays,
    addresses: Delays,
    /// Accounts at addresses from which they logged in before: an attacker elsewhere does not delay those.
    familiar: Delays,
    registrations: Delays,
}

/// An attempt under way; tell what became of it.
pub(crate) struct Attempt {
    handle: String,
    address: [u8; 8],
    familiar: bool,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Limits {
    pub(crate) fn new(config: &crate::Config) -> Self {
        let capacity = config.delays_remembered;
        Self {
            accounts: Delays::new(config.account_delay, capacity),
            addresses: Delays::new(config.address_delay, capacity),
            familiar: Delays::new(DelayPolicy { forget: DAY, ..config.account_delay }, capacity),
            registrations: Delays::new(config.registration_delay, capacity),
        }
    }

    /// Counts an attempt to prove who one is by password.
    pub(crate) fn attempt(&self, handle: &str, address: IpAddr, now: Instant) -> Result<Attempt, Duration> {
        let address = customer(address);
        self.addresses.admit(address, now)?;
        let familiar = self.familiar.knows((handle, address), now);
        let admitted = match familiar {
            true => self.familiar.admit((handle, address), now),
            false => self.accounts.admit(handle, now),
        };
        admitted.inspect_err(|_| self.addresses.forgive(address, now))?;
        Ok(Attempt { handle: handle.to_owned(), address, familiar })
    }

    /// The password was right. The address gets only this attempt back: with one account of one's own one could
    /// otherwise guess at others without end.
    pub(crate) fn succeeded(&self, attempt: Attempt, now: Instant) {
        self.addresses.forgive(attempt.address, now);
        self.accounts.clear(&*attempt.handle, now);
        self.familiar.clear((&*attempt.handle, attempt.address), now);
    }

    /// Nothing was tried after all.
    pub(crate) fn abandoned(&self, attempt: Attempt, now: Instant) {
        self.addresses.forgive(attempt.address, now);
        match attempt.familiar {
            true => self.familiar.forgive((&*attempt.handle, attempt.address), now),
            false => self.accounts.forgive(&*attempt.handle, now),
        }
    }

    /// Counts a registration from this address.
    pub(crate) fn registration(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.registrations.admit(customer(address), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> DelayPolicy {
        DelayPolicy { free: 2, first: SECOND, longest: 8 * SECOND, forget: 60 * SECOND }
    }

    #[test]
    fn the_delay_grows_to_its_limit_and_never_locks() {
        // Idea: always wait exactly as long as told; then every attempt is admitted, and the waits are the policy's.
        let delays = Delays::new(policy(), 16);
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..8 {
            let wait = delays.admit("anna", now).err().unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
            if !wait.is_zero() {
                assert_eq!(delays.admit("anna", now - Duration::from_millis(1)), Err(Duration::from_millis(1)));
                assert_eq!(delays.admit("anna", now), Ok(()));
            }
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 8, 8]);
        assert_eq!(delays.admit("bert", now), Ok(()), "others do not wait");
        assert_eq!(delays.admit("anna", now + 60 * SECOND), Ok(()));
        assert_eq!(delays.admit("anna", now + 60 * SECOND), Ok(()), "forgotten: two are free again");
    }

    #[test]
    fn hammering_does_not_extend_the_wait() {
        let delays = Delays::new(policy(), 16);
        let now = Instant::now();
        for _ in 0..1000 {
            let _ = delays.admit("anna", now);
        }
        assert_eq!(delays.admit("anna", now + SECOND), Ok(()));
    }

    #[test]
    fn the_table_never_grows_and_keeps_those_who_tried_most() {
        // Idea: one set of four; a flood of newcomers passes through while the insistent one stays.
        let delays = Delays::new(policy(), 4);
        let now = Instant::now();
        while delays.admit("anna", now).is_ok() {}
        for newcomer in 0..10_000_u32 {
            let _ = delays.admit(newcomer, now);
        }
        assert!(delays.admit("anna", now).is_err());
        assert_eq!(delays.sets.lock().len(), 1);
    }

    #[test]
    fn an_attacker_elsewhere_does_not_delay_a_familiar_address() {
        let config = crate::Config { account_delay: policy(), ..Default::default() };
        let limits = Limits::new(&config);
        let (home, away): (IpAddr, IpAddr) = ([1, 1, 1, 1].into(), [2, 2, 2, 2].into());
        let now = Instant::now();
        let attempt = limits.attempt("anna", home, now).unwrap_or_else(|wait| panic!("the first waits for {wait:?}"));
        limits.succeeded(attempt, now);
        while limits.attempt("anna", away, now).is_ok() {}
        assert!(limits.attempt("anna", home, now).is_ok());
    }

    #[test]
    fn ones_own_account_does_not_pay_for_guesses_at_others() {
        let config = crate::Config { address_delay: policy(), ..Default::default() };
        let limits = Limits::new(&config);
        let (here, now): (IpAddr, _) = ([1, 1, 1, 1].into(), Instant::now());
        let mut guesses = 0;
        while limits.attempt(&format!("victim{guesses}"), here, now).is_ok() {
            guesses += 1;
            if let Ok(own) = limits.attempt("mallory", here, now) {
                limits.succeeded(own, now);
            }
            assert!(guesses < 10, "guessing without end");
        }
    }
}
