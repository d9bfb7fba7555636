//! The judgement: what senders were told, what applications saw, and what a fresh device syncs from zero, compared.
//!
//! Pure: books in, faults out. The reference of a conversation is what a fresh device of one of its members was shown (of
//! a group: of its owner, who was there all the time); everybody else's view, the other member's fresh device included,
//! is compared with it.

mod groups;
mod refusals;
mod senders;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use whimbrel_client::{ConversationId, MessageId, Seq};

use super::groups::Group;
use super::groups::chronicle::Chronicle;
use super::ledger::{Book, Refused, Seen};
pub(super) use groups::check_deeds;
use senders::check_senders;

/// What a fault counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Promised and not there.
    Lost,
    /// There twice.
    Doubled,
    /// At another place than it should be or was told.
    Reordered,
    /// Shown as here without a session, or as away with one.
    Ghost,
    /// Anything else that should not be.
    Wrong,
}

/// Something that should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Lost => "lost",
            Kind::Doubled => "doubled",
            Kind::Reordered => "reordered",
            Kind::Ghost => "ghost",
            Kind::Wrong => "wrong",
        };
        write!(f, "{kind}: {}", self.what)
    }
}

/// All faults of a run.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one.
    pub(super) fn add(&mut self, kind: Kind, what: String) {
        self.0.push(Fault { kind, what });
    }

    /// How many there are of a kind.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.0.iter().filter(|fault| fault.kind == kind).count()
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Fault] {
        &self.0
    }
}

/// A conversation in its order.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    rows: BTreeMap<Seq, Seen>,
    places: HashMap<MessageId, Seq>,
}

impl Timeline {
    /// From a view, whatever its faults are (they are judged elsewhere).
    pub(super) fn new(view: &[Seen]) -> Self {
        Self {
            rows: view.iter().map(|seen| (seen.seq, *seen)).collect(),
            places: view.iter().map(|seen| (seen.message_id, seen.seq)).collect(),
        }
    }

    /// In its order.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Seen> {
        self.rows.values()
    }

    /// What stands at a place.
    pub(super) fn at(&self, seq: Seq) -> Option<&Seen> {
        self.rows.get(&seq)
    }

    /// The last place.
    pub(super) fn head(&self) -> Seq {
        self.rows.last_key_value().map_or(Seq::ZERO, |(seq, _)| *seq)
    }
}

/// What everything is compared with.
#[derive(Debug, Default)]
pub(super) struct Reference {
    /// Each conversation, as a fresh device saw it.
    pub(super) timelines: BTreeMap<ConversationId, Timeline>,
    /// Who was in each group when, as its rows tell it.
    pub(super) chronicles: BTreeMap<ConversationId, Chronicle>,
}

impl Reference {
    /// From what fresh devices saw.
    pub(super) fn new(fresh: &[Book], groups: &[Group]) -> Self {
        let mut reference = Self::default();
        let is_group = |conversation: &ConversationId| groups.iter().any(|group| group.conversation == *conversation);
        for book in fresh {
            for (conversation, seen) in book.seen.iter().filter(|(conversation, _)| !is_group(conversation)) {
                reference.timelines.entry(*conversation).or_insert_with(|| Timeline::new(seen));
            }
        }
        for Group { conversation, owner, history, .. } in groups {
            let Some(book) = fresh.iter().find(|book| book.user == *owner) else { continue };
            if let Some(seen) = book.seen.get(conversation) {
                reference.timelines.insert(*conversation, Timeline::new(seen));
            }
            if let Some(news) = book.news.get(conversation) {
                reference.chronicles.insert(*conversation, Chronicle::of(news, *history));
            }
        }
        reference
    }
}

/// What came out besides faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// Rows of an earlier time in a group that a device had not got yet when its user was in the group again: it goes on
    /// with the new time.
    pub(super) passed_over: usize,
    /// Drafts that were refused, as they had to be.
    pub(super) refused: usize,
    /// Rows that a newcomer cannot open, since their senders had not heard yet that there is a newer key.
    pub(super) sealed: usize,
}

/// Judges a run. Of `conversations`, which are direct, and `groups` each sender's order is judged.
pub(super) fn judge(
    books: &[Book],
    fresh: &[Book],
    conversations: &[ConversationId],
    groups: &[Group],
    reference: &Reference,
    faults: &mut Faults,
) -> Notes {
    let (timelines, empty, mut notes) = (&reference.timelines, Timeline::default(), Notes::default());
    for book in books.iter().chain(fresh) {
        let who = format!("device {} of user {}", book.index, book.user);
        for (conversation, seen) in &book.seen {
            if !groups.iter().any(|group| group.conversation == *conversation) {
                check_view(&who, *conversation, seen, timelines.get(conversation).unwrap_or(&empty), faults);
            }
        }
        let is_fresh = book.index >= books.len();
        groups::check_views(&who, book, is_fresh, groups, reference, &mut notes, faults);
        check_promises(&who, book, reference, &mut notes, faults);
        check_rest(&who, book, faults);
    }
    let all = conversations.iter().chain(groups.iter().map(|group| &group.conversation));
    for conversation in all {
        let timeline = timelines.get(conversation).unwrap_or(&empty);
        check_senders(*conversation, timeline, books, faults);
    }
    notes
}

/// One application's view: each once, in order, without holes, and the same as the reference.
pub(super) fn check_view(
    who: &str,
    conversation: ConversationId,
    view: &[Seen],
    reference: &Timeline,
    faults: &mut Faults,
) {
    let mut places: HashMap<MessageId, Seq> = HashMap::new();
    let mut missing: BTreeSet<Seq> = BTreeSet::new();
    let mut next = Seq(1);
    for Seen { seq, message_id, .. } in view {
        let where_ = format!("in {conversation} at {seq}, message {message_id}, for {who}");
        if let Some(before) = places.insert(*message_id, *seq) {
            faults.add(Kind::Doubled, format!("shown before at {before}: {where_}"));
        } else if missing.remove(seq) {
            faults.add(Kind::Reordered, format!("shown after later ones: {where_}"));
        } else if *seq < next {
            faults.add(Kind::Reordered, format!("shown at a place that another had: {where_}"));
        }
        if *seq >= next {
            missing.extend((next.0..seq.0).map(Seq));
            next = seq.next();
        }
        match reference.places.get(message_id) {
            None => faults.add(Kind::Lost, format!("shown, and gone for a fresh device: {where_}")),
            Some(place) if place != seq => {
                faults.add(Kind::Reordered, format!("a fresh device has it at {place}: {where_}"));
            }
            Some(_) => {}
        }
    }
    missing.extend((next.0..=reference.head().0).map(Seq));
    for seq in missing {
        let id = reference.rows.get(&seq).map_or("unknown".to_owned(), |seen| seen.message_id.to_string());
        faults.add(Kind::Lost, format!("never shown: in {conversation} at {seq}, message {id}, for {who}"));
    }
}

/// What a device was told SENT stands where it was told.
fn check_promises(who: &str, book: &Book, reference: &Reference, notes: &mut Notes, faults: &mut Faults) {
    for told in &book.told {
        let place =
            reference.timelines.get(&told.conversation).and_then(|timeline| timeline.places.get(&told.message_id));
        let where_ = format!("in {} at {}, message {}, by {who}", told.conversation, told.seq, told.message_id);
        match place {
            None => faults.add(Kind::Lost, format!("told SENT: {where_}")),
            Some(place) if *place != told.seq => {
                faults.add(Kind::Reordered, format!("told SENT, and it is at {place}: {where_}"));
            }
            Some(_) => {}
        }
    }
    let drafts: HashMap<_, _> = book.drafted.iter().map(|draft| (draft.message_id, draft)).collect();
    for refused in &book.refused {
        let Refused { message_id, why, .. } = refused;
        let draft = drafts.get(message_id);
        match draft.is_some_and(|draft| refusals::had_to_be(book.user, draft, refused, reference)) {
            true => notes.refused += 1,
            false => faults.add(Kind::Wrong, format!("refused ({why}): message {message_id} of {who}")),
        }
    }
    if book.unanswered() > 0 {
        faults.add(Kind::Wrong, format!("{} drafts of {who} were never answered", book.unanswered()));
    }
}

/// What needs no comparison.
fn check_rest(who: &str, book: &Book, faults: &mut Faults) {
    if book.missed > 0 {
        faults.add(Kind::Wrong, format!("{who} missed {} events", book.missed));
    }
    if book.resets > 0 {
        faults.add(Kind::Wrong, format!("{who} dropped {} runs as if data had been restored", book.resets));
    }
    for failure in &book.failures {
        faults.add(Kind::Wrong, format!("{who}: {failure}"));
    }
}

#[cfg(test)]
mod tests;
