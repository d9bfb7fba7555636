//! Archiver and API → transfer: what has become true.

use async_trait::async_trait;
use whimbrel_core::{
    BatchId, ConversationId, CursorMoved, DeviceId, GoodbyeCode, MessageId, Outcome, PlacedRow, UserId,
};

/// What became of one draft of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftPlaced {
    /// Where it was sent to.
    pub conversation: ConversationId,
    /// By whom.
    pub sender: UserId,
    /// From which device.
    pub device: DeviceId,
    /// The draft.
    pub message_id: MessageId,
    /// What became of it. Repeats of a placed message have the first one's seq.
    pub outcome: Outcome,
}

/// What one record of the log led to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PlacedBatch {
    /// The record; `None` for rows that did not come by the log (the API's changes).
    pub batch: Option<BatchId>,
    /// For the drafts of the record, in its order. Refusals come apart, in a second batch of the same record, once the
    /// record has left the log: one that comes again may be placed after all.
    pub outcomes: Vec<DraftPlaced>,
    /// The rows that are new, or that were found and may not have been told, in the order of their places.
    pub rows: Vec<PlacedRow>,
}

/// Sessions that must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Whose.
    pub user: UserId,
    /// On which device; `None`: on all.
    pub device: Option<DeviceId>,
    /// What they are told.
    pub code: GoodbyeCode,
}

/// Who could not be told.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Told {
    /// Users of the audience with no session anywhere: offline push is for them.
    pub offline: Vec<UserId>,
}

/// A transfer, as archivers and the API see it.
#[async_trait]
pub trait Announce: Send + Sync + 'static {
    /// Tells what was placed: senders get their answers, the audience its messages. It returns once every connector
    /// of the audience has taken them.
    async fn placed(&self, batches: Vec<PlacedBatch>) -> Told;

    /// Tells which cursors became durable: their owners get their answers, and the audience receipts (again, for those
    /// who attached after the first ones were pushed).
    async fn advanced(&self, moved: Vec<CursorMoved>);

    /// Ends sessions.
    async fn revoked(&self, revoked: Vec<Revoked>);
}
