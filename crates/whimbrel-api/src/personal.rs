//! What is kept of one user: all of it to take along, and the end of what they said.
//!
//! Erasing empties what a user said, in conversations of two and in groups, as if each message had been taken back; the
//! archivers do it in small steps, soon. It does not reach into other people's devices, which keep what they have been
//! given; who syncs or reads history afterwards finds it empty.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::{ConversationId, Seq, UserId};
use whimbrel_store::directory::{Device, Relation, RelationState};
use whimbrel_store::groups::Membership;

use crate::auth::{Admin, Caller};
use crate::devices;
use crate::error::{ApiError, Code};
use crate::extract::{OptionalBody, PathOf, QueryOf};
use crate::groups::{named, uuid_of};
use crate::history::MessageView;
use crate::relations::Nothing;
use crate::settings::SettingView;
use crate::shared::App;
use crate::users::UserView;

/// Messages of a user's conversations that are looked at for one page.
const LOOK: usize = 10_000;
/// Things that are read at once for the first page.
const PART: usize = 500;

/// A device that is logged in.
#[derive(Serialize, ToSchema)]
struct ExportedDevice {
    id: Uuid,
    platform: String,
    name: String,
    created_at: u64,
    seen_at: u64,
}

/// Somebody whom the user knows, or blocks.
#[derive(Serialize, ToSchema)]
struct ExportedRelation {
    user: u64,
    handle: String,
    friends: bool,
    blocked: bool,
    greeting: String,
    conversation_id: Option<Uuid>,
    changed_at: u64,
}

/// A group that the user is in, or was.
#[derive(Serialize, ToSchema)]
struct ExportedGroup {
    id: Uuid,
    name: String,
    role: &'static str,
    /// They are not in it any more.
    left: bool,
}

/// Everything but what they said.
#[derive(Serialize, ToSchema)]
struct ExportedAccount {
    user: UserView,
    devices: Vec<ExportedDevice>,
    relations: Vec<ExportedRelation>,
    groups: Vec<ExportedGroup>,
    settings: Vec<SettingView>,
}

/// Something that they said.
#[derive(Serialize, ToSchema)]
struct ExportedMessage {
    conversation_id: Uuid,
    message: MessageView,
}

/// A page of what is kept of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct Export {
    /// On the first page.
    account: Option<ExportedAccount>,
    /// What they said, by conversation and place. A page may have none and not be the last.
    messages: Vec<ExportedMessage>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Behind {
    after: Option<String>,
}

impl Behind {
    fn place(&self) -> Result<Option<(ConversationId, Seq)>, ApiError> {
        let Some(after) = &self.after else { return Ok(None) };
        let parts = after.split_once('.').and_then(|(id, seq)| Some((named(id.parse().ok()?), Seq(seq.parse().ok()?))));
        parts.map(Some).ok_or_else(|| ApiError::invalid("after", "this is not what a page said as `next`"))
    }
}

/// What is kept of you
///
/// Page by page: your account with devices, friends, groups and settings on the first one, then everything that you said.
/// Bodies are as your devices sent them; the keys are with your relations and groups.
#[utoipa::path(get, path = "/v1/account/export", tag = "accounts", security(("access_token" = [])),
    params(("after" = Option<String>, Query, description = "Beyond what the last page had, which said this as `next`.")),
    responses((status = 200, description = "A page.", body = Export, example = json!({"account": null, "messages": [
        {"conversation_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "message": {"seq": 1199, "sender": 12,
         "device_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398b", "message_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c073982",
         "kind": 1, "key_version": 1, "at": 1790000000900_u64, "body": "aGVsbG8="}}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_user"]))))]
pub(crate) async fn export_account(
    caller: Caller,
    State(app): State<App>,
    QueryOf(behind): QueryOf<Behind>,
) -> Result<Json<Export>, ApiError> {
    export(&app, caller.user, behind.place()?).await
}

/// What is kept of a user
///
/// As `/v1/account/export` shows it to themselves.
#[utoipa::path(get, path = "/v1/admin/users/{id}/export", tag = "admin", security(("admin_key" = [])),
    params(("id" = u64, Path, description = "The user's number.", example = 12),
        ("after" = Option<String>, Query, description = "Beyond what the last page had, which said this as `next`.")),
    responses((status = 200, description = "A page.", body = Export,
        example = json!({"account": null, "messages": [], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_user"]))))]
pub(crate) async fn export_user(
    _: Admin,
    State(app): State<App>,
    PathOf(id): PathOf<u64>,
    QueryOf(behind): QueryOf<Behind>,
) -> Result<Json<Export>, ApiError> {
    export(&app, UserId(id), behind.place()?).await
}

/// Erase what a user said
///
/// So far: every message of theirs is emptied on the server, soon and in small steps, also of an account that is deleted
/// already, and devices of others are told to do the same. A number that nobody has leads to nothing.
#[utoipa::path(post, path = "/v1/admin/users/{id}/erase", tag = "admin", security(("admin_key" = [])),
    params(("id" = u64, Path, description = "The user's number.", example = 12)),
    responses((status = 202, description = "It will be done.")))]
pub(crate) async fn erase_user(
    _: Admin,
    State(app): State<App>,
    PathOf(id): PathOf<u64>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<StatusCode, ApiError> {
    app.keeping().erase(UserId(id)).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn export(app: &App, user: UserId, after: Option<(ConversationId, Seq)>) -> Result<Json<Export>, ApiError> {
    let profile = app.directory().user(user).await?.ok_or_else(|| ApiError::new(Code::NoSuchUser))?;
    let account = match after {
        Some(_) => None,
        None => Some(ExportedAccount {
            user: profile.into(),
            devices: app.directory().devices(user).await?.into_iter().map(ExportedDevice::from).collect(),
            relations: relations(app, user).await?,
            groups: groups(app, user).await?,
            settings: settings(app, user).await?,
        }),
    };
    let said = app.history().said_by(user, after, LOOK).await?;
    let exported = |message: whimbrel_core::Message| ExportedMessage {
        conversation_id: uuid_of(message.conversation),
        message: message.into(),
    };
    Ok(Json(Export {
        account,
        messages: said.messages.into_iter().map(exported).collect(),
        next: said.next.map(|(conversation, seq)| format!("{}.{seq}", uuid_of(conversation))),
    }))
}

async fn relations(app: &App, user: UserId) -> Result<Vec<ExportedRelation>, ApiError> {
    let (mut all, mut after) = (Vec::new(), UserId(0));
    loop {
        let page = app.directory().relations(user, after, PART).await?;
        let is_last = page.len() < PART;
        after = page.last().map_or(after, |last| last.peer.id);
        all.extend(page.into_iter().map(ExportedRelation::from));
        if is_last {
            return Ok(all);
        }
    }
}

async fn groups(app: &App, user: UserId) -> Result<Vec<ExportedGroup>, ApiError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = app.groups().groups_of(user, after, PART).await?;
        let is_last = page.len() < PART;
        after = page.last().map(|last| last.group.id);
        all.extend(page.into_iter().map(ExportedGroup::from));
        if is_last {
            return Ok(all);
        }
    }
}

async fn settings(app: &App, user: UserId) -> Result<Vec<SettingView>, ApiError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = app.settings().settings_of(user, after, PART).await?;
        let is_last = page.len() < PART;
        after = page.last().map(|last| last.conversation);
        all.extend(page.into_iter().map(SettingView::from));
        if is_last {
            return Ok(all);
        }
    }
}

impl From<Device> for ExportedDevice {
    fn from(device: Device) -> Self {
        let Device { id, platform, name, created_at, seen_at } = device;
        Self { id: devices::uuid_of(id), platform, name, created_at, seen_at }
    }
}

impl From<Relation> for ExportedRelation {
    fn from(relation: Relation) -> Self {
        Self {
            user: relation.peer.id.0,
            handle: relation.peer.handle,
            friends: relation.state == RelationState::Friends,
            blocked: relation.blocked,
            greeting: relation.greeting,
            conversation_id: relation.conversation.map(uuid_of),
            changed_at: relation.changed_at,
        }
    }
}

impl From<Membership> for ExportedGroup {
    fn from(membership: Membership) -> Self {
        let Membership { group, role, until, .. } = membership;
        Self { id: uuid_of(group.id), name: group.name, role: role.name(), left: until != Seq::ZERO }
    }
}
