//! The directory: accounts, devices, relations with their keys, and who is in which conversation.
//!
//! A change and the rows that tell of it (in private conversations, and in the direct conversation where rights
//! changed) are one transaction; the rows are returned, so that the caller can announce them. Keys are wrapped before
//! they are written: the engine never sees a readable one on disk. Passwords and tokens arrive as hashes.

pub(crate) mod pair;
pub(crate) mod words;

use std::fmt;

use async_trait::async_trait;
use whimbrel_core::{ConversationId, DeviceId, Members, PlacedRow, Seq, UserId};

use crate::StoreError;

/// Rows that a change placed; to be announced.
pub type Rows = Vec<PlacedRow>;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: UserId,
    /// Unique, lower case: see [`Handle rules`](crate::directory::handle_error).
    pub handle: String,
    /// For people.
    pub display_name: String,
    /// A URL or empty.
    pub avatar: String,
    /// Milliseconds since 1970.
    pub created_at: u64,
}

/// Why a text cannot be a handle, or `None` if it can: 2 to 32 of `a-z 0-9 _ . -`, beginning with a letter or digit.
pub fn handle_error(handle: &str) -> Option<&'static str> {
    if !(2..=32).contains(&handle.len()) {
        return Some("a handle has 2 to 32 characters");
    }
    if !handle.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b)) {
        return Some("a handle has only a-z, 0-9, '_', '.' and '-'");
    }
    let first = handle.as_bytes()[0];
    (!first.is_ascii_alphanumeric()).then_some("a handle begins with a letter or a digit")
}

/// An account to create.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Unique; checked with [`handle_error`] by the caller.
    pub handle: String,
    /// For people.
    pub display_name: String,
    /// Argon2id, PHC string; `None` for accounts of the embedding product, which never log in with a password.
    pub password_hash: Option<String>,
}

/// A device that is not logged out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Such as "linux".
    pub platform: String,
    /// For people, such as "Anna's phone".
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at: u64,
    /// The last log-in or refresh, milliseconds since 1970.
    pub seen_at: u64,
}

/// A log-in: the device with the hash of its refresh token.
#[derive(Debug, Clone)]
pub struct LogIn {
    /// Whose.
    pub user: UserId,
    /// The device; logging in again on it ends its former refresh token.
    pub device: DeviceId,
    /// Such as "linux".
    pub platform: String,
    /// For people.
    pub name: String,
    /// SHA-256 of the refresh token; `None` when none was issued (administrator's tokens).
    pub refresh_hash: Option<[u8; 32]>,
    /// Now, milliseconds since 1970.
    pub now: u64,
}

/// A device that may not stay connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoggedOut {
    /// Whose.
    pub user: UserId,
    /// Which; `None`: the account was deleted.
    pub device: Option<DeviceId>,
}

/// What became of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// It was the device's current one; the successor is current now.
    Rotated {
        /// Whose.
        user: UserId,
        /// On which device.
        device: DeviceId,
    },
    /// It was the one before, used within the time of grace: the answer got lost, the same successor stands.
    Repeated {
        /// Whose.
        user: UserId,
        /// On which device.
        device: DeviceId,
    },
    /// It was used before, longer ago: somebody has a copy. The device is logged out with this call.
    Stolen {
        /// Whose.
        user: UserId,
        /// On which device.
        device: DeviceId,
        /// Tells the user's other devices.
        rows: Rows,
    },
    /// Nobody's.
    Unknown,
}

/// What two users are to each other, as one of them sees it. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RelationState {
    /// Nothing (any more).
    None = 0,
    /// The viewer asked, the peer has not answered.
    RequestSent = 1,
    /// The peer asked, the viewer has not answered.
    RequestReceived = 2,
    /// Friends.
    Friends = 3,
}

/// A relation as one of the two sees it. `Debug` shows which versions of the key there are, and no key.
#[derive(Clone)]
pub struct Relation {
    /// The other.
    pub peer: User,
    /// What they are.
    pub state: RelationState,
    /// The viewer blocks the peer. Whether the peer blocks the viewer is not told.
    pub blocked: bool,
    /// With a friend request: what was said with it.
    pub greeting: String,
    /// Their conversation, once they have been friends.
    pub conversation: Option<ConversationId>,
    /// All versions of its key, oldest first; the last is for sending. At most
    /// [`KEY_VERSIONS_MAX`](whimbrel_core::limits::KEY_VERSIONS_MAX).
    pub keys: Vec<(u32, [u8; 32])>,
    /// Milliseconds since 1970.
    pub changed_at: u64,
}

impl fmt::Debug for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<u32> = self.keys.iter().map(|(version, _)| *version).collect();
        f.debug_struct("Relation")
            .field("peer", &self.peer)
            .field("state", &self.state)
            .field("blocked", &self.blocked)
            .field("greeting", &self.greeting)
            .field("conversation", &self.conversation)
            .field("key_versions", &versions)
            .field("changed_at", &self.changed_at)
            .finish()
    }
}

/// A change that a user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelationChange {
    /// Ask the peer to be friends; accepts if the peer has asked already.
    Request {
        /// At most 200 characters, checked by the caller.
        greeting: String,
    },
    /// Take the request back.
    Cancel,
    /// Say yes: the pair gets its conversation (kept if it has one) and a new key version, until there are
    /// [`KEY_VERSIONS_MAX`](whimbrel_core::limits::KEY_VERSIONS_MAX); from then on the newest one stays in use.
    Accept,
    /// Say no.
    Decline,
    /// Be friends no more. Messages stay; nobody can send.
    Remove,
    /// Nothing gets through from the peer, or to them. Ends a friend request, keeps a friendship.
    Block,
    /// Take a block back.
    Unblock,
}

/// Why a call did nothing.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The handle is somebody's.
    #[error("the handle is taken")]
    HandleTaken,
    /// There is no such user (any more).
    #[error("there is no such user")]
    NoSuchUser,
    /// There is no such device, or it is logged out.
    #[error("there is no such device")]
    NoSuchDevice,
    /// The user has as many devices as one may have.
    #[error("too many devices")]
    TooManyDevices,
    /// The change does not fit what the two are: there is no request to accept, they are friends already, or one
    /// names oneself.
    #[error("{0}")]
    NotApplicable(&'static str),
    /// One of the two blocks the other.
    #[error("this person cannot be asked")]
    Blocked,
    /// The user has as many relations as one may have.
    #[error("too many relations")]
    TooManyRelations,
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Accounts, devices, relations, members.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Creates accounts with their private conversations, one transaction, each answered for itself.
    async fn create_users(
        &self,
        users: Vec<NewUser>,
        now: u64,
    ) -> Result<Vec<Result<User, DirectoryError>>, StoreError>;
    /// The account, unless it was deleted.
    async fn user(&self, user: UserId) -> Result<Option<User>, StoreError>;
    /// The account with exactly this handle.
    async fn user_by_handle(&self, handle: &str) -> Result<Option<User>, StoreError>;
    /// Changes the given parts of the profile; the user's other devices and friends are told.
    async fn set_profile(
        &self,
        user: UserId,
        display_name: Option<String>,
        avatar: Option<String>,
        now: u64,
    ) -> Result<(User, Rows), DirectoryError>;
    /// The account's password hash: `None` if there is no such account; `Some(None)` if it has no password.
    async fn password_hash(&self, user: UserId) -> Result<Option<Option<String>>, StoreError>;
    /// Sets the password and logs out every device but `keep`; returns those.
    async fn set_password(
        &self,
        user: UserId,
        hash: String,
        keep: DeviceId,
        now: u64,
    ) -> Result<(Vec<DeviceId>, Rows), DirectoryError>;
    /// Deletes the account: relations end, devices are logged out, the handle stays taken, the name is gone.
    /// Messages stay in the conversations of others.
    async fn delete_user(&self, user: UserId, now: u64) -> Result<Rows, DirectoryError>;

    /// Logs devices in, one transaction, each answered for itself.
    async fn log_in(&self, log_ins: Vec<LogIn>) -> Result<Vec<Result<Rows, DirectoryError>>, StoreError>;
    /// Takes a refresh token (SHA-256) and makes `successor` (SHA-256) the current one. `grace_ms`: how long the
    /// predecessor may be repeated.
    async fn refresh(
        &self,
        token: [u8; 32],
        successor: [u8; 32],
        now: u64,
        grace_ms: u64,
    ) -> Result<Refreshed, StoreError>;
    /// Whether this device exists and is not logged out, and its user not deleted.
    async fn is_logged_in(&self, user: UserId, device: DeviceId) -> Result<bool, StoreError> {
        Ok(self.logged_in(&[(user, device)]).await?[0])
    }
    /// The same for several, in their order. One round trip.
    async fn logged_in(&self, devices: &[(UserId, DeviceId)]) -> Result<Vec<bool>, StoreError>;
    /// Devices that were logged out at or after this time (milliseconds since 1970), for an hour at least; users that
    /// were deleted stand without a device. An engine whose clients all end with its process may know none.
    async fn logged_out_since(&self, since: u64) -> Result<Vec<LoggedOut>, StoreError>;
    /// Rows of this trait's own changes that were committed before this time and of which [`Directory::told`] did not
    /// hear, at most `limit`: whoever changed it died before it was announced. An engine whose clients all end with
    /// its process may know none.
    async fn untold(&self, before: u64, limit: usize) -> Result<Rows, StoreError>;
    /// These rows were announced.
    async fn told(&self, rows: &[(ConversationId, Seq)]) -> Result<(), StoreError>;
    /// The devices that are not logged out.
    async fn devices(&self, user: UserId) -> Result<Vec<Device>, StoreError>;
    /// Logs out one device (`Some`) or all; returns those that were logged in.
    async fn log_out(
        &self,
        user: UserId,
        device: Option<DeviceId>,
        now: u64,
    ) -> Result<(Vec<DeviceId>, Rows), DirectoryError>;

    /// Changes what two users are to each other.
    async fn change_relation(
        &self,
        user: UserId,
        peer: UserId,
        change: RelationChange,
        now: u64,
    ) -> Result<(Relation, Rows), DirectoryError>;
    /// The relation with this peer, if there ever was one.
    async fn relation(&self, user: UserId, peer: UserId) -> Result<Option<Relation>, StoreError>;
    /// Relations with peers beyond `after`, by peer id, at most `limit`; without those in state `None` that are not
    /// blocked and have no conversation.
    async fn relations(&self, user: UserId, after: UserId, limit: usize) -> Result<Vec<Relation>, StoreError>;

    /// Who is in these conversations, in their order; `None` for those that do not exist. One round trip.
    async fn members(&self, conversations: &[ConversationId]) -> Result<Vec<Option<Members>>, StoreError>;
    /// Wraps every key again with the keyring's current master key, in small steps; returns how many were changed.
    async fn rewrap_keys(&self) -> Result<u64, StoreError>;
    /// Whether the engine answers.
    async fn ping(&self) -> Result<(), StoreError>;
}
