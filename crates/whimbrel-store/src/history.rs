//! History: any part of a conversation, as far as one user may see it.
//!
//! What they may see is what a sync shows: rows above the conversation's floor, from the one that shows history to them
//! (joining, clearing) to the one with which they left. Within that there is a row at every place, so a page is a range of
//! places, found by key however deep it lies; and since times never go back along a conversation, a time is found by
//! halving, with no index of its own.

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
    /// The last place that the user sees.
    pub last: Seq,
    /// In order, without a gap.
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

/// What one user sees of a conversation: `first ..= last`, every place of it taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Sight {
    /// From what stands in the rows: the first row that the user sees, the one with which they left (0: they did not), the
    /// conversation's floor and head.
    pub(crate) fn of(since: u64, until: u64, floor: u64, head: u64) -> Self {
        let last = if until == 0 { head } else { until };
        Self { first: floor.max(since.saturating_sub(1)).min(last) + 1, last }
    }

    /// Whether they see this place.
    pub(crate) fn sees(self, seq: Seq) -> bool {
        (self.first..=self.last).contains(&seq.0)
    }

    /// Whether all that they see stands behind this place.
    pub(crate) fn begins_after(self, seq: Seq) -> bool {
        seq.0 < self.first
    }

    /// The last place that they see; lower than their first one: they see none.
    pub(crate) fn end(self) -> u64 {
        self.last
    }

    /// How many places they see.
    pub(crate) fn len(self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// The places of a page: those to read downwards, then those to read upwards. `at`: the first place of the time that
    /// was asked for.
    pub(crate) fn page(self, from: PageAt, at: u64, limit: usize) -> [Option<RangeInclusive<u64>>; 2] {
        let limit = limit as u64;
        let cut = |from: u64, to: u64| {
            let (from, to) = (from.max(self.first), to.min(self.last));
            (from <= to).then_some(from..=to)
        };
        let down = |below: u64, count: u64| {
            let to = below.min(self.last.saturating_add(1)).saturating_sub(1);
            if count == 0 { None } else { cut(to.saturating_sub(count - 1), to) }
        };
        let up = |from: u64, count: u64| {
            let from = from.max(self.first);
            if count == 0 { None } else { cut(from, from.saturating_add(count - 1)) }
        };
        match from {
            PageAt::Before(seq) => [down(seq.0, limit), None],
            PageAt::After(seq) => [None, up(seq.0.saturating_add(1), limit)],
            PageAt::At(_) => [None, up(at, limit)],
            PageAt::Around(seq) => {
                let middle = seq.0.max(self.first);
                // Where one side ends early the other gets its room.
                let above = (self.last.saturating_add(1)).saturating_sub(middle).min(limit);
                let below =
                    middle.saturating_sub(self.first).min(limit / 2 + (limit - limit / 2).saturating_sub(above));
                [down(middle, below), up(middle, limit - below)]
            }
        }
    }
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
        let [down, up] = Sight { first: 11, last: 30 }.page(from, at, limit);
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
        let empty = Sight::of(7, 0, 0, 6);
        assert_eq!(empty, Sight { first: 7, last: 6 });
        for from in [PageAt::After(Seq(0)), PageAt::Before(Seq(99)), PageAt::Around(Seq(7)), PageAt::At(0)] {
            assert_eq!(empty.page(from, 7, 5), [None, None], "{from:?}");
        }
    }

    #[test]
    fn what_is_seen_begins_above_floor_and_joining_and_ends_with_leaving() {
        assert_eq!(Sight::of(1, 0, 0, 9), Sight { first: 1, last: 9 });
        assert_eq!(Sight::of(4, 0, 2, 9), Sight { first: 4, last: 9 });
        assert_eq!(Sight::of(4, 7, 5, 9), Sight { first: 6, last: 7 });
        assert_eq!(Sight::of(4, 7, 8, 9), Sight { first: 8, last: 7 });
    }
}
