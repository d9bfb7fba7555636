//! What searches find groups by.

use sqlx::{MySqlConnection, query};
use whimbrel_core::ConversationId;

use super::super::directory::work::{Stop, Work};
use super::super::text::Text;
use super::super::value::conversation;
use super::read;
use super::value::{GROUP_COLUMNS, get, group, group_columns};
use crate::StoreError;
use crate::groups::Group;
use crate::groups::terms::{self, Search};

/// Groups whose terms are written at once, when a database gets its first.
const PAGE: usize = 500;

/// A range of the index, and each of its groups by key. That they are listed and stand is asked again: a node of a former
/// version changes groups without their terms.
pub(super) const SEARCH: &str = concat!(
    "SELECT ",
    group_columns!(),
    ", t.term FROM group_term t FORCE INDEX (PRIMARY) STRAIGHT_JOIN chat_group g ON g.conv = t.conv \
     WHERE t.term < ? AND (t.term > ? OR (t.term = ? AND t.conv > ?)) AND g.listed = 1 AND g.dissolved_at IS NULL \
     ORDER BY t.term, t.conv LIMIT ?"
);

/// Groups that begin with the text, in the order of what is found.
pub(super) async fn search(
    db: &mut MySqlConnection,
    text: &str,
    after: Option<ConversationId>,
    limit: usize,
) -> Result<Vec<Group>, StoreError> {
    let last = match after {
        Some(id) => read::by_id(db, id).await?,
        None => None,
    };
    let Some(mut search) = Search::new(text, last.as_ref()) else { return Ok(Vec::new()) };
    let end = search.end();
    let mut found = Vec::new();
    while found.len() < limit {
        let wanted = limit - found.len();
        let (term, conv) = search.after();
        let part = query(SEARCH).bind(&end[..]).bind(term).bind(term).bind(&conv.as_bytes()[..]).bind(wanted as u64);
        let part = part.fetch_all(&mut *db).await?;
        for row in &part {
            let group = group(row)?;
            if search.shows(get(row, GROUP_COLUMNS)?, &group) {
                found.push(group);
            }
        }
        if part.len() < wanted {
            break;
        }
    }
    Ok(found)
}

/// With the change itself. `before`: nothing of a group that is new.
pub(super) async fn update(work: &mut Work, before: Option<&Group>, after: &Group) -> Result<(), Stop> {
    let (gone, new) = match before {
        Some(before) => terms::changed(before, after),
        None => (Vec::new(), terms::of(after).into_iter().collect()),
    };
    let conv = after.id.as_bytes();
    if !gone.is_empty() {
        let mut text = Text::new("DELETE FROM group_term WHERE conv=");
        text.bytes(conv).each(&gone, " AND term IN (", ",", |text, term| {
            text.bytes(term.as_bytes());
        });
        text.words(")");
        text.run(work.db()).await?;
    }
    if !new.is_empty() {
        let mut text = Text::default();
        push(&mut text, new.iter().map(|term| (term.as_str(), after.id)));
        text.run(work.db()).await?;
    }
    Ok(())
}

fn push<'a>(text: &mut Text, terms: impl Iterator<Item = (&'a str, ConversationId)>) {
    text.words("INSERT IGNORE INTO group_term (term,conv) VALUES ").each(terms, "(", ",(", |text, (term, conv)| {
        text.bytes(term.as_bytes()).words(",").bytes(conv.as_bytes()).words(")");
    });
}

/// All groups of a database that has no terms yet, or not all. Reads only what is there since groups are.
pub(in crate::mysql) async fn all(db: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    let page = "SELECT conv, name, handle FROM chat_group FORCE INDEX (PRIMARY) WHERE conv > ? AND listed = 1 \
         AND dissolved_at IS NULL ORDER BY conv LIMIT ?";
    let mut after = vec![0; 16];
    loop {
        let rows = query(page).bind(after).bind(PAGE as u64).fetch_all(&mut *db).await?;
        let mut terms = Vec::new();
        for row in &rows {
            let (id, name, handle) = (conversation(row, 0)?, get::<String>(row, 1)?, get::<Option<String>>(row, 2)?);
            terms.extend(terms::of_listed(&name, handle.as_deref()).into_iter().map(|term| (term, id)));
        }
        if !terms.is_empty() {
            let mut text = Text::default();
            push(&mut text, terms.iter().map(|(term, id)| (term.as_str(), *id)));
            text.run(&mut *db).await?;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = conversation(last, 0)?.as_bytes().to_vec(),
            _ => return Ok(()),
        }
    }
}
