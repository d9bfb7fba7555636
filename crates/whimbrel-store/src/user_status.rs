//! Who is online, on which connector.
//!
//! A route may be too much (the session is gone: the connector says so), never silently too few: an engine that lost
//! something, or may have, does not answer [`UserStatus::locate`] before the connectors have had the time to assert
//! what they hold. Nothing here is durable, and nothing here is needed to keep a message.
//!
//! Each life of the engine is an incarnation. An engine that was emptied, or went back to an older state, begins a new
//! one as soon as anybody asks it anything.

use async_trait::async_trait;
use smallvec::SmallVec;
use whimbrel_core::{ConnectorId, DeviceId, Incarnation, SessionId, UserId};

use crate::StoreError;

/// One session, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    /// The session.
    pub session: SessionId,
    /// Its device.
    pub device: DeviceId,
    /// The connector that holds it.
    pub connector: ConnectorId,
    /// When it began, by that connector's clock, milliseconds since 1970.
    pub since: u64,
}

/// What renewing a lease brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// The engine's life.
    pub incarnation: Incarnation,
    /// Which unbroken lease this is: another number whenever it did not stand until now (never had, ran out, was ended).
    /// It is the engine's to remember, so that an answer that is lost on its way says the same when asked for again.
    pub term: u64,
}

/// Sets of sessions by user.
#[async_trait]
pub trait UserStatus: Send + Sync + 'static {
    /// Adds sessions, and returns for each the user's other sessions on the same device, taken off with this call. A
    /// session that is older (by `since`) than another of its device, on a connector with a lease, is not added: it is
    /// returned itself.
    async fn online(&self, sessions: &[(UserId, Route)]) -> Result<Vec<SmallVec<[Route; 1]>>, StoreError>;

    /// Removes these sessions and no others.
    async fn offline(&self, sessions: &[(UserId, SessionId)]) -> Result<(), StoreError>;

    /// The sessions of these users, in their order, as they are after this call began; without those on connectors
    /// that have no lease. One round trip. An error also when the engine is in the first
    /// [`ROUTES_UNSURE`](whimbrel_core::limits::ROUTES_UNSURE) of a life that is not its first.
    async fn locate(&self, users: &[UserId]) -> Result<Vec<SmallVec<[Route; 2]>>, StoreError>;

    /// Renews a connector's lease, for [`LEASE`](whimbrel_core::limits::LEASE) from now.
    async fn renew(&self, connector: ConnectorId) -> Result<Renewed, StoreError>;

    /// Ends these leases now.
    async fn expel(&self, connectors: &[ConnectorId]) -> Result<(), StoreError>;

    /// The connectors that hold a lease.
    async fn connectors(&self) -> Result<Vec<ConnectorId>, StoreError>;
}
