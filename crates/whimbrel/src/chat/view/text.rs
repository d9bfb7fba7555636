//! Fitting text into columns, counted as terminals count them.

use chrono::{DateTime, FixedOffset};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// `text` in at most `width` columns, with … where something was left out.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut columns = 1;
    for cluster in text.graphemes(true) {
        columns += cluster.width();
        if columns > width {
            break;
        }
        fitted.push_str(cluster);
    }
    fitted.push('…');
    fitted
}

/// What others wrote, without what would move the cursor or turn the text around: control characters become spaces,
/// bidirectional overrides are left out. Line breaks stay.
pub(in crate::chat) fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let safe = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    text.replace("\r\n", "\n").chars().filter(|c| !turns(*c)).map(safe).collect()
}

/// A name as others chose it, on one line.
pub(in crate::chat) fn one_line(name: &str) -> String {
    clean(name).replace('\n', " ")
}

/// `text` broken into lines of at most `width` columns, between words where that is possible.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut columns = 0;
        for word in words(paragraph) {
            let size = word.width();
            if columns + size <= width {
                line.push_str(word);
                columns += size;
                continue;
            }
            if word.trim().is_empty() {
                // The line ends with the space, and the next word begins a new one.
                columns = width;
                continue;
            }
            if columns > 0 {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                columns = 0;
            }
            for cluster in word.graphemes(true) {
                if columns + cluster.width() > width {
                    lines.push(std::mem::take(&mut line));
                    columns = 0;
                }
                line.push_str(cluster);
                columns += cluster.width();
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// What is not torn apart: runs of spaces, words with their punctuation, single wide characters (which have no spaces
/// between them) with the punctuation behind them.
fn words(text: &str) -> Vec<&str> {
    const CLOSING: &str = "，。！？、：；）」』】》”’…,.!?:;)]}";
    const OPENING: &str = "（「『【《“‘([{";
    let mut words = Vec::new();
    let mut start = 0;
    let mut last = "";
    for (at, cluster) in text.grapheme_indices(true) {
        let is_space = |cluster: &str| cluster.trim().is_empty();
        let wide = last.width() > 1 || cluster.width() > 1;
        let torn = wide && !CLOSING.contains(cluster) && !OPENING.contains(last);
        if at > start && (is_space(last) != is_space(cluster) || torn) {
            words.push(&text[start..at]);
            start = at;
        }
        last = cluster;
    }
    words.push(&text[start..]);
    words
}

/// A time of day and a date, from milliseconds since 1970.
pub(super) fn clock(at_ms: u64, offset: FixedOffset) -> (String, String) {
    let at = i64::try_from(at_ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    let local = at.with_timezone(&offset);
    (local.format("%H:%M").to_string(), local.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_inside_words_that_are_too_long() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("你好世界", 5), ["你好", "世界"]);
        assert_eq!(wrap("a\nb", 9), ["a", "b"]);
        assert_eq!(fit("你好世界", 5), "你好…");
    }

    #[test]
    fn punctuation_stays_with_its_word_and_spaces_at_a_break_vanish() {
        assert_eq!(wrap("well, hello, you", 6), ["well,", "hello,", "you"]);
        assert_eq!(wrap("one two  x", 8), ["one two", "x"]);
        assert_eq!(wrap("你好，世界。", 5), ["你", "好，", "世", "界。"]);
        assert_eq!(wrap("  indented", 12), ["  indented"]);
    }

    #[test]
    fn what_others_wrote_cannot_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\r\nc\u{202e}d\te"), "a [2Jb\ncd e");
    }
}
