//! Who is online, on which connector.
//!
//! A route may be too much (the session is gone: the connector says so), never silently too few. Nothing here is
//! durable, and nothing here is needed to keep a message.

use async_trait::async_trait;
use smallvec::SmallVec;
use whimbrel_core::{ConnectorId, DeviceId, SessionId, UserId};

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
}

/// Sets of sessions by user.
#[async_trait]
pub trait UserStatus: Send + Sync + 'static {
    /// Adds sessions, and returns for each the user's other sessions on the same device (which it replaces).
    async fn online(&self, sessions: &[(UserId, Route)]) -> Result<Vec<SmallVec<[Route; 1]>>, StoreError>;

    /// Removes these sessions and no others.
    async fn offline(&self, sessions: &[(UserId, SessionId)]) -> Result<(), StoreError>;

    /// The sessions of these users, in their order. One round trip.
    async fn locate(&self, users: &[UserId]) -> Result<Vec<SmallVec<[Route; 2]>>, StoreError>;
}
