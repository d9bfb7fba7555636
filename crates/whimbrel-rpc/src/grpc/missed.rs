//! What others were told in a transfer's place while the way to it was not open.
//!
//! A transfer takes Sends as soon as the first connector has found it, and an archiver may find it a moment later; or it
//! stood still, and its stream broke. Meanwhile its records are placed, and another transfer brings the messages to
//! everybody. Its senders wait for its word though, and its lanes for their records: so it hears the outcomes as soon as
//! there is a way to it, instead of giving up its senders after a timeout.
//!
//! Nothing rests on it: a transfer that hears nothing has its senders send again. So what is kept is bounded in number
//! and in time, oldest first; that of a transfer which never comes back ends so too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use whimbrel_core::TransferId;

use super::fleet::{Fleet, Member};
use super::telling::{AnnounceLine, Announces};
use crate::convert::pb::telling::What;
use crate::convert::{self, pb, weight};
use crate::{PlacedBatch, Through};

/// Longer than a transfer that stands still is missed, and longer than anybody waits for what it was to hear.
const KEPT_FOR: Duration = Duration::from_secs(30);

struct Entry {
    since: Instant,
    transfer: TransferId,
    batch: PlacedBatch,
}

/// Outcomes for transfers that were not reached.
pub(super) struct Missed {
    entries: Mutex<VecDeque<Entry>>,
    most: usize,
    news: Notify,
}

impl Missed {
    /// Keeps so many batches.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { entries: Mutex::default(), most, news: Notify::new() })
    }

    /// `told` brought these; those that another one published are kept for it.
    pub(super) fn note(&self, told: TransferId, batches: &[PlacedBatch]) {
        let since = Instant::now();
        let mut noted = false;
        for batch in batches {
            if let Some(transfer) = batch.transfer.filter(|transfer| *transfer != told) {
                let PlacedBatch { batch, outcomes, .. } = batch;
                let (batch, outcomes) = (*batch, outcomes.clone());
                let batch = PlacedBatch { batch, transfer: Some(transfer), outcomes, rows: Vec::new() };
                self.keep(Entry { since, transfer, batch });
                noted = true;
            }
        }
        if noted {
            // The way to it may have been opened just before.
            self.news.notify_one();
        }
    }

    fn keep(&self, entry: Entry) {
        let mut entries = self.entries.lock();
        entries.push_back(entry);
        while entries.len() > self.most || entries.front().is_some_and(|first| first.since.elapsed() > KEPT_FOR) {
            entries.pop_front();
        }
    }

    /// What is for one of these.
    fn take(&self, members: &[Member<AnnounceLine>]) -> HashMap<TransferId, Vec<Entry>> {
        let mut found: HashMap<TransferId, Vec<Entry>> = HashMap::new();
        let mut entries = self.entries.lock();
        for entry in std::mem::take(&mut *entries) {
            if entry.since.elapsed() > KEPT_FOR {
                continue;
            }
            match members.iter().any(|member| member.id == entry.transfer) {
                true => found.entry(entry.transfer).or_default().push(entry),
                false => entries.push_back(entry),
            }
        }
        found
    }

    /// Tells whom there is a way to, until the fleet stops.
    pub(super) async fn run(self: Arc<Self>, fleet: Arc<Fleet<Announces>>) {
        let mut changes = fleet.watch();
        loop {
            tokio::select! {
                () = fleet.stop.cancelled() => return,
                _ = changes.changed() => {}
                () = self.news.notified() => {}
            }
            let members: Vec<_> =
                changes.borrow_and_update().iter().filter(|member| member.line.takes_its_own()).cloned().collect();
            let mut found = self.take(&members);
            for member in members {
                if let Some(entries) = found.remove(&member.id) {
                    tokio::spawn(self.clone().tell(member, entries));
                }
            }
        }
    }

    /// Tells one of them. What it does not answer is kept for its next stream.
    async fn tell(self: Arc<Self>, member: Member<AnnounceLine>, entries: Vec<Entry>) {
        let bytes = entries.iter().map(|entry| weight::placed(&entry.batch)).sum();
        let batches = entries.iter().map(|entry| (&entry.batch).into()).collect();
        let through = convert::through_out(&Through::All);
        if member.line.tell(What::Placed(pb::Placed { batches, through }), bytes).await.is_none() {
            entries.into_iter().for_each(|entry| self.keep(entry));
            self.news.notify_one();
        }
    }
}
