//! Rosters: who a group's rows are owed to. Exact for every row, also for those that were placed before the roster's
//! last change: who left is kept with the row of their leaving, so that what was said before it still reaches them.

use crate::{Seq, UserId};

/// From which row to which somebody is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The row with which they came: the first that is owed to them live.
    pub since: Seq,
    /// The row with which they went, the last that is owed to them; 0 while they are in it.
    pub until: Seq,
}

impl Span {
    /// Whether the row at this place is owed to them.
    pub fn covers(self, seq: Seq) -> bool {
        self.since <= seq && (self.until == Seq::ZERO || seq <= self.until)
    }
}

/// What one row changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RosterChange {
    /// The revision that it builds on.
    pub after: Seq,
    /// The row, and so the revision that there is with it.
    pub at: Seq,
    /// Who came with it (again, perhaps).
    pub joined: Vec<UserId>,
    /// Who went with it.
    pub left: Vec<UserId>,
}

/// Who is in a group, and who was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    /// The last row that changed it.
    pub revision: Seq,
    /// By user, each once: the last time that they were in the group.
    members: Vec<(UserId, Span)>,
}

impl Roster {
    /// A roster of these, in any order; of a user who is named twice, the later span stands.
    pub fn new(revision: Seq, mut members: Vec<(UserId, Span)>) -> Self {
        members.sort_by_key(|(user, span)| (*user, std::cmp::Reverse(span.since)));
        members.dedup_by_key(|(user, _)| *user);
        Self { revision, members }
    }

    /// Everybody with their spans, by user.
    pub fn spans(&self) -> &[(UserId, Span)] {
        &self.members
    }

    /// When this user is or was in the group.
    pub fn span(&self, user: UserId) -> Option<Span> {
        let at = self.members.binary_search_by_key(&user, |(user, _)| *user).ok()?;
        Some(self.members[at].1)
    }

    /// Those to whom the row at this place is owed, by user.
    pub fn audience(&self, seq: Seq) -> impl Iterator<Item = UserId> {
        self.members.iter().filter(move |(_, span)| span.covers(seq)).map(|(user, _)| *user)
    }

    /// Whether the row at this place is owed to this user.
    pub fn owes(&self, user: UserId, seq: Seq) -> bool {
        self.span(user).is_some_and(|span| span.covers(seq))
    }

    /// What it costs to remember it, in members (never 0).
    pub fn weight(&self) -> u64 {
        1 + self.members.len() as u64
    }

    /// Becomes what it is with this change; false, and nothing changes, if the change builds on another revision. One
    /// that it has already is harmless.
    pub fn apply(&mut self, change: &RosterChange) -> bool {
        if change.at <= self.revision {
            return true;
        }
        if change.after != self.revision {
            return false;
        }
        self.revision = change.at;
        for user in &change.left {
            if let Ok(at) = self.members.binary_search_by_key(user, |(user, _)| *user) {
                self.members[at].1.until = change.at;
            }
        }
        let span = Span { since: change.at, until: Seq::ZERO };
        if change.joined.len() < 8 {
            for user in &change.joined {
                match self.members.binary_search_by_key(user, |(user, _)| *user) {
                    Ok(at) => self.members[at].1 = span,
                    Err(at) => self.members.insert(at, (*user, span)),
                }
            }
        } else {
            let mut members = std::mem::take(&mut self.members);
            members.extend(change.joined.iter().map(|user| (*user, span)));
            self.members = Self::new(self.revision, members).members;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    fn change(after: u64, at: u64, joined: &[UserId], left: &[UserId]) -> RosterChange {
        RosterChange { after: Seq(after), at: Seq(at), joined: joined.to_vec(), left: left.to_vec() }
    }

    fn at(roster: &Roster, seq: u64) -> Vec<UserId> {
        roster.audience(Seq(seq)).collect()
    }

    #[test]
    fn what_was_said_before_a_removal_and_the_removal_itself_are_owed_to_who_is_removed_and_nothing_after_it() {
        let mut roster = Roster::default();
        assert!(roster.apply(&change(0, 1, &[ANN], &[])));
        assert!(roster.apply(&change(1, 4, &[BOB], &[])));
        assert!(roster.apply(&change(4, 9, &[], &[BOB])));
        assert_eq!([at(&roster, 3), at(&roster, 4), at(&roster, 9)], [vec![ANN], vec![ANN, BOB], vec![ANN, BOB]]);
        assert_eq!(at(&roster, 10), [ANN]);
        assert!(roster.apply(&change(9, 12, &[BOB], &[])));
        assert_eq!([at(&roster, 11), at(&roster, 12)], [vec![ANN], vec![ANN, BOB]]);
    }

    #[test]
    fn a_change_that_builds_on_another_revision_is_not_taken_and_one_that_is_known_does_nothing() {
        let mut roster = Roster::new(Seq(5), vec![(ANN, Span { since: Seq(1), until: Seq::ZERO })]);
        let before = roster.clone();
        assert!(!roster.apply(&change(6, 8, &[BOB], &[])));
        assert!(roster.apply(&change(3, 5, &[BOB], &[ANN])));
        assert_eq!(roster, before);
    }

    #[test]
    fn many_at_once_come_as_one_by_one() {
        let crowd: Vec<UserId> = (1..=20).rev().map(UserId).collect();
        let mut all = Roster::new(Seq(1), vec![(BOB, Span { since: Seq(1), until: Seq(1) })]);
        let mut each = all.clone();
        assert!(all.apply(&change(1, 2, &crowd, &[])));
        for user in &crowd {
            each.revision = Seq(1);
            assert!(each.apply(&change(1, 2, &[*user], &[])));
        }
        assert_eq!(all, each);
    }
}
