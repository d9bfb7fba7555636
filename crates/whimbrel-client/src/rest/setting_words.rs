//! What REST's JSON of settings looks like, and the way from it to the public types. A device's file keeps settings in
//! these words too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use whimbrel_core::Seq;

use super::group_words::conversation;
use super::words::unreadable;
use crate::error::Error;
use crate::setting;

#[derive(Serialize, Deserialize)]
pub(super) struct Setting {
    conversation_id: String,
    #[serde(default)]
    pinned_at: u64,
    #[serde(default)]
    muted_until: u64,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    draft_key_version: u32,
    #[serde(default)]
    draft: Option<String>,
    #[serde(default)]
    cleared: u64,
    #[serde(default)]
    hidden: u64,
    #[serde(default)]
    changed_at: u64,
}

impl Setting {
    pub(super) fn read(self) -> Result<setting::Setting, Error> {
        let draft = self.draft.unwrap_or_default();
        Ok(setting::Setting {
            conversation: conversation(&self.conversation_id, "conversation_id")?,
            pinned_at: self.pinned_at,
            muted_until: self.muted_until,
            archived: self.archived,
            draft_key_version: self.draft_key_version,
            draft: STANDARD.decode(draft).map_err(|_| unreadable("draft"))?.into(),
            cleared: Seq(self.cleared),
            hidden: Seq(self.hidden),
            changed_at: self.changed_at,
        })
    }
}

impl From<&setting::Setting> for Setting {
    fn from(setting: &setting::Setting) -> Self {
        Self {
            conversation_id: setting.conversation.to_string(),
            pinned_at: setting.pinned_at,
            muted_until: setting.muted_until,
            archived: setting.archived,
            draft_key_version: setting.draft_key_version,
            draft: Some(STANDARD.encode(&setting.draft)),
            cleared: setting.cleared.0,
            hidden: setting.hidden.0,
            changed_at: setting.changed_at,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Settings {
    pub(super) settings: Vec<Setting>,
    #[serde(default)]
    pub(super) next: Option<String>,
}

#[derive(Serialize)]
pub(super) struct SettingChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draft: Option<Draft>,
    #[serde(skip_serializing_if = "is_false")]
    clear: bool,
    #[serde(skip_serializing_if = "is_false")]
    delete: bool,
}

#[derive(Serialize)]
struct Draft {
    key_version: u32,
    body: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl From<&setting::SettingChange> for SettingChange {
    fn from(change: &setting::SettingChange) -> Self {
        let draft = |(key_version, body): &(u32, bytes::Bytes)| Draft {
            key_version: *key_version,
            body: STANDARD.encode(body),
        };
        Self {
            pinned: change.pinned,
            muted_until: change.muted_until,
            archived: change.archived,
            draft: change.draft.as_ref().map(draft),
            clear: change.clear,
            delete: change.delete,
        }
    }
}
