//! The sending half of a client: one batch under way, the next when all of it is answered.

use std::mem;

use anyhow::bail;
use whimbrel_core::{Draft, MessageId, MessageKind, Outcome, Seq};

use super::super::body::{self, Label, mix};
use super::pace::Pace;
use super::shared::Plan;

/// What decides when a message is due.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) enum Mode {
    /// As many as this as soon as the last batch is answered.
    Window(usize),
    /// At its time.
    Rate(Pace),
}

/// A message that is not answered.
#[derive(Debug, Clone, Copy)]
struct Open {
    message_id: MessageId,
    label: Label,
    answered: bool,
}

/// A message that was answered SENT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) struct Sent {
    /// Its place.
    pub(in crate::bench) seq: Seq,
    /// When it was due, microseconds of the clock.
    pub(in crate::bench) due_us: u64,
}

/// One client's sending.
#[derive(Debug)]
pub(in crate::bench) struct Sending {
    plan: Plan,
    mode: Mode,
    sender: u64,
    /// Most drafts of a batch.
    batch_max: usize,
    key_version: u32,
    next: u64,
    under_way: Vec<Open>,
    unanswered: usize,
    /// To be sent again, first of all.
    again: Vec<Open>,
    /// Not before this, microseconds of the clock.
    not_before_us: u64,
    /// Messages that were answered SENT.
    pub(in crate::bench) sent: u64,
    /// Answers that asked for the same again.
    pub(in crate::bench) retries: u64,
    /// Of (number, seq) of everything that was answered SENT; the receiver makes the same.
    pub(in crate::bench) check: u64,
}

/// Adds one message to a check that does not depend on the order.
pub(in crate::bench) fn add_to_check(check: &mut u64, number: u64, seq: Seq) {
    *check ^= mix(mix(number) ^ seq.0);
}

impl Sending {
    pub(in crate::bench) fn new(plan: Plan, mode: Mode, sender: u64, batch_max: usize, key_version: u32) -> Self {
        Self {
            plan,
            mode,
            sender,
            batch_max,
            key_version,
            next: 1,
            under_way: Vec::new(),
            unanswered: 0,
            again: Vec::new(),
            not_before_us: 0,
            sent: 0,
            retries: 0,
            check: 0,
        }
    }

    /// Whether it is this sender's.
    pub(in crate::bench) fn is_of(&self, sender: u64) -> bool {
        self.sender == sender
    }

    /// Whether nothing is under way and nothing will be.
    pub(in crate::bench) fn is_quiet(&self, now_us: u64) -> bool {
        let is_over = match &self.mode {
            Mode::Window(_) => now_us >= self.plan.until_us,
            Mode::Rate(pace) => pace.due_us(self.next) >= self.plan.until_us,
        };
        is_over && self.unanswered == 0 && self.again.is_empty()
    }

    /// When to ask again for a batch that waits for the server's hint, microseconds of the clock.
    pub(in crate::bench) fn waits_until_us(&self) -> Option<u64> {
        (self.unanswered == 0 && !self.again.is_empty()).then_some(self.not_before_us)
    }

    /// The next batch, if one may go out now.
    pub(in crate::bench) fn batch(&mut self, now_us: u64) -> Option<Vec<Draft>> {
        if self.unanswered > 0 || now_us < self.not_before_us {
            return None;
        }
        self.under_way = mem::take(&mut self.again);
        if self.under_way.is_empty() {
            self.take_due(now_us);
        }
        self.unanswered = self.under_way.len();
        let draft = |open: &Open| Draft {
            message_id: open.message_id,
            kind: MessageKind::TEXT,
            key_version: self.key_version,
            body: body::write(open.label, self.plan.seed, self.plan.bytes),
        };
        (!self.under_way.is_empty()).then(|| self.under_way.iter().map(draft).collect())
    }

    fn take_due(&mut self, now_us: u64) {
        let most = match self.mode {
            Mode::Window(window) => window.min(self.batch_max),
            Mode::Rate(_) => self.batch_max,
        };
        while self.under_way.len() < most {
            let due_us = match &self.mode {
                Mode::Window(_) => now_us,
                Mode::Rate(pace) => pace.due_us(self.next),
            };
            if due_us > now_us || due_us >= self.plan.until_us {
                return;
            }
            let label = Label { sender: self.sender, number: self.next, due_us };
            self.under_way.push(Open { message_id: MessageId::generate(), label, answered: false });
            self.next += 1;
        }
    }

    /// Takes an answer. `None`: the same is sent again.
    ///
    /// # Errors
    /// For an answer to nothing that is under way, and for anything but SENT and RETRY.
    pub(in crate::bench) fn answer(
        &mut self,
        id: MessageId,
        outcome: Outcome,
        now_us: u64,
    ) -> anyhow::Result<Option<Sent>> {
        let open = self.under_way.iter_mut().find(|open| open.message_id == id && !open.answered);
        let Some(open) = open else { bail!("An answer came for message {id}, which was not under way") };
        open.answered = true;
        self.unanswered -= 1;
        match outcome {
            Outcome::Sent { seq, .. } => {
                self.sent += 1;
                add_to_check(&mut self.check, open.label.number, seq);
                Ok(Some(Sent { seq, due_us: open.label.due_us }))
            }
            Outcome::Retry { after_ms } => {
                self.again.push(Open { answered: false, ..*open });
                self.not_before_us = self.not_before_us.max(now_us + u64::from(after_ms) * 1000);
                self.retries += 1;
                Ok(None)
            }
            Outcome::Refused(refusal) => bail!("Message {id} was refused: {refusal}"),
            Outcome::Conflict => bail!("Message {id} was answered CONFLICT"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { seed: 1, bytes: 32, from_us: 0, until_us: 1_000_000 };

    fn sent(seq: u64) -> Outcome {
        Outcome::Sent { seq: Seq(seq), at: 1 }
    }

    #[test]
    fn the_next_batch_waits_until_all_of_the_last_is_answered() {
        let mut sending = Sending::new(PLAN, Mode::Window(2), 7, 100, 1);
        let first = sending.batch(10).expect("two are due");
        assert_eq!(first.len(), 2);
        assert!(sending.batch(11).is_none());
        sending.answer(first[1].message_id, sent(2), 20).expect("it was under way");
        assert!(sending.batch(21).is_none());
        assert!(sending.answer(first[1].message_id, sent(2), 22).is_err(), "answered twice");
        sending.answer(first[0].message_id, sent(1), 23).expect("it was under way");
        assert_eq!(sending.batch(24).expect("two more").len(), 2);
        assert_eq!(sending.sent, 2);
    }

    #[test]
    fn a_retry_is_the_same_message_and_waits_for_the_hint() {
        let mut sending = Sending::new(PLAN, Mode::Window(2), 7, 100, 1);
        let first = sending.batch(10).expect("two are due");
        sending.answer(first[0].message_id, Outcome::Retry { after_ms: 1 }, 20).expect("it was under way");
        sending.answer(first[1].message_id, sent(1), 20).expect("it was under way");
        assert_eq!(sending.waits_until_us(), Some(1020));
        assert!(sending.batch(1019).is_none());
        assert_eq!(sending.batch(1020).expect("the same again"), [first[0].clone()]);
    }

    /// At 100 messages per second one is due every 10 ms: what gathers during a slow answer goes together, each with
    /// the time at which it was due, and nothing is due after the end.
    #[test]
    fn in_an_open_loop_what_gathered_goes_together_with_its_due_times() {
        let plan = Plan { until_us: 45_000, ..PLAN };
        let mut sending = Sending::new(plan, Mode::Rate(Pace::new(100, 1, 0)), 7, 100, 1);
        let first = sending.batch(0).expect("one is due at the start");
        assert_eq!(first.len(), 1);
        assert!(sending.batch(35_000).is_none());
        sending.answer(first[0].message_id, sent(1), 35_000).expect("it was under way");
        let gathered = sending.batch(35_000).expect("three gathered");
        let due: Vec<_> = gathered.iter().map(|d| body::read(&d.body, 1, 32).expect("good").due_us).collect();
        assert_eq!(due, [10_000, 20_000, 30_000]);
        for (draft, seq) in gathered.iter().zip(2..) {
            sending.answer(draft.message_id, sent(seq), 36_000).expect("it was under way");
        }
        assert!(!sending.is_quiet(36_000), "one more is due at 40 ms");
        assert_eq!(sending.batch(90_000).expect("the last").len(), 1);
    }
}
