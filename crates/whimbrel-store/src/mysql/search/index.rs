//! The keys of texts that have all words, from the newest on, a stretch of time after the other.
//!
//! What the server does costs about a microsecond for each text that has a word, of each word in the stretch, and twenty for
//! each text that has all of them: it reads its row, all of them before it sorts. So words are named from the rarest on, few
//! where the stretch is long, and what conversations the reader is in is said where that is less than reading in vain what
//! others have said.

use std::ops::RangeInclusive;

use sqlx::Row as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use whimbrel_core::search::Terms;
use whimbrel_core::{ConversationId, UserId};

use super::super::text::Text;
use super::super::value::{conversation, number, number_or_zero, seq};
use super::{CONVERSATIONS, Key, Sights, learn, of_user, push_before, texts_of};
use crate::history::Sight;
use crate::search::dated::{self, EVER, Piece, SLOT_MS, slot};
use crate::search::windows::{Brought, Windows};
use crate::search::{By, Found, Page, Place, SearchQuery, words};

/// Texts that are read at once.
const TEXTS: usize = 64;
/// Pieces that are asked for of one term, and of all, as long as it is not known how often each is said; of how many that is
/// asked.
const PIECES: (usize, usize) = (4, 24);
const SAMPLED: (usize, usize) = (8, 16);
/// What reading a row costs, in texts of a word.
const ROW_COST: f64 = 20.0;
/// A piece of a term of which another one is asked for already leaves so much of what that leaves.
const AGAIN: f64 = 0.15;
/// Of who sees no more texts than this the index is always told where they stand.
const SCOPE_TEXTS: u64 = 10_000;
/// Words that it is told for that, as long as there are fewer of them by leaving out when that was.
const WORDS: usize = 256;
/// What is taken to be proposed in a slot as long as nothing is known.
const UNKNOWN: u64 = 50;

pub(super) async fn search(
    db: &mut MySqlConnection,
    user: UserId,
    mut known: Sights,
    mut page: Page<'_>,
    query: &SearchQuery,
    before: Place,
    is_walked: bool,
) -> Result<Found, sqlx::Error> {
    let Some(scope) = Scope::of(db, user, &mut known, query, before).await? else {
        return Ok(page.found(true, By::Index));
    };
    let slots = slot(query.since.max(scope.oldest))..=slot(scope.newest);
    // Words of a former version say not when: of them there is one stretch.
    let mut windows = if is_walked { Windows::new(slots, slot(scope.begin)) } else { Windows::one(slots) };
    let mut brought = Brought { wanted: page.wanted(), ..Brought::default() };
    let (of_term, of_all) = PIECES;
    let mut pieces = dated::of_terms(&query.terms, of_term, of_all);
    // One stretch is looked at without knowing what is rare.
    let (mut is_first, mut is_known) = (true, false);
    loop {
        let gone = windows.gone();
        let Some(window) = windows.next(brought) else { break };
        if !std::mem::take(&mut is_first)
            && !is_known
            && let Some(rarest) = rarest(db, &query.terms, &scope, *window.end()).await?
        {
            (pieces, is_known) = (rarest, true);
        }
        let look = page.room();
        let is_named = scope.is_named(brought.proposed, gone);
        let ask = Ask { user, query, before, scope: is_named.then_some(&scope), pieces: &pieces, is_walked };
        let rows = ask.proposal(window, look).rows(db).await?;
        let read =
            |row: &MySqlRow| Ok(Key { conversation: conversation(row, 0)?, at: number(row, 1)?, seq: seq(row, 2)? });
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
        if keys.len() == look || (page.room() == 0 && !windows.is_over()) {
            return Ok(page.found(false, By::Index));
        }
        brought.proposed_last = keys.len() as u64;
        brought.proposed += brought.proposed_last;
        brought.hits = page.hits();
    }
    Ok(page.found(true, By::Index))
}

/// Where is looked.
struct Scope {
    /// Those of the reader, if they are not too many to be named.
    conversations: Vec<ConversationId>,
    /// Texts that the reader sees there, at most; and texts that there are, about.
    seen: u64,
    texts: u64,
    /// Their oldest and newest texts are not beyond this; nearly all are not newer than `begin`.
    oldest: u64,
    newest: u64,
    begin: u64,
}

impl Scope {
    /// `None`: there is nothing.
    async fn of(
        db: &mut MySqlConnection,
        user: UserId,
        known: &mut Sights,
        query: &SearchQuery,
        before: Place,
    ) -> Result<Option<Self>, sqlx::Error> {
        let conversations = match query.conversation {
            Some(conversation) => vec![conversation],
            None => of_user(db, user, words::SCOPE_MAX as u64 + 1).await?,
        };
        if conversations.is_empty() || before.at < query.since {
            return Ok(None);
        }
        if conversations.len() > words::SCOPE_MAX {
            // To look for the newest in so many takes longer than to begin now; what a clock that went ahead has placed is
            // in the first stretch.
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let begin = before.at.min(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
            let conversations = Vec::new();
            return Ok(Some(Self { conversations, seen: 0, texts: 0, oldest: 0, newest: before.at, begin }));
        }
        learn(db, user, known, conversations.iter().copied()).await?;
        let sights = conversations.iter().filter_map(|id| known.get(id).and_then(Option::as_ref));
        let seen = sights.map(Sight::len).sum();
        let (mut oldest, mut newest) = (u64::MAX, None);
        for part in conversations.chunks(CONVERSATIONS) {
            for row in &ends(part, before).rows(db).await? {
                let at = number(row, 0)?;
                oldest = oldest.min(at);
                newest = newest.max(Some(at));
            }
        }
        let Some(newest) = newest else { return Ok(None) };
        let texts = if seen > SCOPE_TEXTS { texts(db).await?.max(seen) } else { seen };
        Ok(Some(Self { conversations, seen, texts, oldest, newest, begin: newest }))
    }

    /// From the oldest to the newest.
    fn slots(&self) -> u32 {
        slot(self.begin).saturating_sub(slot(self.oldest)) + 1
    }

    /// Whether the index is told where the reader's texts stand, after so much in so many slots was proposed: it is, if
    /// going through theirs costs less than the rows of others that would be read as well.
    fn is_named(&self, proposed: u64, slots: u64) -> bool {
        if self.seen <= SCOPE_TEXTS {
            return !self.conversations.is_empty();
        }
        let (proposed, slots) = if slots == 0 { (UNKNOWN, 1) } else { (proposed + 1, slots) };
        let others = (self.texts - self.seen) as f64 / self.seen as f64;
        self.seen as f64 / f64::from(self.slots()) <= ROW_COST * others * proposed as f64 / slots as f64
    }
}

/// When the oldest and the newest texts of each were placed, before a place.
fn ends(conversations: &[ConversationId], before: Place) -> Text {
    let mut text = Text::default();
    let ends = conversations
        .iter()
        .flat_map(|id| [(id, " ORDER BY conv,at,seq"), (id, " ORDER BY conv DESC,at DESC,seq DESC")]);
    text.each(ends, "(", " UNION ALL (", |text, (id, order)| {
        text.words("SELECT at FROM message_text FORCE INDEX (PRIMARY) WHERE ");
        push_before(text, *id, before);
        text.words(order).words(" LIMIT 1)");
    });
    text
}

/// How many texts there are, as the server guesses.
async fn texts(db: &mut MySqlConnection) -> Result<u64, sqlx::Error> {
    let text = "SELECT CAST(TABLE_ROWS AS UNSIGNED) FROM information_schema.TABLES \
                WHERE TABLE_SCHEMA=DATABASE() AND TABLE_NAME='message_text'";
    let rows = Text::new(text).rows(db).await?;
    rows.first().map_or(Ok(0), |row| number_or_zero(row, 0))
}

/// The pieces that cost least to ask for, the rarest first, by how often each was said in one slot; `None`: nothing that
/// says so was said then.
async fn rarest(
    db: &mut MySqlConnection,
    terms: &Terms,
    scope: &Scope,
    slot: u32,
) -> Result<Option<Vec<Piece>>, sqlx::Error> {
    let (of_term, of_all) = SAMPLED;
    let pieces = dated::of_terms(terms, of_term, of_all);
    if pieces.len() < 3 {
        return Ok(None);
    }
    let mut text = Text::default();
    let time = dated::whole_time(u64::from(slot) * SLOT_MS);
    text.each(pieces.iter().zip(0..), "(", " UNION ALL (", |text, (piece, number)| {
        let push = |text: &mut Text| {
            text.words("MATCH (words) AGAINST ('").letters(&piece.word).letters(&time).words("' IN BOOLEAN MODE)");
        };
        text.words("SELECT ").number(number).words(",");
        push(text);
        text.words(" FROM message_text WHERE ");
        push(text);
        text.words(" LIMIT 1)");
    });
    let mut said = vec![None; pieces.len()];
    for row in &text.rows(db).await? {
        // A text's rank is the square of the logarithm of how many times more texts there are than have the word.
        let (number, rank): (i64, f64) = (row.try_get_unchecked(0)?, row.try_get_unchecked(1)?);
        if let Some(said) = usize::try_from(number).ok().and_then(|number| said.get_mut(number)) {
            *said = Some(10_f64.powf(-rank.max(0.0).sqrt()));
        }
    }
    if said.iter().all(Option::is_none) {
        return Ok(None);
    }
    let texts = 1.0 / f64::from(scope.slots());
    let mut known: Vec<(f64, Piece)> = said.iter().map(|said| said.unwrap_or(0.0)).zip(pieces).collect();
    known.sort_by(|one, other| one.0.total_cmp(&other.0));
    let most = known.iter().map(|(said, _)| *said).fold(0.0, f64::max);
    Ok(Some(cheapest(known, texts.max(most))))
}

/// Of pieces from the rarest on, with how many of `all` texts have each, those that are worth their reading: whose rows that
/// they spare cost more.
fn cheapest(known: Vec<(f64, Piece)>, all: f64) -> Vec<Piece> {
    let (mut pieces, mut left) = (Vec::<Piece>::new(), all);
    for (said, piece) in known {
        let is_again = pieces.iter().any(|other| other.term == piece.term);
        let leaves = left * if is_again { AGAIN.max(said / all) } else { said / all };
        if pieces.is_empty() || (left - leaves) * ROW_COST > said {
            left = leaves;
            pieces.push(piece);
        }
    }
    pieces
}

/// What the index is asked.
struct Ask<'a> {
    user: UserId,
    query: &'a SearchQuery,
    before: Place,
    /// If it is told.
    scope: Option<&'a Scope>,
    pieces: &'a [Piece],
    is_walked: bool,
}

impl Ask<'_> {
    /// The keys of texts in a stretch that have all words, the newest first.
    fn proposal(&self, window: RangeInclusive<u32>, limit: usize) -> Text {
        let Self { user, query, before, scope, pieces, is_walked } = *self;
        let ever = [EVER.to_owned()];
        let times = if is_walked { dated::stretch(window.clone()) } else { ever.to_vec() };
        let mut text = Text::new("SELECT t.conv,t.at,t.seq FROM message_text t FORCE INDEX (message_text_words)");
        if query.conversation.is_none() {
            text.words(" STRAIGHT_JOIN member m ON m.user=").number(user.0).words(" AND m.conv=t.conv");
        }
        text.words(" WHERE MATCH (t.words) AGAINST ('");
        for piece in pieces {
            push_one_of(&mut text, std::slice::from_ref(&piece.word), &times, None);
        }
        if let Some(sender) = query.sender {
            let former = words::of_sender(sender);
            push_one_of(&mut text, &[dated::of_sender(sender)], &times, (!is_walked).then_some(&former));
        }
        if let Some(scope) = scope {
            let words: Vec<String> = scope.conversations.iter().map(|id| words::of_conversation(*id)).collect();
            // Of many conversations with little in each all is read sooner than many words are found.
            let is_short = scope.seen <= SCOPE_TEXTS && words.len() * times.len() > WORDS;
            push_one_of(&mut text, &words, if is_short { &ever } else { &times }, None);
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
        text.words(" AND t.at>=").number(query.since.max(u64::from(*window.start()) * SLOT_MS));
        if *window.end() < dated::LAST {
            text.words(" AND t.at<").number((u64::from(*window.end()) + 1) * SLOT_MS);
        }
        let key = Key::of(before);
        text.words(" AND (t.at<").number(key.at).words(" OR (t.at=").number(key.at);
        text.words(" AND (t.conv<").bytes(key.conversation.as_bytes());
        text.words(" OR (t.conv=").bytes(key.conversation.as_bytes()).words(" AND t.seq<").number(key.seq.0);
        text.words(")))) ORDER BY t.at DESC,t.conv DESC,t.seq DESC LIMIT ").number(limit as u64);
        text
    }
}

/// One of these words, at one of these times.
fn push_one_of(text: &mut Text, words: &[String], times: &[String], or: Option<&String>) {
    text.words(" +(");
    for (word, time) in words.iter().flat_map(|word| times.iter().map(move |time| (word, time))) {
        text.letters(word).letters(time).words(if time.ends_with('*') { "* " } else { " " });
    }
    text.letters(or.map_or("", String::as_str)).words(")");
}
