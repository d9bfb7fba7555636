//! Archiver and API → transfer: what has become true.

use async_trait::async_trait;
use whimbrel_core::{
    BatchId, ConnectorId, ConversationId, CursorMoved, DeviceId, GoodbyeCode, MessageId, Outcome, PlacedRow,
    TransferId, UserId,
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
    /// Who published it and waits for it; `None` with the record. If it is gone, any other transfer is told.
    pub transfer: Option<TransferId>,
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

/// Which connectors rows are to be brought to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Through {
    /// Every one that holds sessions of the audience.
    #[default]
    All,
    /// These only: others have them already.
    Only(Vec<ConnectorId>),
}

/// Who could not be told.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Told {
    /// Users of the audience with no session anywhere: offline push is for them.
    pub offline: Vec<UserId>,
    /// Connectors of the audience that hold a lease and that this transfer does not reach, or lost before they had
    /// taken everything: another transfer has to bring it to them.
    pub unreached: Vec<ConnectorId>,
    /// UserStatus does not know (it is away, or was emptied): everything was brought to every connector that this
    /// transfer reaches, and others may know of more.
    pub blind: bool,
}

/// A transfer, as archivers and the API see it.
#[async_trait]
pub trait Announce: Send + Sync + 'static {
    /// Tells what was placed: senders get their answers, the audience its messages. It returns once every connector
    /// of the audience has taken them, or is named in the answer. With [`Through::Only`] nobody is answered: only the
    /// rows are brought to those connectors. An implementation that speaks to several transfers settles what is
    /// unreached and blind itself, and names nobody.
    async fn placed(&self, batches: Vec<PlacedBatch>, through: Through) -> Told;

    /// Tells which cursors became durable: their owners get their answers, and the audience receipts (again, for those
    /// who attached after the first ones were pushed). Returns and is settled like [`Announce::placed`]; with
    /// [`Through::Only`] only the receipts are brought to those connectors.
    async fn advanced(&self, moved: Vec<CursorMoved>, through: Through) -> Told;

    /// Takes away the leases of connectors that no transfer reaches, so that they assert and poke everybody when they
    /// come back. False: UserStatus is away.
    async fn expel(&self, connectors: Vec<ConnectorId>) -> bool;

    /// Ends sessions, on every connector in reach, whoever is thought to be where.
    async fn revoked(&self, revoked: Vec<Revoked>);
}
