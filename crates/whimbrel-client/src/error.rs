//! What can go wrong, as the application sees it.
//!
//! Nothing here is about a single session: sessions come and go, and what ends one is told by
//! [`ConnectionState`](crate::ConnectionState). An [`Error`] is the answer to one call.

use std::time::Duration;

use whimbrel_core::{ConversationId, DeviceId, UserId};

use crate::event::Closed;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server understood the request and said no.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The request got no answer that could be read: no connection, a time-out, not JSON.
    #[error("the REST request failed")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An address, a certificate or another setting is not usable.
    #[error("{0}")]
    Config(String),
    /// The device's own store failed.
    #[error("the device's store failed")]
    Store(#[from] StoreError),
    /// The client has closed; nothing more is sent or received.
    #[error("the client is closed: {0}")]
    Closed(Closed),
    /// There are no credentials: neither given to the builder, nor saved in the store, nor a password to log in with.
    #[error("no credentials: log in first")]
    NoCredentials,
    /// No key of this conversation is known, so nothing can be sealed for it: it does not exist, or the two are no
    /// friends.
    #[error("no key of conversation {0} is known")]
    NoKey(ConversationId),
    /// The device does not know such a conversation.
    #[error("conversation {0} is not known on this device")]
    UnknownConversation(ConversationId),
    /// The message is neither in the outbox nor stored, and its answer is no longer remembered.
    #[error("no such message is known on this device")]
    UnknownMessage,
    /// The sealed body would be longer than the server takes.
    #[error("the message is too long: {len} bytes sealed, {max} at most")]
    TooLong {
        /// Of the sealed body, bytes.
        len: usize,
        /// The most that the server takes, bytes.
        max: usize,
    },
    /// The user is not in this group (any more).
    #[error("not in group {0}")]
    NotInGroup(ConversationId),
    /// Content of this kind is made by servers only, or is longer than its kind may be.
    #[error("this content cannot be sent")]
    NotSendable,
    /// More users than may be watched at a time.
    #[error("{asked} users cannot be watched at a time, {max} can")]
    TooManyWatched {
        /// How many were named.
        asked: usize,
        /// The most.
        max: usize,
    },
    /// A file of this machine's cannot be read or written.
    #[error("the file cannot be used")]
    File(#[source] std::io::Error),
    /// What the camera wrote into a picture, the place among it, cannot be taken out here: nothing was sent. With
    /// [`Sending::keeps_metadata`](crate::Sending::keeps_metadata) it is sent as it is.
    #[error("what the camera wrote into the picture cannot be taken out; with keeps_metadata set it is sent as it is")]
    MetadataStays,
    /// A file that is being sent is not what it was when that began.
    #[error("the file has changed since it was sent first")]
    FileChanged,
    /// What was fetched is not the file that its sender sent.
    #[error("the file that was fetched is damaged")]
    FileDamaged,
    /// The transfer was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// Too many drafts wait for their answers ([`OUTBOX_MAX`](crate::store::OUTBOX_MAX)).
    #[error("the outbox is full")]
    OutboxFull,
}

impl Error {
    /// The server's word for what is wrong, when it was the server that said no.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Api(error) => Some(&error.code),
            _ => None,
        }
    }

    pub(crate) fn http(error: reqwest::Error) -> Self {
        // The address may hold a handle; the rest of the chain says what happened.
        Error::Http(Box::new(error.without_url()))
    }
}

/// The server's refusal of a REST request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// One of a small set of codes, such as `not_found`; empty when the answer was not the API's own.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
    /// The field that is wrong, if it is one.
    pub field: Option<String>,
    /// When to try again at the earliest, if the server said so.
    pub retry_after: Option<Duration>,
}

/// Why the device's store failed. Cheap to clone, since a failed store ends everything that waits for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file belongs to another user or device.
    #[error("the store belongs to user {user} on device {device}, not to user {asked_user} on device {asked_device}")]
    NotYours {
        /// Whose it is.
        user: UserId,
        /// Which of their devices.
        device: DeviceId,
        /// Who asked.
        asked_user: UserId,
        /// On which device.
        asked_device: DeviceId,
    },
    /// The file is not one of this version, or is damaged.
    #[error("the store cannot be read: {0}")]
    Unreadable(String),
    /// Reading or writing failed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}
