//! Groups of the embedding product: made for an owner, filled and ended without asking anybody in them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::UserId;
use whimbrel_store::groups::{Actor, GroupChange};

use super::create::NewGroupForm;
use super::forms::some_users;
use super::named;
use super::views::{GroupView, JoinView};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::extract::{Body, PathOf};
use crate::shared::{App, now_ms};

/// A group to create for somebody.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGroupFor {
    /// The number of who is to own it.
    owner: u64,
    /// 1 to 100 characters.
    name: String,
    /// 2 to 32 of `a-z 0-9 _ . -`, beginning with a letter or a digit; none if left out.
    handle: Option<String>,
    /// A URL of at most 512 characters, or empty.
    #[serde(default)]
    avatar: String,
    /// At most 2000 characters.
    #[serde(default)]
    announcement: String,
    /// How one joins; by invitation if left out.
    #[serde(default)]
    join: JoinView,
    /// Whether searches find it.
    #[serde(default)]
    listed: bool,
    /// Whether those who join see what was said before.
    #[serde(default)]
    history_for_all: bool,
    /// 1 to 100000; 10000 if left out.
    member_limit: Option<u32>,
    /// Numbers of the owner's friends, who are in it from the start; others get an invitation. At most 1000. Who is to be
    /// in it without being asked is added afterwards.
    #[serde(default)]
    members: Vec<u64>,
}

/// Create a group for somebody
#[utoipa::path(post, path = "/v1/admin/groups", tag = "admin", security(("admin_key" = [])),
    request_body(content = NewGroupFor, example = json!({"owner": 12, "name": "All of us", "history_for_all": true})),
    responses((status = 201, description = "The group.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "All of us", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": true,
        "member_limit": 10000, "size": 1, "muted_until": 0, "revision": 1, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["invalid", "handle_taken", "no_such_user", "group_full", "too_many_groups",
        "too_many_requests", "not_applicable"]))))]
pub(crate) async fn create_group_for(
    _: Admin,
    State(app): State<App>,
    Body(form): Body<NewGroupFor>,
) -> Result<(StatusCode, Json<GroupView>), ApiError> {
    let owner = UserId(form.owner);
    let form = NewGroupForm {
        name: form.name,
        handle: form.handle,
        avatar: form.avatar,
        announcement: form.announcement,
        join: form.join,
        listed: form.listed,
        history_for_all: form.history_for_all,
        member_limit: form.member_limit,
        members: form.members,
    };
    let new = form.checked(owner)?;
    let shared = app.clone();
    let group = app
        .change(async move {
            let (group, rows) = shared.groups().create_group(new, now_ms()).await?;
            shared.placed(rows).await;
            Ok(group)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(group.into())))
}

async fn change(app: App, id: Uuid, change: GroupChange) -> Result<GroupView, ApiError> {
    let shared = app.clone();
    app.change(async move {
        let (group, rows) = shared.groups().change_group(named(id), Actor::Operator, change, now_ms()).await?;
        shared.placed(rows).await;
        Ok(group.into())
    })
    .await
}

/// Users to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddedUsers {
    /// The users' numbers, 1 to 1000.
    users: Vec<u64>,
}

/// Add members to a group
///
/// Without asking them. Those who are in it already are passed over; either all others are added or none.
#[utoipa::path(post, path = "/v1/admin/groups/{id}/members", tag = "admin", security(("admin_key" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = AddedUsers, example = json!({"users": [13, 14]})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "All of us", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": true,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 2, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_group", "no_such_user", "not_applicable", "group_full",
        "too_many_groups"]))))]
pub(crate) async fn add_group_members(
    _: Admin,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(form): Body<AddedUsers>,
) -> Result<Json<GroupView>, ApiError> {
    let users = some_users("users", form.users)?;
    change(app, id, GroupChange::Add { users }).await.map(Json)
}

/// Dissolve a group
///
/// Nobody writes any more; what was said stays with those to whom it was said; the handle is free.
#[utoipa::path(delete, path = "/v1/admin/groups/{id}", tag = "admin", security(("admin_key" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 204, description = "The group is dissolved.")),
    extensions(("x-error-codes" = json!(["no_such_group", "not_applicable"]))))]
pub(crate) async fn dissolve_group(
    _: Admin,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
) -> Result<StatusCode, ApiError> {
    change(app, id, GroupChange::Dissolve).await.map(|_| StatusCode::NO_CONTENT)
}
