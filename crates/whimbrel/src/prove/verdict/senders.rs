//! Whether what each device said stands in its order, each once, as it was written.

use std::collections::{HashMap, HashSet};

use whimbrel_client::{ConversationId, MessageId, Seq};

use super::super::ledger::{Book, Said, Seen};
use super::{Faults, Kind, Timeline};

/// What a device drafted in one conversation.
#[derive(Debug, Default)]
struct Drafts {
    /// Its number there, and what it is about.
    by_id: HashMap<MessageId, (u64, Option<Seq>)>,
    /// Numbers that were refused.
    refused: HashSet<u64>,
}

impl Drafts {
    fn of(book: &Book, conversation: ConversationId) -> Self {
        let refused: HashSet<_> = book.refused.iter().map(|refused| refused.message_id).collect();
        let mut drafts = Self::default();
        for draft in book.drafted.iter().filter(|draft| draft.conversation == conversation) {
            drafts.by_id.insert(draft.message_id, (draft.number, draft.target));
            if refused.contains(&draft.message_id) {
                drafts.refused.insert(draft.number);
            }
        }
        drafts
    }
}

/// What each device sent stands in its sending order, each once, as it was written, under the name it was given.
pub(super) fn check_senders(conversation: ConversationId, timeline: &Timeline, books: &[Book], faults: &mut Faults) {
    let mut next: HashMap<usize, u64> = HashMap::new();
    let drafts: HashMap<_, _> = books.iter().map(|book| (book.index, Drafts::of(book, conversation))).collect();
    for Seen { seq, message_id, sender, device, target, said, .. } in timeline.rows() {
        let where_ = format!("in {conversation} at {seq}, message {message_id}");
        let (index, number) = match said {
            Said::System => continue,
            Said::Garbled | Said::Sealed => {
                faults.add(Kind::Wrong, format!("not what was sent, or not to be opened: {where_}"));
                continue;
            }
            Said::Words { device, number } => (*device, *number),
            Said::Nothing => {
                let author = books.iter().find(|book| book.device == *device);
                let wrote = author.and_then(|book| Some((book.index, drafts.get(&book.index)?.by_id.get(message_id)?)));
                let Some((index, (number, _))) = wrote else {
                    faults.add(Kind::Wrong, format!("nobody wrote it: {where_}"));
                    continue;
                };
                (index, *number)
            }
        };
        let (mine, none) = (drafts.get(&index), HashSet::new());
        if mine.and_then(|mine| mine.by_id.get(message_id)).is_some_and(|(_, about)| about != target) {
            faults.add(Kind::Wrong, format!("it is about another message than it was written about: {where_}"));
        }
        let author = books.iter().find(|book| book.index == index);
        if author.is_none_or(|book| (book.user, book.device) != (*sender, *device)) {
            faults.add(Kind::Wrong, format!("another sender's name stands on it: {where_}"));
        }
        let expected = next.entry(index).or_insert(1);
        let refused = mine.map_or(&none, |mine| &mine.refused);
        while *expected < number && refused.contains(expected) {
            *expected += 1;
        }
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
