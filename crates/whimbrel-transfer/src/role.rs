//! The role: its rooms, put together, behind the two traits that others speak.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use whimbrel_core::{Audience, ConnectorId, CursorMoved, Outcome, TransferId, UserId};
use whimbrel_rpc::{
    Announce, Attach, AttachRefused, Attached, DraftPlaced, Lease, Peers, PlacedBatch, Request, RequestBody, Revoked,
    SessionRef, Standing, Through, Told, Transfer,
};
use whimbrel_store::{Directory, Log, Timeline, UserStatus};

use crate::Config;
use crate::append::Lanes;
use crate::attach::Attaching;
use crate::audience::Audiences;
use crate::cursors::{CursorDesk, Rooms};
use crate::deliver::{Answered, arrange};
use crate::lane::Key;
use crate::reach::Reach;
use crate::send::{Send, Sends};
use crate::sync::Syncs;

/// A transfer. It is made inside a tokio runtime, in which its tasks run; dropping the last handle ends them.
pub struct TransferRole {
    config: Arc<Config>,
    attaching: Attaching,
    audiences: Arc<Audiences>,
    lanes: Arc<Lanes>,
    sends: Arc<Sends>,
    cursors: Arc<CursorDesk>,
    syncs: Arc<Syncs>,
    reach: Arc<Reach>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl TransferRole {
    /// A transfer with these stores; `peers` finds the connectors it pushes to.
    pub fn new(
        config: Config,
        id: TransferId,
        log: Arc<dyn Log>,
        timeline: Arc<dyn Timeline>,
        directory: Arc<dyn Directory>,
        status: Arc<dyn UserStatus>,
        peers: Arc<dyn Peers>,
    ) -> Arc<Self> {
        let (config, tasks, stop) = (Arc::new(config), TaskTracker::new(), CancellationToken::new());
        let audiences = Arc::new(Audiences::new(config.conversations_cached));
        let reach = Arc::new(Reach::new(status, peers));
        let lanes = Arc::new(Lanes::new(config.clone(), id, log, reach.clone(), tasks.clone()));
        let rooms = Rooms {
            timeline: timeline.clone(),
            audiences: audiences.clone(),
            reach: reach.clone(),
            lanes: lanes.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(sweep(lanes.clone(), config.place_timeout / 5, stop.clone()));
        Arc::new(Self {
            attaching: Attaching { config: config.clone(), directory: directory.clone(), reach: reach.clone() },
            sends: Arc::new(Sends::new(lanes.clone(), audiences.clone(), directory, tasks.clone())),
            cursors: Arc::new(CursorDesk::new(config.clone(), rooms)),
            syncs: Arc::new(Syncs::new(config.clone(), timeline, reach.clone(), tasks.clone())),
            config,
            audiences,
            lanes,
            reach,
            tasks,
            stop,
        })
    }

    /// Lets nothing new in (senders are told to come again), logs the cursors that gathered, and waits until what was
    /// let in is placed and answered, at most [`Config::stop_timeout`]. Then everything left is given up. The
    /// archiver and the connectors must still be there, and be stopped after it.
    pub async fn stop(&self) {
        self.lanes.begin_stopping();
        self.cursors.log_now();
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

    /// The sessions that wait for these outcomes.
    fn settle(&self, batches: &[PlacedBatch]) -> Vec<Answered> {
        let mut answered = Vec::new();
        let outcomes = batches.iter().flat_map(|batch| batch.outcomes.iter().map(|draft| (batch.batch, draft)));
        let mut outcomes = outcomes.peekable();
        while let Some(first) = outcomes.next() {
            // A record is of one partition: its lane is locked once.
            let partition = self.lanes.of(first.1.conversation);
            let mut lane = self.lanes.lock(partition);
            let mut next = Some(first);
            while let Some((batch, draft)) = next {
                let DraftPlaced { conversation, sender: user, device, message_id, outcome } = *draft;
                if let Some(session) = lane.settle(Key { user, device, conversation }, message_id, batch, outcome) {
                    answered.push(Answered { user, session, conversation, message_id, outcome });
                }
                next = outcomes.next_if(|(_, draft)| self.lanes.of(draft.conversation) == partition);
            }
        }
        let sent = answered.iter().filter(|answered| matches!(answered.outcome, Outcome::Sent { .. })).count();
        counter!("whimbrel_transfer_sent_total").increment(sent as u64);
        answered
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
        join_all(attaches.into_iter().map(|attach| self.attaching.attach(attach))).await
    }

    fn submit(&self, _: ConnectorId, requests: Vec<Request>) {
        let mut sends = Vec::with_capacity(requests.len());
        for Request { from, body } in requests {
            match body {
                RequestBody::Send { conversation, drafts } => sends.push(Send { from, conversation, drafts }),
                RequestBody::Advance(cursors) => self.cursors.advance(from, cursors),
                RequestBody::Sync(question) => self.syncs.ask(from, question),
            }
        }
        if !sends.is_empty() {
            self.sends.submit(sends);
        }
    }

    async fn detach(&self, sessions: Vec<SessionRef>) {
        self.attaching.detach(sessions).await;
    }

    async fn renew(&self, connector: ConnectorId) -> Lease {
        match self.reach.status().renew(connector).await {
            Ok(renewed) => Lease { incarnation: Some(renewed.incarnation), kept: renewed.kept },
            Err(_) => Lease { incarnation: None, kept: true },
        }
    }

    async fn assert(&self, _: ConnectorId, _: Vec<Standing>) -> bool {
        true
    }

    async fn leave(&self, connector: ConnectorId) {
        let _ = self.reach.status().expel(&[connector]).await;
    }
}

#[async_trait]
impl Announce for TransferRole {
    async fn placed(&self, batches: Vec<PlacedBatch>, _: Through) -> Told {
        self.audiences.placed(batches.iter().flat_map(|batch| &batch.rows));
        for batch in batches.iter().filter_map(|batch| batch.batch) {
            self.lanes.landed(batch);
        }
        let answered = self.settle(&batches);
        let rows: Vec<_> = batches.into_iter().flat_map(|batch| batch.rows).collect();
        let mut audience: Vec<UserId> = rows.iter().flat_map(|row| Audience::users(row.audience)).collect();
        audience.sort_unstable();
        audience.dedup();
        let users = audience.iter().copied().chain(answered.iter().map(|answered| answered.user)).collect();
        let Some(routes) = self.reach.locate(users).await else { return Told::default() };
        let outgoing = arrange(rows, answered, &routes);
        let unknown = self.reach.push(outgoing, &routes).await;
        audience.retain(|user| routes.of(*user).iter().all(|route| unknown.contains(&route.session)));
        Told { offline: audience, ..Told::default() }
    }

    async fn advanced(&self, moved: Vec<CursorMoved>, _: Through) -> Told {
        self.cursors.advanced(moved).await;
        Told::default()
    }

    async fn expel(&self, connectors: Vec<ConnectorId>) -> bool {
        self.reach.status().expel(&connectors).await.is_ok()
    }

    async fn revoked(&self, revoked: Vec<Revoked>) {
        self.attaching.revoke(revoked).await;
    }
}
