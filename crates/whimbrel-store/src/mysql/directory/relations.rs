//! Relations as one of the two sees them, with their keys: one statement, one row for each version of a key.

use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, query};
use whimbrel_core::{ConversationId, UserId};

use super::value::{self, user_columns};
use crate::directory::Relation;
use crate::directory::pair::read_state;
use crate::directory::words::owner;
use crate::{Keyring, StoreError};

/// Deleted peers stay in the list without a name: their conversation stays, too.
macro_rules! relation_sql {
    ($which:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", r.state, r.blocks, r.greeting, r.conv, r.changed_at, k.version, k.wrapped FROM ",
            "(SELECT peer, state, blocks, greeting, conv, changed_at FROM relation WHERE user = ? AND ",
            $which,
            ") r JOIN user u ON u.id = r.peer LEFT JOIN relation_key k ON k.conv = r.conv ORDER BY r.peer, k.version"
        )
    };
}

pub(super) async fn one(
    db: &mut MySqlConnection,
    keyring: &Keyring,
    user: UserId,
    peer: UserId,
) -> Result<Option<Relation>, StoreError> {
    let rows = query(relation_sql!("peer = ?")).bind(user.0).bind(peer.0).fetch_all(db).await?;
    Ok(gather(keyring, &rows)?.pop())
}

pub(super) async fn list(
    db: &mut MySqlConnection,
    keyring: &Keyring,
    user: UserId,
    after: UserId,
    limit: usize,
) -> Result<Vec<Relation>, StoreError> {
    let list = relation_sql!("peer > ? AND (state <> 0 OR blocks <> 0 OR conv IS NOT NULL) ORDER BY peer LIMIT ?");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query(list).bind(user.0).bind(after.0).bind(limit).fetch_all(db).await?;
    gather(keyring, &rows)
}

/// Rows of one peer follow each other.
fn gather(keyring: &Keyring, rows: &[MySqlRow]) -> Result<Vec<Relation>, StoreError> {
    let mut relations: Vec<Relation> = Vec::new();
    for row in rows {
        let peer = value::user(row, 0)?;
        if relations.last().is_none_or(|last| last.peer.id != peer) {
            relations.push(read(row)?);
        }
        let Some(relation) = relations.last_mut() else { continue };
        if let (Some(id), Some(version)) = (relation.conversation, value::get::<Option<u32>>(row, 10)?) {
            let wrapped: &[u8] = value::get(row, 11)?;
            relation.keys.push((version, keyring.unwrap(&owner(id, version), wrapped)?));
        }
    }
    Ok(relations)
}

fn read(row: &MySqlRow) -> sqlx::Result<Relation> {
    Ok(Relation {
        peer: value::account(row)?,
        state: read_state(value::get(row, 5)?).ok_or_else(|| value::unreadable(5, "a relation state"))?,
        blocked: value::get::<u8>(row, 6)? != 0,
        greeting: value::get(row, 7)?,
        conversation: value::some_bytes(row, 8)?.map(ConversationId::from_bytes),
        keys: Vec::new(),
        changed_at: value::get(row, 9)?,
    })
}
