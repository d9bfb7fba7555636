//! Relations as one of the two sees them, with their keys.

use rusqlite::{Connection, Row, params};
use whimbrel_core::{ConversationId, UserId};

use super::super::value::{all, first_row, number, small, sql, unreadable};
use super::keys;
use super::users::{self, user_columns};
use crate::directory::pair::read_state;
use crate::directory::{DirectoryError, Relation, RelationState};
use crate::{Keyring, StoreError};

/// Deleted peers stay in the list without a name: their conversation stays, too.
macro_rules! relation_sql {
    ($which:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", r.state, r.blocks, r.greeting, r.conv, r.changed_at FROM relation r \
             CROSS JOIN user u ON u.id = r.peer WHERE r.user = ?1 AND ",
            $which
        )
    };
}

pub(super) fn one(
    db: &Connection,
    keyring: &Keyring,
    user: UserId,
    peer: UserId,
) -> Result<Option<Relation>, StoreError> {
    let query = relation_sql!("r.peer = ?2");
    let found = first_row(db, query, params![sql(user.0), sql(peer.0)], read)?;
    found.map(|relation| with_keys(db, keyring, relation)).transpose()
}

pub(super) fn list(
    db: &Connection,
    keyring: &Keyring,
    user: UserId,
    after: UserId,
    limit: usize,
) -> Result<Vec<Relation>, StoreError> {
    let query =
        relation_sql!("r.peer > ?2 AND (r.state <> 0 OR r.blocks <> 0 OR r.conv IS NOT NULL) ORDER BY r.peer LIMIT ?3");
    let found = all(db, query, params![sql(user.0), sql(after.0), sql(limit as u64)], read)?;
    found.into_iter().map(|relation| with_keys(db, keyring, relation)).collect()
}

/// What a user is to a peer with whom there never was anything.
pub(super) fn stranger(db: &Connection, peer: UserId) -> Result<Relation, DirectoryError> {
    let peer = users::existing(db, peer)?;
    let (state, greeting, keys) = (RelationState::None, String::new(), Vec::new());
    Ok(Relation { peer, state, blocked: false, greeting, conversation: None, keys, changed_at: 0 })
}

fn with_keys(db: &Connection, keyring: &Keyring, mut relation: Relation) -> Result<Relation, StoreError> {
    if let Some(conversation) = relation.conversation {
        relation.keys = keys::of(db, keyring, conversation)?;
    }
    Ok(relation)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Relation> {
    Ok(Relation {
        peer: users::read(row)?,
        state: read_state(small(row, 5)?).ok_or_else(|| unreadable(5, "a relation state"))?,
        blocked: row.get(6)?,
        greeting: row.get(7)?,
        conversation: row.get::<_, Option<[u8; 16]>>(8)?.map(ConversationId::from_bytes),
        keys: Vec::new(),
        changed_at: number(row, 9)?,
    })
}
