//! By what searches find a group: its name from each word on, and its handle, the same for every engine. Whoever looks for
//! the beginning of one of them reads a range of an index and nothing else, however many groups there are.
//!
//! Letters are compared in lower case; what is no letter or digit of ASCII's separates words. Scripts that are written
//! without spaces begin a word with every letter.
//!
//! Absences: a group that is not listed, or has ended, has none; nothing is found by the middle of a word.

use std::collections::BTreeSet;

use whimbrel_core::limits::{SEARCH_STARTS_MAX, SEARCH_TERM_MAX};
use whimbrel_core::{ConversationId, Seq};

use super::Group;

/// Before the first conversation.
const FIRST: ConversationId = ConversationId::from_bytes([0; 16]);

/// What leads to the group.
pub(crate) fn of(group: &Group) -> BTreeSet<String> {
    if !group.listed || group.dissolved_at.is_some() {
        return BTreeSet::new();
    }
    of_listed(&group.name, group.handle.as_deref())
}

/// What leads to a group of this name and handle that is listed and stands.
pub(crate) fn of_listed(name: &str, handle: Option<&str>) -> BTreeSet<String> {
    let handle = handle.map(|handle| cut(&plain(handle)));
    beginnings(&plain(name)).chain(handle).filter(|term| !term.is_empty()).collect()
}

/// What a change takes away, and what it adds. `before`: the same group as it was, or one that has no row yet.
pub(crate) fn changed(before: &Group, after: &Group) -> (Vec<String>, Vec<String>) {
    let before = if before.revision == Seq::ZERO { BTreeSet::new() } else { of(before) };
    let after = of(after);
    (before.difference(&after).cloned().collect(), after.difference(&before).cloned().collect())
}

/// A search, and how far it has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    wanted: String,
    /// The term and group behind which it goes on.
    after: (Vec<u8>, ConversationId),
}

impl Search {
    /// For what begins with this text; from the beginning, or behind this group. `None`: nothing does.
    pub(crate) fn new(text: &str, after: Option<&Group>) -> Option<Self> {
        let wanted = cut(&plain(text));
        if wanted.is_empty() {
            return None;
        }
        let mut search = Self { after: (wanted.clone().into_bytes(), FIRST), wanted };
        if let Some(group) = after {
            // It may have another name by now: then what was shown may come again, and nothing is left out.
            let term = search.found_by(group).unwrap_or_else(|| search.wanted.clone());
            search.after = (term.into_bytes(), group.id);
        }
        Some(search)
    }

    /// Where it goes on, as bytes.
    pub(crate) fn after(&self) -> (&[u8], &ConversationId) {
        (&self.after.0, &self.after.1)
    }

    /// What is above everything that it finds, as bytes: no byte of UTF-8 is the last one there is.
    pub(crate) fn end(&self) -> Vec<u8> {
        let mut end = self.wanted.clone().into_bytes();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        end
    }

    /// The next row of the index; whether it shows the group. It is shown once, by the first of the terms that find it.
    pub(crate) fn shows(&mut self, term: Vec<u8>, group: &Group) -> bool {
        let shown = self.found_by(group).is_none_or(|first| first.as_bytes() == term);
        self.after = (term, group.id);
        shown
    }

    fn found_by(&self, group: &Group) -> Option<String> {
        of(group).into_iter().find(|term| term.starts_with(&self.wanted))
    }
}

/// In lower case, with one space for whatever separates words.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        let separates = letter.is_whitespace() || letter.is_control() || letter.is_ascii_punctuation();
        if !separates {
            plain.push(letter);
        } else if !plain.is_empty() && !plain.ends_with(' ') {
            plain.push(' ');
        }
    }
    plain.truncate(plain.trim_end().len());
    plain
}

/// At most so many letters.
fn cut(text: &str) -> String {
    text.chars().take(SEARCH_TERM_MAX).collect()
}

/// The text from each of its words on.
fn beginnings(plain: &str) -> impl Iterator<Item = String> {
    let mut before = ' ';
    let starts = plain.char_indices().filter(move |(_, letter)| {
        let last = std::mem::replace(&mut before, *letter);
        *letter != ' ' && (!last.is_alphanumeric() || !letter.is_alphanumeric() || is_unspaced(*letter))
    });
    starts.take(SEARCH_STARTS_MAX).map(|(at, _)| cut(&plain[at..]))
}

/// Of a script without spaces between words: Thai and its neighbours, Han, Kana.
fn is_unspaced(letter: char) -> bool {
    matches!(letter, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests;
