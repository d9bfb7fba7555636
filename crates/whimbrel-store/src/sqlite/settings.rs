//! [`Settings`] on SQLite.

use async_trait::async_trait;
use whimbrel_core::{ConversationId, UserId};

use super::SqliteStore;
use crate::StoreError;
use crate::directory::Rows;
use crate::settings::{Setting, SettingChange, Settings};

fn away<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("settings are not kept here yet".into()))
}

#[async_trait]
impl Settings for SqliteStore {
    async fn change_setting(
        &self,
        _: UserId,
        _: ConversationId,
        _: SettingChange,
        _: u64,
    ) -> Result<Option<(Setting, Rows)>, StoreError> {
        away()
    }

    async fn settings(&self, _: UserId, _: &[ConversationId]) -> Result<Vec<Option<Setting>>, StoreError> {
        away()
    }

    async fn settings_of(&self, _: UserId, _: Option<ConversationId>, _: usize) -> Result<Vec<Setting>, StoreError> {
        away()
    }
}
