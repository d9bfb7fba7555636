//! Searching: on the server where bodies are readable and it can be asked, else what this device has stored.
//!
//! Nothing opened is stored, so there is no index here: messages are opened and looked at, from the newest of all
//! conversations on, a bounded number for each page.

use std::collections::{BinaryHeap, VecDeque};

use hashbrown::HashMap;
use whimbrel_core::limits::{SEARCH_PAGE_MAX, SNIPPET_LETTERS};
use whimbrel_core::search::snippet;
use whimbrel_core::{ConversationId, ConversationKind, Seq};

use super::Client;
use super::history::Run;
use crate::error::Error;
use crate::picture::Pictured;
use crate::search::{Behind, Search, SearchHit, SearchPlace, Searched, SearchedBy, Stand, text};

/// Messages that one page looks at.
const LOOK: usize = 20_000;
/// Messages of one conversation that are opened at once: when it is the only one, and among others.
const ALONE: usize = 256;
const AMONG: usize = 32;
/// Most messages on a page.
const PAGE_MAX: usize = 1000;

/// The server cannot be asked: there is no answer, or none of its own to this question.
fn is_away(error: &Error) -> bool {
    match error {
        Error::Http(_) => true,
        Error::Api(refused) => refused.status >= 500,
        _ => false,
    }
}

/// A conversation that is looked through backwards.
struct Part {
    run: Run,
    /// What is older is looked at: before this place.
    before: u64,
    /// Opened and not looked at yet, the newest first.
    items: VecDeque<Pictured>,
}

/// All that are looked through: the one with the newest message has its turn.
struct Parts {
    parts: HashMap<ConversationId, Part>,
    turns: BinaryHeap<Stand>,
    at_once: usize,
}

impl Client {
    /// A page of at most `limit` messages that say what is searched for, as they are now: what was edited away, taken back or
    /// cleared is not found. The newest first, of all conversations together.
    ///
    /// A page looks at a bounded number of messages: it may be short, or empty, and still name what is `next`; an application
    /// shows what it has and goes on.
    ///
    /// Where bodies are readable the server looks, among all that the user sees. Where they are encrypted, and while the
    /// server cannot be asked, this device does, among what it has stored ([`Client::history`] brings more). `by` says which;
    /// the pages of one search are of one kind. The server cannot be asked while there is no connection, and while it or what
    /// stands before it answers with a status of 500 or above.
    ///
    /// # Errors
    /// [`Error::UnknownConversation`], [`Error::Store`]; [`Error::Api`] when the server says no, such as to too many searches
    /// at once; for later pages of the server's also [`Error::Http`], and [`Error::Api`] with any status.
    pub async fn search(&self, search: &Search, after: Option<&SearchPlace>, limit: usize) -> Result<Searched, Error> {
        let after = match after {
            Some(SearchPlace(Behind::Here(stand))) => Some(*stand),
            Some(SearchPlace(Behind::There(next))) => return self.search_there(search, Some(next), limit).await,
            None if self.has_readable_bodies() => match self.search_there(search, None, limit).await {
                Err(error) if is_away(&error) => {
                    tracing::debug!(%error, "the server cannot be asked: this device searches what it has");
                    None
                }
                found => return found,
            },
            None => None,
        };
        self.search_here(search, after, limit).await
    }

    async fn search_there(&self, search: &Search, after: Option<&str>, limit: usize) -> Result<Searched, Error> {
        let found = self.rest().search(search, after, limit.clamp(1, SEARCH_PAGE_MAX)).await?;
        let next = found.next.map(|next| SearchPlace(Behind::There(next)));
        Ok(Searched { hits: found.hits, next, by: SearchedBy::Server })
    }

    async fn search_here(&self, search: &Search, after: Option<Stand>, limit: usize) -> Result<Searched, Error> {
        let (mut parts, limit) = (self.parts(search, after).await?, limit.clamp(1, PAGE_MAX));
        let (mut hits, mut looked) = (Vec::new(), 0);
        while let Some(item) = self.next_item(&mut parts).await? {
            let stand = Stand { at: item.at, conversation: item.conversation, seq: item.seq };
            if search.since.is_some_and(|since| stand.at < since) {
                // All that follow are older still.
                break;
            }
            looked += 1;
            hits.extend(hit(search, &item));
            if hits.len() >= limit || looked >= LOOK {
                let next = Some(SearchPlace(Behind::Here(stand)));
                return Ok(Searched { hits, next, by: SearchedBy::Device });
            }
        }
        Ok(Searched { hits, next: None, by: SearchedBy::Device })
    }

    /// The conversations that are looked through, from `after` on backwards.
    async fn parts(&self, search: &Search, after: Option<Stand>) -> Result<Parts, Error> {
        let rows = self.inner.store.conversations().await?;
        let lasts = self.inner.store.last_messages().await?;
        let lasts: HashMap<_, _> = lasts.into_iter().map(|last| (last.conversation, last.at)).collect();
        if let Some(wanted) = search.conversation.filter(|wanted| rows.iter().all(|row| row.id != *wanted)) {
            return Err(Error::UnknownConversation(wanted));
        }
        let at_once = if search.conversation.is_some() { ALONE } else { AMONG };
        let mut parts = Parts { parts: HashMap::new(), turns: BinaryHeap::new(), at_once };
        for row in rows {
            let is_wanted = search.conversation.is_none_or(|wanted| wanted == row.id);
            if row.kind == ConversationKind::Private || !is_wanted {
                continue;
            }
            let Some(at) = lasts.get(&row.id) else { continue };
            let run = Run { low: row.base.0 + 1, high: row.cursor.0 };
            let mut before = row.cursor.0 + 1;
            if let Some(until) = search.until.filter(|until| until <= at) {
                before = before.min(self.stored_since(row.id, run, until).await?);
            }
            if let Some(after) = after {
                before = before.min(self.place_of(after, row.id, run).await?);
            }
            if before > run.low {
                parts.turns.push(Stand { at: *at, conversation: row.id, seq: Seq(before) });
                parts.parts.insert(row.id, Part { run, before, items: VecDeque::new() });
            }
        }
        Ok(parts)
    }

    /// Before which place of a conversation the messages stand that follow this one, going backwards.
    async fn place_of(&self, after: Stand, conversation: ConversationId, run: Run) -> Result<u64, Error> {
        match conversation.cmp(&after.conversation) {
            std::cmp::Ordering::Equal => Ok(after.seq.0),
            std::cmp::Ordering::Less => self.stored_since(conversation, run, after.at.saturating_add(1)).await,
            std::cmp::Ordering::Greater => self.stored_since(conversation, run, after.at).await,
        }
    }

    /// The next message going backwards.
    async fn next_item(&self, parts: &mut Parts) -> Result<Option<Pictured>, Error> {
        while let Some(turn) = parts.turns.pop() {
            let Some(part) = parts.parts.get_mut(&turn.conversation) else { continue };
            if let Some(item) = part.items.pop_front() {
                if let Some(next) = part.items.front() {
                    parts.turns.push(Stand { at: next.at, seq: next.seq, ..turn });
                } else if part.before > part.run.low {
                    // Not newer than this one; how old is seen when its turn comes.
                    parts.turns.push(Stand { seq: Seq(part.before), ..turn });
                }
                return Ok(Some(item));
            }
            let rows = self.stored_before(turn.conversation, part.run, part.before, parts.at_once).await?;
            part.before = rows.first().map_or(part.run.low, |oldest| oldest.seq.0);
            part.items = self.fold(turn.conversation, rows).await?.into_iter().rev().collect();
            if let Some(next) = part.items.front() {
                parts.turns.push(Stand { at: next.at, seq: next.seq, ..turn });
            }
        }
        Ok(None)
    }
}

fn hit(search: &Search, item: &Pictured) -> Option<SearchHit> {
    let &Pictured { conversation, seq, sender, kind, at, ref content, .. } = item;
    if !search.is_about(sender, kind, at) {
        return None;
    }
    let text = text(content);
    let ranges = search.terms.find(&text)?;
    Some(SearchHit { conversation, seq, sender, kind, at, snippet: snippet(&text, &ranges, SNIPPET_LETTERS) })
}
