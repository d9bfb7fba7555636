//! The rows that tell of changes: placed in the transaction of the change, at the end of the conversations of those
//! who may know, and of nobody else.

use bytes::Bytes;
use rusqlite::{Connection, params};
use whimbrel_core::{ConversationId, MessageKind, PlacedRow, UserId};

use super::super::place::system_row;
use super::super::value::{first, sql};
use crate::StoreError;
use crate::directory::Rows;
pub(super) use crate::directory::words::Account;
use crate::directory::words::about;
use crate::groups::words;

/// Collects what one change places.
pub(in crate::sqlite) struct Teller<'a> {
    db: &'a Connection,
    now: u64,
    rows: Rows,
}

impl<'a> Teller<'a> {
    pub(in crate::sqlite) fn new(db: &'a Connection, now: u64) -> Self {
        Self { db, now, rows: Rows::new() }
    }

    /// Tells a user that their own account changed.
    pub(in crate::sqlite) fn account(&mut self, user: UserId, what: Account) -> Result<(), StoreError> {
        self.private(user, MessageKind::ACCOUNT, what.body())
    }

    /// Tells a user that something about them and a peer changed.
    pub(super) fn relation(&mut self, user: UserId, peer: UserId) -> Result<(), StoreError> {
        self.private(user, MessageKind::RELATION, about(peer))
    }

    /// Marks the place in a direct conversation from which on other rights hold.
    pub(super) fn standing(&mut self, conversation: ConversationId, first: UserId) -> Result<(), StoreError> {
        let row = system_row(self.db, conversation, first, MessageKind::STANDING, Bytes::new(), self.now)?;
        self.rows.push(row);
        Ok(())
    }

    /// Tells a user that something about them and a group changed.
    pub(in crate::sqlite) fn membership(&mut self, user: UserId, group: ConversationId) -> Result<(), StoreError> {
        self.private(user, MessageKind::MEMBERSHIP, words::membership(group))
    }

    /// Tells a user how they have a conversation shown.
    pub(in crate::sqlite) fn setting(&mut self, user: UserId, conversation: ConversationId) -> Result<(), StoreError> {
        self.private(user, MessageKind::SETTING, words::setting(conversation))
    }

    /// Takes a row that was placed with the change.
    pub(in crate::sqlite) fn push(&mut self, row: PlacedRow) {
        self.rows.push(row);
    }

    pub(in crate::sqlite) fn into_rows(self) -> Rows {
        self.rows
    }

    /// A deleted user is told nothing.
    fn private(&mut self, user: UserId, kind: MessageKind, body: Bytes) -> Result<(), StoreError> {
        let own = "SELECT private_conversation FROM user WHERE id = ?1 AND deleted_at IS NULL";
        if let Some(id) = first::<[u8; 16]>(self.db, own, params![sql(user.0)])? {
            self.rows.push(system_row(self.db, ConversationId::from_bytes(id), user, kind, body, self.now)?);
        }
        Ok(())
    }
}
