//! Whether what was told SENT is shown in time to those who are there: not at last, when the next message or a new
//! connection brings it along, but by itself.
//!
//! Times are since the start of the run. A wait counts from the SENT, or from when the device came online if that was
//! later.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use whimbrel_client::{ConversationId, Seq};

/// A device that is online is shown what was told SENT within this: routes that were lost are whole within 10 s, and the
/// rest is for a machine that is busy with all of this.
pub(super) const SHOWN_WITHIN: Duration = Duration::from_secs(20);

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
