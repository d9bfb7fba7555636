//! History: any part of a conversation, as far as one user may see it.
//!
//! What they may see is what a sync shows: rows above the conversation's floor, from the one that shows history to them
//! (joining, clearing) to the one with which they left; and so for each of the earlier times of somebody who left a group
//! and came back. Within a time there is a row at every place, so a page is a range of places, found by key however deep it
//! lies; and since times never go back along a conversation, a time is found by halving, with no index of its own.
//!
//! A page never reaches over what was placed while its reader was away: it ends there, and another one begins behind it.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use whimbrel_core::limits::HISTORY_BYTES_MAX;
use whimbrel_core::{ConversationId, Message, Seq, UserId};

use crate::StoreError;

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageAt {
    /// After this place.
    After(Seq),
    /// Before this place.
    Before(Seq),
    /// On both sides of this place, which is among them.
    Around(Seq),
    /// From the first message on that was placed at this time (milliseconds since 1970) or later.
    At(u64),
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// The first place that the user sees; beyond `last` when they see none.
    pub first: Seq,
    /// The last place that the user sees. Between the two there may be places that they do not see.
    pub last: Seq,
    /// In order, without a gap: of one of the times in which the user was there.
    pub messages: Vec<Message>,
}

/// What is about some messages, wherever it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUps {
    /// By their targets, then by their own places.
    pub messages: Vec<Message>,
    /// Ask again with `after` set to this; `None`: that was all.
    pub next: Option<(Seq, Seq)>,
}

/// Some of what a user said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// In the order of conversations and places. There may be none in a part that is not the last.
    pub messages: Vec<Message>,
    /// Ask again with `after` set to this; `None`: that was all.
    pub next: Option<(ConversationId, Seq)>,
}

/// Pages of conversations.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// A page of at most `limit` messages and [`HISTORY_BYTES_MAX`] bytes; `None` if the user is not, and was not, in the
    /// conversation. What does not fit is left out at the end that is farther from the place that was asked for.
    async fn history(
        &self,
        user: UserId,
        conversation: ConversationId,
        from: PageAt,
        limit: usize,
    ) -> Result<Option<HistoryPage>, StoreError>;

    /// The follow-ups (edits, reactions, recalls, parts of streams) of the messages at these places, as far as the user
    /// sees both, beyond `after` (a target and the place of a follow-up), within the same bounds; `None` as there.
    async fn follow_ups(
        &self,
        user: UserId,
        conversation: ConversationId,
        about: RangeInclusive<Seq>,
        after: (Seq, Seq),
        limit: usize,
    ) -> Result<Option<FollowUps>, StoreError>;

    /// What the user said, wherever they are or were: their rows among the next `look` ones beyond `after`, within
    /// [`HISTORY_BYTES_MAX`] bytes. Rows that the server said about them are not among these.
    async fn said_by(
        &self,
        user: UserId,
        after: Option<(ConversationId, Seq)>,
        look: usize,
    ) -> Result<Said, StoreError>;
}

/// What one user sees of a conversation: every place of these ranges is taken. Between two of them stands what was placed
/// while they were away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    /// In their order; none is empty, and none touches the next.
    ranges: Vec<RangeInclusive<u64>>,
    /// Where it ends, also when there is nothing.
    end: u64,
}

impl Sight {
    /// From what stands in the rows: of each time the first row that the user sees and the one with which they left (0: they
    /// did not), in any order; the conversation's floor and head.
    pub(crate) fn of(spans: impl IntoIterator<Item = (u64, u64)>, floor: u64, head: u64) -> Self {
        let (mut ranges, mut end) = (Vec::new(), 0);
        for (since, until) in spans {
            let last = if until == 0 { head } else { until };
            ranges.push(floor.max(since.saturating_sub(1)).min(last) + 1..=last);
            end = end.max(last);
        }
        Self { ranges: joined(ranges), end }
    }

    /// The first place; beyond [`Sight::last`] when there is none.
    pub(crate) fn first(&self) -> u64 {
        self.ranges.first().map_or(self.end + 1, |range| *range.start())
    }

    /// The last place.
    pub(crate) fn last(&self) -> u64 {
        self.ranges.last().map_or(self.end, |range| *range.end())
    }

    /// Whether the user sees what stands there.
    pub(crate) fn sees(&self, seq: Seq) -> bool {
        self.ranges.iter().any(|range| range.contains(&seq.0))
    }

    /// Whether all that they see stands behind this place.
    pub(crate) fn begins_after(&self, seq: Seq) -> bool {
        seq.0 < self.first()
    }

    /// How many places they see.
    pub(crate) fn len(&self) -> u64 {
        self.ranges.iter().map(|range| range.end() - range.start() + 1).sum()
    }

    /// The places of a page: those to read downwards, then those to read upwards. `at`: the first place of the time that
    /// was asked for. All are of one range: the nearest one on the side that was asked for.
    pub(crate) fn page(&self, from: PageAt, at: u64, limit: usize) -> [Option<RangeInclusive<u64>>; 2] {
        let reaching = |seq: u64| self.ranges.iter().find(|range| *range.end() >= seq);
        let range = match from {
            PageAt::Before(seq) => self.ranges.iter().rfind(|range| *range.start() < seq.0),
            PageAt::After(seq) => reaching(seq.0.saturating_add(1)),
            PageAt::At(_) => reaching(at),
            PageAt::Around(seq) => reaching(seq.0).or(self.ranges.last()),
        };
        range.map_or([None, None], |range| page(range, from, at, limit as u64))
    }
}

/// A page within a range.
fn page(range: &RangeInclusive<u64>, from: PageAt, at: u64, limit: u64) -> [Option<RangeInclusive<u64>>; 2] {
    let (first, last) = (*range.start(), *range.end());
    let cut = |from: u64, to: u64| {
        let (from, to) = (from.max(first), to.min(last));
        (from <= to).then_some(from..=to)
    };
    let down = |below: u64, count: u64| {
        let to = below.min(last.saturating_add(1)).saturating_sub(1);
        if count == 0 { None } else { cut(to.saturating_sub(count - 1), to) }
    };
    let up = |from: u64, count: u64| {
        let from = from.max(first);
        if count == 0 { None } else { cut(from, from.saturating_add(count - 1)) }
    };
    match from {
        PageAt::Before(seq) => [down(seq.0, limit), None],
        PageAt::After(seq) => [None, up(seq.0.saturating_add(1), limit)],
        PageAt::At(_) => [None, up(at, limit)],
        PageAt::Around(seq) => {
            let middle = seq.0.max(first);
            // Where one side ends early the other gets its room.
            let above = (last.saturating_add(1)).saturating_sub(middle).min(limit);
            let below = middle.saturating_sub(first).min(limit / 2 + (limit - limit / 2).saturating_sub(above));
            [down(middle, below), up(middle, limit - below)]
        }
    }
}

/// The same numbers in ranges that are in their order, not empty, and do not touch.
pub(crate) fn joined(mut ranges: Vec<RangeInclusive<u64>>) -> Vec<RangeInclusive<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut joined: Vec<RangeInclusive<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// Places to look at, by conversation.
pub(crate) type Ranges = Vec<(ConversationId, RangeInclusive<u64>)>;

/// The next places to look at in a conversation with this floor and head.
pub(crate) fn next_places(after: u64, floor: u64, head: u64, look: u64) -> Option<RangeInclusive<u64>> {
    let first = after.max(floor) + 1;
    (first <= head && look > 0).then(|| first..=head.min(first.saturating_add(look - 1)))
}

/// Bytes of bodies that one direction of a page still holds. The first message always goes.
pub(crate) struct Room {
    left: usize,
    untouched: bool,
}

impl Room {
    /// For one of so many directions.
    pub(crate) fn of(directions: usize) -> Self {
        Self { left: HISTORY_BYTES_MAX / directions.max(1), untouched: true }
    }

    /// Whether one more of this length fits; after one that does not nothing does.
    pub(crate) fn fits(&mut self, len: usize) -> bool {
        if len > self.left && !self.untouched {
            self.left = 0;
            return false;
        }
        self.untouched = false;
        self.left = self.left.saturating_sub(len);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u64; 0] = [];

    fn page(from: PageAt, at: u64, limit: usize) -> Vec<u64> {
        let [down, up] = Sight::of([(11, 0)], 0, 30).page(from, at, limit);
        down.into_iter().flatten().chain(up.into_iter().flatten()).collect()
    }

    #[test]
    fn a_page_is_a_range_within_what_is_seen() {
        let range = |from: u64, to: u64| (from..=to).collect::<Vec<_>>();
        assert_eq!(page(PageAt::After(Seq(0)), 0, 5), range(11, 15));
        assert_eq!(page(PageAt::After(Seq(28)), 0, 5), range(29, 30));
        assert_eq!(page(PageAt::After(Seq(30)), 0, 5), NONE);
        assert_eq!(page(PageAt::After(Seq(u64::MAX)), 0, 5), NONE);
        assert_eq!(page(PageAt::Before(Seq(u64::MAX)), 0, 5), range(26, 30));
        assert_eq!(page(PageAt::Before(Seq(13)), 0, 5), range(11, 12));
        assert_eq!(page(PageAt::Before(Seq(11)), 0, 5), NONE);
        assert_eq!(page(PageAt::Before(Seq(0)), 0, 5), NONE);
        assert_eq!(page(PageAt::At(9), 20, 5), range(20, 24));
        assert_eq!(page(PageAt::At(9), 31, 5), NONE);
        assert_eq!(page(PageAt::Around(Seq(20)), 0, 5), range(18, 22));
        assert_eq!(page(PageAt::Around(Seq(3)), 0, 5), range(11, 15));
        assert_eq!(page(PageAt::Around(Seq(12)), 0, 5), range(11, 15));
        assert_eq!(page(PageAt::Around(Seq(30)), 0, 5), range(26, 30));
        assert_eq!(page(PageAt::Around(Seq(29)), 0, 1), range(29, 29));
        assert_eq!(page(PageAt::Around(Seq(99)), 0, 5), range(26, 30));
    }

    #[test]
    fn who_sees_nothing_has_empty_pages() {
        let empty = Sight::of([(7, 0)], 0, 6);
        assert_eq!((empty.first(), empty.last()), (7, 6));
        for from in [PageAt::After(Seq(0)), PageAt::Before(Seq(99)), PageAt::Around(Seq(7)), PageAt::At(0)] {
            assert_eq!(empty.page(from, 7, 5), [None, None], "{from:?}");
        }
    }

    fn seen(spans: &[(u64, u64)], floor: u64, head: u64) -> Vec<u64> {
        let sight = Sight::of(spans.iter().copied(), floor, head);
        let seen: Vec<u64> = (0..=head + 1).filter(|seq| sight.sees(Seq(*seq))).collect();
        assert!(seen.is_empty() || (seen[0], seen[seen.len() - 1]) == (sight.first(), sight.last()));
        seen
    }

    #[test]
    fn what_is_seen_begins_above_floor_and_joining_and_ends_with_leaving() {
        assert_eq!(seen(&[(1, 0)], 0, 9), (1..=9).collect::<Vec<_>>());
        assert_eq!(seen(&[(4, 0)], 2, 9), (4..=9).collect::<Vec<_>>());
        assert_eq!(seen(&[(4, 7)], 5, 9), [6, 7]);
        assert_eq!(seen(&[(4, 7)], 8, 9), NONE);
    }

    #[test]
    fn each_time_in_a_group_is_seen_and_nothing_between() {
        let times = [(8, 0), (1, 2), (4, 6)];
        assert_eq!(seen(&times, 0, 9), [1, 2, 4, 5, 6, 8, 9]);
        assert_eq!(seen(&times, 4, 9), [5, 6, 8, 9], "what is not kept is in no time");
        assert_eq!(seen(&[(9, 0), (3, 2), (7, 6)], 0, 9), [9], "what was cleared is in none");
        assert_eq!(seen(&[(9, 9), (1, 2)], 0, 12), [1, 2, 9]);
        assert_eq!(joined(vec![5..=6, 1..=3, 4..=4, 9..=9, 2..=2]), [1..=6, 9..=9], "what touches is one");
    }

    #[test]
    fn a_page_ends_where_its_reader_was_away() {
        let sight = Sight::of([(30, 0), (1, 10), (20, 22)], 0, 40);
        let page = |from: PageAt, at: u64, limit: usize| -> Vec<u64> {
            let [down, up] = sight.page(from, at, limit);
            down.into_iter().flatten().chain(up.into_iter().flatten()).collect()
        };
        assert_eq!(page(PageAt::Before(Seq(33)), 0, 50), [30, 31, 32]);
        assert_eq!(page(PageAt::Before(Seq(30)), 0, 50), [20, 21, 22]);
        assert_eq!(page(PageAt::Before(Seq(15)), 0, 2), [9, 10]);
        assert_eq!(page(PageAt::Before(Seq(1)), 0, 50), NONE);
        assert_eq!(page(PageAt::After(Seq(8)), 0, 50), [9, 10]);
        assert_eq!(page(PageAt::After(Seq(10)), 0, 2), [20, 21]);
        assert_eq!(page(PageAt::After(Seq(40)), 0, 50), NONE);
        assert_eq!(page(PageAt::Around(Seq(15)), 0, 50), [20, 21, 22]);
        assert_eq!(page(PageAt::Around(Seq(9)), 0, 4), [7, 8, 9, 10]);
        assert_eq!(page(PageAt::Around(Seq(99)), 0, 2), [39, 40]);
        assert_eq!(page(PageAt::At(7), 23, 2), [30, 31]);
        assert_eq!(page(PageAt::At(7), 41, 2), NONE);
    }
}
