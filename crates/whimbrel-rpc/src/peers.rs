//! How a transfer finds a connector.

use std::sync::Arc;

use whimbrel_core::ConnectorId;

use crate::Push;

/// The connectors in reach.
pub trait Peers: Send + Sync + 'static {
    /// The way to this connector, if there is one.
    fn connector(&self, id: ConnectorId) -> Option<Arc<dyn Push>>;

    /// All of them.
    fn connectors(&self) -> Vec<(ConnectorId, Arc<dyn Push>)>;

    /// Those whose stream broke so lately that they may hold a lease, also when they are back: who asks for
    /// [`Peers::connectors`] first finds everybody in one of the two.
    fn lost(&self) -> Vec<ConnectorId> {
        Vec::new()
    }
}

/// A house with one connector: its own.
pub struct OnlyConnector {
    id: ConnectorId,
    push: Arc<dyn Push>,
}

impl OnlyConnector {
    /// The connector of this process.
    pub fn new(id: ConnectorId, push: Arc<dyn Push>) -> Self {
        Self { id, push }
    }
}

impl Peers for OnlyConnector {
    fn connector(&self, id: ConnectorId) -> Option<Arc<dyn Push>> {
        (id == self.id).then(|| self.push.clone())
    }

    fn connectors(&self) -> Vec<(ConnectorId, Arc<dyn Push>)> {
        vec![(self.id, self.push.clone())]
    }
}
