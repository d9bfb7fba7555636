//! What all clients of a run share: the clock, the plan, the counters.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use hdrhistogram::Histogram;

/// Latencies are kept to three digits, up to ten minutes.
const LATENCY_MAX_US: u64 = 600_000_000;

/// The run's clock: one for everybody, so that the difference of two readings is a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(pub(super) Instant);

impl Clock {
    /// Microseconds since the load began.
    pub(super) fn now_us(self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}

/// What is sent, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Bodies are made from it.
    pub(super) seed: u64,
    /// Bytes of a body.
    pub(super) bytes: usize,
    /// What is due from here on is measured, microseconds of the clock.
    pub(super) from_us: u64,
    /// Nothing is due from here on.
    pub(super) until_us: u64,
}

/// What all clients count together.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) clock: Clock,
    /// Messages that were answered SENT.
    pub(super) sent: AtomicU64,
    /// Messages that the other side received.
    pub(super) delivered: AtomicU64,
    /// Receipts that came.
    pub(super) receipts: AtomicU64,
    one_way: Mutex<Histogram<u64>>,
    answered: Mutex<Histogram<u64>>,
}

/// Three counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) delivered: u64,
    pub(super) receipts: u64,
}

impl Shared {
    pub(super) fn new(plan: Plan, clock: Clock) -> Self {
        let histogram = || {
            let empty = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("bounds that make sense");
            Mutex::new(empty)
        };
        Self {
            plan,
            clock,
            sent: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            receipts: AtomicU64::new(0),
            one_way: histogram(),
            answered: histogram(),
        }
    }

    /// The counters now.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            sent: self.sent.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            receipts: self.receipts.load(Ordering::Relaxed),
        }
    }

    /// Takes samples, microseconds, and leaves the lists empty: one lock for what one read brought.
    pub(super) fn record(&self, one_way: &mut Vec<u64>, answered: &mut Vec<u64>) {
        for (samples, histogram) in [(one_way, &self.one_way), (answered, &self.answered)] {
            if !samples.is_empty() {
                let mut histogram = histogram.lock().expect("nobody panics while counting");
                samples.drain(..).for_each(|sample| histogram.saturating_record(sample.max(1)));
            }
        }
    }

    /// The latencies from sender to receiver, and from sender to SENT, microseconds.
    pub(super) fn latencies(&self) -> (Histogram<u64>, Histogram<u64>) {
        let copy = |histogram: &Mutex<Histogram<u64>>| histogram.lock().expect("nobody panics while counting").clone();
        (copy(&self.one_way), copy(&self.answered))
    }
}

/// How far one client is; looked at while everything is settling.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// Nothing is under way and nothing is due.
    pub(super) quiet: AtomicBool,
    /// Own messages that were answered SENT.
    pub(super) sent: AtomicU64,
    /// Messages of the other that came, in order and without a hole.
    pub(super) received: AtomicU64,
    /// The seq up to which it said READ.
    pub(super) read: AtomicU64,
    /// The seq up to which that was answered.
    pub(super) advanced: AtomicU64,
    /// The seq up to which it heard that the other has read.
    pub(super) peer_read: AtomicU64,
}
