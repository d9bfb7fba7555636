//! Growing pauses.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Pauses that double from a first one to a longest one.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The pause to make now.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.max);
        pause
    }

    /// The same, somewhere between half of it and the whole: two who collided must not meet again.
    pub(crate) fn apart(&mut self) -> Duration {
        let pause = self.pause();
        // Keys that are new each time are the chance.
        let chance = RandomState::new().hash_one(()) % 1024;
        pause / 2 + pause.mul_f64(chance as f64 / 2048.0)
    }

    /// Whether it has worked since the last pause.
    pub(crate) fn is_first(&self) -> bool {
        self.next == self.min
    }

    /// It works again.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(10), ms(35));
        assert!(backoff.is_first());
        assert_eq!(
            [backoff.pause(), backoff.pause(), backoff.pause(), backoff.pause()],
            [ms(10), ms(20), ms(35), ms(35)]
        );
        assert!(!backoff.is_first());
        backoff.reset();
        assert!(backoff.is_first());
        assert_eq!(backoff.pause(), ms(10));
        let mut apart = Backoff::new(ms(10), ms(10));
        let pauses: std::collections::HashSet<_> = (0..50).map(|_| apart.apart()).collect();
        assert!(pauses.iter().all(|pause| (ms(5)..=ms(10)).contains(pause)) && pauses.len() > 5, "{pauses:?}");
    }
}
