//! The role: its rooms, put together, behind the two traits that others speak.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use whimbrel_core::{ConnectorId, CursorMoved, Sight, TransferId, UserId};
use whimbrel_rpc::{
    Announce, Attach, AttachRefused, Attached, Lease, Peers, PlacedBatch, Request, RequestBody, Revoked, SessionRef,
    Standing, Stirred, Stirring, Through, Told, Transfer,
};
use whimbrel_store::{Directory, Groups, Log, Presences, Timeline, UserStatus};

use crate::Config;
use crate::announcing::Announcing;
use crate::append::Lanes;
use crate::attach::Attaching;
use crate::audience::Audiences;
use crate::closings::Closings;
use crate::cursors::{CursorDesk, Rooms};
use crate::lasting::Lasting;
use crate::outgoing::Waiter;
use crate::presence::Presence;
use crate::reach::Reach;
use crate::rosters::Rosters;
use crate::seen::Seen;
use crate::send::{Send, Sends};
use crate::signals::{self, Signals};
use crate::sync::Syncs;
use crate::watch::Watch;

/// A transfer. It is made inside a tokio runtime, in which its tasks run; dropping the last handle ends them.
pub struct TransferRole {
    config: Arc<Config>,
    attaching: Arc<Attaching>,
    announcing: Arc<Announcing>,
    lanes: Arc<Lanes>,
    sends: Arc<Sends>,
    cursors: Arc<CursorDesk>,
    signals: Arc<Signals>,
    presence: Presence,
    syncs: Arc<Syncs>,
    reach: Arc<Reach>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The stores that a transfer needs.
pub struct Stores {
    /// Where it publishes.
    pub log: Arc<dyn Log>,
    /// What was placed, for syncs and heads.
    pub timeline: Arc<dyn Timeline>,
    /// Devices and members.
    pub directory: Arc<dyn Directory>,
    /// Who is in groups.
    pub groups: Arc<dyn Groups>,
    /// What users show of their coming and going.
    pub presences: Arc<dyn Presences>,
    /// Who is online, and where.
    pub status: Arc<dyn UserStatus>,
}

impl TransferRole {
    /// A transfer with these stores; `peers` finds the connectors it pushes to.
    pub fn new(config: Config, id: TransferId, stores: Stores, peers: Arc<dyn Peers>) -> Arc<Self> {
        let Stores { log, timeline, directory, groups, presences, status } = stores;
        let (config, tasks, stop) = (Arc::new(config), TaskTracker::new(), CancellationToken::new());
        let audiences = Arc::new(Audiences::new(config.conversations_cached));
        let reach = Arc::new(Reach::new(config.clone(), status, peers));
        let closings = Arc::new(Closings::new(config.clone(), reach.clone()));
        let lanes = Arc::new(Lanes::new(config.clone(), id, log, reach.clone(), tasks.clone()));
        let rosters = Arc::new(Rosters::new(config.clone(), groups, timeline.clone()));
        let rooms = Rooms {
            timeline: timeline.clone(),
            audiences: audiences.clone(),
            reach: reach.clone(),
            lanes: lanes.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(sweep(lanes.clone(), config.place_timeout / 5, stop.clone()));
        let seen = Seen::new(config.clone(), presences.clone(), tasks.clone(), stop.clone());
        let lasting = Lasting::new(config.clone(), presences.clone(), reach.clone(), tasks.clone(), stop.clone());
        let attaching = Arc::new(Attaching {
            config: config.clone(),
            directory: directory.clone(),
            reach: reach.clone(),
            closings: closings.clone(),
            seen: seen.clone(),
            lasting,
        });
        let announcing = Arc::new(Announcing {
            audiences: audiences.clone(),
            rosters: rosters.clone(),
            lanes: lanes.clone(),
            reach: reach.clone(),
        });
        let hearing = signals::Rooms {
            audiences: audiences.clone(),
            rosters,
            directory: directory.clone(),
            reach: reach.clone(),
            tasks: tasks.clone(),
        };
        let watch = Watch {
            config: config.clone(),
            directory: directory.clone(),
            attaching: attaching.clone(),
            announcing: announcing.clone(),
            closings,
        };
        tasks.spawn(watch.run(stop.clone()));
        Arc::new(Self {
            attaching,
            announcing,
            sends: Arc::new(Sends::new(lanes.clone(), audiences, directory, tasks.clone())),
            cursors: Arc::new(CursorDesk::new(config.clone(), rooms)),
            signals: Arc::new(Signals::new(config.clone(), hearing)),
            presence: Presence { config: config.clone(), presences, reach: reach.clone(), seen },
            syncs: Arc::new(Syncs::new(config.clone(), timeline, reach.clone(), tasks.clone())),
            config,
            lanes,
            reach,
            tasks,
            stop,
        })
    }

    /// Lets nothing new in (senders are told to come again), and logs the cursors that gathered. To be called while
    /// connectors and archivers still reach this transfer, if they are cut off before [`stop`](Self::stop).
    pub fn begin_stop(&self) {
        self.lanes.begin_stopping();
        self.cursors.log_now();
    }

    /// As [`begin_stop`](Self::begin_stop); then waits until every draft that was let in is placed and answered, at
    /// most [`Config::stop_timeout`]. Then everything left is given up. The archiver and the connectors must still be
    /// there, and be stopped after it. Cursors that are under way are not waited for: their owners repeat them.
    pub async fn stop(&self) {
        self.begin_stop();
        let end = Instant::now() + self.config.stop_timeout;
        // A place may come from anywhere; looking now and then costs less than telling of each.
        while !self.lanes.is_idle() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if !self.lanes.is_idle() {
            warn!("not everything was placed in time; its senders will send it again");
        }
        self.lanes.clear().await;
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.config.stop_timeout, self.tasks.wait()).await.is_err() {
            warn!(tasks = self.tasks.len(), "tasks of the transfer were left behind");
        }
        info!("the transfer has stopped");
    }
}

impl Drop for TransferRole {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn sweep(lanes: Arc<Lanes>, every: Duration, stop: CancellationToken) {
    while tokio::time::timeout(every, stop.cancelled()).await.is_err() {
        lanes.sweep();
    }
}

#[async_trait]
impl Transfer for TransferRole {
    async fn attach(&self, attaches: Vec<Attach>) -> Vec<Result<Attached, AttachRefused>> {
        self.attaching.attach(attaches).await
    }

    fn submit(&self, connector: ConnectorId, requests: Vec<Request>) {
        let mut sends = Vec::with_capacity(requests.len());
        for Request { from, body } in requests {
            match body {
                RequestBody::Send { conversation, drafts } => {
                    sends.push(Send { from, connector, conversation, drafts })
                }
                RequestBody::Advance(cursors) => {
                    self.cursors.advance(from.user, Waiter { session: from.session, connector }, cursors);
                }
                RequestBody::Signal { conversation, body } => self.signals.take(from, conversation, body),
                RequestBody::Sync(question) => self.syncs.ask(from, connector, question),
            }
        }
        if !sends.is_empty() {
            self.sends.submit(sends);
        }
    }

    async fn detach(&self, sessions: Vec<SessionRef>) {
        self.syncs.gone(&sessions);
        self.attaching.detach(sessions).await;
    }

    async fn renew(&self, connector: ConnectorId) -> Lease {
        match self.reach.renew(connector).await {
            Some(renewed) => Lease { incarnation: Some(renewed.incarnation), term: renewed.term, kept: true },
            // That nobody answers says nothing against it: who took it for dead says so at the next renewal.
            None => Lease { incarnation: None, term: 0, kept: true },
        }
    }

    async fn assert(&self, connector: ConnectorId, sessions: Vec<Standing>) -> bool {
        self.attaching.assert(connector, sessions).await
    }

    async fn leave(&self, connector: ConnectorId) {
        self.reach.expel(&[connector]).await;
    }

    async fn sights(&self, looks: Vec<(UserId, UserId)>) -> Option<Vec<Option<Sight>>> {
        self.presence.sights(looks).await
    }

    async fn stirred(&self, stirring: Stirring) -> Option<Stirred> {
        Some(self.presence.stirred(stirring).await)
    }
}

#[async_trait]
impl Announce for TransferRole {
    async fn placed(&self, batches: Vec<PlacedBatch>, through: Through) -> Told {
        self.announcing.placed(batches, through).await
    }

    async fn advanced(&self, moved: Vec<CursorMoved>, through: Through) -> Told {
        self.cursors.advanced(moved, through).await
    }

    async fn expel(&self, connectors: Vec<ConnectorId>) -> bool {
        self.reach.expel(&connectors).await
    }

    async fn revoked(&self, revoked: Vec<Revoked>) {
        self.attaching.revoke(revoked).await;
    }
}
