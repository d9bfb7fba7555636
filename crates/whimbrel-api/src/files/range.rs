//! Which part of a file a request wants (RFC 9110, section 14): all of it, one range, or nothing because it is known.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, header};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The client has it.
    Known,
    All,
    /// Not empty, and within the file.
    Range(Range<u64>),
    /// Nothing of what it asks for is there.
    Beyond,
}

/// What these headers ask for of a file with this tag and size. Several ranges, or what is no range, ask for all.
pub(crate) fn wanted(headers: &HeaderMap, tag: &HeaderValue, size: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = tag.to_str().unwrap_or_default();
    if text(header::IF_NONE_MATCH).is_some_and(|known| {
        known.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == tag || one == "*")
    }) {
        return Wanted::Known;
    }
    if text(header::IF_RANGE).is_some_and(|known| known != tag) {
        return Wanted::All;
    }
    let Some(range) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = range.split_once('-').filter(|_| !range.contains(',')) else { return Wanted::All };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Beyond what numbers hold is beyond every file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first.trim()), number(last.trim())) {
        (Some(first), Some(last)) if last < first => Wanted::All,
        (Some(first), _) if first >= size && (last.trim().is_empty() || number(last.trim()).is_some()) => {
            Wanted::Beyond
        }
        (Some(first), Some(last)) => Wanted::Range(first..last.saturating_add(1).min(size)),
        (Some(first), None) if last.trim().is_empty() => Wanted::Range(first..size),
        (None, Some(0)) if first.trim().is_empty() => Wanted::Beyond,
        (None, Some(_)) if first.trim().is_empty() && size == 0 => Wanted::Beyond,
        (None, Some(end)) if first.trim().is_empty() => Wanted::Range(size.saturating_sub(end)..size),
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(header::HeaderName, &str)], size: u64) -> Wanted {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("text")));
        wanted(&headers.collect(), &HeaderValue::from_static("\"tag\""), size)
    }

    #[test]
    fn one_range_is_cut_to_the_file() {
        for (text, expected) in [
            ("bytes=0-99", Wanted::Range(0..100)),
            ("bytes=90-", Wanted::Range(90..100)),
            ("bytes=-10", Wanted::Range(90..100)),
            ("bytes=-1000", Wanted::Range(0..100)),
            ("bytes=99-18446744073709551615", Wanted::Range(99..100)),
            ("bytes=0-99999999999999999999999", Wanted::Range(0..100)),
            ("bytes=100-", Wanted::Beyond),
            ("bytes=100-200", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=9-8", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=100-x", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(of(&[(header::RANGE, text)], 100), expected, "{text}");
        }
        assert_eq!(of(&[(header::RANGE, "bytes=-5")], 0), Wanted::Beyond);
        assert_eq!(of(&[], 100), Wanted::All);
    }

    #[test]
    fn what_is_known_is_not_sent_and_a_range_of_something_else_is_all() {
        assert_eq!(of(&[(header::IF_NONE_MATCH, "\"x\", \"tag\"")], 100), Wanted::Known);
        assert_eq!(of(&[(header::IF_NONE_MATCH, "\"x\"")], 100), Wanted::All);
        let range = (header::RANGE, "bytes=0-0");
        assert_eq!(of(&[range.clone(), (header::IF_RANGE, "\"tag\"")], 100), Wanted::Range(0..1));
        assert_eq!(of(&[range, (header::IF_RANGE, "\"x\"")], 100), Wanted::All);
    }
}
