//! What waits for an answer.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::{Action, UserId};
use whimbrel_store::groups::RequestKind;

use super::find::{ByGroup, ByUser};
use super::views::RequestView;
use super::{named, next_page, page_size, seen_by_id, uuid_of};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::extract::{PathOf, QueryOf};
use crate::shared::App;

/// A page of what waits in one group.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupRequests {
    requests: Vec<RequestView>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<u64>,
}

/// What waits for an answer in a group
///
/// For the owner and admins: who asked to join, who is invited, whom members propose. In the order of the users' numbers.
#[utoipa::path(get, path = "/v1/groups/{id}/requests", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("after" = Option<u64>, Query, description = "Users beyond this number.", example = 0),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = GroupRequests, example = json!({"requests": [{
        "group": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "group_name": "Bird watchers",
        "user": {"id": 13, "handle": "bert", "display_name": "Bert", "avatar": "", "created_at": 1790000000000_u64},
        "kind": "asked", "by": 13, "message": "It's Bert.", "at": 1790000000000_u64}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_group", "forbidden"]))))]
pub(crate) async fn list_group_requests(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    QueryOf(page): QueryOf<ByUser>,
) -> Result<Json<GroupRequests>, ApiError> {
    let limit = page_size(page.limit)?;
    let why = "only the owner and admins see what waits for an answer";
    let seen = seen_by_id(&app, named(id), caller.user).await?.for_those_who_may(Action::Answer, why)?;
    let requests = app.groups().group_requests(seen.group.id, UserId(page.after.unwrap_or(0)), limit).await?;
    let next = next_page(&requests, limit, |last| last.user.id.0);
    Ok(Json(GroupRequests { requests: requests.into_iter().map(RequestView::from).collect(), next }))
}

/// A page of what waits in all groups.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnGroupRequests {
    requests: Vec<RequestView>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<Uuid>,
}

/// Your invitations and requests
///
/// Groups that you are invited to, and those that you asked to join. By group, page by page.
#[utoipa::path(get, path = "/v1/groups/requests", tag = "groups", security(("access_token" = [])),
    params(("after" = Option<Uuid>, Query, description = "Groups beyond this one.",
            example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = OwnGroupRequests, example = json!({"requests": [{
        "group": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "group_name": "Bird watchers",
        "user": {"id": 13, "handle": "bert", "display_name": "Bert", "avatar": "", "created_at": 1790000000000_u64},
        "kind": "invited", "by": 12, "message": "", "at": 1790000000000_u64}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn own_group_requests(
    caller: Caller,
    State(app): State<App>,
    QueryOf(page): QueryOf<ByGroup>,
) -> Result<Json<OwnGroupRequests>, ApiError> {
    let limit = page_size(page.limit)?;
    let requests = app.groups().requests_of(caller.user, page.after.map(named), limit).await?;
    let next = next_page(&requests, limit, |last| uuid_of(last.group));
    // What a member proposed is not theirs to know before the owner or an admin agreed.
    let told = requests.into_iter().filter(|request| request.kind != RequestKind::Proposed);
    Ok(Json(OwnGroupRequests { requests: told.map(RequestView::from).collect(), next }))
}
