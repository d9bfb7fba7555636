//! The log: the durable queue between transfers and archivers.
//!
//! Records of one partition are delivered in the order in which they were appended. A record leaves the log only when
//! it is acknowledged; what was delivered and not acknowledged when a consumer ended is delivered again, marked, in
//! the same order, before newer records.

use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use whimbrel_core::{BatchId, ConversationId, Cursors, DeviceId, Draft, TransferId, UserId};

/// What a transfer appends: what gathered for one partition, of many conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Names the record.
    pub batch: BatchId,
    /// Who waits for its places.
    pub transfer: TransferId,
    /// In the order in which they were submitted. At most
    /// [`RECORD_DRAFTS_MAX`](whimbrel_core::limits::RECORD_DRAFTS_MAX) drafts altogether.
    pub entries: Vec<Entry>,
}

/// One thing to place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Drafts of one device for one conversation.
    Drafts(DraftsEntry),
    /// Cursors of one user in one conversation; they only grow.
    Cursor {
        /// Where.
        conversation: ConversationId,
        /// Whose.
        user: UserId,
        /// How far.
        cursors: Cursors,
    },
}

/// Drafts of one device for one conversation, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftsEntry {
    /// Where to.
    pub conversation: ConversationId,
    /// Who says it.
    pub sender: UserId,
    /// On which device.
    pub device: DeviceId,
    /// What.
    pub drafts: Vec<Draft>,
}

/// Why a record was not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The partition holds as many records as it may.
    #[error("the log is full")]
    Full,
    /// The log is closed or out of reach; whether the record is in it is unknown.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
}

/// Resolves once the record survives kill -9 of any process. In a cluster that is when the broker has it on disk; in
/// one process it is when the record was acknowledged, because only the commit is on disk.
pub type Confirm = Pin<Box<dyn Future<Output = Result<(), LogError>> + Send>>;

/// A record as a consumer gets it.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The partition that it came from.
    pub partition: u32,
    /// Grows along a partition within one consumer.
    pub tag: u64,
    /// It may have been delivered before: look up its ids before placing it.
    pub redelivered: bool,
    /// The record.
    pub record: Record,
}

/// A conversation's partition: FNV-1a (64 bits) over its 16 bytes, folded to 32 bits, modulo the partitions. Stable:
/// every role of every version must say the same.
pub fn partition_of(conversation: ConversationId, partitions: u32) -> u32 {
    let hash = conversation
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let folded = u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or(0);
    folded % partitions.max(1)
}

/// The durable queue.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// How many partitions there are, at least 1. A conversation's partition is a function of its id and of this.
    fn partitions(&self) -> u32;

    /// How many records one transfer keeps unplaced in one partition before it lets drafts gather.
    fn records_in_flight(&self) -> usize;

    /// Puts a record at the end of its partition, at once: two appends from one thread keep their order.
    fn append(&self, partition: u32, record: Record) -> Result<Confirm, LogError>;

    /// Starts to consume. A partition is consumed by one consumer at a time; another waits for its end, here or in
    /// [`Consumer::next`].
    async fn consume(&self) -> Result<Box<dyn Consumer>, LogError>;

    /// Stops taking appends; what is in the log can still be consumed. [`Consumer::next`] returns nothing once it is
    /// empty.
    fn close(&self);
}

/// The receiving end. Dropping it returns what is not acknowledged.
#[async_trait]
pub trait Consumer: Send {
    /// Everything that is there, in order: at least one record (it waits for it) and at most about `max_drafts`
    /// drafts (a record is never split). Empty: the log was closed and is empty. Dropping the future loses nothing.
    async fn next(&mut self, max_drafts: usize) -> Result<Vec<Delivered>, LogError>;

    /// The log may forget these: each partition up to and with this tag.
    async fn acknowledge(&mut self, upto: &[(u32, u64)]) -> Result<(), LogError>;
}
