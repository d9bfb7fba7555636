//! Whether everything came as it should have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::client::Talk;
use super::shared::Level;

/// Whether nothing is under way any more: everything answered, delivered, read, and all of that heard by the sender.
pub(super) fn is_settled(levels: &[Arc<Level>], both: bool) -> bool {
    let direction = |from: &Level, to: &Level| {
        let get = |level: &AtomicU64| level.load(Ordering::Relaxed);
        from.quiet.load(Ordering::Relaxed)
            && to.quiet.load(Ordering::Relaxed)
            && get(&to.received) == get(&from.sent)
            && get(&to.advanced) >= get(&to.read)
            && get(&from.peer_read) >= get(&to.read)
    };
    levels.chunks_exact(2).all(|pair| direction(&pair[0], &pair[1]) && (!both || direction(&pair[1], &pair[0])))
}

/// What was found wrong, all clients together.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Answered SENT and not received.
    pub(super) lost: u64,
    /// Received at two places.
    pub(super) doubled: u64,
    /// Received behind a later one of the same sender.
    pub(super) reordered: u64,
    /// Bodies that were not as sent.
    pub(super) corrupt: u64,
    /// Pairs in which a message stands at another place than its sender was told.
    pub(super) moved: u64,
    /// Answers that asked for the same again: no fault, but not free.
    pub(super) retries: u64,
    /// Clients that heard of a cursor beyond the last message.
    untrue_receipts: u64,
    unsettled: bool,
}

impl Verdict {
    /// Compares the books of the two of each pair.
    pub(super) fn new(talks: &[Talk], settled: bool) -> Self {
        let mut verdict = Self { unsettled: !settled, ..Self::default() };
        for pair in talks.chunks_exact(2) {
            verdict.add(&pair[0], &pair[1]);
            verdict.add(&pair[1], &pair[0]);
        }
        verdict
    }

    /// One direction.
    fn add(&mut self, from: &Talk, to: &Talk) {
        let (sent, check) = from.sending.as_ref().map_or((0, 0), |sending| (sending.sent, sending.check));
        let lost = to.receiving.lost(sent);
        self.lost += lost;
        self.doubled += to.receiving.doubled;
        self.reordered += to.receiving.reordered;
        self.corrupt += to.receiving.corrupt;
        // Where something is lost the two differ anyway.
        self.moved += u64::from(lost == 0 && to.receiving.received == sent && to.receiving.check != check);
        self.retries += from.sending.as_ref().map_or(0, |sending| sending.retries);
        self.untrue_receipts += u64::from(from.peer_cursors.delivered > to.receiving.cursor());
    }

    /// Whether nothing was wrong.
    pub(super) fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// What was wrong, in sentences.
    pub(super) fn faults(&self) -> Vec<String> {
        let counted = [
            (self.lost, "messages were answered SENT and did not arrive"),
            (self.doubled, "messages stand at two places"),
            (self.reordered, "messages arrived behind a later one of their sender"),
            (self.corrupt, "bodies arrived that were not sent so"),
            (self.moved, "pairs have a message at another place than its sender was told"),
            (self.untrue_receipts, "clients were told of receipts beyond what was received"),
        ];
        let mut faults: Vec<_> =
            counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if self.unsettled {
            faults.push("not everything was answered, delivered and receipted in time after the load".to_owned());
        }
        faults
    }
}
