//! The rosters that a transfer, or a connector, remembers: the same on both sides of [`To::Group`](crate::To).
//!
//! Bounded by what they hold together, in members; the one that was not used for longest goes first. What is remembered
//! is exact for every row up to its revision, so whoever asks names the revision that is needed: too old is as good as
//! nothing. A roster never goes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use whimbrel_core::{ConversationId, Roster, RosterChange, Seq};

/// Rosters by group.
pub struct Rosters {
    /// In members, together.
    most: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    kept: HashMap<ConversationId, Kept>,
    /// By when it was used last.
    used: BTreeMap<u64, ConversationId>,
    uses: u64,
    weight: u64,
}

struct Kept {
    roster: Arc<Roster>,
    used: u64,
}

impl Rosters {
    /// So many members together ([`Roster::weight`]).
    pub fn new(most: u64) -> Self {
        Self { most, inner: Mutex::default() }
    }

    /// The group's roster, if it is of this revision or a later one.
    pub fn get(&self, group: ConversationId, revision: Seq) -> Option<Arc<Roster>> {
        let mut inner = self.inner.lock();
        let roster = inner.kept.get(&group)?.roster.clone();
        if roster.revision < revision {
            return None;
        }
        inner.touch(group);
        Some(roster)
    }

    /// Remembers this one; gives the newest that is known.
    pub fn put(&self, group: ConversationId, roster: Arc<Roster>) -> Arc<Roster> {
        let mut inner = self.inner.lock();
        if let Some(kept) = inner.kept.get(&group)
            && kept.roster.revision >= roster.revision
        {
            let known = kept.roster.clone();
            inner.touch(group);
            return known;
        }
        inner.set(group, roster.clone(), self.most);
        roster
    }

    /// What a row changed. It is passed over for a group that is not remembered, or of which something was missed.
    pub fn apply(&self, group: ConversationId, change: &RosterChange) {
        let mut inner = self.inner.lock();
        let Some(kept) = inner.kept.get_mut(&group) else { return };
        let before = kept.roster.weight();
        if kept.roster.revision != change.after || !Arc::make_mut(&mut kept.roster).apply(change) {
            return;
        }
        let after = kept.roster.weight();
        inner.weight = inner.weight - before + after;
        inner.touch(group);
        inner.shrink(self.most);
    }

    /// Forgets everything: the database may have gone back.
    pub fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }

    /// What they hold together, in members.
    pub fn weight(&self) -> u64 {
        self.inner.lock().weight
    }
}

impl Inner {
    fn touch(&mut self, group: ConversationId) {
        self.uses += 1;
        if let Some(kept) = self.kept.get_mut(&group) {
            self.used.remove(&std::mem::replace(&mut kept.used, self.uses));
            self.used.insert(self.uses, group);
        }
    }

    fn set(&mut self, group: ConversationId, roster: Arc<Roster>, most: u64) {
        if roster.weight() > most {
            return;
        }
        self.weight += roster.weight();
        self.uses += 1;
        let kept = Kept { roster, used: self.uses };
        self.used.insert(self.uses, group);
        if let Some(before) = self.kept.insert(group, kept) {
            self.weight -= before.roster.weight();
            self.used.remove(&before.used);
        }
        self.shrink(most);
    }

    /// Until it is within its bound.
    fn shrink(&mut self, most: u64) {
        while self.weight > most
            && let Some((_, group)) = self.used.pop_first()
        {
            if let Some(kept) = self.kept.remove(&group) {
                self.weight -= kept.roster.weight();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{Span, UserId};

    use super::*;

    fn group(name: u8) -> ConversationId {
        ConversationId::from_bytes([name; 16])
    }

    fn roster(revision: u64, members: u64) -> Arc<Roster> {
        let span = Span { since: Seq(1), until: Seq::ZERO };
        Arc::new(Roster::new(Seq(revision), (1..=members).map(|user| (UserId(user), span)).collect()))
    }

    fn joined(after: u64, at: u64, user: u64) -> RosterChange {
        RosterChange { after: Seq(after), at: Seq(at), joined: vec![UserId(user)], left: Vec::new() }
    }

    #[test]
    fn the_one_that_was_not_used_for_longest_goes_first() {
        let rosters = Rosters::new(30);
        for name in 1..=3 {
            rosters.put(group(name), roster(1, 8));
        }
        assert_eq!(rosters.weight(), 27);
        assert!(rosters.get(group(1), Seq(1)).is_some());
        rosters.put(group(4), roster(1, 8));
        let kept = [1, 2, 3, 4].map(|name| rosters.get(group(name), Seq(1)).is_some());
        assert_eq!(kept, [true, false, true, true]);
        rosters.put(group(5), roster(1, 100));
        assert_eq!(rosters.weight(), 27, "what is beyond the bound alone is not kept");
    }

    #[test]
    fn a_roster_that_is_too_old_is_as_good_as_none_and_none_goes_back() {
        let rosters = Rosters::new(1000);
        rosters.put(group(1), roster(5, 2));
        assert!(rosters.get(group(1), Seq(6)).is_none());
        assert_eq!(rosters.put(group(1), roster(4, 9)).revision, Seq(5));
        rosters.apply(group(1), &joined(4, 6, 7));
        assert!(rosters.get(group(1), Seq(6)).is_none(), "something was missed");
        rosters.apply(group(1), &joined(5, 6, 7));
        let now = rosters.get(group(1), Seq(6)).expect("it followed");
        assert!(now.owes(UserId(7), Seq(6)) && rosters.weight() == 4);
        rosters.put(group(1), roster(9, 2));
        assert_eq!(rosters.weight(), 3);
    }

    #[test]
    fn a_group_that_grows_keeps_to_the_bound() {
        let rosters = Rosters::new(12);
        rosters.put(group(1), roster(1, 5));
        rosters.put(group(2), roster(1, 5));
        rosters.apply(group(2), &joined(1, 2, 77));
        assert_eq!((rosters.get(group(1), Seq(1)).is_some(), rosters.weight()), (false, 7));
    }
}
