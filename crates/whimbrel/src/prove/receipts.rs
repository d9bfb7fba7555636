//! Whether receipts tell the truth while everything happens: never more than has happened, in the end all of it.
//!
//! What a device stored is known here once its application was shown it, a moment later than the server may know it by
//! the device's own word. So a receipt that is ahead is given a moment ([`GRACE`]) to become true; one that is told of a
//! device that is away does not become true by then.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use whimbrel_client::{ConversationId, Cursors, Seq, UserId};

use super::verdict::{Faults, Kind};

/// From a receipt to the moment at which it has to be true as seen from here.
const GRACE: Duration = Duration::from_secs(3);

type Where = (UserId, ConversationId);

/// What is true, and what was told early.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    truth: HashMap<Where, Cursors>,
    /// Receipts that are ahead of what is known here: how far, since when.
    early: HashMap<Where, (Seq, Duration)>,
    /// What was told of users in groups. There, who comes begins with everything before as received and read; when that
    /// was is known in the end.
    in_groups: HashMap<Where, Cursors>,
    groups: HashSet<ConversationId>,
    faults: Vec<String>,
    /// Receipts that came.
    pub(super) count: u64,
}

impl Receipts {
    /// With these groups.
    pub(super) fn new(groups: impl Iterator<Item = ConversationId>) -> Self {
        Self { groups: groups.collect(), ..Self::default() }
    }

    /// A device of this user has everything up to here. `now`: since the start of the run.
    pub(super) fn stored(&mut self, user: UserId, conversation: ConversationId, upto: Seq, now: Duration) {
        let truth = self.truth.entry((user, conversation)).or_default();
        truth.delivered = truth.delivered.max(upto);
        if let Some((told, since)) = self.early.get(&(user, conversation))
            && *told <= truth.delivered
        {
            if now.saturating_sub(*since) > GRACE {
                self.faults.push(format!(
                    "DELIVERED up to {told} in {conversation} was told of user {user} {:?} before it was true",
                    now.saturating_sub(*since)
                ));
            }
            self.early.remove(&(user, conversation));
        }
    }

    /// This user is about to say that everything up to here is read.
    pub(super) fn reads(&mut self, user: UserId, conversation: ConversationId, upto: Seq) {
        let truth = self.truth.entry((user, conversation)).or_default();
        truth.read = truth.read.max(upto);
    }

    /// How far the user has read, by their own word.
    pub(super) fn read(&self, user: UserId, conversation: ConversationId) -> Seq {
        self.truth.get(&(user, conversation)).map_or(Seq::ZERO, |truth| truth.read)
    }

    /// Somebody was told of this user's cursors.
    pub(super) fn heard(&mut self, user: UserId, conversation: ConversationId, cursors: Cursors, now: Duration) {
        self.count += 1;
        if self.groups.contains(&conversation) {
            let told = self.in_groups.entry((user, conversation)).or_default();
            *told = told.max(cursors);
            return;
        }
        let truth = self.truth.get(&(user, conversation)).copied().unwrap_or_default();
        // An intention is written down before it is sent, so this one needs no grace.
        if cursors.read > truth.read {
            self.faults.push(format!(
                "READ up to {} in {conversation} was told of user {user}, who has read up to {}",
                cursors.read, truth.read
            ));
        }
        if cursors.delivered > truth.delivered {
            let (told, _) = self.early.entry((user, conversation)).or_insert((cursors.delivered, now));
            *told = (*told).max(cursors.delivered);
        }
    }

    /// Adds what was found, also what never became true. `came`: the row with which a user came to a group last.
    pub(super) fn judge(&self, came: impl Fn(UserId, ConversationId) -> Seq, faults: &mut Faults) {
        for ((user, group), told) in &self.in_groups {
            let truth = self.truth.get(&(*user, *group)).copied().unwrap_or_default();
            let start = Seq(came(*user, *group).0.saturating_sub(1));
            for (what, told, truth) in [("DELIVERED", told.delivered, truth.delivered), ("READ", told.read, truth.read)]
            {
                if told > truth.max(start) {
                    let what =
                        format!("{what} up to {told} in {group} was told of user {user}, who has got to {truth}");
                    faults.add(Kind::Wrong, what);
                }
            }
        }
        for fault in &self.faults {
            faults.add(Kind::Wrong, fault.clone());
        }
        for ((user, conversation), (told, _)) in &self.early {
            faults.add(
                Kind::Wrong,
                format!("DELIVERED up to {told} in {conversation} was told of user {user} and never was true"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserId = UserId(5);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn cursors(delivered: u64, read: u64) -> Cursors {
        Cursors { delivered: Seq(delivered), read: Seq(read) }
    }

    fn faults(receipts: &Receipts) -> usize {
        let mut faults = Faults::default();
        receipts.judge(|_, _| Seq(5), &mut faults);
        faults.all().len()
    }

    #[test]
    fn a_receipt_of_what_happened_is_true() {
        let (mut receipts, conversation) = (Receipts::default(), ConversationId::generate());
        receipts.stored(USER, conversation, Seq(4), at(1));
        receipts.reads(USER, conversation, Seq(2));
        receipts.heard(USER, conversation, cursors(4, 2), at(2));
        receipts.heard(USER, conversation, cursors(5, 2), at(2));
        receipts.stored(USER, conversation, Seq(5), at(3));
        assert_eq!((faults(&receipts), receipts.count), (0, 2));
    }

    /// Whoever came with row 5 has everything before it.
    #[test]
    fn in_a_group_who_comes_begins_with_what_was_said_before() {
        let group = ConversationId::generate();
        let told = |cursors| {
            let mut receipts = Receipts::new([group].into_iter());
            receipts.heard(USER, group, cursors, at(1));
            receipts.stored(USER, group, Seq(7), at(2));
            receipts.reads(USER, group, Seq(6));
            faults(&receipts)
        };
        assert_eq!((told(cursors(4, 4)), told(cursors(7, 6))), (0, 0));
        assert_eq!((told(cursors(8, 6)), told(cursors(7, 7))), (1, 1));
        let mut early = Receipts::new([group].into_iter());
        early.heard(USER, group, cursors(5, 5), at(1));
        assert_eq!(faults(&early), 2, "the row with which they came has to come");
    }

    #[test]
    fn a_receipt_ahead_of_the_truth_is_a_fault() {
        let conversation = ConversationId::generate();
        let mut never = Receipts::default();
        never.heard(USER, conversation, cursors(1, 0), at(1));
        assert_eq!(faults(&never), 1);
        let mut late = Receipts::default();
        late.heard(USER, conversation, cursors(1, 0), at(1));
        late.stored(USER, conversation, Seq(1), at(5));
        assert_eq!(faults(&late), 1);
        let mut unread = Receipts::default();
        unread.stored(USER, conversation, Seq(1), at(1));
        unread.heard(USER, conversation, cursors(1, 1), at(1));
        unread.reads(USER, conversation, Seq(1));
        assert_eq!(faults(&unread), 1);
    }
}
