//! Groups, how conversations are shown, and what passes.

use bytes::Bytes;
use whimbrel_core::{ConversationId, Seq, UserId};

use super::Client;
use crate::driver::Command;
use crate::error::Error;
use crate::group::{Group, GroupAction, GroupInfo, NewGroup, ReadBy};
use crate::setting::{SettingChange, seal_draft};

impl Client {
    /// Makes a group, which one owns. It is there for sending at once.
    ///
    /// # Errors
    /// As [`AuthorizedRest::create_group`](crate::AuthorizedRest::create_group).
    pub async fn create_group(&self, new: &NewGroup) -> Result<Group, Error> {
        self.rest().create_group(new).await
    }

    /// Does something in a group: joins, leaves, invites, … What follows from it comes as rows and events, as for
    /// everybody else.
    ///
    /// # Errors
    /// As [`AuthorizedRest::act_in_group`](crate::AuthorizedRest::act_in_group).
    pub async fn act_in_group(&self, group: ConversationId, action: &GroupAction) -> Result<Group, Error> {
        self.rest().act_in_group(group, action).await
    }

    /// What this device knows of a group; `None`: nothing yet.
    pub fn group(&self, group: ConversationId) -> Option<GroupInfo> {
        self.inner.directory.group(group)
    }

    /// Who has read a message of a group.
    ///
    /// # Errors
    /// As [`AuthorizedRest::read_by`](crate::AuthorizedRest::read_by).
    pub async fn read_by(
        &self,
        group: ConversationId,
        seq: Seq,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<ReadBy, Error> {
        self.rest().read_by(group, seq, after, limit).await
    }

    /// Pins a conversation to the top of the list, or not any more, on all of the user's devices.
    ///
    /// # Errors
    /// As [`Client::change_setting`].
    pub async fn pin(&self, conversation: ConversationId, pinned: bool) -> Result<(), Error> {
        self.change_setting(conversation, &SettingChange { pinned: Some(pinned), ..Default::default() }).await
    }

    /// No alerts for a conversation until a time, milliseconds since 1970; 0: alerts; `u64::MAX`: never.
    ///
    /// # Errors
    /// As [`Client::change_setting`].
    pub async fn mute(&self, conversation: ConversationId, until: u64) -> Result<(), Error> {
        self.change_setting(conversation, &SettingChange { muted_until: Some(until), ..Default::default() }).await
    }

    /// Puts a conversation away until something new is said, or takes it back.
    ///
    /// # Errors
    /// As [`Client::change_setting`].
    pub async fn archive(&self, conversation: ConversationId, archived: bool) -> Result<(), Error> {
        self.change_setting(conversation, &SettingChange { archived: Some(archived), ..Default::default() }).await
    }

    /// Keeps what the user has begun to write, for all of their devices; an empty text takes it away. It is sealed with
    /// the conversation's key, where bodies are.
    ///
    /// # Errors
    /// [`Error::NoKey`] while the key is not known; otherwise as [`Client::change_setting`].
    pub async fn set_draft(&self, conversation: ConversationId, text: &str) -> Result<(), Error> {
        let key = self.inner.directory.newest_key(conversation);
        let key = match key {
            _ if self.inner.directory.has_readable_bodies() => None,
            None if !text.is_empty() => return Err(Error::NoKey(conversation)),
            key => key,
        };
        let draft = seal_draft(conversation, self.user(), key.as_ref(), text);
        self.change_setting(conversation, &SettingChange { draft: Some(draft), ..Default::default() }).await
    }

    /// All messages that stand in a conversation now are gone for this user, on all devices. Others keep them.
    ///
    /// # Errors
    /// As [`Client::change_setting`].
    pub async fn clear(&self, conversation: ConversationId) -> Result<(), Error> {
        self.change_setting(conversation, &SettingChange { clear: true, ..Default::default() }).await
    }

    /// That, and it is not in the list until something new is said.
    ///
    /// # Errors
    /// As [`Client::change_setting`].
    pub async fn delete(&self, conversation: ConversationId) -> Result<(), Error> {
        self.change_setting(conversation, &SettingChange { delete: true, ..Default::default() }).await
    }

    /// Changes how a conversation is shown; when this returns, it is so on this device, and stored.
    ///
    /// # Errors
    /// [`Error::Api`] when the user is not in it, [`Error::Http`] when the server cannot be asked, [`Error::Closed`].
    pub async fn change_setting(&self, conversation: ConversationId, change: &SettingChange) -> Result<(), Error> {
        let setting = self.rest().change_setting(conversation, change).await?;
        self.ask(|reply| Command::Setting { setting, reply }).await?
    }

    /// Tells those who are online in the conversation that the user writes, or has stopped. To be called with every
    /// letter: it is told every few seconds, and passes by itself 6 seconds after the last. Without a session nothing is told.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn typing(&self, conversation: ConversationId, typing: bool) -> Result<(), Error> {
        let sent = self.inner.commands.send(Command::Typing { conversation, typing }).await;
        sent.map_err(|_| self.closed())
    }

    /// Tells those who are online in the conversation something of the embedding product's own. It is not stored, and may
    /// get lost.
    ///
    /// # Errors
    /// [`Error::NotSendable`] when it is longer than some 500 bytes, [`Error::Closed`].
    pub async fn signal(&self, conversation: ConversationId, data: impl Into<Bytes>) -> Result<(), Error> {
        let data = data.into();
        self.ask(|reply| Command::Signal { conversation, data, reply }).await?
    }
}
