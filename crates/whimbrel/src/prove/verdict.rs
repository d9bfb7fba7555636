//! The judgement: what senders were told, what applications saw, and what a fresh device syncs from zero, compared.
//!
//! Pure: books in, faults out. The reference of a conversation is what a fresh device of one of its members was shown;
//! everybody else's view, the other member's fresh device included, is compared with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use whimbrel_client::{ConversationId, MessageId, Seq};

use super::ledger::{Book, Said, Seen};

/// What a fault counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Promised and not there.
    Lost,
    /// There twice.
    Doubled,
    /// At another place than it should be or was told.
    Reordered,
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

    /// The last place.
    pub(super) fn head(&self) -> Seq {
        self.rows.last_key_value().map_or(Seq::ZERO, |(seq, _)| *seq)
    }
}

/// The reference of each conversation, from what fresh devices saw.
pub(super) fn timelines(fresh: &[Book]) -> BTreeMap<ConversationId, Timeline> {
    let mut timelines = BTreeMap::new();
    for book in fresh {
        for (conversation, seen) in &book.seen {
            timelines.entry(*conversation).or_insert_with(|| Timeline::new(seen));
        }
    }
    timelines
}

/// Judges a run. `expected`: the conversations each user is in, by device index, for those that saw nothing at all.
pub(super) fn judge(books: &[Book], fresh: &[Book], conversations: &[ConversationId], faults: &mut Faults) {
    let timelines = timelines(fresh);
    let empty = Timeline::default();
    for book in books.iter().chain(fresh) {
        let who = format!("device {} of user {}", book.index, book.user);
        for (conversation, seen) in &book.seen {
            check_view(&who, *conversation, seen, timelines.get(conversation).unwrap_or(&empty), faults);
        }
        check_promises(&who, book, &timelines, faults);
        check_rest(&who, book, faults);
    }
    for conversation in conversations {
        let timeline = timelines.get(conversation).unwrap_or(&empty);
        check_senders(*conversation, timeline, books, faults);
    }
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
fn check_promises(who: &str, book: &Book, timelines: &BTreeMap<ConversationId, Timeline>, faults: &mut Faults) {
    for told in &book.told {
        let place = timelines.get(&told.conversation).and_then(|timeline| timeline.places.get(&told.message_id));
        let where_ = format!("in {} at {}, message {}, by {who}", told.conversation, told.seq, told.message_id);
        match place {
            None => faults.add(Kind::Lost, format!("told SENT: {where_}")),
            Some(place) if *place != told.seq => {
                faults.add(Kind::Reordered, format!("told SENT, and it is at {place}: {where_}"));
            }
            Some(_) => {}
        }
    }
    for (message_id, why) in &book.refused {
        faults.add(Kind::Wrong, format!("refused ({why}): message {message_id} of {who}"));
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

/// What each device sent stands in its sending order, each once, as it was written, under the name it was given.
pub(super) fn check_senders(conversation: ConversationId, timeline: &Timeline, books: &[Book], faults: &mut Faults) {
    let mut next: HashMap<usize, u64> = HashMap::new();
    for Seen { seq, message_id, sender, device, said } in timeline.rows() {
        let where_ = format!("in {conversation} at {seq}, message {message_id}");
        let (index, number) = match said {
            Said::System => continue,
            Said::Garbled => {
                faults.add(Kind::Wrong, format!("not what was sent, or not to be opened: {where_}"));
                continue;
            }
            Said::Words { device, number } => (*device, *number),
        };
        let author = books.iter().find(|book| book.index == index);
        if author.is_none_or(|book| (book.user, book.device) != (*sender, *device)) {
            faults.add(Kind::Wrong, format!("another sender's name stands on it: {where_}"));
        }
        let expected = next.entry(index).or_insert(1);
        if number == *expected {
            *expected += 1;
        } else if number < *expected {
            faults.add(Kind::Doubled, format!("device {index}'s number {number} stands there again: {where_}"));
        } else {
            let what = format!("device {index}'s number {number} stands where {expected} was to come: {where_}");
            faults.add(Kind::Reordered, what);
            *expected = number + 1;
        }
    }
}

#[cfg(test)]
mod tests;
