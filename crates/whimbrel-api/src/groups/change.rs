//! Roles, mutes, and a group's end.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::{Role, UserId};
use whimbrel_store::groups::GroupChange;

use super::forms;
use super::members::OneUser;
use super::views::GroupView;
use super::{change_by, named};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::extract::{Body, OptionalBody, PathOf};
use crate::relations::Nothing;
use crate::shared::App;

/// What a member can be made; the owner's role is given away by `transfer`.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum GivenRole {
    Member,
    Admin,
}

/// A member's new role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    /// The member's number.
    user: u64,
    #[schema(inline)]
    role: GivenRole,
}

/// Whom to mute, and until when.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mute {
    /// The member's number.
    user: u64,
    /// Milliseconds since 1970; 0: not any more; 9007199254740991: for good.
    until: u64,
}

/// Until when to mute everybody but the owner and admins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MuteAll {
    /// Milliseconds since 1970; 0: not any more; 9007199254740991: for good.
    until: u64,
}

/// Make a member an admin, or an admin a member
///
/// For the owner.
#[utoipa::path(post, path = "/v1/groups/{id}/role", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = NewRole, example = json!({"user": 13, "role": "admin"})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group", "forbidden", "not_applicable", "no_such_user", "not_a_member"]))))]
pub(crate) async fn set_member_role(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(NewRole { user, role }): Body<NewRole>,
) -> Result<Json<GroupView>, ApiError> {
    let role = match role {
        GivenRole::Member => Role::Member,
        GivenRole::Admin => Role::Admin,
    };
    let seen = change_by(app, caller, named(id), GroupChange::SetRole { user: UserId(user), role }).await?;
    Ok(Json(seen.into()))
}

/// Give a group away
///
/// To another member, who owns it then; you are an admin. For the owner.
#[utoipa::path(post, path = "/v1/groups/{id}/transfer", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = OneUser, example = json!({"user": 13})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 13, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group", "forbidden", "not_applicable", "no_such_user", "not_a_member"]))))]
pub(crate) async fn transfer_group(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(OneUser { user }): Body<OneUser>,
) -> Result<Json<GroupView>, ApiError> {
    let seen = change_by(app, caller, named(id), GroupChange::Transfer { to: UserId(user) }).await?;
    Ok(Json(seen.into()))
}

/// Mute a member for a time
///
/// They read, and write nothing but what takes back their own. Admins mute members, the owner also admins.
#[utoipa::path(post, path = "/v1/groups/{id}/mute", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = Mute, example = json!({"user": 13, "until": 1790000600000_u64})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group", "forbidden", "not_applicable", "no_such_user", "not_a_member"]))))]
pub(crate) async fn mute_member(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(Mute { user, until }): Body<Mute>,
) -> Result<Json<GroupView>, ApiError> {
    let seen =
        change_by(app, caller, named(id), GroupChange::Mute { user: UserId(user), until: forms::until(until) }).await?;
    Ok(Json(seen.into()))
}

/// Mute everybody for a time
///
/// Everybody but the owner and admins. For these.
#[utoipa::path(post, path = "/v1/groups/{id}/mute_all", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = MuteAll, example = json!({"until": 1790000600000_u64})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 1790000600000_u64, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group", "forbidden", "not_applicable"]))))]
pub(crate) async fn mute_group(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(MuteAll { until }): Body<MuteAll>,
) -> Result<Json<GroupView>, ApiError> {
    let seen = change_by(app, caller, named(id), GroupChange::MuteAll { until: forms::until(until) }).await?;
    Ok(Json(seen.into()))
}

/// Dissolve a group
///
/// Nobody writes any more; what was said stays with those to whom it was said; the handle is free. For the owner.
#[utoipa::path(post, path = "/v1/groups/{id}/dissolve", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 9, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": 1790000600000_u64}))),
    extensions(("x-error-codes" = json!(["no_such_group", "forbidden", "not_applicable"]))))]
pub(crate) async fn end_group(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Json<GroupView>, ApiError> {
    let seen = change_by(app, caller, named(id), GroupChange::Dissolve).await?;
    Ok(Json(seen.into()))
}
