//! What is told once it is true: rows that were committed, cursors that moved.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Audience, ConversationId, Cursors, DeviceId, Message, RosterChange, UserId};

/// A row that was committed, and to whom it is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRow {
    /// The row.
    pub message: Message,
    /// Its audience, decided at its place.
    pub audience: Audience,
    /// With a row that changed who is in a group: what a roster becomes with it. It saves reading the roster again, and
    /// may be missing (rows that are found again have none).
    pub change: Option<Arc<RosterChange>>,
}

/// Messages of one conversation, in seq order, at least one.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its newly placed messages.
    pub messages: Vec<Message>,
}

/// How far a user has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// How far.
    pub cursors: Cursors,
}

/// Cursors that are durable now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorMoved {
    /// Where.
    pub conversation: ConversationId,
    /// Whose.
    pub user: UserId,
    /// How far, clamped to the head.
    pub cursors: Cursors,
    /// Who sees receipts there.
    pub audience: Audience,
}

/// Something that passes (typing and the like): never stored, told to who is online, dropped first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// For the clients to read; at most [`SIGNAL_MAX`](crate::limits::SIGNAL_MAX) bytes.
    pub body: Bytes,
}
