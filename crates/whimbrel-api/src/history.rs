//! History: pages of a conversation, wherever they lie, and what is about the messages in them.
//!
//! Reads alone. What is shown is what the user's devices would get by sync, or would have got in an earlier time in a group,
//! and the same bytes: who opens them needs the conversation's key, unless the deployment keeps bodies readable.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::{Message, Seq};
use whimbrel_store::history::{HistoryPage, PageAt};

use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{PathOf, QueryOf};
use crate::groups::{named, page_size};
use crate::shared::App;

/// A message, as the timeline holds it.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageView {
    /// Its place.
    seq: u64,
    /// Who said it.
    sender: u64,
    /// On which device; all zeros for what the server said.
    device_id: Uuid,
    /// The sender's name for it.
    message_id: Uuid,
    /// What it is: docs/protocol.md has the numbers.
    kind: u32,
    /// The version of the conversation's key that sealed it; 0: readable.
    key_version: u32,
    /// When it was placed, milliseconds since 1970.
    at: u64,
    /// As it was sent, base64. Empty: it was taken back.
    body: String,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        Self {
            seq: message.seq.0,
            sender: message.sender.0,
            device_id: Uuid::from_bytes(*message.device.as_bytes()),
            message_id: Uuid::from_bytes(*message.message_id.as_bytes()),
            kind: message.kind.0,
            key_version: message.key_version,
            at: message.at,
            body: STANDARD.encode(&message.body),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    before: Option<u64>,
    after: Option<u64>,
    around: Option<u64>,
    at: Option<u64>,
    limit: Option<usize>,
}

impl PageQuery {
    /// Where the page lies: at the end, if nothing is named.
    fn place(&self) -> Result<PageAt, ApiError> {
        match (self.before, self.after, self.around, self.at) {
            (None, None, None, None) => Ok(PageAt::Before(Seq(u64::MAX))),
            (Some(seq), None, None, None) => Ok(PageAt::Before(Seq(seq))),
            (None, Some(seq), None, None) => Ok(PageAt::After(Seq(seq))),
            (None, None, Some(seq), None) => Ok(PageAt::Around(Seq(seq))),
            (None, None, None, Some(at)) => Ok(PageAt::At(at)),
            _ => Err(ApiError::new(Code::Invalid).says("name one of before, after, around and at")),
        }
    }
}

/// A page of a conversation.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagesPage)]
pub(crate) struct PageView {
    /// In the order of their places, without a gap.
    messages: Vec<MessageView>,
    /// The first place that you see; what was before is gone, or was not said to you.
    first: u64,
    /// The last place that you see; below `first` when you see none. Between the two there may be places that you do not
    /// see: what was said in a group while you were not in it.
    last: u64,
    /// For what is older ask with `before` set to this; nothing: there is nothing older. A page ends where you were not in
    /// the group, and this leads over that.
    older: Option<u64>,
    /// For what is newer ask with `after` set to this; nothing: there is nothing newer yet.
    newer: Option<u64>,
}

impl From<HistoryPage> for PageView {
    fn from(HistoryPage { first, last, messages }: HistoryPage) -> Self {
        let (first, last) = (first.0, last.0);
        let sees = first <= last;
        let (older, newer) = match (messages.first(), messages.last()) {
            (Some(oldest), Some(newest)) => (
                Some(oldest.seq.0).filter(|oldest| *oldest > first),
                Some(newest.seq.0).filter(|newest| *newest < last),
            ),
            // Beyond one end: all lies on the other side.
            _ => (sees.then_some(last + 1), sees.then_some(first - 1)),
        };
        Self { messages: messages.into_iter().map(MessageView::from).collect(), first, last, older, newer }
    }
}

/// Messages of a conversation
///
/// A page before or after a place, around one, or from a time on; without any of these the newest ones. It takes the same
/// time wherever it lies. You do not see what was said before you joined (unless the group shows it), what you cleared,
/// what was said after you left (until you came back, if you did), and what is no longer kept. Edits, reactions, recalls and parts of streams
/// are rows of their own at their own places: those of the messages of a page come with `follow_ups`.
#[utoipa::path(get, path = "/v1/conversations/{id}/messages", tag = "conversations", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The conversation.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("before" = Option<u64>, Query, description = "Places before this one.", example = 1200),
        ("after" = Option<u64>, Query, description = "Places after this one."),
        ("around" = Option<u64>, Query, description = "Places on both sides of this one, which is among them."),
        ("at" = Option<u64>, Query, description = "Messages of this time, milliseconds since 1970, and later ones."),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out. A page has at most 1 MiB of bodies, so \
         it may hold fewer.", example = 2)),
    responses((status = 200, description = "A page.", body = PageView, example = json!({"messages": [
        {"seq": 1198, "sender": 13, "device_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398a",
         "message_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c073981", "kind": 1, "key_version": 1, "at": 1790000000000_u64,
         "body": "aGVsbG8="},
        {"seq": 1199, "sender": 12, "device_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398b",
         "message_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c073982", "kind": 1, "key_version": 1, "at": 1790000000900_u64,
         "body": ""}], "first": 1, "last": 20000, "older": 1198, "newer": 1199}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_conversation"]))))]
pub(crate) async fn list_messages(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<PageView>, ApiError> {
    let (limit, place) = (page_size(query.limit)?, query.place()?);
    let page = app.history().history(caller.user, named(id), place, limit).await?;
    Ok(Json(page.ok_or_else(|| ApiError::new(Code::NoSuchConversation))?.into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AboutQuery {
    from: u64,
    upto: u64,
    after: Option<String>,
    limit: Option<usize>,
}

impl AboutQuery {
    /// Behind which follow-up the page begins.
    fn behind(&self) -> Result<(Seq, Seq), ApiError> {
        let Some(after) = &self.after else { return Ok((Seq(0), Seq(0))) };
        let parts = after.split_once('.').and_then(|(target, seq)| Some((target.parse().ok()?, seq.parse().ok()?)));
        let (target, seq) =
            parts.ok_or_else(|| ApiError::invalid("after", "this is not what a page said as `next`"))?;
        Ok((Seq(target), Seq(seq)))
    }
}

/// What is about some messages.
#[derive(Serialize, ToSchema)]
#[schema(as = FollowUpsPage)]
pub(crate) struct AboutView {
    /// By the messages that they are about, then by their own places.
    messages: Vec<MessageView>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<String>,
}

/// What is about messages
///
/// Edits, reactions, recalls and parts of streams of the messages at these places, wherever they stand. Applied in the order
/// of their own places they make of a page of messages what it is now; a body begins with the place that it is about, 8
/// bytes, big-endian.
#[utoipa::path(get, path = "/v1/conversations/{id}/follow_ups", tag = "conversations", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The conversation.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("from" = u64, Query, description = "The first place.", example = 1198),
        ("upto" = u64, Query, description = "The last place.", example = 1199),
        ("after" = Option<String>, Query, description = "Beyond what the last page had, which said this as `next`."),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = AboutView, example = json!({"messages": [
        {"seq": 1204, "sender": 12, "device_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398b",
         "message_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c073983", "kind": 501, "key_version": 1, "at": 1790000001900_u64,
         "body": "AAAAAAAABK8="}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_conversation"]))))]
pub(crate) async fn list_follow_ups(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    QueryOf(query): QueryOf<AboutQuery>,
) -> Result<Json<AboutView>, ApiError> {
    let (limit, behind) = (page_size(query.limit)?, query.behind()?);
    let about = Seq(query.from)..=Seq(query.upto);
    let found = app.history().follow_ups(caller.user, named(id), about, behind, limit).await?;
    let found = found.ok_or_else(|| ApiError::new(Code::NoSuchConversation))?;
    Ok(Json(AboutView {
        messages: found.messages.into_iter().map(MessageView::from).collect(),
        next: found.next.map(|(target, seq)| format!("{target}.{seq}")),
    }))
}
