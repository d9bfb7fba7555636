//! What was placed: senders get their answers, the audience its messages, and the caller hears who could not be told.
//!
//! [`Through::Only`] is for connectors that another transfer did not reach. They get the rows by user: that needs no
//! routes, and whatever session of the audience is there must not be passed over. Nobody is answered then; what was
//! waited for here was settled when everybody was told.

use std::sync::Arc;

use metrics::counter;
use whimbrel_core::{Audience, ConnectorId, Outcome, PlacedRow, UserId};
use whimbrel_rpc::{DraftPlaced, PlacedBatch, Through, Told};

use crate::append::Lanes;
use crate::audience::Audiences;
use crate::deliver::{Answered, arrange};
use crate::lane::Key;
use crate::reach::{Reach, Whereabouts};

pub(crate) struct Announcing {
    pub(crate) audiences: Arc<Audiences>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) reach: Arc<Reach>,
}

impl Announcing {
    pub(crate) async fn placed(&self, batches: Vec<PlacedBatch>, through: Through) -> Told {
        self.audiences.placed(batches.iter().flat_map(|batch| &batch.rows));
        match through {
            Through::All => self.tell_all(batches).await,
            Through::Only(connectors) => {
                let rows = batches.into_iter().flat_map(|batch| batch.rows).collect();
                self.bring(rows, connectors).await
            }
        }
    }

    async fn tell_all(&self, batches: Vec<PlacedBatch>) -> Told {
        for batch in batches.iter().filter_map(|batch| batch.batch) {
            self.lanes.landed(batch);
        }
        let answered = self.settle(&batches);
        let rows: Vec<_> = batches.into_iter().flat_map(|batch| batch.rows).collect();
        let mut audience: Vec<UserId> = rows.iter().flat_map(|row| Audience::users(row.audience)).collect();
        audience.sort_unstable();
        audience.dedup();
        let whereabouts = self.reach.locate(audience.clone()).await;
        let pushed = self.reach.deliver(arrange(rows, answered, &whereabouts), &whereabouts).await;
        match &whereabouts {
            Whereabouts::Known(routes) => {
                audience.retain(|user| routes.of(*user).iter().all(|route| pushed.unknown.contains(&route.session)));
                Told { offline: audience, unreached: pushed.unreached, blind: false }
            }
            Whereabouts::Anywhere(_) => Told { offline: Vec::new(), unreached: pushed.unreached, blind: true },
        }
    }

    /// Brings rows to these connectors, and to no others.
    async fn bring(&self, rows: Vec<PlacedRow>, connectors: Vec<ConnectorId>) -> Told {
        let whereabouts = Whereabouts::Anywhere(connectors);
        let pushed = self.reach.deliver(arrange(rows, Vec::new(), &whereabouts), &whereabouts).await;
        Told { unreached: pushed.unreached, ..Told::default() }
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
                if let Some(to) = lane.settle(Key { user, device, conversation }, message_id, batch) {
                    answered.push(Answered { user, to, conversation, message_id, outcome });
                }
                next = outcomes.next_if(|(_, draft)| self.lanes.of(draft.conversation) == partition);
            }
        }
        let sent = answered.iter().filter(|answered| matches!(answered.outcome, Outcome::Sent { .. })).count();
        counter!("whimbrel_transfer_sent_total").increment(sent as u64);
        answered
    }
}
