//! Whether what was told SENT is shown in time to those who are there: not at last, when the next message or a new
//! connection brings it along, but by itself.
//!
//! And for which fault a sender waited how long.
//!
//! Times are since the start of the run. A wait counts from the SENT, or from when the device came online if that was
//! later.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use whimbrel_client::{ConversationId, GroupNews, Seq, UserId};

/// A device that is online is shown what was told SENT within this: routes that were lost are whole within 10 s, and the
/// rest is for a machine that is busy with all of this.
pub(super) const SHOWN_WITHIN: Duration = Duration::from_secs(20);

/// The slowest SENT of each fault, and of the time before the first.
#[derive(Debug, Default)]
pub(super) struct Slowest {
    /// When each fault began.
    faults: Vec<Duration>,
    /// One more: the first is that of the time before.
    slowest: Vec<Duration>,
}

impl Slowest {
    /// The next fault begins.
    pub(super) fn begin(&mut self, now: Duration) {
        self.faults.push(now);
    }

    /// A draft waited from then until now: that is the doing of the fault in whose time it waited the longest.
    pub(super) fn waited(&mut self, from: Duration, now: Duration) {
        let begins = |index: usize| if index == 0 { Duration::ZERO } else { self.faults[index - 1] };
        let ends = |index: usize| self.faults.get(index).copied().unwrap_or(now).min(now);
        let within = |index: &usize| ends(*index).saturating_sub(begins(*index).max(from));
        let Some(cause) = (0..=self.faults.len()).rev().max_by_key(within) else { return };
        self.slowest.resize(self.faults.len() + 1, Duration::ZERO);
        self.slowest[cause] = self.slowest[cause].max(now.saturating_sub(from));
    }

    /// The slowest of a fault, which counts from 0.
    pub(super) fn of(&self, fault: usize) -> Duration {
        self.slowest.get(fault + 1).copied().unwrap_or_default()
    }
}

/// The groups that a user is in, as far as one device was shown.
///
/// What was said before a user came is owed to nobody live, and after they went to nobody at all.
#[derive(Debug)]
pub(super) struct Presence {
    user: UserId,
    /// The row with which the user came and when that was placed; nothing while they are not in it.
    groups: HashMap<ConversationId, Option<(Seq, Duration)>>,
}

impl Presence {
    /// In none of these groups yet.
    pub(super) fn new(user: UserId, groups: impl Iterator<Item = ConversationId>) -> Self {
        Self { user, groups: groups.map(|group| (group, None)).collect() }
    }

    /// A row that tells of a group was shown; it was placed at this time of the run.
    pub(super) fn learn(&mut self, group: ConversationId, seq: Seq, row: &GroupNews, placed: Duration) {
        let Some(known) = self.groups.get_mut(&group).filter(|_| row.users.contains(&self.user)) else { return };
        match row.what.as_str() {
            "created" | "joined" | "added" => *known = Some((seq, placed)),
            "left" | "removed" => *known = None,
            _ => {}
        }
    }

    /// Whether this is a group.
    pub(super) fn knows(&self, conversation: ConversationId) -> bool {
        self.groups.contains_key(&conversation)
    }

    /// Since when this row of a group is owed live, if it is.
    pub(super) fn since(&self, group: ConversationId, seq: Seq) -> Option<Duration> {
        let (came, since) = (*self.groups.get(&group)?)?;
        (seq >= came).then_some(since)
    }

    /// The groups that the user is in, and since when.
    pub(super) fn now_in(&self) -> impl Iterator<Item = (ConversationId, Duration)> {
        self.groups.iter().filter_map(|(group, known)| Some((*group, (*known)?.1)))
    }
}

/// When what was told SENT.
#[derive(Debug, Default)]
pub(super) struct Punctual {
    told: HashMap<ConversationId, BTreeMap<Seq, Duration>>,
}

impl Punctual {
    /// A sender was told SENT.
    pub(super) fn told(&mut self, conversation: ConversationId, seq: Seq, now: Duration) {
        self.told.entry(conversation).or_default().entry(seq).or_insert(now);
    }

    /// How long a device that is online since then has waited for this message; nothing if nobody was told of it yet.
    pub(super) fn waited(
        &self,
        conversation: ConversationId,
        seq: Seq,
        online: Duration,
        now: Duration,
    ) -> Option<Duration> {
        let told = self.told.get(&conversation)?.get(&seq)?;
        Some(now.saturating_sub(online.max(*told)))
    }

    /// The message for which such a device, which was shown everything up to `end`, waits the longest.
    pub(super) fn awaited(
        &self,
        conversation: ConversationId,
        end: Seq,
        online: Duration,
        now: Duration,
    ) -> Option<(Seq, Duration)> {
        let rest = self.told.get(&conversation)?.range(end.next()..);
        rest.map(|(seq, told)| (*seq, now.saturating_sub(online.max(*told)))).max_by_key(|(_, waited)| *waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_the_doing_of_the_fault_in_which_it_was_the_longest() {
        let (mut slowest, s) = (Slowest::default(), Duration::from_secs);
        slowest.waited(s(1), s(3));
        slowest.begin(s(10));
        slowest.waited(s(9), s(14));
        slowest.waited(s(12), s(13));
        slowest.begin(s(20));
        slowest.waited(s(11), s(22));
        slowest.waited(s(19), s(23));
        assert_eq!((slowest.of(0), slowest.of(1), slowest.of(2)), (s(11), s(4), s(0)));
        slowest.begin(s(30));
        assert_eq!((slowest.of(1), slowest.of(2)), (s(4), s(0)));
    }

    #[test]
    fn what_was_said_while_one_was_not_in_a_group_is_owed_to_nobody() {
        let (group, s) = (ConversationId::generate(), Duration::from_secs);
        let mut presence = Presence::new(UserId(2), [group].into_iter());
        let row = |what: &str, user: u64| {
            GroupNews::read(format!(r#"{{"what":"{what}","by":1,"users":[{user}]}}"#).as_bytes()).expect("such a row")
        };
        assert!(presence.knows(group) && !presence.knows(ConversationId::generate()));
        assert_eq!(presence.since(group, Seq(4)), None);
        presence.learn(group, Seq(5), &row("joined", 2), s(7));
        assert_eq!((presence.since(group, Seq(4)), presence.since(group, Seq(5))), (None, Some(s(7))));
        presence.learn(group, Seq(6), &row("left", 3), s(8));
        assert_eq!(presence.now_in().collect::<Vec<_>>(), [(group, s(7))]);
        presence.learn(group, Seq(9), &row("removed", 2), s(9));
        assert_eq!((presence.since(group, Seq(10)), presence.now_in().count()), (None, 0));
    }

    #[test]
    fn a_wait_begins_when_it_was_told_or_the_device_came() {
        let (mut punctual, conversation) = (Punctual::default(), ConversationId::generate());
        let s = Duration::from_secs;
        punctual.told(conversation, Seq(4), s(10));
        punctual.told(conversation, Seq(4), s(99));
        punctual.told(conversation, Seq(5), s(12));
        assert_eq!(punctual.waited(conversation, Seq(4), s(3), s(30)), Some(s(20)));
        assert_eq!(punctual.waited(conversation, Seq(4), s(15), s(30)), Some(s(15)));
        assert_eq!(punctual.waited(conversation, Seq(6), s(3), s(30)), None);
        assert_eq!(punctual.awaited(conversation, Seq(3), s(3), s(30)), Some((Seq(4), s(20))));
        assert_eq!(punctual.awaited(conversation, Seq(4), s(3), s(30)), Some((Seq(5), s(18))));
        assert_eq!(punctual.awaited(conversation, Seq(5), s(3), s(30)), None);
        assert_eq!(punctual.awaited(ConversationId::generate(), Seq(0), s(3), s(30)), None);
    }
}
