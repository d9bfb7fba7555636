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
    include_str!("../../../../migrations/sqlite/0008_spans.sql"),
    include_str!("../../../../migrations/sqlite/0009_search.sql"),
    include_str!("../../../../migrations/sqlite/0010_pictures.sql"),
    include_str!("../../../../migrations/sqlite/0011_erased.sql"),
];

/// With this file the groups that stand get what searches find them by.
const WITH_TERMS: usize = 4;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// From before there were terms: what is listed and stands gets its own, whatever columns came since.
    #[test]
    fn groups_from_before_are_found() {
        let mut db = Connection::open_in_memory().expect("memory");
        for migration in &MIGRATIONS[..WITH_TERMS - 1] {
            db.execute_batch(migration).expect("a good file");
        }
        db.pragma_update(None, "user_version", WITH_TERMS as i64 - 1).expect("a number");
        let insert = "INSERT INTO chat_group (conv, handle, name, owner, join_mode, listed, history_for_all, member_limit, \
             size, created_at, dissolved_at) VALUES (?1, ?2, ?3, 1, 1, ?4, 0, 10, 1, 1, ?5)";
        let rows = [
            (1_u8, Some("owls"), "Night Birds", 1, None),
            (2, None, "Hidden", 0, None),
            (3, None, "Former", 1, Some(9)),
        ];
        for (id, handle, name, listed, ended) in rows {
            db.execute(insert, rusqlite::params![[id; 16], handle, name, listed, ended]).expect("a row");
        }
        run(&mut db).expect("whole");
        let mut terms =
            db.prepare("SELECT CAST(term AS TEXT), hex(conv) FROM group_term ORDER BY term").expect("a table");
        let terms = terms.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("answers");
        let terms: Vec<(String, String)> = terms.map(|row| row.expect("text")).collect();
        let of_one = |term: &str| (term.to_owned(), "01".repeat(16));
        assert_eq!(terms, ["birds", "night birds", "owls"].map(of_one));
    }
}
