//! One partition: records in the order of their appending, until they are acknowledged.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::log::{Delivered, Entry, Record};

/// The delivered records stand before those that are not.
#[derive(Default)]
pub(super) struct Partition {
    waiting: VecDeque<Waiting>,
    /// How many from the front are with the consumer.
    delivered: usize,
    /// The tag of the last record that was appended.
    last_tag: u64,
}

struct Waiting {
    tag: u64,
    redelivered: bool,
    record: Record,
    confirm: oneshot::Sender<()>,
}

impl Partition {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, record: Record, confirm: oneshot::Sender<()>) {
        self.last_tag += 1;
        self.waiting.push_back(Waiting { tag: self.last_tag, redelivered: false, record, confirm });
    }

    /// Delivers records while there is room for drafts; the last one may go beyond it.
    pub(super) fn take(&mut self, partition: u32, room: &mut usize, taken: &mut Vec<Delivered>) {
        for waiting in self.waiting.range(self.delivered..) {
            if *room == 0 {
                break;
            }
            *room = room.saturating_sub(weight(&waiting.record));
            let Waiting { tag, redelivered, record, .. } = waiting;
            taken.push(Delivered { partition, tag: *tag, redelivered: *redelivered, record: record.clone() });
            self.delivered += 1;
        }
    }

    /// Forgets what was delivered up to this tag, and confirms it.
    pub(super) fn acknowledge(&mut self, upto: u64) {
        while self.delivered > 0 && self.waiting.front().is_some_and(|front| front.tag <= upto) {
            if let Some(done) = self.waiting.pop_front() {
                // A transfer that does not wait any more is no concern of the log.
                let _ = done.confirm.send(());
            }
            self.delivered -= 1;
        }
    }

    /// What is with the consumer comes back, marked, before everything newer.
    pub(super) fn give_back(&mut self) {
        for waiting in self.waiting.iter_mut().take(self.delivered) {
            waiting.redelivered = true;
        }
        self.delivered = 0;
    }
}

/// Drafts in a record; a cursor counts as one, and nothing as none.
fn weight(record: &Record) -> usize {
    let entries = record.entries.iter().map(|entry| match entry {
        Entry::Drafts(entry) => entry.drafts.len(),
        Entry::Cursor { .. } => 1,
    });
    entries.sum::<usize>().max(1)
}
