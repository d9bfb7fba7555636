//! REST with a client's own tokens, which are renewed before they expire.
//!
//! Refresh tokens rotate, so there is one place that renews, one renewal at a time, and what it got is saved in the
//! store before anybody can use it: a crash in between loses nothing, since the server repeats the same successor for
//! a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use whimbrel_core::{ConversationId, DeviceId, FileId, Presence, Privacy, Seq, UserId};

use super::Rest;
use super::files::{FileForm, FileState, OwnFiles};
use super::history::{ServerFollowUps, ServerPage};
use super::search::ServerSearched;
use crate::account::{Credentials, DeviceInfo};
use crate::error::Error;
use crate::group::{Group, GroupAction, GroupInfo, GroupMember, GroupRequest, GroupSettings, NewGroup, Page, ReadBy};
use crate::history::HistoryAt;
use crate::presence::PrivacyChange;
use crate::relation::{Device, Profile, ProfileChange, Relation, RelationKey};
use crate::search::Search;
use crate::setting::{Setting, SettingChange};
use crate::store::Store;

/// An access token is renewed when it expires within so many seconds.
const FRESH_MARGIN_S: u64 = 30;

/// A handle and its password.
#[derive(Debug, Clone)]
pub(crate) struct Password {
    pub(crate) handle: String,
    pub(crate) password: SecretString,
}

impl Password {
    pub(crate) async fn log_in(&self, rest: &Rest, device: &DeviceInfo) -> Result<Credentials, Error> {
        rest.log_in(&self.handle, self.password.expose_secret(), device).await
    }
}

/// The tokens of one client, and the ways to new ones.
pub(crate) struct Auth {
    rest: Rest,
    store: Arc<dyn Store>,
    password: Option<Password>,
    device: DeviceInfo,
    current: RwLock<Credentials>,
    renewing: Mutex<()>,
    /// The application has logged out: nothing is renewed any more.
    has_left: AtomicBool,
}

impl Auth {
    pub(crate) fn new(
        rest: Rest,
        store: Arc<dyn Store>,
        password: Option<Password>,
        device: DeviceInfo,
        current: Credentials,
    ) -> Self {
        let device = DeviceInfo { id: Some(current.device), ..device };
        Self {
            rest,
            store,
            password,
            device,
            current: RwLock::new(current),
            renewing: Mutex::new(()),
            has_left: AtomicBool::new(false),
        }
    }

    pub(crate) fn current(&self) -> Credentials {
        self.current.read().clone()
    }

    pub(crate) fn current_user(&self) -> UserId {
        self.current.read().user
    }

    pub(crate) fn platform(&self) -> &str {
        &self.device.platform
    }

    /// Credentials that do not expire at once.
    pub(crate) async fn fresh(&self) -> Result<Credentials, Error> {
        let current = self.current();
        if current.is_fresh(FRESH_MARGIN_S) {
            return Ok(current);
        }
        match self.renew(&current.access_token).await {
            Err(Error::NoCredentials) if current.is_fresh(0) => Ok(current),
            renewed => renewed,
        }
    }

    /// New credentials in the place of those with the access token `rejected`, unless somebody renewed them already.
    ///
    /// # Errors
    /// [`Error::NoCredentials`] when there is no way to new ones; [`Error::Api`] when the server refuses;
    /// [`Error::Http`] when it cannot be asked now.
    pub(crate) async fn renew(&self, rejected: &SecretString) -> Result<Credentials, Error> {
        let _turn = self.renewing.lock().await;
        if self.has_left.load(Ordering::Relaxed) {
            return Err(Error::NoCredentials);
        }
        let current = self.current();
        if current.access_token.expose_secret() != rejected.expose_secret() {
            return Ok(current);
        }
        let renewed = match self.rest.refresh(&current).await {
            Err(error) if is_refusal(&error) => match &self.password {
                Some(password) => password.log_in(&self.rest, &self.device).await?,
                None => return Err(error),
            },
            refreshed => refreshed?,
        };
        self.store.save_credentials(&renewed).await?;
        *self.current.write() = renewed.clone();
        Ok(renewed)
    }
}

/// Whether trying the same again is in vain: the server said no, and not because of its own trouble or haste.
pub(crate) fn is_refusal(error: &Error) -> bool {
    match error {
        Error::NoCredentials => true,
        Error::Api(error) => (400..500).contains(&error.status) && error.status != 408 && error.status != 429,
        _ => false,
    }
}

/// Whether the server says that the access token is no longer good, whatever this machine's clock says.
fn is_stale(error: &Error) -> bool {
    matches!(error.code(), Some("token_expired" | "unauthenticated"))
}

/// REST with one client's tokens. Cheap to clone.
///
/// Its calls are those of [`Rest`], without the credentials; each can also fail as renewing a token fails.
#[derive(Clone)]
pub struct AuthorizedRest {
    auth: Arc<Auth>,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl AuthorizedRest {
            $($(#[$doc])*
            ///
            /// # Errors
            /// As [`Rest`]'s call of the same name, and [`Error::NoCredentials`] when the tokens cannot be renewed.
            pub async fn $name(&self, $($argument: $type),*) -> Result<$answer, Error> {
                let credentials = self.auth.fresh().await?;
                match self.auth.rest.$name(&credentials, $($argument),*).await {
                    Err(error) if is_stale(&error) => {
                        let renewed = self.auth.renew(&credentials.access_token).await?;
                        self.auth.rest.$name(&renewed, $($argument),*).await
                    }
                    answer => answer,
                }
            })*
        }
    };
}

calls! {
    /// One's own profile.
    me() -> Profile;
    /// Changes one's own profile; gives the new one.
    set_profile(change: &ProfileChange) -> Profile;
    /// The user with exactly this handle, if there is one.
    find_user(handle: &str) -> Option<Profile>;
    /// A user.
    user(user: UserId) -> Profile;
    /// A page of one's relations, with users above `after`.
    relations(after: Option<UserId>, limit: usize) -> Vec<Relation>;
    /// One's relation with a user.
    relation(user: UserId) -> Relation;
    /// Asks a user to be friends.
    request_friend(user: UserId, greeting: &str) -> Relation;
    /// Accepts a user's request.
    accept(user: UserId) -> Relation;
    /// Declines a user's request.
    decline(user: UserId) -> Relation;
    /// Takes one's own request back.
    cancel(user: UserId) -> Relation;
    /// Ends a friendship.
    remove_friend(user: UserId) -> Relation;
    /// Blocks a user.
    block(user: UserId) -> Relation;
    /// Ends one's own block.
    unblock(user: UserId) -> Relation;
    /// One's own devices.
    devices() -> Vec<Device>;
    /// Logs another of one's own devices out.
    log_out_device(device: DeviceId) -> ();
    /// Changes one's password.
    change_password(old: &str, new: &str) -> ();
    /// Makes a group, which one owns.
    create_group(new: &NewGroup) -> Group;
    /// A page of the groups that one is in, or was and still sees.
    groups(after: Option<ConversationId>, limit: usize) -> Page<GroupInfo, ConversationId>;
    /// A page of the listed groups whose names or handles begin with this.
    search_groups(text: &str, after: Option<ConversationId>, limit: usize) -> Page<Group, ConversationId>;
    /// A group, and what one is in it.
    group(group: ConversationId) -> GroupInfo;
    /// The group with exactly this handle, if there is one.
    find_group(handle: &str) -> Option<Group>;
    /// Changes a group's settings.
    settle_group(group: ConversationId, settings: &GroupSettings) -> Group;
    /// Does something in a group.
    act_in_group(group: ConversationId, action: &GroupAction) -> Group;
    /// A page of a group's members.
    group_members(group: ConversationId, after: Option<UserId>, limit: usize) -> Page<GroupMember, UserId>;
    /// A page of what waits for an answer in a group.
    group_requests(group: ConversationId, after: Option<UserId>, limit: usize) -> Page<GroupRequest, UserId>;
    /// A page of one's own invitations and requests.
    my_group_requests(after: Option<ConversationId>, limit: usize) -> Page<GroupRequest, ConversationId>;
    /// A page of the versions of a group's key above `after`.
    group_keys(group: ConversationId, after: u32, limit: usize) -> Page<RelationKey, u32>;
    /// Who has read a message of a group.
    read_by(group: ConversationId, seq: Seq, after: Option<UserId>, limit: usize) -> ReadBy;
    /// A page of a conversation, sealed as the server has it.
    history(conversation: ConversationId, at: HistoryAt, limit: usize) -> ServerPage;
    /// A page of what is about the messages at these places.
    follow_ups(conversation: ConversationId, range: (Seq, Seq), after: Option<&str>, limit: usize) -> ServerFollowUps;
    /// A page of the messages that the server found; where bodies are readable.
    search(search: &Search, after: Option<&str>, limit: usize) -> ServerSearched;
    /// Announces a file.
    announce_file(form: &FileForm) -> FileState;
    /// A page of one's own files, the newest first.
    files(before: Option<&str>, limit: usize) -> OwnFiles;
    /// How far a file is.
    file(file: FileId) -> FileState;
    /// Has a file checked whose pieces are all there.
    complete_file(file: FileId) -> FileState;
    /// Proves that one has a file's content.
    prove_file(file: FileId, mac: &str) -> FileState;
    /// A part of a file.
    download_range(file: FileId, offset: u64, length: u64) -> Bytes;
    /// Gives up an upload, or a file that no message refers to.
    discard_file(file: FileId) -> ();
    /// Makes another file of the same content, which is one's own.
    copy_file(from: FileId, to: FileId) -> FileState;
    /// A page of how one's conversations are shown.
    settings(after: Option<ConversationId>, limit: usize) -> Page<Setting, ConversationId>;
    /// Changes how a conversation is shown. [`Client`](crate::Client) has shorter ways, which hold on this device at once.
    change_setting(conversation: ConversationId, change: &SettingChange) -> Setting;
    /// Who of these friends is here now, in the order asked; at most 200.
    presence(users: &[UserId]) -> Vec<Presence>;
    /// How one lets oneself be seen.
    privacy() -> Privacy;
    /// Changes how one lets oneself be seen; gives how it is then.
    change_privacy(change: PrivacyChange) -> Privacy;
}

impl AuthorizedRest {
    pub(crate) fn new(auth: Arc<Auth>) -> Self {
        Self { auth }
    }

    /// Sends a piece of a file; how far it is then.
    ///
    /// # Errors
    /// As [`Rest::upload_piece`], and [`Error::NoCredentials`] when the tokens cannot be renewed.
    pub async fn upload_piece(&self, file: FileId, offset: u64, piece: Bytes) -> Result<u64, Error> {
        let credentials = self.auth.fresh().await?;
        match self.auth.rest.upload_piece(&credentials, file, offset, piece.clone()).await {
            Err(error) if is_stale(&error) => {
                let renewed = self.auth.renew(&credentials.access_token).await?;
                self.auth.rest.upload_piece(&renewed, file, offset, piece).await
            }
            answer => answer,
        }
    }

    /// A part of a file that is not empty, to be read as it comes.
    pub(crate) async fn open_range(&self, file: FileId, offset: u64, length: u64) -> Result<reqwest::Response, Error> {
        let credentials = self.auth.fresh().await?;
        match self.auth.rest.open_range(&credentials, file, offset, length).await {
            Err(error) if is_stale(&error) => {
                let renewed = self.auth.renew(&credentials.access_token).await?;
                self.auth.rest.open_range(&renewed, file, offset, length).await
            }
            answer => answer,
        }
    }

    /// Logs this device out, or all of the user's. The client then closes; it does not log in again.
    ///
    /// # Errors
    /// As [`Rest::log_out`], and [`Error::NoCredentials`] when the tokens cannot be renewed.
    pub async fn log_out(&self, all: bool) -> Result<(), Error> {
        self.auth.rest.log_out(&self.auth.fresh().await?, all).await?;
        self.auth.has_left.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Deletes one's account, for ever. The client then closes.
    ///
    /// # Errors
    /// As [`Rest::delete_account`], and [`Error::NoCredentials`] when the tokens cannot be renewed.
    pub async fn delete_account(&self, password: &str) -> Result<(), Error> {
        self.auth.rest.delete_account(&self.auth.fresh().await?, password).await?;
        self.auth.has_left.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The calls that need no token.
    pub fn open(&self) -> &Rest {
        &self.auth.rest
    }
}
