//! Whether what was told SENT is shown in time to those who are there: not at last, when the next message or a new
//! connection brings it along, but by itself.
//!
//! And for which fault a sender waited how long.
//!
//! Times are since the start of the run. A wait counts from the SENT, or from when the device came online if that was
//! later.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use whimbrel_client::{ConversationId, Seq};

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
