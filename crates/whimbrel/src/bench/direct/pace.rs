//! When messages are due in an open loop: evenly over time and over the senders, whether or not answers come.
//!
//! Due times are a function of the clock and not of what was sent, so a server that falls behind is charged for the
//! whole wait (no coordinated omission). A thread of its own wakes senders, because the runtime's timers are exact to a
//! millisecond only.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use super::shared::Clock;

/// One sender's share of the rate.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Pace {
    /// When its first message is due, microseconds of the run's clock.
    first_us: f64,
    /// From one of its messages to the next, microseconds.
    every_us: f64,
}

impl Pace {
    /// The share of sender number `index` of `senders` in `rate` messages per second.
    pub(in crate::bench) fn new(rate: u32, senders: usize, index: usize) -> Self {
        let step_us = 1e6 / f64::from(rate);
        Self { first_us: step_us * index as f64, every_us: step_us * senders as f64 }
    }

    /// When its message `number` (1, 2, 3, …) is due, microseconds of the run's clock.
    pub(in crate::bench) fn due_us(&self, number: u64) -> u64 {
        (self.first_us + self.every_us * (number - 1) as f64) as u64
    }
}

/// Wakes the senders in turn, each when it has a message due, until `until_us`. Ends by itself.
pub(in crate::bench) fn spawn(clock: Clock, rate: u32, senders: Vec<Arc<Notify>>, until_us: u64) {
    thread::spawn(move || {
        let paces: Vec<Pace> = (0..senders.len()).map(|index| Pace::new(rate, senders.len(), index)).collect();
        for number in 1.. {
            for (pace, sender) in paces.iter().zip(&senders) {
                let due_us = pace.due_us(number);
                if due_us >= until_us {
                    return;
                }
                let early = due_us.saturating_sub(clock.now_us());
                if early > 0 {
                    thread::sleep(Duration::from_micros(early));
                }
                sender.notify_one();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_share_a_rate_evenly() {
        let due: Vec<u64> =
            (1..=2).flat_map(|number| (0..4).map(move |index| Pace::new(1000, 4, index).due_us(number))).collect();
        assert_eq!(due, [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000]);
    }
}
