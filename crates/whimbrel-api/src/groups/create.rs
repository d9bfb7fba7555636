//! Making a group, and what is said about it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::UserId;
use whimbrel_core::limits::GROUP_MEMBERS;
use whimbrel_store::groups::{GroupChange, GroupSettings, NewGroup};

use super::forms::{check_announcement, check_member_limit, check_name, users};
use super::views::{GroupView, JoinView, KeepView};
use super::{change_by, named};
use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{Body, PathOf};
use crate::logins::check_handle;
use crate::shared::{App, now_ms};
use crate::turns::Kind;
use crate::users::check_avatar;

/// A group to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGroupForm {
    /// 1 to 100 characters.
    pub(super) name: String,
    /// 2 to 32 of `a-z 0-9 _ . -`, beginning with a letter or a digit; none if left out.
    pub(super) handle: Option<String>,
    /// A URL of at most 512 characters, or empty.
    #[serde(default)]
    pub(super) avatar: String,
    /// At most 2000 characters.
    #[serde(default)]
    pub(super) announcement: String,
    /// How one joins; by invitation if left out.
    #[serde(default)]
    pub(super) join: JoinView,
    /// Whether searches find it.
    #[serde(default)]
    pub(super) listed: bool,
    /// Whether those who join see what was said before.
    #[serde(default)]
    pub(super) history_for_all: bool,
    /// 1 to 100000; 10000 if left out.
    pub(super) member_limit: Option<u32>,
    /// Numbers of friends, who are in it from the start; others get an invitation. At most 1000.
    #[serde(default)]
    pub(super) members: Vec<u64>,
}

impl NewGroupForm {
    /// The group of this owner, if everything may be as it is said.
    pub(super) fn checked(self, owner: UserId) -> Result<NewGroup, ApiError> {
        check_name(&self.name)?;
        self.handle.as_deref().map_or(Ok(()), check_handle)?;
        check_avatar(&self.avatar)?;
        check_announcement(&self.announcement)?;
        let member_limit = self.member_limit.unwrap_or(GROUP_MEMBERS);
        check_member_limit(member_limit)?;
        let mut members = users("members", self.members)?;
        members.retain(|user| *user != owner);
        Ok(NewGroup {
            owner,
            handle: self.handle,
            name: self.name,
            avatar: self.avatar,
            announcement: self.announcement,
            join: self.join.into(),
            listed: self.listed,
            history_for_all: self.history_for_all,
            member_limit,
            members,
        })
    }
}

/// Create a group
///
/// You own it. Friends that you name are in it from the start; others are invited.
#[utoipa::path(post, path = "/v1/groups", tag = "groups", security(("access_token" = [])),
    request_body(content = NewGroupForm, example = json!({"name": "Bird watchers", "members": [13, 14]})),
    responses((status = 201, description = "The group.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": null, "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "invitation", "listed": false, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 1, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(["invalid", "handle_taken", "no_such_user", "group_full", "too_many_groups",
        "too_many_requests", "not_applicable"]))))]
pub(crate) async fn create_group(
    caller: Caller,
    State(app): State<App>,
    Body(form): Body<NewGroupForm>,
) -> Result<(StatusCode, Json<GroupView>), ApiError> {
    let new = form.checked(caller.user)?;
    let shared = app.clone();
    let group = app
        .change_by(&caller, Kind::Group { users: new.members.len() }, async move {
            let (group, rows) = shared.groups().create_group(new, now_ms()).await?;
            shared.placed(rows).await;
            Ok(group)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(group.into())))
}

/// Tells `null` from what is left out.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// What to change of a group; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupSettingsForm {
    /// 1 to 100 characters.
    name: Option<String>,
    /// As for a new group; `null` gives it up.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    handle: Option<Option<String>>,
    /// A URL of at most 512 characters, or empty.
    avatar: Option<String>,
    /// At most 2000 characters.
    announcement: Option<String>,
    join: Option<JoinView>,
    /// Whether searches find it.
    listed: Option<bool>,
    /// Whether those who join from now on see what was said before.
    history_for_all: Option<bool>,
    /// 1 to 100000, and not below the members that there are.
    member_limit: Option<u32>,
    /// How long messages are kept; for the owner alone.
    keep: Option<KeepView>,
}

impl GroupSettingsForm {
    fn checked(self) -> Result<GroupSettings, ApiError> {
        self.name.as_deref().map_or(Ok(()), check_name)?;
        self.handle.iter().flatten().try_for_each(|handle| check_handle(handle))?;
        self.avatar.as_deref().map_or(Ok(()), check_avatar)?;
        self.announcement.as_deref().map_or(Ok(()), check_announcement)?;
        self.member_limit.map_or(Ok(()), check_member_limit)?;
        let Self { name, handle, avatar, announcement, join, listed, history_for_all, member_limit, keep } = self;
        let (join, keep) = (join.map(Into::into), keep.map(Into::into));
        let settings =
            GroupSettings { handle, name, avatar, announcement, join, listed, history_for_all, member_limit, keep };
        match settings == GroupSettings::default() {
            false => Ok(settings),
            true => Err(ApiError::new(Code::Invalid).says("nothing is named that is to change")),
        }
    }
}

/// Change a group
///
/// Name, handle, avatar, announcement, how one joins. For the owner and admins; how long messages are kept is for the owner.
#[utoipa::path(patch, path = "/v1/groups/{id}", tag = "groups", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The group.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = GroupSettingsForm, example = json!({"handle": "birds", "join": "open", "listed": true})),
    responses((status = 200, description = "The group, as it is now.", body = GroupView, example = json!({
        "id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "handle": "birds", "name": "Bird watchers", "avatar": "",
        "announcement": "", "owner": 12, "join": "open", "listed": true, "history_for_all": false,
        "member_limit": 10000, "size": 3, "muted_until": 0, "revision": 7, "key_version": 1,
        "created_at": 1790000000000_u64, "keep": {"age_s": 0, "messages": 0},
        "dissolved_at": null}))),
    extensions(("x-error-codes" = json!(
        ["invalid", "no_such_group", "forbidden", "handle_taken", "not_applicable"]))))]
pub(crate) async fn change_group(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(form): Body<GroupSettingsForm>,
) -> Result<Json<GroupView>, ApiError> {
    let settings = form.checked()?;
    let seen = change_by(app, caller, named(id), GroupChange::Settle(settings)).await?;
    Ok(Json(seen.into()))
}
