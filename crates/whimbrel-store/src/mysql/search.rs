//! [`Search`] on MySQL and MariaDB: the words of a full-text index with the server's plain parser, which is the same on
//! both (`index`); texts are read by key, as many as a page needs.

mod index;

use async_trait::async_trait;
use hashbrown::HashMap;
use sqlx::Row as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use whimbrel_core::{ConversationId, MessageKind, Seq, UserId};

use super::MySqlStore;
use super::error::Fault;
use super::history::sights;
use super::text::Text;
use super::texts::{is_walked, take_up};
use super::value::{conversation, number, seq, user};
use crate::StoreError;
use crate::history::Sight;
use crate::search::merge::{Merge, Next};
use crate::search::{By, Candidate, Found, Page, Place, Search, SearchQuery, dated};

/// Conversations that are asked about at once.
const CONVERSATIONS: usize = 128;

#[async_trait]
impl Search for MySqlStore {
    async fn search(
        &self,
        user: UserId,
        query: &SearchQuery,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Option<Found>, StoreError> {
        self.read(async |db| {
            let is_walked = self.texts.is_walked(db).await?;
            Ok(search(db, user, query, after, limit, is_walked).await?)
        })
        .await
    }

    async fn take_up(&self, look: usize) -> Result<bool, StoreError> {
        if self.read(async |db| Ok::<_, StoreError>(is_walked(db).await?)).await? {
            return Ok(false);
        }
        self.retried(|| async {
            let mut change = self.begin().await?;
            let result = take_up(&mut change, look).await.map_err(Fault::<StoreError>::from);
            change.end(result).await
        })
        .await
    }
}

/// A message whose text may be what is looked for.
#[derive(Clone, Copy)]
struct Key {
    conversation: ConversationId,
    at: u64,
    seq: Seq,
}

impl Key {
    fn place(self) -> Place {
        let mut place = Place::before(self.at);
        place.tie[..16].copy_from_slice(self.conversation.as_bytes());
        place.tie[16..].copy_from_slice(&self.seq.0.to_be_bytes());
        place
    }

    /// The key that a place was made of.
    fn of(place: Place) -> Self {
        let (mut id, mut seq) = ([0; 16], [0; 8]);
        id.copy_from_slice(&place.tie[..16]);
        seq.copy_from_slice(&place.tie[16..]);
        Self { conversation: ConversationId::from_bytes(id), at: place.at, seq: Seq(u64::from_be_bytes(seq)) }
    }
}

/// What the user sees of the conversations that were asked for: `None` where it is nothing.
type Sights = HashMap<ConversationId, Option<Sight>>;

async fn learn(
    db: &mut MySqlConnection,
    user: UserId,
    known: &mut Sights,
    of: impl IntoIterator<Item = ConversationId>,
) -> Result<(), sqlx::Error> {
    let mut asked: Vec<ConversationId> = of.into_iter().filter(|id| !known.contains_key(id)).collect();
    asked.sort_unstable();
    asked.dedup();
    for part in asked.chunks(CONVERSATIONS) {
        known.extend(part.iter().map(|id| (*id, None)));
        known.extend(sights(db, user, part).await?.into_iter().map(|(id, sight)| (id, Some(sight))));
    }
    Ok(())
}

/// `is_walked`: everything from before was taken up.
pub(super) async fn search(
    db: &mut MySqlConnection,
    user: UserId,
    query: &SearchQuery,
    after: Option<Place>,
    limit: usize,
    is_walked: bool,
) -> Result<Option<Found>, sqlx::Error> {
    let mut known = Sights::new();
    learn(db, user, &mut known, query.conversation).await?;
    if query.conversation.is_some_and(|id| known.get(&id).and_then(Option::as_ref).is_none()) {
        return Ok(None);
    }
    let before = after.unwrap_or(Place::before(u64::MAX)).min(Place::before(query.until));
    let page = Page::new(query, limit);
    if dated::of_terms(&query.terms, 1, 1).is_empty() {
        return scan(db, user, known, page, query, before).await.map(Some);
    }
    index::search(db, user, known, page, query, before, is_walked).await.map(Some)
}

async fn of_user(db: &mut MySqlConnection, user: UserId, limit: u64) -> Result<Vec<ConversationId>, sqlx::Error> {
    let mut text = Text::new("SELECT conv FROM member FORCE INDEX (PRIMARY) WHERE user=");
    text.number(user.0).words(" ORDER BY conv LIMIT ").number(limit);
    text.rows(db).await?.iter().map(|row| conversation(row, 0)).collect()
}

const COLUMNS: &str = "SELECT conv,at,seq,sender,kind,text FROM message_text FORCE INDEX (PRIMARY) WHERE ";

async fn texts_of(db: &mut MySqlConnection, keys: &[Key]) -> Result<HashMap<Place, Candidate>, sqlx::Error> {
    let mut text = Text::new(COLUMNS);
    text.each(keys, "(conv=", " OR (conv=", |text, key| {
        text.bytes(key.conversation.as_bytes()).words(" AND at=").number(key.at);
        text.words(" AND seq=").number(key.seq.0).words(")");
    });
    let rows = text.rows(db).await?;
    rows.iter().map(|row| read_candidate(row).map(|candidate| (candidate.place, candidate))).collect()
}

fn read_candidate(row: &MySqlRow) -> Result<Candidate, sqlx::Error> {
    let key = Key { conversation: conversation(row, 0)?, at: number(row, 1)?, seq: seq(row, 2)? };
    Ok(Candidate {
        place: key.place(),
        conversation: key.conversation,
        seq: key.seq,
        sender: user(row, 3)?,
        kind: MessageKind(row.try_get(4)?),
        text: String::from_utf8_lossy(row.try_get(5)?).into_owned(),
    })
}

async fn scan(
    db: &mut MySqlConnection,
    user: UserId,
    mut known: Sights,
    mut page: Page<'_>,
    query: &SearchQuery,
    before: Place,
) -> Result<Found, sqlx::Error> {
    let conversations = match query.conversation {
        Some(conversation) => vec![conversation],
        None => of_user(db, user, u64::MAX).await?,
    };
    learn(db, user, &mut known, conversations.iter().copied()).await?;
    let seen = |id: ConversationId| known.get(&id).and_then(Option::as_ref);
    let ends = conversations.into_iter().filter_map(|id| Some((id, seen(id)?)));
    let mut merge = Merge::new(beginnings(db, ends.collect(), before).await?);
    while page.room() > 0 || page.last().is_none() {
        match merge.next() {
            Next::Read(conversation, before, count) => {
                page.spend(1);
                let mut text = Text::new(COLUMNS);
                push_before(&mut text, conversation, before);
                text.words(" ORDER BY conv DESC,at DESC,seq DESC LIMIT ").number(count as u64);
                let texts = text.rows(db).await?.iter().map(read_candidate).collect::<Result<_, _>>()?;
                merge.read(conversation, texts);
            }
            Next::Text(text) if text.place.at < query.since => return Ok(page.found(true, By::Scan)),
            Next::Text(text) => {
                let sight = seen(text.conversation);
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

/// Those of a conversation before a place, which may be one of another.
fn push_before(text: &mut Text, conversation: ConversationId, before: Place) {
    let key = Key::of(before);
    text.words("conv=").bytes(conversation.as_bytes());
    match conversation.cmp(&key.conversation) {
        std::cmp::Ordering::Less => text.words(" AND at<=").number(key.at),
        std::cmp::Ordering::Greater => text.words(" AND at<").number(key.at),
        std::cmp::Ordering::Equal => {
            text.words(" AND at<=").number(key.at).words(" AND (at<").number(key.at);
            text.words(" OR seq<").number(key.seq.0).words(")")
        }
    };
}

/// Where looking through each of these conversations begins: behind the newest text that the user may see.
async fn beginnings(
    db: &mut MySqlConnection,
    ends: Vec<(ConversationId, &Sight)>,
    before: Place,
) -> Result<Vec<(ConversationId, Place)>, sqlx::Error> {
    let mut found = Vec::new();
    for part in ends.chunks(CONVERSATIONS) {
        let mut text = Text::default();
        text.each(part, "(", " UNION ALL (", |text, (conversation, sight)| {
            text.words("SELECT conv,at FROM message_text FORCE INDEX (PRIMARY) WHERE ");
            push_before(text, *conversation, before);
            // Who has left does not look through what was said since.
            text.words(" AND at<=(SELECT at FROM message FORCE INDEX (PRIMARY) WHERE conv=")
                .bytes(conversation.as_bytes());
            text.words(" AND seq=").number(sight.last()).words(") ORDER BY conv DESC,at DESC,seq DESC LIMIT 1)");
        });
        for row in &text.rows(db).await? {
            let newest = Place::before(number(row, 1)?.saturating_add(1));
            found.push((conversation(row, 0)?, newest.min(before)));
        }
    }
    Ok(found)
}
