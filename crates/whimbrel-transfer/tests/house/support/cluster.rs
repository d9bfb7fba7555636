//! Several transfers and connectors: which reaches which, and an announcer that settles who could not be told.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use futures_util::future::join_all;
use parking_lot::Mutex;
use whimbrel_core::{ConnectorId, CursorMoved, TransferId};
use whimbrel_rpc::{Announce, Peers, PlacedBatch, Push, Revoked, Through, Told};
use whimbrel_transfer::TransferRole;

use super::Recorder;
use super::wrapped::take;

/// The connectors that one transfer reaches.
pub struct Web {
    all: Vec<(ConnectorId, Arc<Recorder>)>,
    cut: Mutex<HashSet<ConnectorId>>,
    /// Cut off lately.
    lost: Mutex<Vec<ConnectorId>>,
}

impl Web {
    pub fn new(all: &[(ConnectorId, Arc<Recorder>)]) -> Self {
        Self { all: all.to_vec(), cut: Mutex::default(), lost: Mutex::default() }
    }

    pub fn cut(&self, connector: ConnectorId) {
        self.cut.lock().insert(connector);
    }

    /// Cuts it off, and remembers it.
    pub fn lose(&self, connector: ConnectorId) {
        self.cut(connector);
        self.lost.lock().push(connector);
    }

    pub fn mend(&self, connector: ConnectorId) {
        self.cut.lock().remove(&connector);
    }

    pub fn reaches(&self, connector: ConnectorId) -> bool {
        !self.cut.lock().contains(&connector)
    }
}

impl Peers for Web {
    fn connector(&self, id: ConnectorId) -> Option<Arc<dyn Push>> {
        self.connectors().into_iter().find(|(connector, _)| *connector == id).map(|(_, push)| push)
    }

    fn connectors(&self) -> Vec<(ConnectorId, Arc<dyn Push>)> {
        let reached = self.all.iter().filter(|(id, _)| self.reaches(*id));
        reached.map(|(id, recorder)| (*id, recorder.clone() as Arc<dyn Push>)).collect()
    }

    fn lost(&self) -> Vec<ConnectorId> {
        self.lost.lock().clone()
    }
}

/// Speaks to several transfers, and names nobody: who was not reached by one is reached by another, or expelled.
pub struct Announcer {
    pub transfers: Vec<(TransferId, Arc<TransferRole>)>,
    /// So many announcements go to another transfer than the one that published.
    pub astray: AtomicUsize,
}

impl Announcer {
    /// Whom to tell of this batch.
    fn whose(&self, batch: &PlacedBatch) -> usize {
        let publisher = self.transfers.iter().position(|(id, _)| Some(*id) == batch.transfer).unwrap_or(0);
        (publisher + usize::from(take(&self.astray))) % self.transfers.len()
    }

    async fn settle<F: Future<Output = Told>>(
        &self,
        first: usize,
        told: Told,
        again: impl Fn(Arc<TransferRole>, Through) -> F,
    ) {
        let others = || (0..self.transfers.len()).filter(|at| *at != first).map(|at| self.transfers[at].1.clone());
        let mut unreached = told.unreached;
        if told.blind {
            for other in others() {
                unreached.extend(again(other, Through::All).await.unreached);
            }
        }
        for connector in unreached {
            self.reach(connector, others, &again).await;
        }
    }

    async fn reach<I: Iterator<Item = Arc<TransferRole>>, F: Future<Output = Told>>(
        &self,
        connector: ConnectorId,
        others: impl Fn() -> I,
        again: impl Fn(Arc<TransferRole>, Through) -> F,
    ) {
        loop {
            for other in others() {
                if again(other, Through::Only(vec![connector])).await.unreached.is_empty() {
                    return;
                }
            }
            if self.transfers[0].1.expel(vec![connector]).await {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Announce for Announcer {
    async fn placed(&self, batches: Vec<PlacedBatch>, _: Through) -> Told {
        let mut groups: Vec<Vec<PlacedBatch>> = vec![Vec::new(); self.transfers.len()];
        for batch in batches {
            groups[self.whose(&batch)].push(batch);
        }
        join_all(groups.into_iter().enumerate().filter(|(_, group)| !group.is_empty()).map(|(at, group)| async move {
            let rows = group.iter().flat_map(|batch| batch.rows.clone()).collect();
            let again = vec![PlacedBatch { rows, ..PlacedBatch::default() }];
            let told = self.transfers[at].1.placed(group, Through::All).await;
            let bring = |other: Arc<TransferRole>, through| {
                let again = again.clone();
                async move { other.placed(again, through).await }
            };
            self.settle(at, told, bring).await;
        }))
        .await;
        Told::default()
    }

    async fn advanced(&self, moved: Vec<CursorMoved>, _: Through) -> Told {
        let told = self.transfers[0].1.advanced(moved.clone(), Through::All).await;
        let bring = |other: Arc<TransferRole>, through| {
            let moved = moved.clone();
            async move { other.advanced(moved, through).await }
        };
        self.settle(0, told, bring).await;
        Told::default()
    }

    async fn expel(&self, connectors: Vec<ConnectorId>) -> bool {
        self.transfers[0].1.expel(connectors).await
    }

    async fn revoked(&self, revoked: Vec<Revoked>) {
        for (_, transfer) in &self.transfers {
            transfer.revoked(revoked.clone()).await;
        }
    }
}
