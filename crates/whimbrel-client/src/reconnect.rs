//! When to try again: full jitter, so that the clients of a server that dies do not come back as one. Everybody who was
//! connected to it notices at the same moment: the first pause spreads them, too.

use std::time::Duration;

/// The longest pause without a hint.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What the second pause is at most is twice this; it doubles with each failure.
const PAUSE_BASE: Duration = Duration::from_secs(1);
/// What the first pause is at most: ten thousand clients of a connector are then five new sessions a millisecond.
const FIRST_MAX: Duration = Duration::from_secs(2);

/// The pauses since the last session that held.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A session held: the next failure is the first one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause before the next try; with a hint never less than that.
    pub(crate) fn next(&mut self, hint: Option<Duration>) -> Duration {
        let longest = match self.failures {
            0 => FIRST_MAX,
            n => PAUSE_MAX.min(PAUSE_BASE * 2u32.pow(n.min(10))),
        };
        self.failures = self.failures.saturating_add(1);
        match hint {
            // Everybody got the same hint.
            Some(hint) => hint + jitter(longest.min(hint / 4)),
            None => jitter(longest),
        }
    }
}

fn jitter(longest: Duration) -> Duration {
    longest.mul_f64(rand::random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute_and_differ() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(None) <= FIRST_MAX);
        let pauses: Vec<_> = (0..200).map(|_| backoff.next(None)).collect();
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        assert!(pauses.iter().max() > Some(&(PAUSE_MAX / 2)) && pauses.iter().min() < Some(&(PAUSE_MAX / 2)));
        backoff.reset();
        assert!(backoff.next(None) <= FIRST_MAX);
    }

    #[test]
    fn a_hint_is_never_undercut() {
        let mut backoff = Backoff::default();
        let hint = Duration::from_secs(40);
        assert!((0..100).all(|_| (hint..=hint + hint / 4).contains(&backoff.next(Some(hint)))));
    }
}
