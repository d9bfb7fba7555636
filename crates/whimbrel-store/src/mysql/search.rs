//! [`Search`] on MySQL and MariaDB: the words of a full-text index with the server's plain parser, which is the same on
//! both. It proposes keys, all in one statement; texts are read by key, as many as a page needs.

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
use crate::search::{By, Candidate, Found, Page, Place, Search, SearchQuery, words};

/// Texts that are read at once.
const TEXTS: usize = 64;
/// Conversations that are asked about at once.
const CONVERSATIONS: usize = 128;
/// Of who sees more messages than this the index is not asked which they are: it would read the numbers of all of them. What
/// others said is read with the rest then, and left out.
const SCOPE_TEXTS: u64 = 200_000;

#[async_trait]
impl Search for MySqlStore {
    async fn search(
        &self,
        user: UserId,
        query: &SearchQuery,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Option<Found>, StoreError> {
        self.read(async |db| Ok(search(db, user, query, after, limit).await?)).await
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

pub(super) async fn search(
    db: &mut MySqlConnection,
    user: UserId,
    query: &SearchQuery,
    after: Option<Place>,
    limit: usize,
) -> Result<Option<Found>, sqlx::Error> {
    let mut known = Sights::new();
    learn(db, user, &mut known, query.conversation).await?;
    if query.conversation.is_some_and(|id| known.get(&id).and_then(Option::as_ref).is_none()) {
        return Ok(None);
    }
    let before = after.unwrap_or(Place::before(u64::MAX)).min(Place::before(query.until));
    let page = Page::new(query, limit);
    let words = words::of_terms(&query.terms);
    if words.is_empty() {
        return scan(db, user, known, page, query, before).await.map(Some);
    }
    by_index(db, user, known, page, query, before, words).await.map(Some)
}

async fn of_user(db: &mut MySqlConnection, user: UserId, limit: u64) -> Result<Vec<ConversationId>, sqlx::Error> {
    let mut text = Text::new("SELECT conv FROM member FORCE INDEX (PRIMARY) WHERE user=");
    text.number(user.0).words(" ORDER BY conv LIMIT ").number(limit);
    text.rows(db).await?.iter().map(|row| conversation(row, 0)).collect()
}

async fn by_index(
    db: &mut MySqlConnection,
    user: UserId,
    mut known: Sights,
    mut page: Page<'_>,
    query: &SearchQuery,
    before: Place,
    words: Vec<String>,
) -> Result<Found, sqlx::Error> {
    let mut scope = match query.conversation {
        Some(conversation) => vec![conversation],
        None => of_user(db, user, words::SCOPE_MAX as u64 + 1).await?,
    };
    if scope.is_empty() {
        return Ok(page.found(true, By::Index));
    }
    learn(db, user, &mut known, scope.iter().copied()).await?;
    let seen: u64 = scope.iter().filter_map(|id| known.get(id).and_then(Option::as_ref)).map(Sight::len).sum();
    if query.conversation.is_none() && (scope.len() > words::SCOPE_MAX || seen > SCOPE_TEXTS) {
        scope.clear();
    }
    let look = page.room();
    let rows = proposal(user, query, before, &words, &scope, look).rows(db).await?;
    let read = |row: &MySqlRow| Ok(Key { conversation: conversation(row, 0)?, at: number(row, 1)?, seq: seq(row, 2)? });
    let keys = rows.iter().map(read).collect::<Result<Vec<Key>, sqlx::Error>>()?;
    for part in keys.chunks(TEXTS) {
        learn(db, user, &mut known, part.iter().map(|key| key.conversation)).await?;
        let mut found = texts_of(db, part).await?;
        for key in part {
            if page.room() == 0 {
                return Ok(page.found(false, By::Index));
            }
            // What was taken back since is gone.
            let Some(candidate) = found.remove(&key.place()) else {
                page.pass(key.place());
                continue;
            };
            let is_seen =
                known.get(&key.conversation).and_then(Option::as_ref).is_some_and(|sight| sight.sees(key.seq));
            page.look(candidate, is_seen);
        }
    }
    Ok(page.found(keys.len() < look, By::Index))
}

/// The keys of texts that have all words, the newest first. The server reads all of the index that is about each word, gathers
/// what the first one has, and looks the others' up in that: so what is most is named last, all that the reader sees, unless
/// it is one conversation. `scope`: their conversations; empty: all.
fn proposal(
    user: UserId,
    query: &SearchQuery,
    before: Place,
    words: &[String],
    scope: &[ConversationId],
    limit: usize,
) -> Text {
    let mut text = Text::new("SELECT t.conv,t.at,t.seq FROM message_text t FORCE INDEX (message_text_words)");
    if query.conversation.is_none() {
        text.words(" STRAIGHT_JOIN member m ON m.user=").number(user.0).words(" AND m.conv=t.conv");
    }
    text.words(" WHERE MATCH (t.words) AGAINST ('");
    if let Some(conversation) = query.conversation {
        text.words("+").letters(&words::of_conversation(conversation));
    }
    if let Some(sender) = query.sender {
        text.words(" +").letters(&words::of_sender(sender));
    }
    text.each(words, " +", " +", |text, word| {
        text.letters(word);
    });
    if query.conversation.is_none() && !scope.is_empty() {
        text.each(scope, " +(", " ", |text, conversation| {
            text.letters(&words::of_conversation(*conversation));
        });
        text.words(")");
    }
    text.words("' IN BOOLEAN MODE)");
    if let Some(conversation) = query.conversation {
        text.words(" AND t.conv=").bytes(conversation.as_bytes());
    }
    if let Some(sender) = query.sender {
        text.words(" AND t.sender=").number(sender.0);
    }
    if !query.kinds.is_empty() {
        text.each(&query.kinds, " AND t.kind IN (", ",", |text, kind| {
            text.number(kind.0.into());
        });
        text.words(")");
    }
    let key = Key::of(before);
    text.words(" AND t.at>=")
        .number(query.since)
        .words(" AND (t.at<")
        .number(key.at)
        .words(" OR (t.at=")
        .number(key.at);
    text.words(" AND (t.conv<").bytes(key.conversation.as_bytes());
    text.words(" OR (t.conv=").bytes(key.conversation.as_bytes()).words(" AND t.seq<").number(key.seq.0);
    text.words(")))) ORDER BY t.at DESC,t.conv DESC,t.seq DESC LIMIT ").number(limit as u64);
    text
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
