//! Going back in time through an index that gives all that it has of a stretch of time, and in no order: a short stretch
//! first, then ones as long as it seems to take, so that little more is read than a page shows.

use std::ops::RangeInclusive;

/// A stretch is at most so many times as long as all before it together: little is known at first.
const GROWTH: u64 = 4;
const GROWTH_LATER: u64 = 16;
const LATER: u64 = 64;
/// What is proposed in a stretch, about, at most.
const PROPOSED: u64 = 1000;

/// Stretches of slots from the newest on; together they are all, and none is in two.
#[derive(Debug)]
pub(crate) struct Windows {
    first: u32,
    /// The next one ends here; the very first one begins here at the latest.
    upto: u32,
    begin: u32,
    /// Slots that were gone through.
    gone: u64,
    last: u64,
    is_over: bool,
}

/// What the stretches so far have brought.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Brought {
    /// Texts that the index proposed, in all and in the last one.
    pub(crate) proposed: u64,
    pub(crate) proposed_last: u64,
    /// Those that were what was looked for, and how many are wanted.
    pub(crate) hits: u64,
    pub(crate) wanted: u64,
}

impl Windows {
    /// Of these slots, of which hardly any behind `begin` has anything.
    pub(crate) fn new(slots: RangeInclusive<u32>, begin: u32) -> Self {
        let is_over = slots.is_empty();
        Self { first: *slots.start(), upto: *slots.end(), begin, gone: 0, last: 0, is_over }
    }

    /// Of these slots, all at once.
    pub(crate) fn one(slots: RangeInclusive<u32>) -> Self {
        Self { begin: 0, ..Self::new(slots, 0) }
    }

    /// Slots that were gone through.
    pub(crate) fn gone(&self) -> u64 {
        self.gone
    }

    /// Whether there is none left.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next one.
    pub(crate) fn next(&mut self, brought: Brought) -> Option<RangeInclusive<u32>> {
        if self.is_over {
            return None;
        }
        if self.gone == 0 && self.begin < self.upto {
            self.gone = 1;
            self.last = 1;
            return Some(self.cut(self.begin.max(self.first)));
        }
        let width = self.width(brought);
        // Where what is about as long begins: fewer words name it.
        let mut step = 1;
        while step * 16 <= width {
            step *= 16;
        }
        let from = (u64::from(self.upto) + 1).saturating_sub(width) / step * step;
        let window = self.cut(u32::try_from(from).unwrap_or(0).max(self.first));
        self.last = u64::from(window.end() - window.start()) + 1;
        self.gone += self.last;
        Some(window)
    }

    fn cut(&mut self, from: u32) -> RangeInclusive<u32> {
        let window = from..=self.upto;
        self.is_over = from == self.first;
        self.upto = from.saturating_sub(1);
        window
    }

    fn width(&self, brought: Brought) -> u64 {
        if self.gone == 0 {
            return 1;
        }
        let most = self.gone * if self.gone < LATER { GROWTH } else { GROWTH_LATER };
        let for_a_page = brought.wanted.saturating_sub(brought.hits).max(1) * 3 / 2 * self.gone;
        let for_a_page = for_a_page.checked_div(brought.hits).map_or(most, |width| width + 1);
        let to_read = (PROPOSED * self.gone).checked_div(brought.proposed).unwrap_or(most);
        // Nothing in what was last: it was more quiet than before.
        let quiet = if brought.proposed_last == 0 { self.last * 4 } else { 1 };
        for_a_page.min(to_read).max(quiet).min(most).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAST: RangeInclusive<u32> = 3..=1_707_077;

    fn all(slots: RangeInclusive<u32>, of: impl Fn(&RangeInclusive<u32>) -> u64) -> Vec<RangeInclusive<u32>> {
        let (mut windows, mut brought) =
            (Windows::new(slots.clone(), *slots.end()), Brought { wanted: 20, ..Brought::default() });
        let mut all = Vec::new();
        while let Some(window) = windows.next(brought) {
            brought.proposed_last = of(&window);
            brought.proposed += brought.proposed_last;
            brought.hits = brought.proposed.min(19);
            all.push(window);
        }
        assert!(windows.is_over());
        all
    }

    /// Whatever they bring, nothing is left out and nothing comes twice.
    #[test]
    fn together_they_are_all_slots_from_the_newest_on() {
        let brought: [fn(&RangeInclusive<u32>) -> u64; 4] =
            [|_| 0, |_| 1, |window| u64::from(window.end() - window.start()), |window| u64::from(window.start() % 3)];
        for slots in [0..=0, 7..=7, 0..=300, 15..=17, 1_700_000..=1_700_300] {
            for of in brought {
                let all = all(slots.clone(), of);
                assert_eq!(all[0].end(), slots.end());
                assert_eq!(all[all.len() - 1].start(), slots.start());
                assert!(all.windows(2).all(|pair| pair[1].end() + 1 == *pair[0].start()), "{all:?}");
            }
        }
        assert_eq!(Windows::new(RangeInclusive::new(5, 4), 4).next(Brought::default()), None);
        let mut windows = Windows::new(0..=99, 50);
        let nothing = Brought { wanted: 20, ..Brought::default() };
        let steps: Vec<_> = std::iter::from_fn(|| windows.next(nothing)).collect();
        assert_eq!(steps, [50..=99, 46..=49, 16..=45, 0..=15], "what is far ahead is not as long as it looks");
        assert_eq!(Windows::new(60..=99, 50).next(nothing), Some(60..=99));
        assert_eq!(Windows::one(PAST).next(Brought::default()), Some(PAST));
    }

    /// Of what is nowhere it takes a few steps to know it; of what is everywhere each is short.
    #[test]
    fn they_are_as_long_as_it_takes() {
        assert!(all(PAST, |_| 0).len() <= 9);
        assert_eq!(all(PAST, |_| 0)[0].clone().count(), 1);
        let brought = Brought { proposed: 4000, proposed_last: 4000, hits: 10, wanted: 20 };
        let mut windows = Windows::new(PAST, *PAST.end());
        for _ in 0..5 {
            assert_eq!(windows.next(brought).map(Iterator::count), Some(1));
        }
        let brought = Brought { proposed: 1, proposed_last: 1, hits: 1, wanted: 5 };
        let width = windows.next(brought).map_or(0, Iterator::count);
        assert!((20..40).contains(&width), "four times as much, and to where fewer words name it: {width}");
    }
}
