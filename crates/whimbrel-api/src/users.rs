//! Finding people, and one's own profile.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::UserId;
use whimbrel_store::directory::User;

use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{Body, PathOf, QueryOf};
use crate::shared::{App, now_ms};
use crate::turns::Kind;

/// Characters of a display name.
const DISPLAY_NAME_MAX: usize = 64;

/// Bytes of an avatar's URL.
const AVATAR_MAX: usize = 512;

/// A person.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    id: u64,
    /// Unique; empty when the account was deleted.
    handle: String,
    display_name: String,
    /// A URL, or empty.
    avatar: String,
    /// Milliseconds since 1970.
    created_at: u64,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let User { id, handle, display_name, avatar, created_at } = user;
        Self { id: id.0, handle, display_name, avatar, created_at }
    }
}

/// Whether a text may be a display name.
pub(crate) fn check_display_name(name: &str) -> Result<(), ApiError> {
    let characters = name.chars().count();
    match !name.trim().is_empty() && characters <= DISPLAY_NAME_MAX && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(ApiError::invalid("display_name", "a display name has 1 to 64 characters, no control characters")),
    }
}

/// Whether a text may be an avatar.
pub(crate) fn check_avatar(avatar: &str) -> Result<(), ApiError> {
    let is_url = avatar.starts_with("https://") || avatar.starts_with("http://");
    let printable = avatar.chars().all(|c| c.is_ascii_graphic());
    match avatar.is_empty() || is_url && printable && avatar.len() <= AVATAR_MAX {
        true => Ok(()),
        false => Err(ApiError::invalid("avatar", "an avatar is empty or an http(s) URL of at most 512 characters")),
    }
}

pub(crate) async fn existing(app: &App, user: UserId) -> Result<User, ApiError> {
    app.directory().user(user).await?.ok_or_else(|| Code::NoSuchUser.into())
}

/// Your profile
#[utoipa::path(get, path = "/v1/me", tag = "users", security(("access_token" = [])),
    responses((status = 200, description = "You.", body = UserView, example = json!(
        {"id": 12, "handle": "anna", "display_name": "Anna", "avatar": "", "created_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["no_such_user"]))))]
pub(crate) async fn me(caller: Caller, State(app): State<App>) -> Result<Json<UserView>, ApiError> {
    existing(&app, caller.user).await.map(|user| Json(user.into()))
}

/// What to change of one's profile; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileChange {
    /// 1 to 64 characters.
    display_name: Option<String>,
    /// A URL of at most 512 characters, or empty.
    avatar: Option<String>,
}

/// Change your profile
///
/// Your other devices and your friends are told. A few changes are free, then there is one in ten seconds.
#[utoipa::path(patch, path = "/v1/me", tag = "users", security(("access_token" = [])),
    request_body(content = ProfileChange, example = json!({"display_name": "Anna B."})),
    responses((status = 200, description = "You, as you are now.", body = UserView, example = json!(
        {"id": 12, "handle": "anna", "display_name": "Anna B.", "avatar": "", "created_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_user"]))))]
pub(crate) async fn change_me(
    caller: Caller,
    State(app): State<App>,
    Body(profile): Body<ProfileChange>,
) -> Result<Json<UserView>, ApiError> {
    profile.display_name.as_deref().map_or(Ok(()), check_display_name)?;
    profile.avatar.as_deref().map_or(Ok(()), check_avatar)?;
    let (shared, user) = (app.clone(), caller.user);
    let user = app
        .change_by(&caller, Kind::Profile, async move {
            let ProfileChange { display_name, avatar } = profile;
            let (user, rows) = shared.directory().set_profile(user, display_name, avatar, now_ms()).await?;
            shared.placed(rows).await;
            Ok(user)
        })
        .await?;
    Ok(Json(user.into()))
}

/// A person, by number
#[utoipa::path(get, path = "/v1/users/{id}", tag = "users", security(("access_token" = [])),
    params(("id" = u64, Path, description = "The user's number.", example = 12)),
    responses((status = 200, description = "The person.", body = UserView, example = json!(
        {"id": 12, "handle": "anna", "display_name": "Anna", "avatar": "", "created_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["no_such_user"]))))]
pub(crate) async fn by_id(
    _: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<u64>,
) -> Result<Json<UserView>, ApiError> {
    existing(&app, UserId(id)).await.map(|user| Json(user.into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByHandle {
    handle: String,
}

/// A person, by handle
///
/// Only the exact handle is found: nobody can list who is here.
#[utoipa::path(get, path = "/v1/users", tag = "users", security(("access_token" = [])),
    params(("handle" = String, Query, description = "The exact handle.", example = "anna")),
    responses((status = 200, description = "The person.", body = UserView, example = json!(
        {"id": 12, "handle": "anna", "display_name": "Anna", "avatar": "", "created_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["no_such_user"]))))]
pub(crate) async fn by_handle(
    _: Caller,
    State(app): State<App>,
    QueryOf(query): QueryOf<ByHandle>,
) -> Result<Json<UserView>, ApiError> {
    let user = app.directory().user_by_handle(&query.handle).await?;
    user.map(|user| Json(user.into())).ok_or_else(|| Code::NoSuchUser.into())
}
