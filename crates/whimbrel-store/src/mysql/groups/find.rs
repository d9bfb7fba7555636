//! What searches find groups by.

use sqlx::{MySqlConnection, query};
use whimbrel_core::ConversationId;

use super::super::directory::work::{Stop, Work};
use super::super::text::Text;
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

/// The terms of all of these; nothing where there is none.
fn insert(groups: &[Group]) -> Option<Text> {
    let terms: Vec<_> = groups.iter().map(|group| (group.id, terms::of(group))).collect();
    let mut all = terms.iter().flat_map(|(id, terms)| terms.iter().map(|term| (term.as_str(), *id))).peekable();
    all.peek()?;
    let mut text = Text::default();
    push(&mut text, all);
    Some(text)
}

/// All groups of a database that has no terms yet, or not all.
pub(in crate::mysql) async fn all(db: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    let page = concat!(
        "SELECT ",
        group_columns!(),
        " FROM chat_group g FORCE INDEX (PRIMARY) WHERE g.conv > ? ORDER BY g.conv LIMIT ?"
    );
    let mut after = vec![0; 16];
    loop {
        let rows = query(page).bind(after).bind(PAGE as u64).fetch_all(&mut *db).await?;
        let groups = rows.iter().map(group).collect::<sqlx::Result<Vec<_>>>()?;
        if let Some(text) = insert(&groups) {
            text.run(&mut *db).await?;
        }
        match groups.last() {
            Some(last) if groups.len() == PAGE => after = last.id.as_bytes().to_vec(),
            _ => return Ok(()),
        }
    }
}
