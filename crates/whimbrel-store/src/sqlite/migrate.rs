//! Bringing a database up to the schema that this program knows (migrations/README.md).

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

/// Every migration, in order: the first has number 1. Their number is the schema's number.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/sqlite/0001_first.sql"),
    include_str!("../../../../migrations/sqlite/0002_telling.sql"),
    include_str!("../../../../migrations/sqlite/0003_groups.sql"),
    include_str!("../../../../migrations/sqlite/0004_bounds.sql"),
    include_str!("../../../../migrations/sqlite/0005_presence.sql"),
    include_str!("../../../../migrations/sqlite/0006_history.sql"),
    include_str!("../../../../migrations/sqlite/0007_files.sql"),
];

/// With this file, which brings the last of the columns that a group is read from, the groups that stand get what searches
/// find them by.
const WITH_TERMS: usize = 6;

/// The schema's number.
pub(super) fn known() -> u64 {
    MIGRATIONS.len() as u64
}

/// Applies what is missing, each step in one transaction with the new number.
pub(super) fn run(db: &mut Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len();
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    if done > known {
        return Err(StoreError::Corrupt(format!(
            "its schema has number {found}, and this version of the program knows {known}: use a newer program"
        )));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let step = db.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        step.execute_batch(migration)?;
        if index + 1 == WITH_TERMS {
            super::groups::find_all(&step)?;
        }
        step.pragma_update(None, "user_version", super::value::sql(index as u64 + 1))?;
        step.commit()?;
    }
    Ok(())
}
