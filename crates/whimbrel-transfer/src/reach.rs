//! How pushes reach sessions: routes from UserStatus, one push call for each connector.
//!
//! Routes are read after what is told was committed. When UserStatus does not answer, nobody is pushed to: the users
//! are not called offline, and their devices get what they missed by sync. Sessions that a connector does not have are
//! taken off UserStatus.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hashbrown::HashMap;
use smallvec::SmallVec;
use tracing::{debug, warn};
use whimbrel_core::{ConnectorId, ConversationId, MessageId, Outcome, SessionId, UserId};
use whimbrel_rpc::{Peers, PushBody, PushItem, SessionRef};
use whimbrel_store::{Route, StoreError, UserStatus};

/// Pauses between the tries to locate; as many tries as pauses, and one.
const LOCATE_PAUSES: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(200)];

/// The sessions of users, as they were when asked.
#[derive(Debug, Default)]
pub(crate) struct Routes(HashMap<UserId, SmallVec<[Route; 2]>>);

impl Routes {
    pub(crate) fn of(&self, user: UserId) -> &[Route] {
        self.0.get(&user).map_or(&[], |routes| &routes[..])
    }

    /// Where this session is, if it is among the user's.
    pub(crate) fn session(&self, user: UserId, session: SessionId) -> Option<Route> {
        self.of(user).iter().copied().find(|route| route.session == session)
    }

    #[cfg(test)]
    pub(crate) fn from(routes: impl IntoIterator<Item = (UserId, SmallVec<[Route; 2]>)>) -> Self {
        Self(routes.into_iter().collect())
    }
}

/// What goes to each connector, in order.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(HashMap<ConnectorId, Vec<PushItem>>);

impl Outgoing {
    /// One thing for one session.
    pub(crate) fn one(&mut self, route: Route, body: PushBody) {
        self.0.entry(route.connector).or_default().push(PushItem { to: route.session.into(), body });
    }

    /// The same thing for several sessions: one item for each connector.
    pub(crate) fn many(&mut self, routes: &[Route], body: &PushBody) {
        let mut left: SmallVec<[Route; 4]> = routes.into();
        while let Some(connector) = left.first().map(|route| route.connector) {
            let to = left.iter().filter(|route| route.connector == connector).map(|route| route.session).collect();
            self.0.entry(connector).or_default().push(PushItem { to, body: body.clone() });
            left.retain(|route| route.connector != connector);
        }
    }

    #[cfg(test)]
    pub(crate) fn take(&mut self, connector: ConnectorId) -> Vec<PushItem> {
        self.0.remove(&connector).unwrap_or_default()
    }
}

/// Answers for drafts of one session in one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) to: SessionRef,
    pub(crate) conversation: ConversationId,
    pub(crate) answers: Vec<(MessageId, Outcome)>,
}

pub(crate) struct Reach {
    status: Arc<dyn UserStatus>,
    peers: Arc<dyn Peers>,
}

impl Reach {
    pub(crate) fn new(status: Arc<dyn UserStatus>, peers: Arc<dyn Peers>) -> Self {
        Self { status, peers }
    }

    pub(crate) fn status(&self) -> &dyn UserStatus {
        &*self.status
    }

    /// The routes of these users (repeats are fine), by one call; `None` if UserStatus does not answer.
    pub(crate) async fn locate(&self, mut users: Vec<UserId>) -> Option<Routes> {
        users.sort_unstable();
        users.dedup();
        if users.is_empty() {
            return Some(Routes::default());
        }
        let mut pauses = LOCATE_PAUSES.iter();
        loop {
            match self.status.locate(&users).await {
                Ok(routes) => return Some(Routes(users.into_iter().zip(routes).collect())),
                Err(error) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => {
                        warn!(%error, users = users.len(), "routes are unknown: these users get it when they sync");
                        return None;
                    }
                },
            }
        }
    }

    /// Pushes everything, to all connectors at once, and returns when all have taken it. `routes`: whose sessions
    /// these are. Gives the sessions that turned out not to be there.
    pub(crate) async fn push(&self, outgoing: Outgoing, routes: &Routes) -> Vec<SessionId> {
        let mut pushes = Vec::with_capacity(outgoing.0.len());
        for (connector, items) in outgoing.0 {
            match self.peers.connector(connector) {
                Some(push) => pushes.push(async move { push.push(items).await }),
                None => debug!(%connector, items = items.len(), "a connector is out of reach"),
            }
        }
        let taken = join_all(pushes).await;
        let unknown: Vec<SessionId> = taken.into_iter().flat_map(|taken| taken.unknown).collect();
        if !unknown.is_empty() {
            self.forget(&unknown, routes).await;
        }
        unknown
    }

    async fn forget(&self, unknown: &[SessionId], routes: &Routes) {
        let all = routes.0.iter().flat_map(|(user, routes)| routes.iter().map(|route| (*user, route.session)));
        let stale: Vec<(UserId, SessionId)> = all.filter(|(_, session)| unknown.contains(session)).collect();
        self.offline(&stale).await;
    }

    /// Takes these sessions off. A route too many costs little, so a failure is only written down.
    pub(crate) async fn offline(&self, sessions: &[(UserId, SessionId)]) {
        if let Err(error) = self.status.offline(sessions).await {
            warn!(%error, sessions = sessions.len(), "routes of ended sessions stay behind");
        }
    }

    /// Sends answers to the sessions that wait for them; those that are gone ask again.
    pub(crate) async fn answer(&self, all: Vec<Answers>) {
        let Some(routes) = self.locate(all.iter().map(|answers| answers.to.user).collect()).await else { return };
        let mut outgoing = Outgoing::default();
        for Answers { to, conversation, answers } in all {
            if let Some(route) = routes.session(to.user, to.session) {
                outgoing.one(route, PushBody::Answers { conversation, answers });
            }
        }
        self.push(outgoing, &routes).await;
    }

    /// Pushes one thing to one session, if it is there.
    pub(crate) async fn tell(&self, to: SessionRef, body: PushBody) {
        let Some(routes) = self.locate(vec![to.user]).await else { return };
        if let Some(route) = routes.session(to.user, to.session) {
            let mut outgoing = Outgoing::default();
            outgoing.one(route, body);
            self.push(outgoing, &routes).await;
        }
    }

    /// Registers a session; gives the others of its device.
    pub(crate) async fn online(&self, user: UserId, route: Route) -> Result<SmallVec<[Route; 1]>, StoreError> {
        Ok(self.status.online(&[(user, route)]).await?.pop().unwrap_or_default())
    }
}
