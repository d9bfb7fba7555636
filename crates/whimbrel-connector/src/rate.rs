//! A session's rates, by the generic cell rate algorithm: two numbers, no tokens, no timer.
//!
//! Nothing is ever dropped for a rate: what came is processed and paid for, and whoever owes more than the burst is
//! not read from until the debt has shrunk to it.

use crate::config::Config;

/// What a session owes.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    /// When its requests are paid for, microseconds of the house's clock.
    requests: u64,
    /// When its bytes are.
    bytes: u64,
}

impl Rates {
    /// Takes note of what came; microseconds for which nothing more is to be read, 0 for none.
    pub(crate) fn charge(&mut self, config: &Config, requests: u64, bytes: u64, now_us: u64) -> u64 {
        let requests = charge(&mut self.requests, requests, config.requests_per_second, config.requests_burst, now_us);
        let bytes = charge(&mut self.bytes, bytes, config.bytes_per_second, config.bytes_burst, now_us);
        requests.max(bytes)
    }
}

fn charge(paid_at: &mut u64, units: u64, per_second: u32, burst: u32, now_us: u64) -> u64 {
    if per_second == 0 {
        return 0;
    }
    let cost = |units: u64| units * 1_000_000 / u64::from(per_second);
    *paid_at = (*paid_at).max(now_us) + cost(units);
    (*paid_at - now_us).saturating_sub(cost(burst.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_what_is_beyond_waits_at_the_rate() {
        let config = Config { requests_per_second: 10, requests_burst: 5, bytes_per_second: 0, ..Config::default() };
        let mut rates = Rates::default();
        assert_eq!(rates.charge(&config, 5, 1 << 40, 1_000), 0);
        assert_eq!(rates.charge(&config, 2, 0, 1_000), 200_000);
        assert_eq!(rates.charge(&config, 0, 0, 201_000), 0, "200 ms later it may go on");
        assert_eq!(rates.charge(&config, 5, 0, 5_000_000), 0, "after a pause the burst is there again");
    }
}
