//! [`Log`] in one process.
//!
//! No polling: a consumer that waits is woken by the next append. Bounded: a partition takes
//! [`MemoryLogConfig::records_max`] records, acknowledged ones not counted, and refuses more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use whimbrel_core::limits::LOG_RECORDS_MAX;

use super::partition::Partition;
use crate::log::{Confirm, Consumer, Delivered, Log, LogError, Record};

/// What a deployment may choose about the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryLogConfig {
    /// Partitions, at least 1. One process places with one writer: more than one gains nothing but tests.
    pub partitions: u32,
    /// Records that a partition holds, at most.
    pub records_max: usize,
    /// Records that one transfer keeps unplaced in a partition before it lets drafts gather.
    pub records_in_flight: usize,
}

impl Default for MemoryLogConfig {
    fn default() -> Self {
        Self { partitions: 1, records_max: LOG_RECORDS_MAX, records_in_flight: 16 }
    }
}

/// The log of a server that runs alone. A cheap handle: clones are the same log.
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

struct Shared {
    partitions: Vec<Mutex<Partition>>,
    config: MemoryLogConfig,
    closed: AtomicBool,
    /// Something was appended, or the log was closed. There is one consumer at a time, so one permit is enough.
    news: Notify,
    /// Whose turn it is to consume.
    turn: Arc<Semaphore>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new(config: MemoryLogConfig) -> Self {
        let partitions = (0..config.partitions.max(1)).map(|_| Mutex::new(Partition::default())).collect();
        let turn = Arc::new(Semaphore::new(1));
        let (closed, news) = (AtomicBool::new(false), Notify::new());
        Self { shared: Arc::new(Shared { partitions, config, closed, news, turn }) }
    }

    /// Records that are not acknowledged, over all partitions: a level for metrics and for tests to wait on.
    pub fn len(&self) -> usize {
        self.shared.partitions.iter().map(|partition| partition.lock().len()).sum()
    }

    /// Whether every record was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(MemoryLogConfig::default())
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn partitions(&self) -> u32 {
        u32::try_from(self.shared.partitions.len()).expect("as many as a u32 said")
    }

    fn records_in_flight(&self) -> usize {
        self.shared.config.records_in_flight
    }

    fn append(&self, partition: u32, record: Record) -> Result<Confirm, LogError> {
        let slot = self.shared.partitions.get(partition as usize);
        let slot = slot.ok_or_else(|| LogError::Unavailable(format!("there is no partition {partition}")))?;
        let (confirm, confirmed) = oneshot::channel();
        {
            let mut queue = slot.lock();
            // Under the lock: nothing comes in after a consumer has seen a closed log empty.
            if self.shared.closed.load(Ordering::Acquire) {
                return Err(LogError::Unavailable("the log is closed".into()));
            }
            if queue.len() >= self.shared.config.records_max {
                return Err(LogError::Full);
            }
            queue.push(record, confirm);
        }
        self.shared.news.notify_one();
        Ok(Box::pin(async move { confirmed.await.map_err(|_| LogError::Unavailable("the log is gone".into())) }))
    }

    async fn consume(&self) -> Result<Box<dyn Consumer>, LogError> {
        let turn = Arc::clone(&self.shared.turn).acquire_owned().await;
        let turn = turn.map_err(|e| LogError::Unavailable(e.to_string()))?;
        Ok(Box::new(MemoryConsumer { shared: Arc::clone(&self.shared), first: 0, _turn: turn }))
    }

    fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.news.notify_one();
    }
}

struct MemoryConsumer {
    shared: Arc<Shared>,
    /// The partition that is asked first next time, so that none starves behind another.
    first: usize,
    /// Goes back after `drop` has returned what was not acknowledged.
    _turn: OwnedSemaphorePermit,
}

impl MemoryConsumer {
    fn take(&mut self, max_drafts: usize) -> Vec<Delivered> {
        let partitions = &self.shared.partitions;
        let mut taken = Vec::new();
        let mut room = max_drafts.max(1);
        for turn in 0..partitions.len() {
            let number = (self.first + turn) % partitions.len();
            partitions[number].lock().take(u32::try_from(number).unwrap_or(u32::MAX), &mut room, &mut taken);
            if room == 0 {
                break;
            }
        }
        self.first = (self.first + 1) % partitions.len();
        taken
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self, max_drafts: usize) -> Result<Vec<Delivered>, LogError> {
        loop {
            // Asked before taking: an append that still found the log open is in before that take, or is refused,
            // because both are decided under the partition's lock.
            let closed = self.shared.closed.load(Ordering::Acquire);
            let taken = self.take(max_drafts);
            if !taken.is_empty() || closed {
                return Ok(taken);
            }
            // A permit is kept when nobody waits, so an append between the take and here wakes at once.
            self.shared.news.notified().await;
        }
    }

    async fn acknowledge(&mut self, upto: &[(u32, u64)]) -> Result<(), LogError> {
        for (partition, tag) in upto {
            if let Some(partition) = self.shared.partitions.get(*partition as usize) {
                partition.lock().acknowledge(*tag);
            }
        }
        Ok(())
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        for partition in &self.shared.partitions {
            partition.lock().give_back();
        }
        // The next consumer finds them by its first take; it needs no waking.
    }
}
