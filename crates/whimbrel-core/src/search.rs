//! Searching what people wrote: one set of rules for the server and for every SDK.
//!
//! A person types words; white space separates them, "quotes" keep a phrase whole. A message is found if each of them
//! occurs somewhere in its text, also within a word, so that scripts without spaces need no rules of their own. Upper
//! and lower case are the same. Letters are folded one for one, so a place in the folded text is a place in the text.
//!
//! An index can only be asked for pieces of a few letters ([`grams`]); what it finds are candidates, and
//! [`Terms::find`] decides. So all engines answer alike, those without an index too.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use crate::limits::{SEARCH_LETTERS_MAX, SEARCH_TERMS_MAX};

/// What is searched for: between one and [`SEARCH_TERMS_MAX`] terms, folded, no two the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms(Vec<String>);

/// Why nothing can be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermsError {
    /// There is no word in it.
    Empty,
    /// More than [`SEARCH_TERMS_MAX`] words.
    TooMany,
    /// More than [`SEARCH_LETTERS_MAX`] letters.
    TooLong,
}

impl fmt::Display for TermsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no word to search for"),
            Self::TooMany => write!(f, "a search has at most {SEARCH_TERMS_MAX} words"),
            Self::TooLong => write!(f, "a search has at most {SEARCH_LETTERS_MAX} letters"),
        }
    }
}

impl std::error::Error for TermsError {}

impl Terms {
    /// What somebody typed. A quote that is not closed reaches to the end; white space around a term does not count.
    ///
    /// # Errors
    /// [`TermsError`].
    pub fn parse(typed: &str) -> Result<Self, TermsError> {
        if typed.chars().nth(SEARCH_LETTERS_MAX).is_some() {
            return Err(TermsError::TooLong);
        }
        let mut terms: Vec<String> = Vec::new();
        for (index, part) in typed.split('"').enumerate() {
            let words: Vec<&str> = if index % 2 == 1 { vec![part.trim()] } else { part.split_whitespace().collect() };
            for word in words.into_iter().filter(|word| !word.is_empty()).map(fold) {
                if !terms.contains(&word) {
                    terms.push(word);
                }
            }
        }
        match terms.len() {
            0 => Err(TermsError::Empty),
            count if count > SEARCH_TERMS_MAX => Err(TermsError::TooMany),
            _ => Ok(Self(terms)),
        }
    }

    /// The terms, folded, in the order in which they were typed.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Where the terms occur in a text, if all of them do: ranges of its bytes, at character boundaries, in order; what
    /// overlaps or touches is one.
    pub fn find(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let folded = fold(text);
        let mut found = Vec::new();
        for term in &self.0 {
            let before = found.len();
            found.extend(occurrences(&folded, term));
            if found.len() == before {
                return None;
            }
        }
        Some(unfolded(text, &folded, joined(found)))
    }
}

/// A text in lower case, letter for letter: as many characters as before.
pub fn fold(text: &str) -> String {
    text.chars().map(|letter| letter.to_lowercase().next().unwrap_or(letter)).collect()
}

fn occurrences<'a>(folded: &'a str, term: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    folded.match_indices(term).map(|(at, term)| at..at + term.len())
}

/// Ranges in order, none overlapping or touching another.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// The same characters of the text as it was before it was folded; the ranges are in order.
fn unfolded(text: &str, folded: &str, mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    // Characters of two bytes may have become ones of three, or of one.
    let mut places = folded.char_indices().map(|(at, _)| at).zip(text.char_indices().map(|(at, _)| at));
    let mut original =
        |at: usize| places.find(|(folded, _)| *folded == at).map_or(text.len(), |(_, original)| original);
    for range in &mut ranges {
        *range = original(range.start)..original(range.end);
    }
    ranges
}

/// A part of a text that shows what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snippet {
    /// The part; where more stands before or after it there is an ellipsis (…). White space and control characters are
    /// single spaces.
    pub text: String,
    /// What was found of it: characters (Unicode scalar values) of [`text`](Self::text), in order.
    pub highlights: Vec<Range<usize>>,
}

/// Shows what was found: at most `letters` characters of the text, and an ellipsis at each end that was cut. A part of
/// what stands before the first range is shown too. `ranges`: as [`Terms::find`] gives them.
pub fn snippet(text: &str, ranges: &[Range<usize>], letters: usize) -> Snippet {
    let first = ranges.first().map_or(0, |range| range.start);
    let length = text.chars().count();
    let before = text[..first].chars().count();
    // A quarter before what was found; at the end of the text more, so that the room is used.
    let start = before.saturating_sub(letters / 4).min(length.saturating_sub(letters));
    let mut shown = Snippet::default();
    let mut count = 0;
    if start > 0 {
        shown.text.push('…');
        count += 1;
    }
    let mut was_space = false;
    for (at, letter) in text.char_indices().skip(start).take(letters) {
        let is_space = letter.is_whitespace() || letter.is_control();
        if is_space && was_space {
            continue;
        }
        was_space = is_space;
        shown.text.push(if is_space { ' ' } else { letter });
        if ranges.iter().any(|range| range.contains(&at)) {
            match shown.highlights.last_mut() {
                Some(last) if last.end == count => last.end += 1,
                _ => shown.highlights.push(count..count + 1),
            }
        }
        count += 1;
    }
    if start + letters < length {
        shown.text.push('…');
    }
    shown
}

/// The pieces of a folded text by which an index finds it: of each run of letters and digits every three in a row, and
/// where a script is dense (Chinese, Japanese, Korean, emoji) every two. All pieces of a term occur among those of a text
/// that holds the term. A term that is too short has none.
pub fn grams(folded: &str) -> BTreeSet<&str> {
    let mut grams = BTreeSet::new();
    let mut run: [(usize, char); 2] = [(0, ' '); 2];
    for (at, letter) in folded.char_indices() {
        let end = at + letter.len_utf8();
        let [before, last] = run;
        if in_gram(letter) && in_gram(last.1) {
            if is_dense(letter) || is_dense(last.1) {
                grams.insert(&folded[last.0..end]);
            } else if in_gram(before.1) && !is_dense(before.1) {
                grams.insert(&folded[before.0..end]);
            }
        }
        run = [last, (at, letter)];
    }
    grams
}

fn in_gram(letter: char) -> bool {
    letter.is_alphanumeric() || letter >= '\u{1F000}'
}

fn is_dense(letter: char) -> bool {
    letter >= '\u{2E80}'
}

#[cfg(test)]
mod tests;
