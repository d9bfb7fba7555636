//! The newest texts first, of many conversations, each of which is in its order: without an index over all of them, a
//! part of each is read as it is needed.
//!
//! It asks for nothing itself: whoever has a database gives it what it wants next.

use std::collections::{BinaryHeap, HashMap, VecDeque};

use whimbrel_core::ConversationId;

use super::{Candidate, Place};

/// Texts that are read of a conversation at first, and at most.
const FIRST: usize = 8;
const MOST: usize = 64;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Give it the newest texts of this conversation before this place, so many.
    Read(ConversationId, Place, usize),
    /// The next text.
    Text(Candidate),
    /// There are no more.
    End,
}

/// What is read of a conversation and not given yet.
struct Part {
    texts: VecDeque<Candidate>,
    /// Where the next ones are read: before this place.
    end: Place,
    /// How many.
    size: usize,
    /// Whether there are more.
    is_open: bool,
}

/// Conversations, of which the one with the newest text has its turn.
pub(crate) struct Merge {
    turns: BinaryHeap<(Place, ConversationId)>,
    parts: HashMap<ConversationId, Part>,
}

impl Merge {
    /// Of these conversations, with places before which their newest texts stand.
    pub(crate) fn new(of: impl IntoIterator<Item = (ConversationId, Place)>) -> Self {
        let turns = of.into_iter().map(|(conversation, before)| (before, conversation)).collect();
        Self { turns, parts: HashMap::new() }
    }

    pub(crate) fn next(&mut self) -> Next {
        while let Some((before, conversation)) = self.turns.pop() {
            let part = self.parts.entry(conversation).or_insert_with(|| Part {
                texts: VecDeque::new(),
                end: before,
                size: FIRST,
                is_open: true,
            });
            let Some(text) = part.texts.pop_front() else {
                if part.is_open {
                    self.turns.push((before, conversation));
                    return Next::Read(conversation, part.end, part.size);
                }
                continue;
            };
            self.turns.push((part.texts.front().map_or(text.place, |next| next.place), conversation));
            return Next::Text(text);
        }
        Next::End
    }

    /// What was read for [`Next::Read`], the newest first; fewer than were asked for: there are no more.
    pub(crate) fn read(&mut self, conversation: ConversationId, texts: Vec<Candidate>) {
        let Some(part) = self.parts.get_mut(&conversation) else { return };
        part.is_open = texts.len() == part.size;
        part.size = MOST.min(part.size * 2);
        part.end = texts.last().map_or(part.end, |last| last.place);
        part.texts = texts.into();
        self.turns.retain(|(_, other)| *other != conversation);
        if let Some(first) = part.texts.front() {
            self.turns.push((first.place, conversation));
        }
    }

    /// Nothing more of this conversation.
    pub(crate) fn end(&mut self, conversation: ConversationId) {
        self.turns.retain(|(_, other)| *other != conversation);
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{MessageKind, Seq, UserId};

    use super::*;

    fn text(conversation: u8, at: u64) -> Candidate {
        let mut place = Place::before(at);
        place.tie[0] = conversation;
        let conversation = ConversationId::from_bytes([conversation; 16]);
        Candidate { place, conversation, seq: Seq(at), sender: UserId(1), kind: MessageKind::TEXT, text: String::new() }
    }

    /// Against sorting everything: the same order, nothing doubled or left out, and little read of what is old.
    #[test]
    fn the_newest_of_all_comes_next() {
        let mut all: Vec<Candidate> = Vec::new();
        for conversation in 1..=5_u8 {
            let step = u64::from(conversation).pow(2);
            all.extend((0..200).map(|nth| text(conversation, 10 + nth * step)));
        }
        all.sort_by_key(|text| std::cmp::Reverse(text.place));
        let mut merge =
            Merge::new((1..=6_u8).map(|id| (ConversationId::from_bytes([id; 16]), Place::before(u64::MAX))));
        let (mut given, mut asked) = (Vec::new(), 0);
        loop {
            match merge.next() {
                Next::Read(conversation, before, count) => {
                    asked += count;
                    let found = all.iter().filter(|text| text.conversation == conversation && text.place < before);
                    merge.read(conversation, found.take(count).cloned().collect());
                }
                Next::Text(text) => given.push(text),
                Next::End => break,
            }
            if given.len() == 100 && asked > 0 {
                assert!(asked <= 6 * FIRST + 2 * 100, "{asked} read for 100");
                asked = 0;
            }
        }
        assert_eq!(given, all);
    }

    #[test]
    fn a_conversation_can_be_ended() {
        let one = ConversationId::from_bytes([1; 16]);
        let mut merge = Merge::new([(one, Place::before(9))]);
        assert_eq!(merge.next(), Next::Read(one, Place::before(9), FIRST));
        merge.read(one, vec![text(1, 5), text(1, 4)]);
        assert_eq!(merge.next(), Next::Text(text(1, 5)));
        merge.end(one);
        assert_eq!(merge.next(), Next::End);
    }
}
