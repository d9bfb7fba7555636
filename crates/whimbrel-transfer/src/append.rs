//! All lanes and the log: what gathered is published, what came back makes room.
//!
//! Publishing happens under the lane's lock, because two records of one partition must reach the log in the order in
//! which they were made. A record that the log does not take is answered "again" whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use metrics::{counter, histogram};
use parking_lot::{Mutex, MutexGuard};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use whimbrel_core::{BatchId, ConversationId, TransferId};
use whimbrel_store::log::partition_of;
use whimbrel_store::{Confirm, Entry, Log, Record};

use crate::Config;
use crate::lane::{Lane, keys_of};
use crate::outgoing::Answers;
use crate::reach::Reach;

pub(crate) struct Lanes {
    pub(crate) config: Arc<Config>,
    id: TransferId,
    log: Arc<dyn Log>,
    reach: Arc<Reach>,
    lanes: Vec<Mutex<Lane>>,
    stopping: AtomicBool,
    tasks: TaskTracker,
}

impl Lanes {
    pub(crate) fn new(
        config: Arc<Config>,
        id: TransferId,
        log: Arc<dyn Log>,
        reach: Arc<Reach>,
        tasks: TaskTracker,
    ) -> Self {
        let lanes = (0..log.partitions().max(1)).map(|_| Mutex::default()).collect();
        Self { config, id, log, reach, lanes, stopping: AtomicBool::new(false), tasks }
    }

    /// Which lane a conversation belongs to.
    pub(crate) fn of(&self, conversation: ConversationId) -> u32 {
        partition_of(conversation, u32::try_from(self.lanes.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn lock(&self, partition: u32) -> MutexGuard<'_, Lane> {
        self.lanes[partition as usize].lock()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// From now on nothing new is let in.
    pub(crate) fn begin_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Publishes what gathered in a lane, as far as records may go; gives the answers for what the log did not take.
    pub(crate) fn publish(self: &Arc<Self>, partition: u32, lane: &mut Lane) -> Vec<Answers> {
        let (mut refused, now) = (Vec::new(), Instant::now());
        while let Some(entries) = lane.next_record(self.log.records_in_flight().max(1), now, &self.config) {
            let (batch, keys, count) = (BatchId::generate(), keys_of(&entries), entries.len());
            match self.log.append(partition, Record { batch, transfer: self.id, entries }) {
                Ok(confirm) => {
                    counter!("whimbrel_transfer_records_total").increment(1);
                    histogram!("whimbrel_transfer_record_entries").record(count as f64);
                    lane.published(batch, &keys, now);
                    self.watch(partition, batch, confirm);
                }
                Err(error) => {
                    counter!("whimbrel_transfer_unpublished_total").increment(1);
                    debug!(%error, partition, entries = count, "the log takes nothing; senders are told to come again");
                    refused.extend(lane.give_up_keys(&keys, self.config.retry_later));
                }
            }
        }
        refused
    }

    /// Waits for the confirm of a record, to notice when there is none to come.
    fn watch(self: &Arc<Self>, partition: u32, batch: BatchId, confirm: Confirm) {
        let lanes = self.clone();
        self.tasks.spawn(async move {
            let Err(error) = confirm.await else { return };
            let answers = {
                let mut lane = lanes.lock(partition);
                let mut answers = lane.give_up_batch(batch, lanes.config.retry_later);
                if lane.crashed(batch) {
                    warn!(%error, partition, "a record was not confirmed; its senders are told to come again");
                    answers.extend(lanes.publish(partition, &mut lane));
                }
                answers
            };
            lanes.answer(answers);
        });
    }

    /// A record was placed: it makes room for the next one.
    pub(crate) fn landed(self: &Arc<Self>, batch: BatchId) {
        for (partition, lane) in (0..).zip(&self.lanes) {
            let mut lane = lane.lock();
            if lane.landed(batch) {
                let answers = self.publish(partition, &mut lane);
                drop(lane);
                return self.answer(answers);
            }
        }
    }

    /// Puts cursors in line. Those for which there is no room are dropped: their owners repeat them.
    pub(crate) fn append_cursors(self: &Arc<Self>, mut entries: Vec<(u32, Entry)>) {
        entries.sort_by_key(|(partition, _)| *partition);
        let (mut answers, mut dropped) = (Vec::new(), 0);
        let mut entries = entries.into_iter().peekable();
        while let Some((partition, first)) = entries.next() {
            let mut lane = self.lock(partition);
            let mut next = Some(first);
            while let Some(entry) = next {
                dropped += u64::from(!lane.gather_cursor(entry, &self.config));
                next = entries.next_if(|(other, _)| *other == partition).map(|(_, entry)| entry);
            }
            answers.extend(self.publish(partition, &mut lane));
        }
        counter!("whimbrel_transfer_cursors_dropped_total").increment(dropped);
        self.answer(answers);
    }

    /// Gives up what has waited too long.
    pub(crate) fn sweep(self: &Arc<Self>) {
        let now = Instant::now();
        let mut answers = Vec::new();
        for partition in 0..u32::try_from(self.lanes.len()).unwrap_or(u32::MAX) {
            let mut lane = self.lock(partition);
            answers.extend(lane.sweep(now, &self.config));
            answers.extend(self.publish(partition, &mut lane));
        }
        counter!("whimbrel_transfer_timeouts_total").increment(answers.len() as u64);
        self.answer(answers);
    }

    /// Sends answers, in a task of their own.
    pub(crate) fn answer(&self, answers: Vec<Answers>) {
        if !answers.is_empty() {
            let reach = self.reach.clone();
            self.tasks.spawn(async move { reach.answer(answers).await });
        }
    }

    /// No sender waits for anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.iter().all(|lane| lane.lock().is_idle())
    }

    /// Gives up everything that still waits.
    pub(crate) async fn clear(&self) {
        let answers = self.lanes.iter().flat_map(|lane| lane.lock().clear(self.config.retry_later)).collect();
        self.reach.answer(answers).await;
    }
}
