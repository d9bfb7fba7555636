//! The REST calls of groups and of how conversations are shown.

use reqwest::{Method, StatusCode};
use whimbrel_core::{ConversationId, Seq, UserId};

use super::{Rest, group_words as words, setting_words, words::query};
use crate::account::Credentials;
use crate::error::Error;
use crate::group::{Group, GroupAction, GroupInfo, GroupMember, GroupRequest, GroupSettings, NewGroup, Page, ReadBy};
use crate::relation::RelationKey;
use crate::setting::{Setting, SettingChange};

/// The part of a path that asks for a page.
fn page(after: Option<impl std::fmt::Display>, limit: usize) -> String {
    match after {
        Some(after) => format!("after={after}&limit={limit}"),
        None => format!("limit={limit}"),
    }
}

fn next(next: Option<String>) -> Result<Option<ConversationId>, Error> {
    next.map(|id| words::conversation(&id, "next")).transpose()
}

impl Rest {
    /// Makes a group, which one owns.
    ///
    /// # Errors
    /// [`Error::Api`] when the handle is taken, or one is in too many groups.
    pub async fn create_group(&self, credentials: &Credentials, new: &NewGroup) -> Result<Group, Error> {
        let body = words::NewGroup::from(new);
        self.call::<words::Group>(Method::POST, "/v1/groups", Some(credentials), Some(&body)).await?.read()
    }

    /// A page of the groups that one is in, or was and still sees, by id.
    ///
    /// # Errors
    /// As every call.
    pub async fn groups(
        &self,
        credentials: &Credentials,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Page<GroupInfo, ConversationId>, Error> {
        let path = format!("/v1/groups?{}", page(after, limit));
        let found: words::Memberships = self.get(&path, credentials).await?;
        let items = found.groups.into_iter().map(words::Membership::read).collect::<Result<_, _>>()?;
        Ok(Page { items, next: next(found.next)? })
    }

    /// A page of the listed groups whose names or handles begin with this.
    ///
    /// # Errors
    /// As every call.
    pub async fn search_groups(
        &self,
        credentials: &Credentials,
        text: &str,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Page<Group, ConversationId>, Error> {
        let path = format!("/v1/groups/search?{}&{}", query("q", text), page(after, limit));
        let found: words::Found = self.get(&path, credentials).await?;
        let items = found.groups.into_iter().map(words::Group::read).collect::<Result<_, _>>()?;
        Ok(Page { items, next: next(found.next)? })
    }

    /// A group, and what one is in it.
    ///
    /// # Errors
    /// [`Error::Api`] when there is none, or one may not know of it.
    pub async fn group(&self, credentials: &Credentials, group: ConversationId) -> Result<GroupInfo, Error> {
        self.get::<words::Seen>(&format!("/v1/groups/{group}"), credentials).await?.read()
    }

    /// The group with exactly this handle, if there is one.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_group(&self, credentials: &Credentials, handle: &str) -> Result<Option<Group>, Error> {
        let handle = query("", handle);
        let path = format!("/v1/groups/handle/{}", handle.trim_start_matches('='));
        match self.get::<words::Seen>(&path, credentials).await {
            Ok(found) => Ok(Some(found.read()?.group)),
            Err(Error::Api(error)) if error.status == StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes a group's settings.
    ///
    /// # Errors
    /// [`Error::Api`] when one may not, or the handle is taken.
    pub async fn settle_group(
        &self,
        credentials: &Credentials,
        group: ConversationId,
        settings: &GroupSettings,
    ) -> Result<Group, Error> {
        let body = words::GroupSettings::from(settings);
        let path = format!("/v1/groups/{group}");
        self.call::<words::Seen>(Method::PATCH, &path, Some(credentials), Some(&body)).await?.read().map(|i| i.group)
    }

    /// Does something in a group.
    ///
    /// # Errors
    /// [`Error::Api`] when one may not, or it does not fit what is.
    pub async fn act_in_group(
        &self,
        credentials: &Credentials,
        group: ConversationId,
        action: &GroupAction,
    ) -> Result<Group, Error> {
        let (name, body) = words::action(action);
        let path = format!("/v1/groups/{group}/{name}");
        self.call::<words::Seen>(Method::POST, &path, Some(credentials), Some(&body)).await?.read().map(|i| i.group)
    }

    /// A page of a group's members, by user.
    ///
    /// # Errors
    /// [`Error::Api`] when one is not in it.
    pub async fn group_members(
        &self,
        credentials: &Credentials,
        group: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<GroupMember, UserId>, Error> {
        let path = format!("/v1/groups/{group}/members?{}", page(after, limit));
        let found: words::Members = self.get(&path, credentials).await?;
        let items = found.members.into_iter().map(Into::into).collect();
        Ok(Page { items, next: found.next.map(UserId) })
    }

    /// A page of what waits for an answer in a group.
    ///
    /// # Errors
    /// [`Error::Api`] when one may not know.
    pub async fn group_requests(
        &self,
        credentials: &Credentials,
        group: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<GroupRequest, UserId>, Error> {
        let path = format!("/v1/groups/{group}/requests?{}", page(after, limit));
        let found: words::Requests<u64> = self.get(&path, credentials).await?;
        let items = found.requests.into_iter().map(words::Request::read).collect::<Result<_, _>>()?;
        Ok(Page { items, next: found.next.map(UserId) })
    }

    /// A page of one's own invitations and requests.
    ///
    /// # Errors
    /// As every call.
    pub async fn my_group_requests(
        &self,
        credentials: &Credentials,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Page<GroupRequest, ConversationId>, Error> {
        let path = format!("/v1/groups/requests?{}", page(after, limit));
        let found: words::Requests<String> = self.get(&path, credentials).await?;
        let items = found.requests.into_iter().map(words::Request::read).collect::<Result<_, _>>()?;
        Ok(Page { items, next: next(found.next)? })
    }

    /// A page of the versions of a group's key above `after`.
    ///
    /// # Errors
    /// [`Error::Api`] when one never was in it.
    pub async fn group_keys(
        &self,
        credentials: &Credentials,
        group: ConversationId,
        after: u32,
        limit: usize,
    ) -> Result<Page<RelationKey, u32>, Error> {
        let path = format!("/v1/groups/{group}/keys?{}", page(Some(after), limit));
        let found: words::Keys = self.get(&path, credentials).await?;
        let items = found.keys.into_iter().map(super::words::Key::read).collect::<Result<_, _>>()?;
        Ok(Page { items, next: found.next })
    }

    /// Who has read a message of a group.
    ///
    /// # Errors
    /// [`Error::Api`] when one is not in it.
    pub async fn read_by(
        &self,
        credentials: &Credentials,
        group: ConversationId,
        seq: Seq,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<ReadBy, Error> {
        let path = format!("/v1/groups/{group}/messages/{}/read_by?{}", seq.0, page(after, limit));
        self.get::<words::ReadBy>(&path, credentials).await.map(Into::into)
    }

    /// A page of how one's conversations are shown, by conversation: those that were ever changed.
    ///
    /// # Errors
    /// As every call.
    pub async fn settings(
        &self,
        credentials: &Credentials,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Page<Setting, ConversationId>, Error> {
        let path = format!("/v1/conversations/settings?{}", page(after, limit));
        let found: setting_words::Settings = self.get(&path, credentials).await?;
        let items = found.settings.into_iter().map(setting_words::Setting::read).collect::<Result<_, _>>()?;
        Ok(Page { items, next: next(found.next)? })
    }

    /// Changes how a conversation is shown.
    ///
    /// # Errors
    /// [`Error::Api`] when one is not in it.
    pub async fn change_setting(
        &self,
        credentials: &Credentials,
        conversation: ConversationId,
        change: &SettingChange,
    ) -> Result<Setting, Error> {
        let body = setting_words::SettingChange::from(change);
        let path = format!("/v1/conversations/{conversation}/settings");
        self.call::<setting_words::Setting>(Method::PUT, &path, Some(credentials), Some(&body)).await?.read()
    }
}

/// A group in REST's words, for the device's file.
pub(crate) fn group_to_json(info: &GroupInfo) -> String {
    serde_json::to_string(&words::Membership::from(info)).unwrap_or_default()
}

pub(crate) fn group_from_json(json: &str) -> Option<GroupInfo> {
    serde_json::from_str::<words::Membership>(json).ok()?.read().ok()
}

/// A setting in REST's words, for the device's file.
pub(crate) fn setting_to_json(setting: &Setting) -> String {
    serde_json::to_string(&setting_words::Setting::from(setting)).unwrap_or_default()
}

pub(crate) fn setting_from_json(json: &str) -> Option<Setting> {
    serde_json::from_str::<setting_words::Setting>(json).ok()?.read().ok()
}
