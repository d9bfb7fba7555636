//! Times and sizes, as people write them: `"500ms"`, `"30s"`, `"15m"`, `"24h"`, `"30d"`; `"512B"`, `"64KiB"`, `"16MiB"`.
//!
//! What is printed reads back as the same value.

use std::time::Duration;

const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(value: u64, units: &[(&str, u64)]) -> String {
    let (name, factor) = units
        .iter()
        .find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor))
        .unwrap_or(&units[units.len() - 1]);
    format!("{}{name}", value / factor)
}

/// The time in a text; `None` if it is none.
pub(crate) fn parse_time(text: &str) -> Option<Duration> {
    parse(text, &TIMES).map(Duration::from_millis)
}

/// A time as text. Whole milliseconds only.
pub(crate) fn show_time(time: Duration) -> String {
    show(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), &TIMES)
}

/// The bytes in a text; `None` if it is none.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZES)
}

/// Bytes as text.
pub(crate) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back() {
        for ms in [0, 1, 999, 1000, 1500, 60_000, 90_000, 3_600_000, 86_400_000, 86_400_001] {
            let time = Duration::from_millis(ms);
            assert_eq!(parse_time(&show_time(time)), Some(time), "{}", show_time(time));
        }
        for bytes in [0, 1, 1023, 1024, 1536, 1 << 20, (1 << 30) + 1] {
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes), "{}", show_size(bytes));
        }
        assert_eq!((show_time(Duration::from_secs(90)), show_size(65_536)), ("90s".into(), "64KiB".into()));
    }

    #[test]
    fn a_number_without_a_unit_or_with_an_unknown_one_is_none() {
        for text in ["", "s", "30", "30 parsecs", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        assert_eq!(parse_size("64KB"), None);
    }
}
