//! The connector's clock: milliseconds since it started, above 0, so that 0 can mean "never".

use std::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds, 1 or more; never goes back.
    pub(crate) fn ms(&self) -> u64 {
        self.us() / 1000
    }

    /// Microseconds of the same clock.
    pub(crate) fn us(&self) -> u64 {
        self.0.elapsed().as_micros() as u64 + 1000
    }
}
