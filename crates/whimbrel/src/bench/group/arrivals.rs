//! Which member has a message last, and when.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use hdrhistogram::Histogram;

use super::super::direct::shared::LATENCY_MAX_US;

/// Messages of one sender that are on their way to somebody at the same time, at most.
const UNDER_WAY_MAX: usize = 1 << 16;

/// How many members have each message that is on its way.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// By sender, then by the number of the message, round and round.
    counts: Vec<Vec<AtomicU32>>,
    /// Members besides the sender.
    others: u32,
    last: Mutex<Histogram<u64>>,
}

impl Arrivals {
    pub(super) fn new(senders: usize, others: u32) -> Self {
        let last = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("bounds that make sense");
        let counts = (0..senders).map(|_| (0..UNDER_WAY_MAX).map(|_| AtomicU32::new(0)).collect()).collect();
        Self { counts, others, last: Mutex::new(last) }
    }

    /// One member more has this message of this sender; says whether that was the last.
    pub(super) fn arrived(&self, sender: usize, number: u64) -> bool {
        let slot = &self.counts[sender][number as usize % UNDER_WAY_MAX];
        let is_last = slot.fetch_add(1, Ordering::Relaxed) + 1 == self.others;
        if is_last {
            slot.store(0, Ordering::Relaxed);
        }
        is_last
    }

    /// Takes times from a message's being due until the last member had it, microseconds, and leaves the list empty.
    pub(super) fn record(&self, times: &mut Vec<u64>) {
        if !times.is_empty() {
            let mut last = self.last.lock().expect("nobody panics while counting");
            times.drain(..).for_each(|time| last.saturating_record(time.max(1)));
        }
    }

    /// All of them.
    pub(super) fn latencies(&self) -> Histogram<u64> {
        self.last.lock().expect("nobody panics while counting").clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_member_is_the_one_after_whom_nobody_waits() {
        let arrivals = Arrivals::new(2, 3);
        let of = |sender, number| (0..3).map(|_| arrivals.arrived(sender, number)).collect::<Vec<_>>();
        assert_eq!(of(0, 1), [false, false, true]);
        assert!(!arrivals.arrived(1, 1) && !arrivals.arrived(0, 2), "each message by itself");
        assert_eq!(of(0, 1 + UNDER_WAY_MAX as u64), [false, false, true], "its place is used again");
    }
}
