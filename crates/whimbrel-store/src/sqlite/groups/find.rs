//! What searches find groups by.

use rusqlite::{Connection, params};
use whimbrel_core::ConversationId;

use super::super::value::{all as rows, conversation, run, sql};
use super::read::{self, GROUP_COLUMNS, group, group_columns};
use crate::groups::Group;
use crate::groups::terms::{self, Search};

/// A range of the index, and each of its groups by key. That they are listed and stand is asked again: a node of a former
/// version changes groups without their terms.
pub(super) const SEARCH: &str = concat!(
    "SELECT ",
    group_columns!(),
    ", t.term FROM group_term t CROSS JOIN chat_group g ON g.conv = t.conv \
     WHERE (t.term, t.conv) > (?1, ?2) AND t.term < ?3 AND g.listed = 1 AND g.dissolved_at IS NULL \
     ORDER BY t.term, t.conv LIMIT ?4"
);

const ADD: &str = "INSERT OR IGNORE INTO group_term (term, conv) VALUES (?1, ?2)";

/// Groups that begin with the text, in the order of what is found.
pub(super) fn search(
    db: &Connection,
    text: &str,
    after: Option<ConversationId>,
    limit: usize,
) -> rusqlite::Result<Vec<Group>> {
    let last = after.map(|id| read::by_id(db, id)).transpose()?.flatten();
    let Some(mut search) = Search::new(text, last.as_ref()) else { return Ok(Vec::new()) };
    let end = search.end();
    let mut found = Vec::new();
    while found.len() < limit {
        let wanted = limit - found.len();
        let (term, conv) = search.after();
        let range = params![term, conv.as_bytes(), end, sql(wanted as u64)];
        let part = rows(db, SEARCH, range, |row| Ok((row.get::<_, Vec<u8>>(GROUP_COLUMNS)?, group(row)?)))?;
        let is_last = part.len() < wanted;
        found.extend(part.into_iter().filter_map(|(term, group)| search.shows(term, &group).then_some(group)));
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// With the change itself.
pub(super) fn update(db: &Connection, before: &Group, after: &Group) -> rusqlite::Result<()> {
    let (gone, new) = terms::changed(before, after);
    for term in gone {
        let delete = "DELETE FROM group_term WHERE term = ?1 AND conv = ?2";
        run(db, delete, params![term.as_bytes(), after.id.as_bytes()])?;
    }
    for term in new {
        run(db, ADD, params![term.as_bytes(), after.id.as_bytes()])?;
    }
    Ok(())
}

/// All groups of a database that has no terms yet. Reads only what is there since groups are.
pub(in crate::sqlite) fn all(db: &Connection) -> rusqlite::Result<()> {
    let listed = "SELECT conv, name, handle FROM chat_group WHERE listed = 1 AND dissolved_at IS NULL";
    let mut listed = db.prepare(listed)?;
    let mut groups = listed.query([])?;
    while let Some(row) = groups.next()? {
        let (id, name, handle) = (conversation(row, 0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?);
        for term in terms::of_listed(&name, handle.as_deref()) {
            run(db, ADD, params![term.as_bytes(), id.as_bytes()])?;
        }
    }
    Ok(())
}
