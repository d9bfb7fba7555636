//! Coming and going: who joins, invites, answers, leaves, and is sent away.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::UserId;
use whimbrel_store::groups::GroupChange;

use super::forms::{check_message, some_users};
use super::views::GroupView;
use super::{change_by, named};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::extract::{Body, OptionalBody, PathOf};
use crate::relations::Nothing;
use crate::shared::App;

/// What to say when asking.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinRequest {
    /// For those who answer; at most 200 characters.
    #[serde(default)]
    message: String,
}

/// Whom to ask in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invitation {
    /// The users' numbers, 1 to 1000.
    users: Vec<u64>,
}

/// Whom a change is about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneUser {
    /// The user's number.
    pub(super) user: u64,
}

/// Join a group, or ask to
///
/// At once if the group is open or you are invited; else owner and admins are asked (`GET /v1/groups/requests` holds your
/// question until they answer). The body may be left out.
#[utoipa::path(post, path = "/v1/groups/{id}/join", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = Option<JoinRequest>, example = json!({"message": "It's Bert."})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "Bring binoculars.", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 4, "muted_until": 0, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_group", "forbidden", "not_applicable", "group_full", "too_many_groups", "too_many_requests"]))))]
pub(crate) async fn join_group(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    OptionalBody(JoinRequest { message }): OptionalBody<JoinRequest>,
) -> Result<Json<GroupView>, ApiError> {
    check_message(&message)?;
    let seen = change_by(app, caller, named(id), GroupChange::Join { message }).await?;
    Ok(Json(seen.into()))
}

/// Decline an invitation, or take a question back
///
/// Nobody but owner and admins hears of it.
#[utoipa::path(post, path = "/v1/groups/{id}/decline", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group", "not_applicable"]))))]
pub(crate) async fn decline_group(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Json<GroupView>, ApiError> {
    let seen = change_by(app, caller, named(id), GroupChange::Decline).await?;
    Ok(Json(seen.into()))
}

/// Leave a group
///
/// You keep what was said while you were in it. The owner gives the group away first, or dissolves it.
#[utoipa::path(post, path = "/v1/groups/{id}/leave", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 2, "muted_until": 0, "revision": 9, "key_version": 2,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group", "forbidden", "not_applicable", "not_a_member"]))))]
pub(crate) async fn leave_group(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Json<GroupView>, ApiError> {
    let seen = change_by(app, caller, named(id), GroupChange::Leave).await?;
    Ok(Json(seen.into()))
}

/// Ask others in
///
/// Those who are in it, or invited already, are passed over. What a member who is no admin asks may need an admin's yes
/// first; then it waits as `proposed`.
#[utoipa::path(post, path = "/v1/groups/{id}/invite", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = Invitation, example = json!({"users": [13, 14]})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_group", "forbidden", "not_applicable", "no_such_user", "not_a_member", "group_full", "too_many_groups", "too_many_requests"]))))]
pub(crate) async fn invite_to_group(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(Invitation { users }): Body<Invitation>,
) -> Result<Json<GroupView>, ApiError> {
    let users = some_users("users", users)?;
    let seen = change_by(app, caller, named(id), GroupChange::Invite { users }).await?;
    Ok(Json(seen.into()))
}

/// Say yes to who asked
///
/// Who asked is a member then; whom a member proposed is invited then. One yes is enough: the second one is
/// `not_applicable`. For the owner and admins.
#[utoipa::path(post, path = "/v1/groups/{id}/approve", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = OneUser, example = json!({"user": 13})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 4, "muted_until": 0, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group", "forbidden", "not_applicable", "no_such_user", "group_full", "too_many_groups", "too_many_requests"]))))]
pub(crate) async fn approve_request(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(OneUser { user }): Body<OneUser>,
) -> Result<Json<GroupView>, ApiError> {
    let seen = change_by(app, caller, named(id), GroupChange::Approve { user: UserId(user) }).await?;
    Ok(Json(seen.into()))
}

/// Say no to who asked, or take an invitation back
///
/// For the owner and admins; members take back whom they themselves asked in.
#[utoipa::path(post, path = "/v1/groups/{id}/reject", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = OneUser, example = json!({"user": 13})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group", "forbidden", "not_applicable", "no_such_user"]))))]
pub(crate) async fn reject_request(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(OneUser { user }): Body<OneUser>,
) -> Result<Json<GroupView>, ApiError> {
    let seen = change_by(app, caller, named(id), GroupChange::Reject { user: UserId(user) }).await?;
    Ok(Json(seen.into()))
}

/// Send a member away
///
/// They keep what was said while they were in it, and see nothing of what follows; the group gets a new key. Admins send
/// members away, the owner also admins.
#[utoipa::path(post, path = "/v1/groups/{id}/remove", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = OneUser, example = json!({"user": 13})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 2, "muted_until": 0, "revision": 9, "key_version": 2,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group", "forbidden", "not_applicable", "no_such_user", "not_a_member"]))))]
pub(crate) async fn remove_member(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(OneUser { user }): Body<OneUser>,
) -> Result<Json<GroupView>, ApiError> {
    let seen = change_by(app, caller, named(id), GroupChange::Remove { user: UserId(user) }).await?;
    Ok(Json(seen.into()))
}
