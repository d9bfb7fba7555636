//! What goes to each connector, in order. No I/O.

use hashbrown::HashMap;
use smallvec::SmallVec;
use whimbrel_core::{ConnectorId, ConversationId, MessageId, Outcome, SessionId, UserId};
use whimbrel_rpc::{PushBody, PushItem, To};
use whimbrel_store::Route;

/// A session that waits for an answer, and the connector through which it asked: the answer goes there, whatever
/// UserStatus knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Waiter {
    pub(crate) session: SessionId,
    pub(crate) connector: ConnectorId,
}

impl From<&Route> for Waiter {
    fn from(route: &Route) -> Self {
        Self { session: route.session, connector: route.connector }
    }
}

/// Answers for drafts of one session in one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) user: UserId,
    pub(crate) to: Waiter,
    pub(crate) conversation: ConversationId,
    pub(crate) answers: Vec<(MessageId, Outcome)>,
}

/// What goes to each connector, in order.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(HashMap<ConnectorId, Parcel>);

/// What goes to one connector.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) items: Vec<PushItem>,
    /// If this transfer cannot bring it, another one has to.
    pub(crate) owed: bool,
}

impl Outgoing {
    /// An answer. Whoever does not get it asks again; `owed`: the connector has to hear of what is answered all the
    /// same.
    pub(crate) fn answer(&mut self, to: Waiter, body: PushBody, owed: bool) {
        let parcel = self.0.entry(to.connector).or_default();
        parcel.items.push(PushItem { to: to.session.into(), body });
        parcel.owed |= owed;
    }

    /// One thing for several sessions: one item for each connector.
    pub(crate) fn many(&mut self, routes: &[Route], body: &PushBody) {
        self.by_connector(routes, body, true);
    }

    /// The same; nobody owes it to anybody.
    pub(crate) fn passing(&mut self, routes: &[Route], body: &PushBody) {
        self.by_connector(routes, body, false);
    }

    fn by_connector(&mut self, routes: &[Route], body: &PushBody, owed: bool) {
        let mut left: SmallVec<[Route; 4]> = routes.into();
        while let Some(connector) = left.first().map(|route| route.connector) {
            let to = left.iter().filter(|route| route.connector == connector).map(|route| route.session).collect();
            self.add(connector, PushItem { to, body: body.clone() }, owed);
            left.retain(|route| route.connector != connector);
        }
    }

    /// The same thing for each of these connectors, which find the sessions themselves.
    pub(crate) fn each(&mut self, connectors: &[ConnectorId], to: &To, body: &PushBody) {
        for connector in connectors {
            self.add(*connector, PushItem { to: to.clone(), body: body.clone() }, true);
        }
    }

    /// The same; nobody owes it to anybody.
    pub(crate) fn passing_to_each(&mut self, connectors: &[ConnectorId], to: &To, body: &PushBody) {
        for connector in connectors {
            self.add(*connector, PushItem { to: to.clone(), body: body.clone() }, false);
        }
    }

    fn add(&mut self, connector: ConnectorId, item: PushItem, owed: bool) {
        let parcel = self.0.entry(connector).or_default();
        parcel.items.push(item);
        parcel.owed |= owed;
    }

    /// By connector.
    pub(crate) fn parcels(self) -> impl ExactSizeIterator<Item = (ConnectorId, Parcel)> {
        self.0.into_iter()
    }

    #[cfg(test)]
    pub(crate) fn take(&mut self, connector: ConnectorId) -> Vec<PushItem> {
        self.0.remove(&connector).unwrap_or_default().items
    }
}
