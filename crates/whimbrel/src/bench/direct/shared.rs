//! What all clients of a run share: the clock, the plan, the counters.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use hdrhistogram::Histogram;

/// Latencies are kept to three digits, up to ten minutes.
pub(in crate::bench) const LATENCY_MAX_US: u64 = 600_000_000;

/// The run's clock: one for everybody, so that the difference of two readings is a time.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Clock(pub(in crate::bench) Instant);

impl Clock {
    /// Microseconds since the load began.
    pub(in crate::bench) fn now_us(self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}

/// What is sent, and when.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Plan {
    /// Bodies are made from it.
    pub(in crate::bench) seed: u64,
    /// Bytes of a body.
    pub(in crate::bench) bytes: usize,
    /// What is due from here on is measured, microseconds of the clock.
    pub(in crate::bench) from_us: u64,
    /// Nothing is due from here on.
    pub(in crate::bench) until_us: u64,
}

/// What all clients count together.
#[derive(Debug)]
pub(in crate::bench) struct Shared {
    pub(in crate::bench) plan: Plan,
    pub(in crate::bench) clock: Clock,
    /// Messages that were answered SENT.
    pub(in crate::bench) sent: AtomicU64,
    /// Messages that the other side received.
    pub(in crate::bench) delivered: AtomicU64,
    /// Receipts that came.
    pub(in crate::bench) receipts: AtomicU64,
    one_way: Mutex<Histogram<u64>>,
    answered: Mutex<Histogram<u64>>,
}

/// Three counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Counts {
    pub(in crate::bench) sent: u64,
    pub(in crate::bench) delivered: u64,
    pub(in crate::bench) receipts: u64,
}

impl Shared {
    pub(in crate::bench) fn new(plan: Plan, clock: Clock) -> Self {
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
    pub(in crate::bench) fn counts(&self) -> Counts {
        Counts {
            sent: self.sent.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            receipts: self.receipts.load(Ordering::Relaxed),
        }
    }

    /// Takes samples, microseconds, and leaves the lists empty: one lock for what one read brought.
    pub(in crate::bench) fn record(&self, one_way: &mut Vec<u64>, answered: &mut Vec<u64>) {
        for (samples, histogram) in [(one_way, &self.one_way), (answered, &self.answered)] {
            if !samples.is_empty() {
                let mut histogram = histogram.lock().expect("nobody panics while counting");
                samples.drain(..).for_each(|sample| histogram.saturating_record(sample.max(1)));
            }
        }
    }

    /// The latencies from sender to receiver, and from sender to SENT, microseconds.
    pub(in crate::bench) fn latencies(&self) -> (Histogram<u64>, Histogram<u64>) {
        let copy = |histogram: &Mutex<Histogram<u64>>| histogram.lock().expect("nobody panics while counting").clone();
        (copy(&self.one_way), copy(&self.answered))
    }
}

/// How far one client is; looked at while everything is settling.
#[derive(Debug, Default)]
pub(in crate::bench) struct Level {
    /// Nothing is under way and nothing is due.
    pub(in crate::bench) quiet: AtomicBool,
    /// Own messages that were answered SENT.
    pub(in crate::bench) sent: AtomicU64,
    /// Messages of the other that came, in order and without a hole.
    pub(in crate::bench) received: AtomicU64,
    /// The seq up to which it said READ.
    pub(in crate::bench) read: AtomicU64,
    /// The seq up to which that was answered.
    pub(in crate::bench) advanced: AtomicU64,
    /// The seq up to which it heard that the other has read.
    pub(in crate::bench) peer_read: AtomicU64,
}
