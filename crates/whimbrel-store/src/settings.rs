//! Settings: how one user has one conversation shown. Pinned, muted, archived, the draft, what was cleared: a user's own,
//! in step on all devices by rows of the private conversation, written with the change in one transaction.

use async_trait::async_trait;
use bytes::Bytes;
use whimbrel_core::{ConversationId, Seq, UserId};

use crate::StoreError;
use crate::directory::Rows;

/// Longest draft, bytes as sealed by the device.
pub const DRAFT_MAX: usize = 16 * 1024;

/// How a conversation is shown to one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Which.
    pub conversation: ConversationId,
    /// When it was pinned, milliseconds since 1970; 0: it is not. Pinned ones stand first, the latest above.
    pub pinned_at: u64,
    /// No alerts until then, milliseconds since 1970; 0: alerts. `u64::MAX`: never.
    pub muted_until: u64,
    /// Out of the list until something new is said.
    pub archived: bool,
    /// The version of the conversation's key that sealed the draft; 0: readable.
    pub draft_key_version: u32,
    /// What the user has begun to write; empty: nothing.
    pub draft: Bytes,
    /// Messages up to and with this one are gone for this user (cleared).
    pub cleared: Seq,
    /// Deleted for this user: not in the list until something is said beyond this place; 0: not deleted.
    pub hidden: Seq,
    /// Milliseconds since 1970.
    pub changed_at: u64,
}

impl Setting {
    /// Of a conversation of which the user changed nothing.
    pub(crate) fn untouched(conversation: ConversationId) -> Self {
        Self {
            conversation,
            pinned_at: 0,
            muted_until: 0,
            archived: false,
            draft_key_version: 0,
            draft: Bytes::new(),
            cleared: Seq::ZERO,
            hidden: Seq::ZERO,
            changed_at: 0,
        }
    }

    /// Becomes what it is with this change, but for the time of it; `end`: the last row that the user sees.
    pub(crate) fn apply(&mut self, change: SettingChange, end: Seq) {
        let SettingChange { pinned_at, muted_until, archived, draft, clear, delete } = change;
        self.pinned_at = pinned_at.unwrap_or(self.pinned_at);
        self.muted_until = muted_until.unwrap_or(self.muted_until);
        self.archived = archived.unwrap_or(self.archived);
        if let Some((key_version, draft)) = draft {
            self.draft_key_version = if draft.is_empty() { 0 } else { key_version };
            self.draft = draft;
        }
        if clear || delete {
            self.cleared = self.cleared.max(end);
        }
        if delete {
            self.hidden = self.hidden.max(end);
        }
    }
}

/// Parts that are to become something else; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingChange {
    /// Pinned from this time on; `Some(0)`: not pinned.
    pub pinned_at: Option<u64>,
    /// No alerts until then.
    pub muted_until: Option<u64>,
    /// Out of the list.
    pub archived: Option<bool>,
    /// The draft with the version of its key; an empty one takes it away.
    pub draft: Option<(u32, Bytes)>,
    /// All that stands now is gone for this user, and read.
    pub clear: bool,
    /// `clear`, and out of the list.
    pub delete: bool,
}

/// How users have conversations shown.
#[async_trait]
pub trait Settings: Send + Sync + 'static {
    /// Changes it; `None` if the user is not (and was not) in the conversation, or it is their private one.
    async fn change_setting(
        &self,
        user: UserId,
        conversation: ConversationId,
        change: SettingChange,
        now: u64,
    ) -> Result<Option<(Setting, Rows)>, StoreError>;
    /// How these conversations are shown, in their order; `None` for those that the user never changed.
    async fn settings(
        &self,
        user: UserId,
        conversations: &[ConversationId],
    ) -> Result<Vec<Option<Setting>>, StoreError>;
    /// Those that the user changed, beyond `after`, by conversation, at most `limit`.
    async fn settings_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Setting>, StoreError>;
}
