//! What the bots know of their messages, and whether it adds up. Pure; time is the caller's.
//!
//! A message is followed from its draft until it was told SENT *and* the application of each recipient (in the group: of
//! all other bots) showed it, at the same place; then it is forgotten and only counted, so the memory stays small however
//! long the demo runs. What a recipient shows must be the next seq of its conversation, each message once. What is about
//! an earlier message, such as an edit, is a message here.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use whimbrel_client::{ConversationId, Cursors, MessageId, Seq, UserId};

/// A message told SENT that its recipient has not shown for this long counts as lost (until it shows after all).
pub(super) const LOST_AFTER: Duration = Duration::from_secs(10);
/// When no message was answered SENT for this long, the server does not do its work.
const SILENT_AFTER: Duration = Duration::from_secs(30);

/// Figures to show.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(super) struct Figures {
    /// Drafts that bots put into their outboxes.
    pub(super) sent: u64,
    /// Answered SENT.
    pub(super) confirmed: u64,
    /// Receipts of the recipient's device; in the group: of a device of every other bot.
    pub(super) delivered: u64,
    /// Receipts of the recipient's eyes, as far as bots have any; in the group: of every other bot's.
    pub(super) read: u64,
    /// Told SENT and not shown by every recipient, for longer than [`LOST_AFTER`].
    pub(super) lost: u64,
    /// Shown twice, or placed twice.
    pub(super) doubled: u64,
    /// Shown out of turn, or behind a hole.
    pub(super) reordered: u64,
    /// Refused, which friends never are.
    pub(super) refused: u64,
    /// The longest that a message waited for its SENT, or waits for it now, since the last look.
    pub(super) slowest_ms: u64,
}

impl Figures {
    /// Whether every promise was kept.
    pub(super) fn is_clean(self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.reordered == 0 && self.refused == 0
    }
}

/// A message between its draft and its end.
#[derive(Debug, Default)]
struct Followed {
    /// Put into its outbox.
    drafted: Option<Duration>,
    /// Told SENT, at which place and when.
    confirmed: Option<(Seq, Duration)>,
    /// How many are to show it; known with the draft.
    audience: usize,
    /// How many have, and the place at which the first did.
    shown: (usize, Seq),
    /// They did at different places.
    torn: bool,
}

impl Followed {
    fn is_shown(&self) -> bool {
        self.drafted.is_some() && self.shown.0 >= self.audience
    }
}

/// A sender's messages in one conversation that wait for receipts, in seq order.
#[derive(Debug, Default)]
struct Awaiting {
    delivered: VecDeque<Seq>,
    read: VecDeque<Seq>,
    peer: Cursors,
}

/// All bots' books.
#[derive(Debug, Default)]
pub(super) struct Counters {
    figures: Figures,
    followed: HashMap<MessageId, Followed>,
    awaiting: HashMap<(UserId, ConversationId), Awaiting>,
    /// The last seq that a bot's application showed in a conversation.
    shown: HashMap<(UserId, ConversationId), Seq>,
    /// Of those that were answered since the last look.
    slowest: Duration,
    /// When a message was told SENT last.
    answered: Option<Duration>,
}

impl Counters {
    /// A bot put a draft for so many other bots into its outbox.
    pub(super) fn drafted(&mut self, message: MessageId, audience: usize, now: Duration) {
        self.figures.sent += 1;
        let followed = self.followed.entry(message).or_default();
        (followed.drafted, followed.audience) = (Some(now), audience);
        self.settle(message);
    }

    /// A bot was told SENT.
    pub(super) fn confirmed(&mut self, bot: UserId, at: ConversationId, message: MessageId, seq: Seq, now: Duration) {
        let awaiting = self.awaiting.entry((bot, at)).or_default();
        let known = awaiting.peer;
        self.figures.confirmed += 1;
        if known.delivered >= seq {
            self.figures.delivered += 1;
        } else {
            awaiting.delivered.push_back(seq);
        }
        if known.read >= seq {
            self.figures.read += 1;
        } else {
            awaiting.read.push_back(seq);
        }
        let followed = self.followed.entry(message).or_default();
        followed.confirmed = Some((seq, now));
        self.slowest = self.slowest.max(now.saturating_sub(followed.drafted.unwrap_or(now)));
        self.answered = Some(now);
        self.settle(message);
    }

    /// A bot was told that a message to another bot was not placed.
    pub(super) fn refused(&mut self, message: MessageId) {
        self.figures.refused += 1;
        self.followed.remove(&message);
    }

    /// What a bot wanted to send came to nothing, as it may.
    pub(super) fn withdrawn(&mut self, message: MessageId) {
        self.figures.sent = self.figures.sent.saturating_sub(1);
        self.followed.remove(&message);
    }

    /// A bot's application showed a row of a conversation: one of another bot's messages, or anything else that has a
    /// place there (`message` is then `None`).
    pub(super) fn shown(&mut self, bot: UserId, at: ConversationId, seq: Seq, message: Option<MessageId>) {
        let last = self.shown.entry((bot, at)).or_default();
        if seq <= *last {
            self.figures.doubled += 1;
            return;
        }
        // Bots begin with the first place of each conversation, since they are as old as the server.
        if seq != last.next() {
            self.figures.reordered += 1;
        }
        *last = seq;
        if let Some(message) = message {
            let followed = self.followed.entry(message).or_default();
            let (count, place) = followed.shown;
            followed.torn |= count > 0 && place != seq;
            followed.shown = (count + 1, seq);
            self.settle(message);
        }
    }

    /// Whether a message of a bot's in a conversation waits for a receipt.
    pub(super) fn is_awaiting(&self, bot: UserId, at: ConversationId) -> bool {
        self.awaiting.get(&(bot, at)).is_some_and(|it| !it.delivered.is_empty() || !it.read.is_empty())
    }

    /// A receipt of `bot`'s peer in a conversation; in the group: how far all other bots are.
    pub(super) fn receipt(&mut self, bot: UserId, at: ConversationId, cursors: Cursors) {
        let awaiting = self.awaiting.entry((bot, at)).or_default();
        awaiting.peer = awaiting.peer.max(cursors);
        let take = |queue: &mut VecDeque<Seq>, upto: Seq| {
            let count = queue.iter().take_while(|seq| **seq <= upto).count();
            queue.drain(..count).count() as u64
        };
        self.figures.delivered += take(&mut awaiting.delivered, awaiting.peer.delivered);
        self.figures.read += take(&mut awaiting.read, awaiting.peer.read);
    }

    /// The figures as of now.
    pub(super) fn figures(&self, now: Duration) -> Figures {
        let overdue = |followed: &&Followed| match followed {
            Followed { confirmed: Some((_, since)), .. } if !followed.is_shown() => {
                now.saturating_sub(*since) > LOST_AFTER
            }
            _ => false,
        };
        let waits = |followed: &Followed| match followed {
            Followed { drafted: Some(since), confirmed: None, .. } => now.saturating_sub(*since),
            _ => Duration::ZERO,
        };
        let slowest = self.followed.values().map(waits).fold(self.slowest, Duration::max);
        let lost = self.followed.values().filter(overdue).count() as u64;
        Figures { lost, slowest_ms: slowest.as_millis() as u64, ..self.figures }
    }

    /// The figures as of now; the slowest message is looked for anew from here.
    pub(super) fn look(&mut self, now: Duration) -> Figures {
        let figures = self.figures(now);
        self.slowest = Duration::ZERO;
        figures
    }

    /// Whether messages flow, and every promise was kept; otherwise what is wrong.
    pub(super) fn well(&self, now: Duration) -> Result<(), String> {
        let figures = self.figures(now);
        let Figures { lost, doubled, reordered, refused, .. } = figures;
        if !figures.is_clean() {
            return Err(format!("{lost} lost, {doubled} doubled, {reordered} reordered, {refused} refused"));
        }
        match self.answered.map(|at| now.saturating_sub(at)) {
            None => Err("no message was answered yet".to_owned()),
            Some(silent) if silent > SILENT_AFTER => Err(format!("no message was answered for {} s", silent.as_secs())),
            Some(_) => Ok(()),
        }
    }

    /// Messages that are still under way: not answered, or answered and not shown.
    pub(super) fn under_way(&self) -> usize {
        self.followed.len()
    }

    /// Messages that were told SENT and have no READ yet.
    pub(super) fn unread(&self) -> u64 {
        self.figures.confirmed.saturating_sub(self.figures.read)
    }

    /// Forgets a message that has come to its end, if its places agree.
    fn settle(&mut self, message: MessageId) {
        let ended = match self.followed.get(&message) {
            Some(followed @ Followed { confirmed: Some((told, _)), shown: (_, place), torn, .. })
                if followed.is_shown() =>
            {
                Some(told == place && !torn)
            }
            _ => None,
        };
        if let Some(agree) = ended {
            self.followed.remove(&message);
            // Told one place and shown at another: it stands twice.
            self.figures.doubled += u64::from(!agree);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: UserId = UserId(1);
    const B: UserId = UserId(2);
    const NOW: Duration = Duration::from_secs(100);

    fn chat() -> ConversationId {
        ConversationId::from_bytes([7; 16])
    }

    fn exchange(counters: &mut Counters, seqs: &[u64]) -> Vec<MessageId> {
        let ids: Vec<_> = seqs.iter().map(|_| MessageId::generate()).collect();
        for (id, seq) in ids.iter().zip(seqs) {
            counters.drafted(*id, 1, Duration::ZERO);
            counters.confirmed(A, chat(), *id, Seq(*seq), Duration::ZERO);
        }
        ids
    }

    #[test]
    fn a_clean_exchange_counts_every_step_and_remembers_nothing() {
        let mut counters = Counters::default();
        let ids = exchange(&mut counters, &[1, 2]);
        counters.shown(B, chat(), Seq(1), Some(ids[0]));
        counters.shown(B, chat(), Seq(2), Some(ids[1]));
        counters.receipt(A, chat(), Cursors { delivered: Seq(2), read: Seq(1) });
        let figures = counters.figures(NOW);
        assert_eq!((figures.sent, figures.confirmed, figures.delivered, figures.read), (2, 2, 2, 1));
        assert!(figures.is_clean());
        assert_eq!(counters.under_way(), 0);
    }

    #[test]
    fn a_lost_a_doubled_and_a_reordered_message_are_each_caught() {
        let mut counters = Counters::default();
        let ids = exchange(&mut counters, &[1, 2, 3]);
        counters.shown(B, chat(), Seq(1), Some(ids[0]));
        counters.shown(B, chat(), Seq(3), Some(ids[2]));
        counters.shown(B, chat(), Seq(3), Some(ids[2]));
        let figures = counters.figures(NOW);
        assert_eq!((figures.lost, figures.doubled, figures.reordered), (1, 1, 1));
        assert_eq!(counters.figures(Duration::from_secs(1)).lost, 0, "not yet");
    }

    #[test]
    fn a_message_that_is_shown_at_another_place_than_was_told_stands_twice() {
        let mut counters = Counters::default();
        let ids = exchange(&mut counters, &[1]);
        counters.shown(B, chat(), Seq(1), None);
        counters.shown(B, chat(), Seq(2), Some(ids[0]));
        let figures = counters.figures(NOW);
        assert_eq!((figures.lost, figures.doubled, figures.reordered), (0, 1, 0));
    }

    /// The recipient's application is often faster than the way back to the sender's, but never than the sender's
    /// outbox: whatever comes first, the message is settled once and forgotten.
    #[test]
    fn a_message_that_is_shown_before_it_is_told_sent_is_settled_all_the_same() {
        let mut counters = Counters::default();
        let id = MessageId::generate();
        counters.shown(B, chat(), Seq(1), Some(id));
        counters.drafted(id, 1, Duration::ZERO);
        assert_eq!(counters.under_way(), 1);
        counters.confirmed(A, chat(), id, Seq(1), Duration::ZERO);
        assert_eq!((counters.under_way(), counters.figures(NOW).is_clean()), (0, true));
    }

    /// In a group of four: it is lost as long as one has not shown it, and stands twice when one has it elsewhere.
    #[test]
    fn a_message_to_several_is_shown_when_all_of_them_show_it_at_one_place() {
        let others = [B, UserId(3), UserId(4)];
        for (last_place, doubled) in [(Seq(1), 0), (Seq(2), 1)] {
            let mut counters = Counters::default();
            let id = MessageId::generate();
            counters.shown(others[0], chat(), Seq(1), Some(id));
            counters.drafted(id, others.len(), Duration::ZERO);
            counters.confirmed(A, chat(), id, Seq(1), Duration::ZERO);
            counters.shown(others[1], chat(), Seq(1), Some(id));
            assert_eq!((counters.under_way(), counters.figures(NOW).lost), (1, 1));
            if last_place > Seq(1) {
                counters.shown(others[2], chat(), Seq(1), None);
            }
            counters.shown(others[2], chat(), last_place, Some(id));
            let figures = counters.figures(NOW);
            assert_eq!((counters.under_way(), figures.lost, figures.doubled), (0, 0, doubled));
        }
    }

    #[test]
    fn receipts_are_asked_for_as_long_as_one_is_missing() {
        let mut counters = Counters::default();
        assert!(!counters.is_awaiting(A, chat()));
        exchange(&mut counters, &[1, 2]);
        counters.receipt(A, chat(), Cursors { delivered: Seq(2), read: Seq(1) });
        assert!(counters.is_awaiting(A, chat()));
        counters.receipt(A, chat(), Cursors { delivered: Seq(2), read: Seq(2) });
        assert!(!counters.is_awaiting(A, chat()));
    }

    #[test]
    fn a_hole_before_the_first_message_is_a_hole() {
        let mut counters = Counters::default();
        counters.shown(B, chat(), Seq(2), None);
        assert_eq!(counters.figures(NOW).reordered, 1);
    }

    #[test]
    fn a_refusal_between_friends_is_no_clean_run() {
        let mut counters = Counters::default();
        let id = MessageId::generate();
        counters.drafted(id, 1, Duration::ZERO);
        counters.refused(id);
        assert_eq!((counters.under_way(), counters.figures(NOW).is_clean()), (0, false));
    }

    #[test]
    fn a_receipt_that_overtakes_the_answer_counts_once() {
        let mut counters = Counters::default();
        counters.receipt(A, chat(), Cursors { delivered: Seq(5), read: Seq(0) });
        exchange(&mut counters, &[5]);
        counters.receipt(A, chat(), Cursors { delivered: Seq(5), read: Seq(5) });
        assert_eq!((counters.figures(NOW).delivered, counters.figures(NOW).read), (1, 1));
    }
    #[test]
    fn the_slowest_is_the_one_that_waited_or_waits_longest_since_the_last_look() {
        let at = Duration::from_millis;
        let mut counters = Counters::default();
        let [answered, waits] = [MessageId::generate(), MessageId::generate()];
        counters.drafted(answered, 1, at(100));
        counters.confirmed(A, chat(), answered, Seq(1), at(170));
        assert_eq!(counters.look(at(200)).slowest_ms, 70);
        assert_eq!(counters.look(at(300)).slowest_ms, 0, "it was told");
        counters.drafted(waits, 1, at(300));
        assert_eq!(counters.look(at(5300)).slowest_ms, 5000, "before it is answered");
        counters.confirmed(A, chat(), waits, Seq(2), at(6300));
        assert_eq!(counters.look(at(7000)).slowest_ms, 6000);
    }

    #[test]
    fn all_is_well_while_messages_are_answered_and_none_is_wrong() {
        let mut counters = Counters::default();
        assert!(counters.well(NOW).is_err(), "nothing was answered yet");
        let ids = exchange(&mut counters, &[1]);
        counters.shown(B, chat(), Seq(1), Some(ids[0]));
        assert_eq!(counters.well(SILENT_AFTER), Ok(()));
        assert!(counters.well(SILENT_AFTER + Duration::from_secs(1)).is_err(), "silence");
        counters.shown(B, chat(), Seq(1), Some(ids[0]));
        assert!(counters.well(SILENT_AFTER).is_err(), "doubled");
    }
}
