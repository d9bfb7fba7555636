//! How one user has conversations shown: pinned, muted, archived, cleared, the draft. All of their devices hear of a
//! change by their private conversation; nobody else does.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_store::settings::{DRAFT_MAX, Setting, SettingChange};

use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{Body, PathOf, QueryOf};
use crate::groups::{named, next_page, page_size, until, uuid_of};
use crate::shared::{App, now_ms};
use crate::turns::Kind;

/// How a conversation is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Setting)]
pub(crate) struct SettingView {
    conversation_id: Uuid,
    /// When it was pinned, milliseconds since 1970; 0: it is not. Pinned ones stand first, the latest above.
    pinned_at: u64,
    /// No alerts until then; 0: alerts.
    muted_until: u64,
    /// Out of the list until something new is said.
    archived: bool,
    /// The version of the conversation's key that sealed the draft; 0: readable.
    draft_key_version: u32,
    /// What was begun to be written, base64; empty: nothing.
    draft: String,
    /// Messages up to and with this place are gone for you.
    cleared: u64,
    /// Deleted: not in the list until something is said beyond this place; 0: not deleted.
    hidden: u64,
    /// Milliseconds since 1970.
    changed_at: u64,
}

impl From<Setting> for SettingView {
    fn from(setting: Setting) -> Self {
        Self {
            conversation_id: uuid_of(setting.conversation),
            pinned_at: setting.pinned_at,
            muted_until: setting.muted_until,
            archived: setting.archived,
            draft_key_version: setting.draft_key_version,
            draft: STANDARD.encode(&setting.draft),
            cleared: setting.cleared.0,
            hidden: setting.hidden.0,
            changed_at: setting.changed_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    after: Option<Uuid>,
    limit: Option<usize>,
}

/// A page of settings.
#[derive(Serialize, ToSchema)]
pub(crate) struct SettingsPage {
    settings: Vec<SettingView>,
    /// Ask again with `after` set to this; nothing if this was the last page.
    next: Option<Uuid>,
}

/// How your conversations are shown
///
/// Those of which you ever changed it, by conversation, page by page.
#[utoipa::path(get, path = "/v1/conversations/settings", tag = "conversations", security(("access_token" = [])),
    params(("after" = Option<Uuid>, Query, description = "Conversations beyond this one.",
            example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f"),
        ("limit" = Option<usize>, Query, description = "1 to 500; 100 if left out.", example = 100)),
    responses((status = 200, description = "A page.", body = SettingsPage, example = json!({"settings": [{
        "conversation_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "pinned_at": 1790000000000_u64, "muted_until": 0,
        "archived": false, "draft_key_version": 0, "draft": "", "cleared": 0, "hidden": 0,
        "changed_at": 1790000000000_u64}], "next": null}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn list_settings(
    caller: Caller,
    State(app): State<App>,
    QueryOf(page): QueryOf<Page>,
) -> Result<Json<SettingsPage>, ApiError> {
    let limit = page_size(page.limit)?;
    let settings = app.settings().settings_of(caller.user, page.after.map(named), limit).await?;
    let next = next_page(&settings, limit, |last| uuid_of(last.conversation));
    Ok(Json(SettingsPage { settings: settings.into_iter().map(SettingView::from).collect(), next }))
}

/// What was begun to be written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DraftForm {
    /// The version of the conversation's key that sealed it; 0: readable.
    key_version: u32,
    /// At most 16 KiB, base64; empty takes the draft away.
    body: String,
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingForm {
    /// True pins it now, above all that were pinned before.
    pinned: Option<bool>,
    /// No alerts until then, milliseconds since 1970; 0: alerts; 9007199254740991: never.
    muted_until: Option<u64>,
    /// Out of the list until something new is said.
    archived: Option<bool>,
    draft: Option<DraftForm>,
    /// All that stands now is gone for you, and read.
    #[serde(default)]
    clear: bool,
    /// As `clear`, and out of the list until something new is said.
    #[serde(default)]
    delete: bool,
}

impl SettingForm {
    fn checked(self, now: u64) -> Result<SettingChange, ApiError> {
        let draft = self.draft.map(|DraftForm { key_version, body }| {
            let body = STANDARD.decode(body).map_err(|_| ApiError::invalid("draft", "a draft's body is base64"))?;
            match body.len() <= DRAFT_MAX {
                true => Ok((key_version, body.into())),
                false => Err(ApiError::invalid("draft", "a draft has at most 16 KiB")),
            }
        });
        let change = SettingChange {
            pinned_at: self.pinned.map(|pinned| if pinned { now } else { 0 }),
            muted_until: self.muted_until.map(until),
            archived: self.archived,
            draft: draft.transpose()?,
            clear: self.clear,
            delete: self.delete,
        };
        match change == SettingChange::default() {
            false => Ok(change),
            true => Err(ApiError::new(Code::Invalid).says("nothing is named that is to change")),
        }
    }
}

/// Change how a conversation is shown
///
/// To you alone, on all your devices. Clearing and deleting take nothing away from anybody else.
#[utoipa::path(put, path = "/v1/conversations/{id}/settings", tag = "conversations", security(("access_token" = [])),
    params(("id" = Uuid, Path, description = "The conversation.", example = "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f")),
    request_body(content = SettingForm, example = json!({"pinned": true, "draft": {"key_version": 1, "body": "aGVsbG8="}})),
    responses((status = 200, description = "How it is shown now.", body = SettingView, example = json!({
        "conversation_id": "0199e2a4-6c00-7cc3-98c4-dc0c0c07398f", "pinned_at": 1790000000000_u64, "muted_until": 0,
        "archived": false, "draft_key_version": 1, "draft": "aGVsbG8=", "cleared": 0, "hidden": 0,
        "changed_at": 1790000000000_u64}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_conversation"]))))]
pub(crate) async fn change_settings(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
    Body(form): Body<SettingForm>,
) -> Result<Json<SettingView>, ApiError> {
    let now = now_ms();
    let change = form.checked(now)?;
    let (shared, user) = (app.clone(), caller.user);
    let setting = app
        .change_by(&caller, Kind::Setting, async move {
            let changed = shared.settings().change_setting(user, named(id), change, now).await?;
            let (setting, rows) = changed.ok_or_else(|| ApiError::new(Code::NoSuchConversation))?;
            shared.placed(rows).await;
            Ok(setting)
        })
        .await?;
    Ok(Json(setting.into()))
}
