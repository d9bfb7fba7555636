//! Searching what was said, where the deployment keeps bodies readable.
//!
//! Reads alone, and only what the user's devices would get by sync. One request looks at a bounded number of messages: its
//! page may be short, or empty, and say where to go on. Searches have a rate of their own: they are the dearest reads.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::limits::SEARCH_PAGE_MAX;
use whimbrel_core::search::Terms;
use whimbrel_core::{MessageKind, UserId};
use whimbrel_store::search::{Found, Hit, Place, SearchQuery};

use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::QueryOf;
use crate::groups::named;
use crate::shared::App;
use crate::turns::Kind;

/// Hits of a page, if the request does not say how many.
const PAGE: usize = 20;
/// Kinds that one search names.
const KINDS_MAX: usize = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchFor {
    q: String,
    conversation: Option<Uuid>,
    sender: Option<u64>,
    kinds: Option<String>,
    since: Option<u64>,
    until: Option<u64>,
    after: Option<String>,
    limit: Option<usize>,
}

impl SearchFor {
    fn query(&self) -> Result<SearchQuery, ApiError> {
        let terms = Terms::parse(&self.q).map_err(|error| ApiError::invalid("q", error.to_string()))?;
        Ok(SearchQuery {
            terms,
            conversation: self.conversation.map(named),
            sender: self.sender.map(UserId),
            kinds: self.kinds()?,
            since: self.since.unwrap_or(0),
            until: self.until.unwrap_or(u64::MAX),
        })
    }

    fn kinds(&self) -> Result<Vec<MessageKind>, ApiError> {
        let Some(kinds) = &self.kinds else { return Ok(Vec::new()) };
        let numbers: Option<Vec<_>> =
            kinds.split(',').take(KINDS_MAX + 1).map(|kind| kind.parse().ok().map(MessageKind)).collect();
        let numbers = numbers.filter(|numbers| numbers.len() <= KINDS_MAX);
        numbers.ok_or_else(|| ApiError::invalid("kinds", "name up to 20 numbers with commas between them"))
    }

    fn limit(&self) -> Result<usize, ApiError> {
        let limit = self.limit.unwrap_or(PAGE);
        match (1..=SEARCH_PAGE_MAX).contains(&limit) {
            true => Ok(limit),
            false => Err(ApiError::invalid("limit", "a page has 1 to 100 hits")),
        }
    }

    fn after(&self) -> Result<Option<Place>, ApiError> {
        let Some(after) = &self.after else { return Ok(None) };
        let place = unhex(after).map(Place::from_bytes);
        place.map(Some).ok_or_else(|| ApiError::invalid("after", "this is not what a page said as `next`"))
    }
}

fn hex(bytes: [u8; 32]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}

/// A message that was found.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchHit)]
pub(crate) struct HitView {
    /// The conversation that it stands in.
    conversation: Uuid,
    /// Its place there.
    seq: u64,
    /// Who said it.
    sender: u64,
    /// What it is: docs/protocol.md has the numbers.
    kind: u32,
    /// When it was placed, milliseconds since 1970.
    at: u64,
    /// What it says now, around what was found: up to 160 characters, and an ellipsis where it was cut.
    snippet: String,
    /// What was found in the snippet: pairs of the first character and the one behind the last. Characters are Unicode code
    /// points, not bytes and not UTF-16 units.
    highlights: Vec<[usize; 2]>,
}

impl From<Hit> for HitView {
    fn from(hit: Hit) -> Self {
        Self {
            conversation: Uuid::from_bytes(*hit.conversation.as_bytes()),
            seq: hit.seq.0,
            sender: hit.sender.0,
            kind: hit.kind.0,
            at: hit.at,
            snippet: hit.snippet.text,
            highlights: hit.snippet.highlights.into_iter().map(|range| [range.start, range.end]).collect(),
        }
    }
}

/// What was found.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchPage)]
pub(crate) struct SearchView {
    /// The newest first.
    hits: Vec<HitView>,
    /// Ask again with `after` set to this, also if there are no hits; nothing: that was all.
    next: Option<String>,
    /// `index`: an index led to them. `scan`: no word has as many letters as the index needs, so your messages were looked
    /// through from the newest on.
    by: &'static str,
}

impl From<Found> for SearchView {
    fn from(found: Found) -> Self {
        Self {
            hits: found.hits.into_iter().map(HitView::from).collect(),
            next: found.next.map(|place| hex(place.to_bytes())),
            by: found.by.name(),
        }
    }
}

/// Search messages
///
/// Messages that you see and in whose text every word occurs, wherever it does (also within a word), in upper or lower case;
/// `"quotes"` keep a phrase whole. Found is what a message says now: with its edits, and not once it was taken back. One
/// request looks at up to 2,000 messages, so a page may have fewer hits than asked for, or none, while there is a `next`.
/// Only where the deployment keeps bodies readable; elsewhere clients search their own store.
#[utoipa::path(get, path = "/v1/search", tag = "conversations", security(("access_token" = [])),
    params(("q" = String, Query, description = "Words with spaces between them, up to 10, and up to 200 letters.",
         example = "\"good morning\" 会议"),
        ("conversation" = Option<Uuid>, Query, description = "In this conversation only.",
         example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("sender" = Option<u64>, Query, description = "Said by this user only.", example = 13),
        ("kinds" = Option<String>, Query, description = "Of these kinds only, with commas between them.", example = "1,100"),
        ("since" = Option<u64>, Query, description = "Placed at this time, milliseconds since 1970, or later."),
        ("until" = Option<u64>, Query, description = "Placed before this time."),
        ("after" = Option<String>, Query, description = "Beyond what the last page had, which said this as `next`."),
        ("limit" = Option<usize>, Query, description = "1 to 100; 20 if left out.", example = 20)),
    responses((status = 200, description = "A page.", body = SearchView, example = json!({"hits": [
        {"conversation": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "seq": 1198, "sender": 13, "kind": 1,
         "at": 1790000000000_u64, "snippet": "Good morning! 会议 is at ten", "highlights": [[0, 12], [14, 16]]}],
        "next": null, "by": "index"}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_conversation", "search_unavailable", "too_many_attempts"]))))]
pub(crate) async fn search(
    caller: Caller,
    State(app): State<App>,
    QueryOf(asked): QueryOf<SearchFor>,
) -> Result<Json<SearchView>, ApiError> {
    if !app.config.bodies_readable {
        return Err(Code::SearchUnavailable.into());
    }
    let (query, after, limit) = (asked.query()?, asked.after()?, asked.limit()?);
    app.admit(&caller, Kind::Search, Instant::now())?;
    let found = app.search().search(caller.user, &query, after, limit).await?;
    Ok(Json(found.ok_or_else(|| ApiError::new(Code::NoSuchConversation))?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_said_and_nothing_else_is() {
        let bytes: [u8; 32] = std::array::from_fn(|index| index as u8 * 8);
        assert_eq!(unhex(&hex(bytes)), Some(bytes));
        for bad in ["", "00", &hex(bytes)[1..], &format!("{}0", hex(bytes)), &"x".repeat(64), &"é".repeat(64)] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
