//! Finding groups, one's own and others', and what members may know of theirs.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::UserId;

use super::views::{GroupView, MemberView, MembershipView};
use super::{named, next_page, page_size, seen, seen_by_id, uuid_of};
use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{PathOf, QueryOf};
use crate::relations::Key;
use crate::shared::App;

/// Characters of what is searched for.
const QUERY_MAX: usize = 100;

/// A page by group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByGroup {
    pub(super) after: Option<Uuid>,
    pub(super) limit: Option<usize>,
}

/// A page by user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByUser {
    pub(super) after: Option<u64>,
    pub(super) limit: Option<usize>,
}

/// A page of your groups.
#[derive(Serialize, ToSchema)]
pub(crate) struct Memberships {
    groups: Vec<MembershipView>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<Uuid>,
}

/// Your groups
///
/// Those that you are in, and those that you were in and still see. By id, page by page.
#[utoipa::path(get, path = "/v1/groups", tag = "groups", security(("access_token" = [])),
    params(("after" = Option<Uuid>, Query, description = "Groups beyond this one.",
            example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = Memberships, example = json!({"groups": [{"group": {
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "Bring binoculars.", "owner": 12, "join": "invitation", "listed": false,
        "history_for_all": false, "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 1,
        "key_version": 1, "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null},
        "role": "member", "muted_until": 0, "until": 0}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn list_groups(
    caller: Caller,
    State(app): State<App>,
    QueryOf(page): QueryOf<ByGroup>,
) -> Result<Json<Memberships>, ApiError> {
    let limit = page_size(page.limit)?;
    let groups = app.groups().groups_of(caller.user, page.after.map(named), limit).await?;
    let next = next_page(&groups, limit, |last| uuid_of(last.group.id));
    Ok(Json(Memberships { groups: groups.into_iter().map(MembershipView::from).collect(), next }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    q: String,
    after: Option<Uuid>,
    limit: Option<usize>,
}

/// A page of groups.
#[derive(Serialize, ToSchema)]
pub(crate) struct Found {
    groups: Vec<GroupView>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<Uuid>,
}

/// Search listed groups
///
/// By the beginning of the handle, or of the name from any of its words on; upper and lower case are the same, and so is
/// what separates words. In the order of what is found, page by page; without announcements.
#[utoipa::path(get, path = "/v1/groups/search", tag = "groups", security(("access_token" = [])),
    params(("q" = String, Query, description = "1 to 100 characters.", example = "bird"),
        ("after" = Option<Uuid>, Query, description = "Groups beyond this one.",
            example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = Found, example = json!({"groups": [{
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": "birds", "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "open", "listed": true, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 7, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn search_groups(
    _: Caller,
    State(app): State<App>,
    QueryOf(search): QueryOf<Search>,
) -> Result<Json<Found>, ApiError> {
    let limit = page_size(search.limit)?;
    let text = search.q.trim();
    if text.is_empty() || text.chars().count() > QUERY_MAX {
        return Err(ApiError::invalid("q", "what is searched for has 1 to 100 characters"));
    }
    let groups = app.groups().search_groups(text, search.after.map(named), limit).await?;
    let next = next_page(&groups, limit, |last| uuid_of(last.id));
    Ok(Json(Found { groups: groups.into_iter().map(GroupView::from_outside).collect(), next }))
}

/// A group, by handle
///
/// Only the exact handle is found, and only by those who may know of the group: see `GET /v1/groups/{id}`.
#[utoipa::path(get, path = "/v1/groups/handle/{handle}", tag = "groups", security(("access_token" = [])),
    params(("handle" = String, Path, description = "The exact handle.", example = "birds")),
    responses((status = 200, description = "The group.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": "birds", "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "open", "listed": true, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 7, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["no_such_group"]))))]
pub(crate) async fn group_by_handle(
    caller: Caller,
    State(app): State<App>,
    PathOf(handle): PathOf<String>,
) -> Result<Json<GroupView>, ApiError> {
    let group = app.groups().group_by_handle(&handle).await?;
    seen(&app, group, caller.user).await.map(|seen| Json(seen.into()))
}

/// A group
///
/// With what you are there. Others than members see it if it is listed, or if they were in it, are invited or have asked.
#[utoipa::path(get, path = "/v1/groups/{id}", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    responses((status = 200, description = "The group; `role` is null if you never were in it.",
        body = MembershipView, example = json!({"group": {
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "Bring binoculars.", "owner": 12, "join": "invitation", "listed": false,
        "history_for_all": false, "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 1,
        "key_version": 1, "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null},
        "role": "member", "muted_until": 0, "until": 0}))),
    extensions(("x-error-codes" = json!(["no_such_group"]))))]
pub(crate) async fn get_group(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
) -> Result<Json<MembershipView>, ApiError> {
    seen_by_id(&app, named(id), caller.user).await.map(|seen| Json(seen.into()))
}

/// A page of a group's members.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupMembers {
    members: Vec<MemberView>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<u64>,
}

/// A group's members
///
/// For members. In the order of their numbers, page by page.
#[utoipa::path(get, path = "/v1/groups/{id}/members", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("after" = Option<u64>, Query, description = "Members beyond this number.", example = 0),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = GroupMembers, example = json!({"members": [{
        "user": {"id": 12, "handle": "anna", "display_name": "Anna", "avatar": "", "created_at": 1790000000000_u64},
        "role": "owner", "muted_until": 0, "joined_at": 1790000000000_u64}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_group", "forbidden"]))))]
pub(crate) async fn list_group_members(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    QueryOf(page): QueryOf<ByUser>,
) -> Result<Json<GroupMembers>, ApiError> {
    let limit = page_size(page.limit)?;
    let group = seen_by_id(&app, named(id), caller.user).await?.for_members()?.group;
    let members = app.groups().group_members(group.id, UserId(page.after.unwrap_or(0)), limit).await?;
    let next = next_page(&members, limit, |last| last.user.id.0);
    Ok(Json(GroupMembers { members: members.into_iter().map(MemberView::from).collect(), next }))
}

/// A page by version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByVersion {
    after: Option<u32>,
    limit: Option<usize>,
}

/// A page of a group's keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupKeys {
    /// Oldest first.
    keys: Vec<Key>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<u32>,
}

/// A group's keys
///
/// For those who are or were in it: the versions of the time in which they are (were), or all up to then where everybody
/// sees what was said before. The last one is for sending.
#[utoipa::path(get, path = "/v1/groups/{id}/keys", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("after" = Option<u32>, Query, description = "Versions beyond this one.", example = 0),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = GroupKeys, example = json!({"keys":
        [{"version": 1, "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_group", "forbidden"]))))]
pub(crate) async fn list_group_keys(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    QueryOf(page): QueryOf<ByVersion>,
) -> Result<Json<GroupKeys>, ApiError> {
    let limit = page_size(page.limit)?;
    let seen = seen_by_id(&app, named(id), caller.user).await?;
    if seen.member.is_none() {
        return Err(ApiError::new(Code::Forbidden).says("keys are for those who are or were in the group"));
    }
    let after = page.after.unwrap_or(0);
    let keys: Vec<Key> =
        app.groups().group_keys(seen.group.id, caller.user, after, limit).await?.0.into_iter().map(Key::from).collect();
    let next = next_page(&keys, limit, |last| last.version);
    Ok(Json(GroupKeys { keys, next }))
}
