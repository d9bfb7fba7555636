//! Place: gives the drafts of a batch their seqs. The only I/O is the timeline's (and the dead letters').
//!
//! A batch is settled piece by piece; normally the whole batch is one piece and one transaction. Only when the engine
//! refuses something and cannot say which row it is, a piece is halved, until the row stands alone and is parked. And
//! when somebody else keeps placing in the same conversations, a piece is halved too, and the next batches begin in
//! pieces of that size, which grow again: a collision then rolls back less, and a small piece gets through.
//!
//! Invariants
//! - Pieces are settled in the batch's order, so the rows of a conversation are committed in the log's order.
//! - Remembered heads move only with a commit; after any error those of the touched conversations are forgotten, and all
//!   of them when the database failed or was reached anew.
//! - A sender is refused only by a head (and, in groups, a standing) that was read for it, and only after its id was
//!   looked up since then: a retry of a placed message gets its seq, whatever was changed between the people since.
//! - Standings are read after the head, and what follow-ups are about after both: a change in between is a row, so it
//!   collides. Which files are there is asked last; that one goes in between is no row, and the commit notices it.
//! - Rows that are found instead of placed are told again: whoever placed them may not have told anybody.

mod heads;
mod plan;
mod retell;
mod rights;
mod settle;
mod slots;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_files;
#[cfg(test)]
mod tests_groups;
#[cfg(test)]
mod tests_rights;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::error;
use whimbrel_core::{ConversationId, CursorMoved, Outcome, PlacedRow};
use whimbrel_rpc::PlacedBatch;
use whimbrel_store::{CursorWrite, Delivered, StoreError, Timeline};

use crate::Config;
use crate::backoff::Backoff;
use heads::Heads;
use settle::Trouble;
use slots::{Fate, Slot};
use whimbrel_store::Park;

/// What a batch led to; to be announced.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// One for each record.
    pub(crate) batches: Vec<PlacedBatch>,
    /// Outcomes of drafts that were not placed and will not be, apart, by record. They are true once the record has
    /// left the log.
    pub(crate) refusals: Vec<PlacedBatch>,
    /// Cursors that are durable now.
    pub(crate) moved: Vec<CursorMoved>,
}

/// Places batches, one after the other.
pub(crate) struct Placer {
    timeline: Arc<dyn Timeline>,
    park: Arc<dyn Park>,
    heads: Heads,
    backoff: Backoff,
    /// How long an author may take a message back, milliseconds.
    recall_within: u64,
    /// Slots in the pieces that a batch begins with.
    piece_max: usize,
}

/// A batch while it is being placed.
struct Job {
    slots: Vec<Slot>,
    /// Not committed yet; they go with the first transaction.
    cursors: Vec<CursorWrite>,
    /// Those that may be what the engine refuses; they get a transaction of their own at the end.
    late_cursors: Vec<CursorWrite>,
    /// Rows to announce, each with its slot.
    rows: Vec<(usize, PlacedRow)>,
    moved: Vec<CursorMoved>,
}

impl Placer {
    pub(crate) fn new(config: &Config, timeline: Arc<dyn Timeline>, park: Arc<dyn Park>) -> Self {
        let heads = Heads::new(timeline.clone(), config.conversations_cached);
        let backoff = Backoff::new(config.pause_min, config.pause_max);
        let recall_within = u64::try_from(config.recall_within.as_millis()).unwrap_or(u64::MAX);
        Self { timeline, park, heads, backoff, recall_within, piece_max: usize::MAX }
    }

    pub(crate) fn set_park(&mut self, park: Arc<dyn Park>) {
        self.park = park;
    }

    /// Places everything. An error means that the database is away: some of the batch may have been committed, none of
    /// it may be acknowledged, and all of it has to come again as redelivered.
    pub(crate) async fn place(&mut self, delivered: &[Delivered]) -> Result<Placed, StoreError> {
        let mut job = Job {
            slots: slots::unfold(delivered),
            cursors: slots::cursors(delivered),
            late_cursors: Vec::new(),
            rows: Vec::new(),
            moved: Vec::new(),
        };
        let mut pieces = self.pieces(job.firsts(|_| true));
        self.backoff.reset();
        let mut crowded = false;
        if delivered.iter().any(|delivered| delivered.redelivered) {
            let again = job.firsts(|slot| delivered[slot.record].redelivered);
            match self.look_up(&mut job, &again).await {
                Ok(()) => {}
                Err(Trouble::Away(error)) => return Err(error),
                Err(Trouble::Crowded) => {}
                Err(Trouble::Unclear(reason)) => error!(reason, "redelivered messages could not be looked up"),
            }
        }
        while let Some(piece) = pieces.pop_front() {
            match self.settle(&mut job, &piece).await {
                Ok(()) => {}
                Err(Trouble::Away(error)) => return Err(error),
                Err(Trouble::Unclear(reason)) => self.divide(&mut job, piece, reason, &mut pieces).await?,
                Err(Trouble::Crowded) => {
                    crowded = true;
                    self.make_way(&job, piece, &mut pieces);
                }
            }
        }
        if !crowded {
            self.piece_max = self.piece_max.saturating_mul(2);
        }
        self.settle_late_cursors(&mut job).await?;
        self.retell(&mut job).await?;
        Ok(job.finish(delivered))
    }
}

impl Placer {
    /// The database failed: what was remembered of it may be void.
    pub(crate) fn forget(&mut self) {
        self.heads.clear();
    }

    /// Whether the database answers.
    pub(crate) async fn is_answered(&self) -> bool {
        self.timeline.heads(&[ConversationId::from_bytes([0; 16])]).await.is_ok()
    }

    /// What a batch begins with: normally one piece. There is always one, for a batch of cursors alone.
    fn pieces(&self, whole: Vec<usize>) -> VecDeque<Vec<usize>> {
        if whole.len() <= self.piece_max {
            return VecDeque::from([whole]);
        }
        whole.chunks(self.piece_max).map(<[usize]>::to_vec).collect()
    }
}

impl Job {
    /// The slots that are the first of their name and match.
    fn firsts(&self, matches: impl Fn(&Slot) -> bool) -> Vec<usize> {
        let is_first = |slot: &Slot| !matches!(slot.fate, Fate::Repeats(_));
        (0..self.slots.len()).filter(|&index| is_first(&self.slots[index]) && matches(&self.slots[index])).collect()
    }

    fn finish(mut self, delivered: &[Delivered]) -> Placed {
        let mut batches: Vec<PlacedBatch> = delivered
            .iter()
            .map(|Delivered { record, .. }| PlacedBatch {
                batch: Some(record.batch),
                transfer: Some(record.transfer),
                ..Default::default()
            })
            .collect();
        let mut refusals: Vec<PlacedBatch> = Vec::new();
        for index in 0..self.slots.len() {
            let (answer, batch) = (slots::answer(&self.slots, index), &mut batches[self.slots[index].record]);
            if !matches!(answer.outcome, Outcome::Refused(_)) {
                batch.outcomes.push(answer);
            } else if let Some(refused) = refusals.last_mut().filter(|refused| refused.batch == batch.batch) {
                refused.outcomes.push(answer);
            } else {
                let (batch, transfer) = (batch.batch, batch.transfer);
                refusals.push(PlacedBatch { batch, transfer, outcomes: vec![answer], rows: Vec::new() });
            }
        }
        self.rows.sort_by_key(|(slot, row)| (self.slots[*slot].record, row.message.seq));
        for (slot, row) in self.rows {
            batches[self.slots[slot].record].rows.push(row);
        }
        Placed { batches, refusals, moved: self.moved }
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
