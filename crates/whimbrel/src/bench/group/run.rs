//! What one member has of a group: its run, and the truth about what came of each sender.

use std::collections::BTreeSet;

use whimbrel_core::Seq;

use super::super::body::Label;
use super::super::direct::sending::add_to_check;
use super::super::places::Places;

/// What came of one sender.
#[derive(Debug, Clone, Default)]
struct Heard {
    /// The last number that came.
    last: u64,
    /// Numbers that later ones overtook.
    overtaken: BTreeSet<u64>,
    received: u64,
    check: u64,
}

/// One member's run.
#[derive(Debug, Default)]
pub(super) struct Run {
    places: Places,
    heard: Vec<Heard>,
    /// Messages of others that came, each counted once.
    pub(super) received: u64,
    /// Messages at a second place.
    pub(super) doubled: u64,
    /// Messages behind a later one of their sender.
    pub(super) reordered: u64,
    /// Bodies that are not as they were sent.
    pub(super) corrupt: u64,
}

impl Run {
    /// A run that ends at `cursor`, before the first message of any of so many senders.
    pub(super) fn new(cursor: Seq, senders: usize) -> Self {
        Self { places: Places::new(cursor), heard: vec![Heard::default(); senders], ..Self::default() }
    }

    /// The end of the run.
    pub(super) fn cursor(&self) -> Seq {
        self.places.cursor()
    }

    /// Whether something came that is beyond a hole.
    pub(super) fn has_hole(&self) -> bool {
        self.places.has_hole()
    }

    /// How many messages of a sender came, and their check, which does not depend on the order.
    pub(super) fn of(&self, sender: usize) -> (u64, u64) {
        self.heard.get(sender).map_or((0, 0), |heard| (heard.received, heard.check))
    }

    /// Takes the place of an own message or of a row of the server; false if the run has it.
    pub(super) fn place(&mut self, seq: Seq) -> bool {
        self.places.take(seq)
    }

    /// Takes a message of sender number `sender` at `seq`, whose body says `label` (`None`: nothing good). True if it
    /// is new.
    pub(super) fn message(&mut self, seq: Seq, label: Option<Label>, sender: usize) -> bool {
        if !self.place(seq) {
            return false;
        }
        let label = label.filter(|label| label.sender == sender as u64 && label.number > 0);
        let (Some(label), Some(heard)) = (label, self.heard.get_mut(sender)) else {
            self.corrupt += 1;
            return false;
        };
        if label.number > heard.last {
            heard.overtaken.extend(heard.last + 1..label.number);
            heard.last = label.number;
        } else if heard.overtaken.remove(&label.number) {
            self.reordered += 1;
        } else {
            self.doubled += 1;
            return false;
        }
        heard.received += 1;
        self.received += 1;
        add_to_check(&mut heard.check, label.number, seq);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (seq, sender, number) as they came; received, doubled, reordered, corrupt.
    fn heard(history: &[(u64, usize, u64)]) -> [u64; 4] {
        let mut run = Run::new(Seq(0), 2);
        for (seq, sender, number) in history {
            let label = Label { sender: *sender as u64, number: *number, due_us: 0 };
            run.message(Seq(*seq), Some(label), *sender);
        }
        [run.received, run.doubled, run.reordered, run.corrupt]
    }

    #[test]
    fn each_sender_has_an_order_of_its_own_and_each_fault_counts_as_what_it_is() {
        assert_eq!(heard(&[(1, 0, 1), (2, 1, 1), (3, 0, 2), (3, 0, 2)]), [3, 0, 0, 0], "repeats are dropped by seq");
        assert_eq!(heard(&[(1, 0, 1), (2, 0, 1)]), [1, 1, 0, 0], "at two places");
        assert_eq!(heard(&[(1, 0, 2), (2, 1, 1), (3, 0, 1)]), [3, 0, 1, 0], "overtaken");
        assert_eq!(heard(&[(1, 5, 1)]), [0, 0, 0, 1], "of somebody who does not send");
    }

    #[test]
    fn a_body_of_another_is_corrupt_and_another_place_shows_in_the_check() {
        let mut run = Run::new(Seq(0), 2);
        run.message(Seq(1), None, 0);
        run.message(Seq(2), Some(Label { sender: 1, number: 1, due_us: 0 }), 0);
        assert_eq!(run.corrupt, 2);
        run.message(Seq(3), Some(Label { sender: 0, number: 1, due_us: 0 }), 0);
        let (mut same, mut other) = (0, 0);
        add_to_check(&mut same, 1, Seq(3));
        add_to_check(&mut other, 1, Seq(4));
        assert_eq!((run.of(0), run.of(0).1 == other), ((1, same), false));
    }
}
