//! What is told once it is true: rows that were committed, cursors that moved.

use crate::{Audience, ConversationId, Cursors, Message, UserId};

/// A row that was committed, and to whom it is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRow {
    /// The row.
    pub message: Message,
    /// Its audience, decided at its place.
    pub audience: Audience,
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
