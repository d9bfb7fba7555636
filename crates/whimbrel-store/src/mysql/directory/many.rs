//! Statements for many at once, from a handful of texts each: the server parses a text once for each connection, so
//! rows go in by a few fixed numbers, and lists of conditions are filled up with their last one.

use std::borrow::Cow;

use sqlx::AssertSqlSafe;

/// A statement's text, put together from this program's own words only.
pub(in crate::mysql) type Text = AssertSqlSafe<String>;

/// Rows of one INSERT, the largest first.
const ROWS: [usize; 7] = [256, 64, 16, 4, 3, 2, 1];

/// Conditions of one statement. A question for more takes several statements.
const LIST: [usize; 8] = [1, 4, 16, 64, 256, 1024, 4096, 16384];

/// Conditions of one statement that locks or deletes.
pub(super) const STEP: usize = 256;

/// Cuts rows into the numbers that there are texts for.
pub(in crate::mysql) fn rows<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let count = ROWS.into_iter().find(|count| *count <= items.len())?;
        let (chunk, rest) = items.split_at(count);
        items = rest;
        Some(chunk)
    })
}

/// Cuts a list into the most that one statement takes.
pub(super) fn lists<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    items.chunks(LIST[LIST.len() - 1])
}

/// Fills a list of at most the longest length up to one that there is a text for.
pub(super) fn filled<T: Copy>(items: &[T]) -> Cow<'_, [T]> {
    let count = LIST.into_iter().find(|count| *count >= items.len()).unwrap_or(items.len());
    match items.last() {
        Some(last) if count > items.len() => {
            let mut filled = items.to_vec();
            filled.resize(count, *last);
            Cow::Owned(filled)
        }
        _ => Cow::Borrowed(items),
    }
}

/// `INSERT INTO {table} VALUES (?, …), …` with `columns` values in each of `rows` rows.
pub(super) fn insert(table: &str, columns: usize, rows: usize) -> Text {
    let row = repeated("?", ", ", columns);
    repeat(&format!("INSERT INTO {table} VALUES "), &format!("({row})"), ", ", rows, "")
}

/// `before`, then `item` as often as said with `between`, then `after`.
pub(in crate::mysql) fn repeat(before: &str, item: &str, between: &str, count: usize, after: &str) -> Text {
    AssertSqlSafe(format!("{before}{}{after}", repeated(item, between, count)))
}

fn repeated(item: &str, between: &str, count: usize) -> String {
    let mut text = String::with_capacity((item.len() + between.len()) * count);
    for number in 0..count {
        if number > 0 {
            text.push_str(between);
        }
        text.push_str(item);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_known_numbers_and_none_is_left_out() {
        for count in 0..600 {
            let items: Vec<usize> = (0..count).collect();
            let chunks: Vec<&[usize]> = rows(&items).collect();
            assert!(chunks.iter().all(|chunk| ROWS.contains(&chunk.len())));
            assert_eq!(chunks.concat(), items);
        }
    }

    #[test]
    fn lists_are_filled_with_their_last() {
        assert_eq!(filled(&[7, 8, 9]), [7, 8, 9, 9].as_slice());
        assert_eq!(filled(&[7]), [7].as_slice());
        assert_eq!(filled::<u8>(&[]), [0; 0].as_slice());
    }

    #[test]
    fn texts_have_a_place_for_every_value() {
        assert_eq!(insert("t (a, b)", 2, 2).0, "INSERT INTO t (a, b) VALUES (?, ?), (?, ?)");
        assert_eq!(repeat("IN (", "?", ", ", 3, ")").0, "IN (?, ?, ?)");
    }
}
