//! A device's run of a conversation: its end, and what came beyond a hole.

use std::collections::BTreeSet;

use whimbrel_core::Seq;

/// Which places are taken: all up to the cursor, and some beyond it.
#[derive(Debug, Default)]
pub(super) struct Places {
    cursor: u64,
    /// Seqs beyond a hole.
    ahead: BTreeSet<u64>,
}

impl Places {
    /// All up to `cursor`.
    pub(super) fn new(cursor: Seq) -> Self {
        Self { cursor: cursor.0, ahead: BTreeSet::new() }
    }

    /// The end of the run.
    pub(super) fn cursor(&self) -> Seq {
        Seq(self.cursor)
    }

    /// Whether something came that is beyond a hole.
    pub(super) fn has_hole(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Takes a place; false if it is taken.
    pub(super) fn take(&mut self, seq: Seq) -> bool {
        if seq.0 == self.cursor + 1 && self.ahead.is_empty() {
            self.cursor += 1;
            return true;
        }
        if seq.0 <= self.cursor || !self.ahead.insert(seq.0) {
            return false;
        }
        while self.ahead.first() == Some(&(self.cursor + 1)) {
            self.ahead.pop_first();
            self.cursor += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_once_and_the_run_ends_before_the_first_hole() {
        let mut places = Places::new(Seq(1));
        let taken: Vec<_> = [1, 2, 2, 4, 4, 5].into_iter().map(|seq| places.take(Seq(seq))).collect();
        assert_eq!(taken, [false, true, false, true, false, true]);
        assert_eq!((places.cursor(), places.has_hole()), (Seq(2), true));
        assert!(places.take(Seq(3)) && !places.take(Seq(5)));
        assert_eq!((places.cursor(), places.has_hole()), (Seq(5), false));
    }
}
