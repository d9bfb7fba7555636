//! Searching what messages say, where bodies are readable; the rules are [`whimbrel_core::search`]'s.
//!
//! | room | does |
//! |---|---|
//! | `texts` | what a message says, and what placing a row does to that |
//! | `words`, `dated` | the words by which an index finds a text; with when it was placed |
//! | `windows` | from the newest on, where an index has no order |
//! | `merge` | the newest first of many conversations, where no index helps |
//!
//! Invariants
//! - A text is written, replaced and deleted in the transaction that does the same to its body: what was answered SENT is
//!   found at once, and what was taken back is not.
//! - An index only proposes; [`Terms::find`] decides, and what the reader sees of a conversation ([`History`](crate::History))
//!   cuts the same way. So all engines, with an index or without, give the same hits in the same order.
//! - A question looks at [`SEARCH_LOOK_MAX`] texts at most. Its page may then be short, or empty, and says where to go on.
//!
//! Absences: a sealed body has no text here, and placing one runs no statement of this room.

pub(crate) mod dated;
pub(crate) mod merge;
pub(crate) mod texts;
pub(crate) mod windows;
pub(crate) mod words;

use async_trait::async_trait;
use whimbrel_core::limits::{SEARCH_LOOK_MAX, SNIPPET_LETTERS};
use whimbrel_core::search::{Snippet, Terms, snippet};
use whimbrel_core::{ConversationId, MessageKind, Seq, UserId};

use crate::StoreError;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// All of them occur.
    pub terms: Terms,
    /// In this conversation; `None`: in all of the reader's.
    pub conversation: Option<ConversationId>,
    /// Said by this one.
    pub sender: Option<UserId>,
    /// Of one of these kinds; empty: of any.
    pub kinds: Vec<MessageKind>,
    /// Placed at this time or later, milliseconds since 1970.
    pub since: u64,
    /// Placed before this time.
    pub until: u64,
}

impl SearchQuery {
    /// Everywhere, by anybody, at any time.
    pub fn new(terms: Terms) -> Self {
        Self { terms, conversation: None, sender: None, kinds: Vec::new(), since: 0, until: u64::MAX }
    }

    /// Whether the message is one of those that are looked for, whatever it says.
    pub(crate) fn is_about(&self, sender: UserId, kind: MessageKind, at: u64) -> bool {
        self.sender.is_none_or(|wanted| wanted == sender)
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.since..self.until).contains(&at)
    }
}

/// Where a page ended. What is in it is the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// When the message there was placed, milliseconds since 1970.
    pub at: u64,
    /// Tells it from others of that time.
    pub tie: [u8; 24],
}

impl Place {
    /// Before every message that was placed before this time.
    pub(crate) fn before(at: u64) -> Self {
        Self { at, tie: [0; 24] }
    }

    /// As bytes, which [`Place::from_bytes`] reads.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.at.to_be_bytes());
        bytes[8..].copy_from_slice(&self.tie);
        bytes
    }

    /// The place that these bytes name.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let (at, tie) = bytes.split_at(8);
        let mut place = Self::before(0);
        place.tie.copy_from_slice(tie);
        place.at = at.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        place
    }
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The conversation that it stands in.
    pub conversation: ConversationId,
    /// Its place there.
    pub seq: Seq,
    /// Who said it.
    pub sender: UserId,
    /// What it is.
    pub kind: MessageKind,
    /// When it was placed, milliseconds since 1970.
    pub at: u64,
    /// What it says, around what was found.
    pub snippet: Snippet,
}

/// How messages were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// An index led to them.
    Index,
    /// The reader's messages were looked through, from the newest on: no term has as many letters as an index needs.
    Scan,
}

impl By {
    /// As in REST.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Scan => "scan",
        }
    }
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The newest first. There may be none in a page that is not the last.
    pub hits: Vec<Hit>,
    /// Ask again with `after` set to this; `None`: that was all.
    pub next: Option<Place>,
    /// How.
    pub by: By,
}

/// Searches.
#[async_trait]
pub trait Search: Send + Sync + 'static {
    /// The next page behind `after`, of at most `limit` messages that the user sees; `None` if the conversation that is
    /// searched is none that they are, or were, in.
    async fn search(
        &self,
        user: UserId,
        query: &SearchQuery,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Option<Found>, StoreError>;

    /// Takes up what messages of before there was searching say: looks at the next `look` rows, and notes how far that
    /// has come. Whether there is more. It may be done any number of times, by anybody.
    async fn take_up(&self, look: usize) -> Result<bool, StoreError>;
}

/// A text that may be what is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) place: Place,
    pub(crate) conversation: ConversationId,
    pub(crate) seq: Seq,
    pub(crate) sender: UserId,
    pub(crate) kind: MessageKind,
    pub(crate) text: String,
}

/// A page in the making.
pub(crate) struct Page<'a> {
    query: &'a SearchQuery,
    limit: usize,
    hits: Vec<Hit>,
    looked: usize,
    /// The last one that was looked at.
    last: Option<Place>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(query: &'a SearchQuery, limit: usize) -> Self {
        Self { query, limit, hits: Vec::new(), looked: 0, last: None }
    }

    /// How many more may be looked at; 0: the page is done.
    pub(crate) fn room(&self) -> usize {
        if self.hits.len() < self.limit { SEARCH_LOOK_MAX.saturating_sub(self.looked) } else { 0 }
    }

    /// How many hits it has, and would have.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.len() as u64
    }

    pub(crate) fn wanted(&self) -> u64 {
        self.limit as u64
    }

    /// Where one would go on.
    pub(crate) fn last(&self) -> Option<Place> {
        self.last
    }

    /// Looks at the next one. `is_seen`: by the reader.
    pub(crate) fn look(&mut self, candidate: Candidate, is_seen: bool) {
        self.looked += 1;
        let Candidate { place, conversation, seq, sender, kind, text } = candidate;
        self.last = Some(place);
        if !is_seen || !self.query.is_about(sender, kind, place.at) {
            return;
        }
        let Some(ranges) = self.query.terms.find(&text) else { return };
        let snippet = snippet(&text, &ranges, SNIPPET_LETTERS);
        self.hits.push(Hit { conversation, seq, sender, kind, at: place.at, snippet });
    }

    /// Passes over a place whose text is gone since it was proposed.
    pub(crate) fn pass(&mut self, place: Place) {
        self.looked += 1;
        self.last = Some(place);
    }

    /// Counts work that found no text to look at.
    pub(crate) fn spend(&mut self, work: usize) {
        self.looked += work;
    }

    /// The page. `is_last`: there is nothing behind it.
    pub(crate) fn found(self, is_last: bool, by: By) -> Found {
        Found { next: self.last.filter(|_| !is_last), hits: self.hits, by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many of what was proposed is gone: there is more behind it.
    #[test]
    fn a_page_of_which_all_is_gone_says_where_to_go_on() {
        let query = SearchQuery::new(Terms::parse("word").expect("a word"));
        let mut page = Page::new(&query, 10);
        (1..=SEARCH_LOOK_MAX as u64).rev().for_each(|at| page.pass(Place::before(at)));
        assert_eq!(page.room(), 0);
        let found = page.found(false, By::Index);
        assert_eq!((found.hits.len(), found.next), (0, Some(Place::before(1))));
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = Place { at: 0x0102_0304_0506_0708, tie: std::array::from_fn(|index| index as u8 + 100) };
        assert_eq!(Place::from_bytes(place.to_bytes()), place);
        assert!(place.to_bytes().starts_with(&[1, 2, 3, 4, 5, 6, 7, 8, 100]));
    }
}
