//! The receiving half of a client: a device's run, and the truth about what came.
//!
//! A seq at or below the run's end is dropped, as the protocol says: that is no fault, a sync may repeat what came live.
//! A fault is a message that stands at two places, one that comes behind a later one of its sender, and one that never
//! comes. What is kept is the run's end and what is ahead of it, so a long run costs no memory.

use std::collections::BTreeSet;

use whimbrel_core::Seq;

use super::super::body::Label;
use super::super::places::Places;
use super::sending::add_to_check;

/// One client's receiving.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    places: Places,
    /// The sender's next message number.
    next: u64,
    /// Numbers that later ones overtook.
    overtaken: BTreeSet<u64>,
    /// Messages that came, each counted once.
    pub(super) received: u64,
    /// Messages at a second place.
    pub(super) doubled: u64,
    /// Messages behind a later one of their sender.
    pub(super) reordered: u64,
    /// Bodies that are not as they were sent, or not the other's.
    pub(super) corrupt: u64,
    /// As [`super::sending::Sending::check`].
    pub(super) check: u64,
}

impl Receiving {
    /// A run that ends at `cursor`, before the other's first message.
    pub(super) fn new(cursor: Seq) -> Self {
        Self { places: Places::new(cursor), next: 1, ..Self::default() }
    }

    /// The end of the run.
    pub(super) fn cursor(&self) -> Seq {
        self.places.cursor()
    }

    /// Whether something came that is beyond a hole.
    pub(super) fn has_hole(&self) -> bool {
        self.places.has_hole()
    }

    /// Messages of the other that came without a hole before them.
    pub(super) fn in_order(&self) -> u64 {
        match self.overtaken.first() {
            Some(number) => number - 1,
            None => self.next - 1,
        }
    }

    /// Messages that were sent (`sent` of them) and did not come.
    pub(super) fn lost(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.received)
    }

    /// Takes the place of an own message or of a row of the server; false if the run has it.
    pub(super) fn place(&mut self, seq: Seq) -> bool {
        self.places.take(seq)
    }

    /// Takes a message of `peer` at `seq`, whose body says `label` (`None`: nothing good). True if it is new.
    pub(super) fn message(&mut self, seq: Seq, label: Option<Label>, peer: u64) -> bool {
        if !self.place(seq) {
            return false;
        }
        let Some(label) = label.filter(|label| label.sender == peer && label.number > 0) else {
            self.corrupt += 1;
            return false;
        };
        if label.number >= self.next {
            self.overtaken.extend(self.next..label.number);
            self.next = label.number + 1;
        } else if self.overtaken.remove(&label.number) {
            self.reordered += 1;
        } else {
            self.doubled += 1;
            return false;
        }
        self.received += 1;
        add_to_check(&mut self.check, label.number, seq);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: u64 = 3;

    fn take(receiving: &mut Receiving, history: &[(u64, u64)]) {
        for (seq, number) in history {
            receiving.message(Seq(*seq), Some(Label { sender: PEER, number: *number, due_us: 0 }), PEER);
        }
    }

    fn faults(history: &[(u64, u64)], sent: u64) -> (u64, u64, u64) {
        let mut receiving = Receiving::new(Seq(0));
        take(&mut receiving, history);
        (receiving.lost(sent), receiving.doubled, receiving.reordered)
    }

    /// Pairs of (seq, number) as they came: each fault shows as what it is, and a repeated delivery is none.
    #[test]
    fn each_fault_is_counted_as_what_it_is() {
        assert_eq!(faults(&[(1, 1), (2, 2), (3, 3)], 3), (0, 0, 0));
        assert_eq!(faults(&[(1, 1), (2, 2), (2, 2), (1, 1), (3, 3)], 3), (0, 0, 0), "repeats are dropped by seq");
        assert_eq!(faults(&[(1, 1), (2, 3)], 3), (1, 0, 0), "lost between");
        assert_eq!(faults(&[(1, 1), (2, 2)], 3), (1, 0, 0), "lost at the end");
        assert_eq!(faults(&[(1, 1), (2, 1), (3, 2)], 2), (0, 1, 0), "at two places");
        assert_eq!(faults(&[(1, 2), (2, 1), (3, 3)], 3), (0, 0, 1), "overtaken");
    }

    #[test]
    fn the_run_ends_before_the_first_hole() {
        let mut receiving = Receiving::new(Seq(1));
        take(&mut receiving, &[(2, 1), (4, 2)]);
        assert_eq!((receiving.cursor(), receiving.has_hole()), (Seq(2), true));
        assert!(receiving.place(Seq(3)));
        assert_eq!((receiving.cursor(), receiving.has_hole()), (Seq(4), false));
    }

    #[test]
    fn a_body_that_is_not_the_others_is_corrupt_and_a_place_that_was_told_otherwise_shows_in_the_check() {
        let mut receiving = Receiving::new(Seq(0));
        receiving.message(Seq(1), None, PEER);
        receiving.message(Seq(2), Some(Label { sender: PEER + 1, number: 1, due_us: 0 }), PEER);
        assert_eq!(receiving.corrupt, 2);
        take(&mut receiving, &[(3, 1)]);
        let (mut same, mut other) = (0, 0);
        add_to_check(&mut same, 1, Seq(3));
        add_to_check(&mut other, 1, Seq(4));
        assert_eq!(receiving.check, same);
        assert_ne!(receiving.check, other);
    }
}
