//! Friends, requests and blocks, with the keys of the conversations.
//!
//! A key leaves the server to the two whose conversation it seals, and to nobody else. Whether the peer blocks the one
//! who asks is never told.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::UserId;
use whimbrel_store::directory::{Relation, RelationChange, RelationState};

use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{OptionalBody, PathOf, QueryOf};
use crate::shared::{App, now_ms};
use crate::turns::Kind;
use crate::users::{UserView, existing};

/// Characters of a greeting.
const GREETING_MAX: usize = 200;

/// Relations in one answer, and if the question names no number.
const PAGE_MAX: usize = 500;
const PAGE: usize = 100;

/// What two users are to each other, as the one who asks sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Nothing (any more).
    None,
    /// You asked.
    RequestSent,
    /// The peer asked.
    RequestReceived,
    /// Friends.
    Friends,
}

/// One version of a conversation's key.
#[derive(Serialize, ToSchema)]
pub(crate) struct Key {
    pub(crate) version: u32,
    /// 32 bytes (AES-256-GCM), base64.
    key: String,
}

impl From<(u32, [u8; 32])> for Key {
    fn from((version, key): (u32, [u8; 32])) -> Self {
        Self { version, key: STANDARD.encode(key) }
    }
}

/// A relation.
#[derive(Serialize, ToSchema)]
#[schema(as = Relation)]
pub(crate) struct RelationView {
    peer: UserView,
    #[schema(inline)]
    state: Standing,
    /// You block the peer.
    blocked: bool,
    /// With a request: what was said with it.
    greeting: String,
    /// Once you have been friends.
    conversation_id: Option<Uuid>,
    /// All versions, oldest first, at most 100; the last is for sending.
    keys: Vec<Key>,
    /// Milliseconds since 1970; 0 if there never was anything.
    changed_at: u64,
}

impl From<Relation> for RelationView {
    fn from(relation: Relation) -> Self {
        let state = match relation.state {
            RelationState::None => Standing::None,
            RelationState::RequestSent => Standing::RequestSent,
            RelationState::RequestReceived => Standing::RequestReceived,
            RelationState::Friends => Standing::Friends,
        };
        Self {
            peer: relation.peer.into(),
            state,
            blocked: relation.blocked,
            greeting: relation.greeting,
            conversation_id: relation.conversation.map(|id| Uuid::from_bytes(*id.as_bytes())),
            keys: relation.keys.into_iter().map(Key::from).collect(),
            changed_at: relation.changed_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    after: Option<u64>,
    limit: Option<usize>,
}

/// A page of relations.
#[derive(Serialize, ToSchema)]
pub(crate) struct Relations {
    relations: Vec<RelationView>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<u64>,
}

/// Your relations
///
/// In the order of the peers' numbers, page by page.
#[utoipa::path(get, path = "/v1/relations", operation_id = "list_relations", tag = "relations", security(("access_token" = [])),
    params(("after" = Option<u64>, Query, description = "Peers beyond this number.", example = 0),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = Relations, example = json!({"relations": [{
        "peer": {"id": 13, "handle": "bert", "display_name": "Bert", "avatar": "", "created_at": 1790000000000_u64},
        "state": "friends", "blocked": false, "greeting": "",
        "conversation_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f",
        "keys": [{"version": 1, "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}],
        "changed_at": 1790000000000_u64}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn list(
    caller: Caller,
    State(app): State<App>,
    QueryOf(page): QueryOf<Page>,
) -> Result<Json<Relations>, ApiError> {
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(ApiError::invalid("limit", "a page has 1 to 500 relations"));
    }
    let relations = app.directory().relations(caller.user, UserId(page.after.unwrap_or(0)), limit).await?;
    let next = relations.last().filter(|_| relations.len() == limit).map(|last| last.peer.id.0);
    Ok(Json(Relations { relations: relations.into_iter().map(RelationView::from).collect(), next }))
}

/// What you and another are to each other
#[utoipa::path(get, path = "/v1/relations/{user}", tag = "relations", security(("access_token" = [])),
    params(("user" = u64, Path, description = "The other.", example = 13)),
    responses((status = 200, description = "The relation; state `none` if there never was one.", body = RelationView,
        example = json!({
          "peer": {"id": 13, "handle": "bert", "display_name": "Bert", "avatar": "", "created_at": 1790000000000_u64},
          "state": "request_received", "blocked": false, "greeting": "It's Bert.", "conversation_id": null,
          "keys": [], "changed_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["no_such_user"]))))]
pub(crate) async fn one(
    caller: Caller,
    State(app): State<App>,
    PathOf(peer): PathOf<u64>,
) -> Result<Json<RelationView>, ApiError> {
    if let Some(relation) = app.directory().relation(caller.user, UserId(peer)).await? {
        return Ok(Json(relation.into()));
    }
    let peer = existing(&app, UserId(peer)).await?.into();
    Ok(Json(RelationView {
        peer,
        state: Standing::None,
        blocked: false,
        greeting: String::new(),
        conversation_id: None,
        keys: Vec::new(),
        changed_at: 0,
    }))
}

async fn change(app: App, caller: Caller, peer: u64, change: RelationChange) -> Result<Json<RelationView>, ApiError> {
    let (shared, user) = (app.clone(), caller.user);
    let relation = app
        .change_by(&caller, Kind::Relation, async move {
            let (relation, rows) = shared.directory().change_relation(user, UserId(peer), change, now_ms()).await?;
            shared.placed(rows).await;
            Ok(relation)
        })
        .await?;
    Ok(Json(relation.into()))
}

/// What to say with a request.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FriendRequest {
    /// At most 200 characters.
    #[serde(default)]
    greeting: String,
}

/// Ask to be friends
///
/// Accepts, if the other has asked already. The body may be left out.
#[utoipa::path(post, path = "/v1/relations/{user}/request", tag = "relations", security(("access_token" = [])),
    params(("user" = u64, Path, description = "The other.", example = 13)),
    request_body(content = Option<FriendRequest>, example = json!({"greeting": "It's Anna."})),
    responses((status = 200, description = "The relation, as it is now.", body = RelationView, example = json!({
        "peer": {"id": 13, "handle": "bert", "display_name": "Bert", "avatar": "", "created_at": 1790000000000_u64},
        "state": "request_sent", "blocked": false, "greeting": "It's Anna.", "conversation_id": null, "keys": [],
        "changed_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(
        ["invalid", "no_such_user", "not_applicable", "blocked", "too_many_relations"]))))]
pub(crate) async fn request(
    caller: Caller,
    State(app): State<App>,
    PathOf(peer): PathOf<u64>,
    OptionalBody(FriendRequest { greeting }): OptionalBody<FriendRequest>,
) -> Result<Json<RelationView>, ApiError> {
    if greeting.chars().count() > GREETING_MAX {
        return Err(ApiError::invalid("greeting", "a greeting has at most 200 characters"));
    }
    change(app, caller, peer, RelationChange::Request { greeting }).await
}

/// A body with nothing in it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What else can be done, besides asking; for the document.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the path's text is matched, so that another one is answered as an unknown path")]
enum Action {
    Cancel,
    Accept,
    Decline,
    Remove,
    Block,
    Unblock,
}

/// Cancel, accept, decline, remove, block, unblock
///
/// `cancel` takes one's request back; `accept` and `decline` answer the other's; `remove` ends the friendship, messages
/// stay; `block` lets nothing through either way and ends requests; `unblock` takes that back.
#[utoipa::path(post, path = "/v1/relations/{user}/{action}", tag = "relations", security(("access_token" = [])),
    params(("user" = u64, Path, description = "The other.", example = 13),
        ("action" = inline(Action), Path, description = "What to do.", example = "accept")),
    responses((status = 200, description = "The relation, as it is now.", body = RelationView, example = json!({
        "peer": {"id": 13, "handle": "bert", "display_name": "Bert", "avatar": "", "created_at": 1790000000000_u64},
        "state": "friends", "blocked": false, "greeting": "",
        "conversation_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f",
        "keys": [{"version": 1, "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}],
        "changed_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(
        ["not_found", "no_such_user", "not_applicable", "blocked", "too_many_relations"]))))]
pub(crate) async fn act(
    caller: Caller,
    State(app): State<App>,
    PathOf((peer, action)): PathOf<(u64, String)>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Json<RelationView>, ApiError> {
    let action = match &*action {
        "cancel" => RelationChange::Cancel,
        "accept" => RelationChange::Accept,
        "decline" => RelationChange::Decline,
        "remove" => RelationChange::Remove,
        "block" => RelationChange::Block,
        "unblock" => RelationChange::Unblock,
        _ => return Err(Code::NotFound.into()),
    };
    change(app, caller, peer, action).await
}
