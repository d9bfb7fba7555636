//! [`Search`] on SQLite: the words of a full-text index, whose rows stand in the order of their times.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use whimbrel_core::{ConversationId, MessageKind, UserId};

use super::SqliteStore;
use super::history::{AT, sight};
use super::texts::{TIE_BITS, is_walked, take_up};
use super::value::{all, conversation, first, first_row, number, seq, small, sql, user};
use crate::StoreError;
use crate::history::Sight;
use crate::search::merge::{Merge, Next};
use crate::search::{By, Candidate, Found, Page, Place, Search, SearchQuery, words};

/// Candidates of an index, the newest first.
pub(super) const MATCHES: &str = "SELECT t.id, t.conv, t.seq, t.sender, t.kind, t.text FROM message_word \
     CROSS JOIN message_text t ON t.id = message_word.rowid \
     WHERE message_word MATCH ?1 AND message_word.rowid >= ?2 AND message_word.rowid < ?3 \
     ORDER BY message_word.rowid DESC";

/// The newest texts of a conversation before a place.
pub(super) const TEXTS: &str = "SELECT id, conv, seq, sender, kind, text FROM message_text \
     WHERE conv = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";

pub(super) const NEWEST: &str = "SELECT max(id) FROM message_text WHERE conv = ?1 AND id < ?2";

pub(super) const CONVERSATIONS: &str = "SELECT conv FROM member WHERE user = ?1 ORDER BY conv LIMIT ?2";

/// Conversations that are named in one question: the index merges so many lists as it goes, and so proposes nothing that
/// others said elsewhere. Of who is in more, all texts are asked for.
const SCOPE_MAX: usize = 512;

#[async_trait]
impl Search for SqliteStore {
    async fn search(
        &self,
        user: UserId,
        query: &SearchQuery,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Option<Found>, StoreError> {
        let query = query.clone();
        self.shared.readers.read(move |db| Ok(search(db, user, &query, after, limit)?)).await
    }

    async fn take_up(&self, look: usize) -> Result<bool, StoreError> {
        if self.shared.readers.read(|db| Ok(is_walked(db)?)).await? {
            return Ok(false);
        }
        self.shared.writer.write(move |db| Ok::<_, StoreError>(take_up(db, look)?)).await
    }
}

/// The id before which what stands before this place does.
fn id_of(place: Place) -> i64 {
    let tie = place.tie[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    sql(place.at.min(1 << (63 - TIE_BITS)) << TIE_BITS).saturating_add(sql(tie).min((1 << TIE_BITS) - 1))
}

fn place_of(id: u64) -> Place {
    let mut place = Place::before(id >> TIE_BITS);
    place.tie[..8].copy_from_slice(&(id & ((1 << TIE_BITS) - 1)).to_be_bytes());
    place
}

/// What the user sees, asked for once of each conversation.
struct Sights<'a> {
    db: &'a Connection,
    user: UserId,
    known: HashMap<ConversationId, Option<Sight>>,
}

impl Sights<'_> {
    fn of(&mut self, conversation: ConversationId) -> rusqlite::Result<Option<&Sight>> {
        let known = match self.known.entry(conversation) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(sight(self.db, self.user, conversation)?),
        };
        Ok(known.as_ref())
    }
}

fn search(
    db: &Connection,
    user: UserId,
    query: &SearchQuery,
    after: Option<Place>,
    limit: usize,
) -> rusqlite::Result<Option<Found>> {
    let mut sights = Sights { db, user, known: HashMap::new() };
    if let Some(conversation) = query.conversation
        && sights.of(conversation)?.is_none()
    {
        return Ok(None);
    }
    let before = after.unwrap_or(Place::before(u64::MAX)).min(Place::before(query.until));
    let page = Page::new(query, limit);
    let words = words::of_terms(&query.terms);
    if words.is_empty() {
        return scan(db, sights, page, query, before).map(Some);
    }
    by_index(db, sights, page, query, before, words).map(Some)
}

fn by_index(
    db: &Connection,
    mut sights: Sights<'_>,
    mut page: Page<'_>,
    query: &SearchQuery,
    before: Place,
    mut words: Vec<String>,
) -> rusqlite::Result<Found> {
    words.extend(query.sender.map(words::of_sender));
    match query.conversation {
        Some(conversation) => words.push(words::of_conversation(conversation)),
        None => {
            let limit = sql(SCOPE_MAX as u64 + 1);
            let of_user = all(db, CONVERSATIONS, params![sql(sights.user.0), limit], |row| conversation(row, 0))?;
            if of_user.len() <= SCOPE_MAX {
                let scope: Vec<String> = of_user.into_iter().map(words::of_conversation).collect();
                if scope.is_empty() {
                    return Ok(page.found(true, By::Index));
                }
                words.push(format!("({})", scope.join(" OR ")));
            }
        }
    }
    let mut statement = db.prepare_cached(MATCHES)?;
    let since = id_of(Place::before(query.since));
    let mut rows = statement.query(params![words.join(" AND "), since, id_of(before)])?;
    while page.room() > 0 {
        let Some(row) = rows.next()? else { return Ok(page.found(true, By::Index)) };
        let candidate = read_candidate(row)?;
        let is_seen = sights.of(candidate.conversation)?.is_some_and(|sight| sight.sees(candidate.seq));
        page.look(candidate, is_seen);
    }
    Ok(page.found(false, By::Index))
}

fn scan(
    db: &Connection,
    mut sights: Sights<'_>,
    mut page: Page<'_>,
    query: &SearchQuery,
    before: Place,
) -> rusqlite::Result<Found> {
    let mut merge = Merge::new(beginnings(db, &mut sights, query, before)?);
    while page.room() > 0 || page.last().is_none() {
        match merge.next() {
            Next::Read(conversation, before, count) => {
                page.spend(1);
                let values = params![conversation.as_bytes(), id_of(before), sql(count as u64)];
                merge.read(conversation, all(db, TEXTS, values, read_candidate)?);
            }
            Next::Text(text) if text.place.at < query.since => return Ok(page.found(true, By::Scan)),
            Next::Text(text) => {
                let sight = sights.of(text.conversation)?;
                if sight.is_none_or(|sight| sight.begins_after(text.seq)) {
                    merge.end(text.conversation);
                }
                let is_seen = sight.is_some_and(|sight| sight.sees(text.seq));
                page.look(text, is_seen);
            }
            Next::End => return Ok(page.found(true, By::Scan)),
        }
    }
    Ok(page.found(false, By::Scan))
}

/// The conversations that are looked through, with places before which the newest texts stand that the user may see.
fn beginnings(
    db: &Connection,
    sights: &mut Sights<'_>,
    query: &SearchQuery,
    before: Place,
) -> rusqlite::Result<Vec<(ConversationId, Place)>> {
    let conversations = match query.conversation {
        Some(conversation) => vec![conversation],
        None => all(db, CONVERSATIONS, params![sql(sights.user.0), -1], |row| conversation(row, 0))?,
    };
    let mut found = Vec::with_capacity(conversations.len());
    for conversation in conversations {
        let Some(sight) = sights.of(conversation)? else { continue };
        // Who has left does not look through what was said since.
        let end = params![conversation.as_bytes(), sql(sight.last())];
        let Some(end) = first_row(db, AT, end, |row| number(row, 0))? else { continue };
        let before = before.min(Place::before(end.saturating_add(1)));
        let newest: Option<i64> = first(db, NEWEST, params![conversation.as_bytes(), id_of(before)])?.flatten();
        if let Some(newest) = newest {
            found.push((conversation, place_of(newest.unsigned_abs() + 1)));
        }
    }
    Ok(found)
}

fn read_candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        place: place_of(number(row, 0)?),
        conversation: conversation(row, 1)?,
        seq: seq(row, 2)?,
        sender: user(row, 3)?,
        kind: MessageKind(small(row, 4)?),
        text: row.get(5)?,
    })
}
