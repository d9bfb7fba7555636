//! Conversation keys: made here, wrapped before they are written, unwrapped when a relation is read.

use rusqlite::{Connection, params};
use whimbrel_core::ConversationId;
use whimbrel_core::limits::KEY_VERSIONS_MAX;

use super::super::value::{all, conversation, first, run, small, sql};
use crate::directory::DirectoryError;
use crate::directory::words::owner;
use crate::{Keyring, StoreError};

/// Keys that one step of wrapping again looks at.
const STEP: u64 = 256;

/// Where a key stands in the order of their table.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    conversation: Option<ConversationId>,
    version: u32,
}

/// What a step of wrapping again did.
pub(super) struct Step {
    pub(super) changed: u64,
    /// `None`: that was the last one.
    pub(super) next: Option<Position>,
}

/// Gives a conversation a fresh random key, as its next version; keeps the newest if there are [`KEY_VERSIONS_MAX`].
pub(super) fn renew(db: &Connection, keyring: &Keyring, conversation: ConversationId) -> Result<(), DirectoryError> {
    let newest = "SELECT max(version) FROM relation_key WHERE conv = ?1";
    let version = first::<Option<u32>>(db, newest, [conversation.as_bytes()])?.flatten().unwrap_or(0) + 1;
    // Versions count from 1 and none is ever taken away: the newest is also their number.
    if version > KEY_VERSIONS_MAX {
        return Ok(());
    }
    add(db, keyring, conversation, version)?;
    Ok(())
}

/// Gives a conversation a fresh random key of a version that it has not.
pub(in crate::sqlite) fn add(
    db: &Connection,
    keyring: &Keyring,
    conversation: ConversationId,
    version: u32,
) -> Result<(), StoreError> {
    let mut key = [0; 32];
    rand::fill(&mut key);
    let wrapped = keyring.wrap(&owner(conversation, version), &key);
    let insert = "INSERT INTO relation_key (conv, version, wrapped) VALUES (?1, ?2, ?3)";
    run(db, insert, params![conversation.as_bytes(), version, wrapped])?;
    Ok(())
}

/// All versions, oldest first.
pub(super) fn of(
    db: &Connection,
    keyring: &Keyring,
    conversation: ConversationId,
) -> Result<Vec<(u32, [u8; 32])>, StoreError> {
    between(db, keyring, conversation, (1, u32::MAX), usize::MAX)
}

/// The versions of this range, oldest first, at most `limit`.
pub(in crate::sqlite) fn between(
    db: &Connection,
    keyring: &Keyring,
    conversation: ConversationId,
    (first, last): (u32, u32),
    limit: usize,
) -> Result<Vec<(u32, [u8; 32])>, StoreError> {
    let query = "SELECT version, wrapped FROM relation_key WHERE conv = ?1 AND version BETWEEN ?2 AND ?3 \
         ORDER BY version LIMIT ?4";
    let range = params![conversation.as_bytes(), first, last, sql(limit as u64)];
    let wrapped: Vec<(u32, Vec<u8>)> = all(db, query, range, |row| Ok((small(row, 0)?, row.get(1)?)))?;
    let mut keys = Vec::with_capacity(wrapped.len());
    for (version, wrapped) in wrapped {
        keys.push((version, keyring.unwrap(&owner(conversation, version), &wrapped)?));
    }
    Ok(keys)
}

/// Looks at the next keys after a position, and wraps again those that another master key wrapped.
pub(super) fn rewrap_step(db: &Connection, keyring: &Keyring, after: Position) -> Result<Step, StoreError> {
    let query = "SELECT conv, version, wrapped FROM relation_key WHERE (conv, version) > (?1, ?2) \
         ORDER BY conv, version LIMIT ?3";
    let from = after.conversation.as_ref().map_or(&[][..], |id| &id.as_bytes()[..]);
    let keys: Vec<(ConversationId, u32, Vec<u8>)> = all(db, query, params![from, after.version, sql(STEP)], |row| {
        Ok((conversation(row, 0)?, small(row, 1)?, row.get(2)?))
    })?;
    let mut step = Step { changed: 0, next: None };
    if keys.len() as u64 == STEP {
        step.next = keys.last().map(|(id, version, _)| Position { conversation: Some(*id), version: *version });
    }
    for (id, version, wrapped) in keys.iter().filter(|(_, _, wrapped)| !keyring.is_current(wrapped)) {
        let plain = keyring.unwrap(&owner(*id, *version), wrapped)?;
        let again = keyring.wrap(&owner(*id, *version), &plain);
        let update = "UPDATE relation_key SET wrapped = ?3 WHERE conv = ?1 AND version = ?2";
        run(db, update, params![id.as_bytes(), version, again])?;
        step.changed += 1;
    }
    Ok(step)
}
