//! How pushes reach sessions: routes from UserStatus, one push call for each connector.
//!
//! Invariants
//! - Routes are read after what is told was committed.
//! - Answers need no routes: they go to the connector through which they were asked for.
//! - When UserStatus does not answer, or is unsure, everything goes to every connector, by user; and for
//!   [`Config::blind_for`] it is not asked again, so that nobody waits for it each time.
//! - Sessions that a connector does not have are taken off UserStatus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use hashbrown::HashMap;
use smallvec::SmallVec;
use tokio::time::timeout;
use tracing::{debug, info, warn};
use whimbrel_core::{ConnectorId, SessionId, UserId};
use whimbrel_rpc::{Peers, PushBody, PushItem, To};
use whimbrel_store::{Renewed, Route, StoreError, UserStatus};

use crate::Config;
use crate::outgoing::{Answers, Outgoing, Parcel, Waiter};

/// The sessions of users, as they were when asked.
#[derive(Debug, Default)]
pub(crate) struct Routes(HashMap<UserId, SmallVec<[Route; 2]>>);

impl Routes {
    pub(crate) fn of(&self, user: UserId) -> &[Route] {
        self.0.get(&user).map_or(&[], |routes| &routes[..])
    }

    fn sessions(&self) -> impl Iterator<Item = (UserId, SessionId)> {
        self.0.iter().flat_map(|(user, routes)| routes.iter().map(|route| (*user, route.session)))
    }

    #[cfg(test)]
    pub(crate) fn from(routes: impl IntoIterator<Item = (UserId, SmallVec<[Route; 2]>)>) -> Self {
        Self(routes.into_iter().collect())
    }
}

/// Where users are.
#[derive(Debug)]
pub(crate) enum Whereabouts {
    /// UserStatus says where.
    Known(Routes),
    /// On any of these connectors: they find the users' sessions themselves.
    Anywhere(Vec<ConnectorId>),
}

impl Whereabouts {
    pub(crate) fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }
}

/// What became of pushes.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    /// Sessions that were not there.
    pub(crate) unknown: Vec<SessionId>,
    /// Connectors that may not have taken what they were owed.
    pub(crate) unreached: Vec<ConnectorId>,
    /// Connectors that lack rosters, with what they could give nobody.
    pub(crate) unrostered: Vec<Unrostered>,
}

/// What a connector could give nobody, in its order.
#[derive(Debug)]
pub(crate) struct Unrostered {
    pub(crate) connector: ConnectorId,
    pub(crate) items: Vec<PushItem>,
}

pub(crate) struct Reach {
    config: Arc<Config>,
    status: Arc<dyn UserStatus>,
    peers: Arc<dyn Peers>,
    began: Instant,
    /// Milliseconds since `began` until which UserStatus is not asked where anybody is; 0: it answered last time.
    blind_until: AtomicU64,
    /// It failed at something else, and has not succeeded since.
    failing: AtomicBool,
}

impl Reach {
    pub(crate) fn new(config: Arc<Config>, status: Arc<dyn UserStatus>, peers: Arc<dyn Peers>) -> Self {
        Self {
            config,
            status,
            peers,
            began: Instant::now(),
            blind_until: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }
    }

    /// Where these users are (repeats are fine), by one call.
    pub(crate) async fn locate(&self, mut users: Vec<UserId>) -> Whereabouts {
        users.sort_unstable();
        users.dedup();
        if users.is_empty() {
            return Whereabouts::Known(Routes::default());
        }
        match self.ask(&users).await {
            Some(routes) => Whereabouts::Known(Routes(users.into_iter().zip(routes).collect())),
            None => Whereabouts::Anywhere(self.anywhere()),
        }
    }

    /// All connectors in reach.
    pub(crate) fn connectors(&self) -> Vec<ConnectorId> {
        self.peers.connectors().into_iter().map(|(id, _)| id).collect()
    }

    /// All who may have sessions: those in reach, and those that were until lately, whom another transfer may reach.
    pub(crate) fn anywhere(&self) -> Vec<ConnectorId> {
        let mut all = self.connectors();
        all.extend(self.peers.lost());
        all.sort_unstable();
        all.dedup();
        all
    }

    /// All who may have sessions, when UserStatus says who is where: those that hold a lease, and those in reach. `None`:
    /// it does not say so.
    pub(crate) async fn everywhere(&self) -> Option<Vec<ConnectorId>> {
        let leased = self.done(self.status.connectors(), "messages of large groups go to every connector in reach");
        let mut all = leased.await?;
        all.extend(self.connectors());
        all.sort_unstable();
        all.dedup();
        Some(all)
    }

    /// Asks UserStatus; twice, if it has answered so far and says at once that it cannot.
    async fn ask(&self, users: &[UserId]) -> Option<Vec<SmallVec<[Route; 2]>>> {
        let until = self.blind_until.load(Ordering::Acquire);
        if until > self.now() {
            return None;
        }
        let mut again = until == 0;
        loop {
            let error = match timeout(self.config.status_timeout, self.status.locate(users)).await {
                Ok(Ok(routes)) => {
                    self.sees();
                    return Some(routes);
                }
                Ok(Err(_)) if std::mem::take(&mut again) => continue,
                Ok(Err(error)) => error,
                Err(_) => late(),
            };
            self.is_blind(&error);
            return None;
        }
    }

    fn is_blind(&self, error: &StoreError) {
        let pause = u64::try_from(self.config.blind_for.as_millis()).unwrap_or(u64::MAX);
        let until = self.now().saturating_add(pause).max(1);
        if self.blind_until.swap(until, Ordering::AcqRel) == 0 {
            warn!(%error, "UserStatus does not say who is where: everything goes to every connector");
        }
    }

    fn sees(&self) {
        if self.blind_until.load(Ordering::Acquire) != 0 && self.blind_until.swap(0, Ordering::AcqRel) != 0 {
            info!("UserStatus says again who is where");
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Pushes everything, to all connectors at once, and returns when all have taken it or are named. Sessions that
    /// were not there are taken off.
    pub(crate) async fn deliver(&self, outgoing: Outgoing, whereabouts: &Whereabouts) -> Pushed {
        let pushed = self.push(outgoing).await;
        if let Whereabouts::Known(routes) = whereabouts {
            self.forget(&pushed.unknown, routes.sessions()).await;
        }
        pushed
    }

    /// The same; sessions that were not there are the caller's to take off.
    pub(crate) async fn push(&self, outgoing: Outgoing) -> Pushed {
        let mut pushed = Pushed::default();
        let parcels = outgoing.parcels();
        let mut pushes = Vec::with_capacity(parcels.len());
        for (connector, Parcel { items, owed }) in parcels {
            match self.peers.connector(connector) {
                Some(push) => pushes.push(async move {
                    // Only what is for large groups may have to be brought again.
                    let of_groups = items.iter().filter(|item| matches!(item.to, To::Group(_)));
                    let of_groups: Vec<PushItem> = of_groups.cloned().collect();
                    (connector, owed, of_groups, push.push(items).await)
                }),
                None => {
                    debug!(%connector, items = items.len(), owed, "a connector is out of reach");
                    pushed.unreached.extend(owed.then_some(connector));
                }
            }
        }
        for (connector, owed, mut items, taken) in join_all(pushes).await {
            pushed.unknown.extend(taken.unknown);
            pushed.unreached.extend((taken.lost && owed).then_some(connector));
            if !taken.lost && !taken.unrostered.is_empty() {
                items.retain(|item| matches!(&item.to, To::Group(to) if taken.unrostered.contains(&to.group)));
                pushed.unrostered.push(Unrostered { connector, items });
            }
        }
        pushed
    }

    /// Pushes to one connector; false: it may not have taken all of it.
    pub(crate) async fn push_to(&self, connector: ConnectorId, items: Vec<PushItem>) -> bool {
        let Some(push) = self.peers.connector(connector) else { return false };
        let taken = push.push(items).await;
        !taken.lost && taken.unrostered.is_empty()
    }

    async fn forget(&self, unknown: &[SessionId], known: impl Iterator<Item = (UserId, SessionId)>) {
        if unknown.is_empty() {
            return;
        }
        let stale: Vec<(UserId, SessionId)> = known.filter(|(_, session)| unknown.contains(session)).collect();
        self.offline(&stale).await;
    }

    /// Sends answers to the sessions that wait for them; those that are gone ask again.
    pub(crate) async fn answer(&self, all: Vec<Answers>) {
        let waiters: SmallVec<[(UserId, SessionId); 8]> =
            all.iter().map(|answers| (answers.user, answers.to.session)).collect();
        let mut outgoing = Outgoing::default();
        for Answers { to, conversation, answers, .. } in all {
            outgoing.answer(to, PushBody::Answers { conversation, answers }, false);
        }
        let pushed = self.push(outgoing).await;
        self.forget(&pushed.unknown, waiters.into_iter()).await;
    }

    /// Pushes one thing to one session that waits for it.
    pub(crate) async fn tell(&self, user: UserId, to: Waiter, body: PushBody) {
        let mut outgoing = Outgoing::default();
        outgoing.answer(to, body, false);
        let pushed = self.push(outgoing).await;
        self.forget(&pushed.unknown, std::iter::once((user, to.session))).await;
    }

    /// Registers sessions; gives for each the others of its device, or itself if it is older than one of them.
    /// `None`: UserStatus does not answer.
    pub(crate) async fn online(&self, sessions: &[(UserId, Route)]) -> Option<Vec<SmallVec<[Route; 1]>>> {
        let registering = self.status.online(sessions);
        let replaced = self.done(registering, "sessions are not registered; their connectors assert them").await?;
        debug_assert_eq!(replaced.len(), sessions.len(), "each session is answered for itself");
        Some(replaced)
    }

    /// Takes these sessions off. A route too many costs little.
    pub(crate) async fn offline(&self, sessions: &[(UserId, SessionId)]) {
        if !sessions.is_empty() {
            self.done(self.status.offline(sessions), "routes of ended sessions stay behind").await;
        }
    }

    /// Renews a lease; `None`: UserStatus does not answer.
    pub(crate) async fn renew(&self, connector: ConnectorId) -> Option<Renewed> {
        self.done(self.status.renew(connector), "leases are not renewed").await
    }

    /// Ends leases; `false`: UserStatus does not answer.
    pub(crate) async fn expel(&self, connectors: &[ConnectorId]) -> bool {
        self.done(self.status.expel(connectors), "leases are not ended before their time").await.is_some()
    }

    /// Waits for an answer of UserStatus. The first failure of a row of them is written down.
    async fn done<T>(&self, call: impl Future<Output = Result<T, StoreError>>, otherwise: &'static str) -> Option<T> {
        match timeout(self.config.status_timeout, call).await.unwrap_or_else(|_| Err(late())) {
            Ok(done) => {
                if self.failing.load(Ordering::Acquire) {
                    self.failing.store(false, Ordering::Release);
                }
                Some(done)
            }
            Err(error) => {
                if self.failing.swap(true, Ordering::AcqRel) {
                    debug!(%error, otherwise, "UserStatus still fails");
                } else {
                    warn!(%error, otherwise, "UserStatus fails");
                }
                None
            }
        }
    }
}

fn late() -> StoreError {
    StoreError::Unavailable("UserStatus did not answer in time".into())
}
