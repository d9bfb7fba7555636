//! Conversation keys: made here, wrapped before they are written, unwrapped when a relation is read.

use sqlx::{MySqlConnection, query};
use whimbrel_core::ConversationId;
use whimbrel_core::limits::KEY_VERSIONS_MAX;

use super::super::MySqlStore;
use super::value;
use super::work::{Change, Stop, Work, run_all};
use crate::directory::words::owner;
use crate::{Keyring, StoreError};

/// Keys that one step of wrapping again looks at.
const STEP: u64 = 256;

/// Gives a conversation a fresh random key, as its next version; keeps the newest if there are [`KEY_VERSIONS_MAX`].
/// Both users are locked.
pub(super) async fn renew(work: &mut Work, keyring: &Keyring, conversation: ConversationId) -> Result<(), Stop> {
    let newest = "SELECT version FROM relation_key WHERE conv = ? ORDER BY version DESC LIMIT 1";
    let newest = query(newest).bind(&conversation.as_bytes()[..]).fetch_optional(work.db()).await?;
    let newest: u32 = newest.map_or(Ok(0), |row| value::get(&row, 0))?;
    // Versions count from 1 and none is ever taken away: the newest is also their number.
    let version = newest + 1;
    if version > KEY_VERSIONS_MAX {
        return Ok(());
    }
    add(work, keyring, conversation, version).await
}

/// Gives a conversation, whose versions nobody else changes meanwhile, a fresh random key as this version.
pub(in crate::mysql) async fn add(
    work: &mut Work,
    keyring: &Keyring,
    conversation: ConversationId,
    version: u32,
) -> Result<(), Stop> {
    let mut key = [0; 32];
    rand::fill(&mut key);
    query("INSERT INTO relation_key (conv, version, wrapped) VALUES (?, ?, ?)")
        .bind(&conversation.as_bytes()[..])
        .bind(version)
        .bind(keyring.wrap(&owner(conversation, version), &key))
        .execute(work.db())
        .await?;
    Ok(())
}

/// A key as it rests.
struct Resting {
    conversation: ConversationId,
    version: u32,
    wrapped: Vec<u8>,
}

/// Wraps again what another master key wrapped, in the order of the table; returns how many were changed.
pub(super) async fn rewrap(store: &MySqlStore) -> Result<u64, StoreError> {
    let keyring = store.keyring();
    let (mut changed, mut after) = (0, (ConversationId::from_bytes([0; 16]), 0));
    loop {
        let page = store.read(async |db| page(db, after).await).await?;
        let Some(last) = page.last() else { return Ok(changed) };
        after = (last.conversation, last.version);
        let is_last = (page.len() as u64) < STEP;
        let old = page.into_iter().filter(|key| !keyring.is_current(&key.wrapped)).collect();
        changed += run_all(store, &RewrapStep { keyring, old }).await?.0;
        if is_last {
            return Ok(changed);
        }
    }
}

async fn page(db: &mut MySqlConnection, (id, version): (ConversationId, u32)) -> Result<Vec<Resting>, StoreError> {
    let read = "SELECT conv, version, wrapped FROM relation_key WHERE conv > ? OR (conv = ? AND version > ?) \
         ORDER BY conv, version LIMIT ?";
    let id = &id.as_bytes()[..];
    let rows = query(read).bind(id).bind(id).bind(version).bind(STEP).fetch_all(db).await?;
    let page = rows.iter().map(|row| {
        let (conversation, version) = (value::conversation(row, 0)?, value::get(row, 1)?);
        Ok(Resting { conversation, version, wrapped: value::get(row, 2)? })
    });
    page.collect()
}

struct RewrapStep<'a> {
    keyring: &'a Keyring,
    old: Vec<Resting>,
}

impl Change for RewrapStep<'_> {
    type Answer = u64;

    /// Each only if it still rests as it was read: somebody else may be at the same work. New keys are wrapped by
    /// the current master key already.
    async fn make(&self, work: &mut Work) -> Result<u64, Stop> {
        let mut changed = 0;
        for Resting { conversation, version, wrapped } in &self.old {
            let owner = owner(*conversation, *version);
            let plain = self.keyring.unwrap(&owner, wrapped)?;
            let update = "UPDATE relation_key SET wrapped = ? WHERE conv = ? AND version = ? AND wrapped = ?";
            let updated = query(update)
                .bind(self.keyring.wrap(&owner, &plain))
                .bind(&conversation.as_bytes()[..])
                .bind(*version)
                .bind(&wrapped[..])
                .execute(work.db())
                .await?;
            changed += updated.rows_affected();
        }
        Ok(changed)
    }
}
