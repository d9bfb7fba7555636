//! Who is in which conversation.

use std::collections::BTreeMap;

use sqlx::{MySqlConnection, query};
use whimbrel_core::{ConversationId, Members};

use super::many::{filled, lists, repeat};
use super::place::read_members;
use super::value;
use crate::StoreError;

/// In the order asked.
pub(super) async fn of(db: &mut MySqlConnection, asked: &[ConversationId]) -> Result<Vec<Option<Members>>, StoreError> {
    let mut found = BTreeMap::new();
    for list in lists(asked) {
        let list = filled(list);
        let text = repeat(
            "SELECT id, kind, first, second, friends, first_blocks, second_blocks FROM conversation WHERE id IN (",
            "?",
            ", ",
            list.len(),
            ")",
        );
        let read = list.iter().fold(query(text), |read, id| read.bind(&id.as_bytes()[..]));
        for row in read.fetch_all(&mut *db).await? {
            found.insert(value::conversation(&row, 0)?, read_members(&row)?);
        }
    }
    Ok(asked.iter().map(|id| found.get(id).cloned()).collect())
}
