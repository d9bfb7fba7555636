//! Searching on the server, where bodies are readable.

use serde::Deserialize;
use whimbrel_core::search::{Snippet, Terms};
use whimbrel_core::{ConversationId, MessageKind, Seq, UserId};

use super::Rest;
use super::words::query;
use crate::account::Credentials;
use crate::error::Error;
use crate::search::{Search, SearchHit};

/// A page of what the server found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSearched {
    /// The newest first. There may be none in a page that is not the last.
    pub hits: Vec<SearchHit>,
    /// Ask again with this; `None`: that was all.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct FoundWords {
    hits: Vec<HitWords>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct HitWords {
    conversation: String,
    seq: u64,
    sender: u64,
    kind: u32,
    at: u64,
    snippet: String,
    highlights: Vec<(usize, usize)>,
}

impl HitWords {
    fn read(self) -> Result<SearchHit, Error> {
        let conversation = self.conversation.parse::<ConversationId>();
        Ok(SearchHit {
            conversation: conversation.map_err(|_| Error::Http("the answer's conversation cannot be read".into()))?,
            seq: Seq(self.seq),
            sender: UserId(self.sender),
            kind: MessageKind(self.kind),
            at: self.at,
            snippet: Snippet {
                text: self.snippet,
                highlights: self.highlights.into_iter().map(|(from, to)| from..to).collect(),
            },
        })
    }
}

/// As a person would type them.
fn typed(terms: &Terms) -> String {
    terms.iter().map(|term| format!("\"{term}\"")).collect::<Vec<_>>().join(" ")
}

impl Rest {
    /// A page of at most `limit` (and 100) messages that say what is searched for, behind what an earlier page said as
    /// `next`. [`Client::search`](crate::Client::search) asks where it is answered: here, or in the device's own store.
    ///
    /// # Errors
    /// [`Error::Api`]: `search_unavailable` where bodies are encrypted, `no_such_conversation`.
    pub async fn search(
        &self,
        credentials: &Credentials,
        search: &Search,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ServerSearched, Error> {
        let mut path = format!("/v1/search?limit={limit}&{}", query("q", &typed(&search.terms)));
        let mut add = |name: &str, value: Option<String>| {
            path.extend(value.map(|value| format!("&{}", query(name, &value))));
        };
        add("conversation", search.conversation.map(|id| id.to_string()));
        add("sender", search.sender.map(|user| user.0.to_string()));
        let kinds: Vec<String> = search.kinds.iter().map(|kind| kind.0.to_string()).collect();
        add("kinds", Some(kinds.join(",")).filter(|kinds| !kinds.is_empty()));
        add("since", search.since.map(|since| since.to_string()));
        add("until", search.until.map(|until| until.to_string()));
        add("after", after.map(str::to_owned));
        let found: FoundWords = self.get(&path, credentials).await?;
        let hits = found.hits.into_iter().map(HitWords::read).collect::<Result<_, _>>()?;
        Ok(ServerSearched { hits, next: found.next })
    }
}
