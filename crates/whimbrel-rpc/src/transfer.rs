//! Connector → transfer.

use async_trait::async_trait;
use whimbrel_core::{
    ConnectorId, ConversationId, Cursors, DeviceId, Draft, GoodbyeCode, SessionId, SyncQuestion, UserId,
};

/// Which session speaks, and for whom. Authenticated by the connector; transfers believe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionRef {
    /// The session.
    pub session: SessionId,
    /// Its user.
    pub user: UserId,
    /// Its device.
    pub device: DeviceId,
}

/// A session that wants to be reachable. The connector must be ready to take pushes for it before it asks.
#[derive(Debug, Clone)]
pub struct Attach {
    /// The session.
    pub session: SessionRef,
    /// Where it is connected.
    pub connector: ConnectorId,
    /// As the client named it.
    pub platform: String,
}

/// Why a session was not attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachRefused {
    /// What the client is told.
    pub code: GoodbyeCode,
    /// For `UNAVAILABLE`: not before this many milliseconds.
    pub retry_after_ms: u32,
}

/// What a client asked for, decoded and checked for its form (ids, counts, lengths).
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub from: SessionRef,
    /// What.
    pub body: RequestBody,
}

/// The kinds of request.
#[derive(Debug)]
pub enum RequestBody {
    /// Drafts for one conversation, in their order; every one is answered by [`PushBody::Answers`](crate::PushBody).
    Send {
        /// Where to.
        conversation: ConversationId,
        /// At least one, at most [`SEND_BATCH_MAX`](whimbrel_core::limits::SEND_BATCH_MAX).
        drafts: Vec<Draft>,
    },
    /// Cursors of the session's user; answered by [`PushBody::Advanced`](crate::PushBody) once durable.
    Advance(Vec<(ConversationId, Cursors)>),
    /// What follows? Answered by [`PushBody::Synced`](crate::PushBody).
    Sync(SyncQuestion),
}

/// Decides what happens to a message.
#[async_trait]
pub trait Transfer: Send + Sync + 'static {
    /// Makes a session reachable, and closes an earlier session of the same device with
    /// [`REPLACED`](GoodbyeCode::REPLACED). Registers first and reads the device's row after it, so that a log-out
    /// either finds the session or is seen here.
    async fn attach(&self, attach: Attach) -> Result<(), AttachRefused>;

    /// Takes requests, in their order, without waiting. Every one is answered by a push to its session sooner or
    /// later, if only by "retry"; what does not fit into the transfer's bounds is answered so at once.
    fn submit(&self, requests: Vec<Request>);

    /// Ends the reachability of these sessions, and of no newer ones of their devices.
    async fn detach(&self, sessions: Vec<SessionRef>);
}
