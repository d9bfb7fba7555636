//! What was placed: senders get their answers, the audience its messages, and the caller hears who could not be told.
//!
//! Rows of groups too large for that name nobody as offline: push finds those afterwards.
//!
//! [`Through::Only`] is for connectors that another transfer did not reach. They get the rows by user: that needs no
//! routes, and whatever session of the audience is there must not be passed over. Nobody is answered then; what was
//! waited for here was settled when everybody was told.

use std::sync::Arc;

use metrics::counter;
use smallvec::SmallVec;
use whimbrel_core::{Audience, ConnectorId, Outcome, PlacedRow, SessionId, UserId};
use whimbrel_rpc::{DraftPlaced, PlacedBatch, Through, Told};

use crate::append::Lanes;
use crate::audience::Audiences;
use crate::deliver::{Answered, arrange};
use crate::lane::Key;
use crate::reach::{Reach, Whereabouts};
use crate::readers::{Ways, is_large};
use crate::rosters::{Known, Rosters, Wanted};

pub(crate) struct Announcing {
    pub(crate) audiences: Arc<Audiences>,
    pub(crate) rosters: Arc<Rosters>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) reach: Arc<Reach>,
}

impl Announcing {
    pub(crate) async fn placed(&self, batches: Vec<PlacedBatch>, through: Through) -> Told {
        self.audiences.placed(batches.iter().flat_map(|batch| &batch.rows));
        self.rosters.placed(batches.iter().flat_map(|batch| &batch.rows));
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
        let (rosters, complete) = self.small_rosters(&rows).await;
        let mut audience: Vec<UserId> = rows.iter().flat_map(|row| named(row, &rosters)).collect();
        audience.sort_unstable();
        audience.dedup();
        let (ways, blind) = self.ways(&rows, audience.clone(), rosters).await;
        let (unknown, mut unreached) = self.push(rows, answered, &ways).await;
        if !complete {
            unreached.extend(self.reach.anywhere());
            unreached.sort_unstable();
            unreached.dedup();
        }
        match &ways.whereabouts {
            Whereabouts::Known(routes) if !blind => {
                audience.retain(|user| routes.of(*user).iter().all(|route| unknown.contains(&route.session)));
                Told { offline: audience, unreached, blind: false }
            }
            _ => Told { offline: Vec::new(), unreached, blind: true },
        }
    }

    /// Brings rows to these connectors, and to no others.
    async fn bring(&self, rows: Vec<PlacedRow>, connectors: Vec<ConnectorId>) -> Told {
        let (rosters, complete) = self.small_rosters(&rows).await;
        let ways = Ways { whereabouts: Whereabouts::Anywhere(connectors.clone()), everywhere: connectors, rosters };
        let (_, unreached) = self.push(rows, Vec::new(), &ways).await;
        Told { unreached: if complete { unreached } else { ways.everywhere }, ..Told::default() }
    }

    /// The rosters of the small groups among these rows; false: one of them could not be read.
    async fn small_rosters(&self, rows: &[PlacedRow]) -> (Known, bool) {
        let mut wanted = Wanted::new();
        for PlacedRow { message, audience, .. } in rows {
            if let Audience::Group { revision, .. } = *audience
                && !is_large(*audience)
            {
                let known = wanted.entry(message.conversation).or_default();
                *known = revision.max(*known);
            }
        }
        let count = wanted.len();
        let rosters = self.rosters.of(wanted).await;
        let complete = rosters.len() == count;
        (rosters, complete)
    }

    /// Where everybody is; true: nobody can say, or not of all of them.
    async fn ways(&self, rows: &[PlacedRow], audience: Vec<UserId>, rosters: Known) -> (Ways, bool) {
        let large = rows.iter().filter(|row| is_large(row.audience)).map(|row| row.message.sender);
        let mut users = audience;
        let before = users.len();
        // Asked for only to hear whether UserStatus knows who is where: its leases say nothing while it does not.
        users.extend(large);
        let is_any_large = users.len() > before;
        let whereabouts = self.reach.locate(users).await;
        let mut blind = !whereabouts.is_known();
        let everywhere = match (&whereabouts, is_any_large) {
            (_, false) => Vec::new(),
            (Whereabouts::Anywhere(connectors), true) => connectors.clone(),
            (Whereabouts::Known(_), true) => self.reach.everywhere().await.unwrap_or_else(|| {
                blind = true;
                self.reach.anywhere()
            }),
        };
        (Ways { whereabouts, everywhere, rosters }, blind)
    }

    /// Pushes everything, again with rosters where they are lacking. Gives the sessions that were not there, and the
    /// connectors that may not have taken what they were owed.
    async fn push(
        &self,
        rows: Vec<PlacedRow>,
        answered: Vec<Answered>,
        ways: &Ways,
    ) -> (Vec<SessionId>, Vec<ConnectorId>) {
        let pushed = self.reach.deliver(arrange(rows, answered, ways), &ways.whereabouts).await;
        let mut unreached = pushed.unreached;
        unreached.extend(self.rosters.bring(&self.reach, pushed.unrostered).await);
        (pushed.unknown, unreached)
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

/// The users to whom this row is owed; a large group's are not named.
fn named(row: &PlacedRow, rosters: &Known) -> SmallVec<[UserId; 2]> {
    match row.audience {
        Audience::Group { .. } if is_large(row.audience) => SmallVec::new(),
        Audience::Group { .. } => match rosters.get(&row.message.conversation) {
            Some(roster) => roster.audience(row.message.seq).collect(),
            None => SmallVec::new(),
        },
        Audience::One(_) | Audience::Two(..) => row.audience.named().collect(),
    }
}
