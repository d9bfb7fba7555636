//! Whether what devices are shown of their friends is the truth: nobody here who has no session, nobody away who has one.
//!
//! The truth is what this run does itself: a user is here while one of their SDKs is online, and away while all of their
//! applications are gone. In between, while an SDK connects, nobody knows, and nothing is judged. Unknown is never wrong.
//!
//! What is shown has to be the truth within [`TRUE_WITHIN`]: from when the truth became what it is, from when the device
//! that watches came online, and from the end of the last fault that shakes presence.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use whimbrel_client::{ConnectionState, PresenceState, UserId};
use whimbrel_core::limits::PRESENCE_EVERY;

use super::clients::{Handle, Order, World, goes_first};

/// A dead connector's users are away for all within 10 s, and so long presence may be wrong after Redis was lost; what changed
/// is told in the next round, and what a slow session had no room for in one of the next.
pub(super) const TRUE_WITHIN: Duration = Duration::from_secs(10).saturating_add(PRESENCE_EVERY.saturating_mul(2));
/// How often everybody is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Ghosts that are named; the others are counted.
const NAMED: usize = 50;

/// Since when no fault shakes presence, milliseconds of the run; `u64::MAX`: one does.
#[derive(Debug, Default)]
pub(super) struct Calm(AtomicU64);

impl Calm {
    /// A fault begins.
    pub(super) fn ends(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// It is over, at this time of the run.
    pub(super) fn begins(&self, now: Duration) {
        self.0.store(now.as_millis() as u64, Ordering::Relaxed);
    }

    fn since(&self) -> Option<Duration> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ms| *ms != u64::MAX).map(Duration::from_millis)
    }
}

/// One device at one moment.
#[derive(Debug, Clone)]
pub(super) struct Look {
    device: usize,
    user: UserId,
    /// Its application is there.
    is_there: bool,
    is_online: bool,
    /// What it is shown of its friends.
    shown: Vec<(UserId, PresenceState)>,
}

/// What is so of somebody, and since when of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Truth {
    /// `None`: nobody knows.
    here: Option<bool>,
    since: Duration,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    users: HashMap<UserId, Truth>,
    /// Since when each device is online, while it is.
    online: HashMap<usize, Duration>,
    /// What was noted of a device and a friend, until it is right again.
    noted: HashSet<(usize, UserId)>,
    /// What was shown for so long that it had to be true, and was.
    pub(super) compared: u64,
    pub(super) count: usize,
    /// The first of them, in words.
    pub(super) named: Vec<String>,
}

impl Ghosts {
    /// Everybody at one moment of the run. `calm`: since when no fault shakes presence, if none does.
    pub(super) fn look(&mut self, looks: &[Look], now: Duration, calm: Option<Duration>) {
        let mut all: HashMap<UserId, (bool, bool)> = HashMap::new();
        for look in looks {
            let (online, there) = all.entry(look.user).or_default();
            *online |= look.is_online;
            *there |= look.is_there;
            if look.is_online {
                self.online.entry(look.device).or_insert(now);
            } else {
                self.online.remove(&look.device);
            }
        }
        for (user, (online, there)) in all {
            let here = if online { Some(true) } else { (!there).then_some(false) };
            let truth = self.users.entry(user).or_insert(Truth { here, since: now });
            if truth.here != here {
                *truth = Truth { here, since: now };
            }
        }
        let Some(calm) = calm else { return };
        for look in looks {
            let Some(online) = self.online.get(&look.device).copied() else { continue };
            for (friend, state) in &look.shown {
                let Some(Truth { here: Some(here), since }) = self.users.get(friend).copied() else { continue };
                let wrong = if here { PresenceState::Offline } else { PresenceState::Online };
                let owed_since = since.max(online).max(calm);
                if *state != wrong {
                    self.noted.remove(&(look.device, *friend));
                }
                if now.saturating_sub(owed_since) <= TRUE_WITHIN {
                    continue;
                }
                if *state != wrong {
                    self.compared += 1;
                } else if self.noted.insert((look.device, *friend)) {
                    self.note(look, *friend, *state, now.saturating_sub(owed_since));
                }
            }
        }
    }

    fn note(&mut self, look: &Look, friend: UserId, state: PresenceState, wrong_for: Duration) {
        self.count += 1;
        if self.named.len() < NAMED {
            let Look { device, user, .. } = look;
            let state = state.name();
            self.named.push(format!(
                "device {device} of user {user} is shown user {friend} as {state}, which has not been so for {wrong_for:.1?}"
            ));
        }
    }
}

/// What a device is shown now of these.
pub(super) fn look(handle: &Handle) -> Look {
    let (device, user, friends) = {
        let book = handle.book();
        (book.index, book.user, handle.friends().to_vec())
    };
    let client = handle.client();
    let is_online = client.as_ref().is_some_and(|client| client.state() == ConnectionState::Online);
    let shown = client.as_ref().filter(|_| is_online).map_or_else(Vec::new, |client| {
        friends.into_iter().map(|friend| (friend, client.presence(friend).state)).collect()
    });
    Look { device, user, is_there: client.is_some(), is_online, shown }
}

/// Devices that are shown a friend otherwise than they are now, or as unknown; and those that are not as they should be: all
/// are there, but for those of who went first, if some went.
pub(super) fn not_true(handles: &[Arc<Handle>], some_went: bool) -> Vec<String> {
    let looks: Vec<Look> = handles.iter().map(|handle| look(handle)).collect();
    let mut wrong = Vec::new();
    let mut here: HashMap<UserId, bool> = HashMap::new();
    for look in &looks {
        *here.entry(look.user).or_default() |= look.is_online;
        let should_be_there = !(some_went && goes_first(look.user));
        if (look.is_there, look.is_online) != (should_be_there, should_be_there) {
            let not = if should_be_there { "not" } else { "still" };
            wrong.push(format!("device {} is {not} online", look.device));
        }
    }
    for look in &looks {
        for (friend, state) in &look.shown {
            let is_here = here.get(friend).copied().unwrap_or_default();
            let right = if is_here { PresenceState::Online } else { PresenceState::Offline };
            if *state != right {
                let [state, right] = [*state, right].map(PresenceState::name);
                wrong.push(format!("device {} is shown user {friend} as {state} and not as {right}", look.device));
            }
        }
    }
    wrong
}

/// Looks until the run is over.
pub(super) async fn watch(world: Arc<World>, handles: Vec<Arc<Handle>>, ghosts: Arc<Mutex<Ghosts>>) {
    let order = world.order.clone();
    while *order.borrow() != Order::Finish {
        let looks: Vec<Look> = handles.iter().map(|handle| look(handle)).collect();
        let now = world.began.elapsed();
        // What was looked at while a fault began is older than that.
        let calm = world.calm.since();
        ghosts.lock().expect("nobody panics while looking").look(&looks, now, calm);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use PresenceState::{Offline, Online, Unknown};

    use super::*;

    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    /// Ann's one device watches Bob, who has two.
    fn looks(shown: PresenceState, bobs: [bool; 2]) -> Vec<Look> {
        let ann = Look { device: 0, user: ANN, is_there: true, is_online: true, shown: vec![(BOB, shown)] };
        let bob = |(device, is_there)| Look { device, user: BOB, is_there, is_online: is_there, shown: Vec::new() };
        std::iter::once(ann).chain([1, 2].into_iter().zip(bobs).map(bob)).collect()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// So it stays for a minute; how many ghosts that is.
    fn ghosts(looks: &[Look]) -> usize {
        let mut ghosts = Ghosts::default();
        for second in 0..60 {
            ghosts.look(looks, seconds(second), Some(Duration::ZERO));
            assert!(ghosts.count == 0 || seconds(second) > TRUE_WITHIN);
        }
        assert!(ghosts.count == ghosts.named.len() && (ghosts.count > 0) == (ghosts.compared == 0));
        ghosts.count
    }

    #[test]
    fn who_is_shown_otherwise_than_they_are_for_too_long_is_a_ghost_once() {
        assert_eq!(ghosts(&looks(Online, [false, false])), 1, "here without a session");
        assert_eq!(ghosts(&looks(Offline, [false, true])), 1, "away with one");
        for (shown, bobs) in [(Online, [true, false]), (Offline, [false, false]), (Unknown, [true, true])] {
            assert_eq!(ghosts(&looks(shown, bobs)), 0, "{shown:?} {bobs:?}");
        }
    }

    #[test]
    fn what_has_just_become_so_is_not_owed_yet() {
        let mut ghosts = Ghosts::default();
        let mut look = |looks: Vec<Look>, at: u64, calm: Option<u64>| {
            ghosts.look(&looks, seconds(at), calm.map(seconds));
            ghosts.count
        };
        let wrong = || looks(Online, [false, false]);
        assert_eq!(look(looks(Online, [true, false]), 0, Some(0)), 0);
        assert_eq!(look(wrong(), 30, Some(0)), 0, "they left this moment");
        assert_eq!(look(wrong(), 44, Some(0)), 0);
        assert_eq!(look(wrong(), 46, None), 0, "a fault is under way");
        assert_eq!(look(wrong(), 46, Some(40)), 0, "one was");
        let mut away = wrong();
        away[0].is_online = false;
        assert_eq!(look(away, 50, Some(40)), 0, "nobody looks");
        assert_eq!(look(wrong(), 60, Some(40)), 0, "the watching device came this moment");
        let mut connecting = wrong();
        connecting[1].is_there = true;
        assert_eq!(look(connecting, 70, Some(40)), 0, "perhaps they are here");
        assert_eq!(look(wrong(), 80, Some(40)), 0);
        assert_eq!(look(wrong(), 96, Some(40)), 1);
        assert_eq!(look(looks(Offline, [false, false]), 97, Some(40)), 1, "it is right again");
        assert_eq!(look(wrong(), 98, Some(40)), 2, "and wrong once more");
    }
}
