//! Keeping: what retention asks of the timeline. How long what is kept is the archiver's to say; here are the steps, each a
//! short transaction that may be made any number of times, by anybody, in any order with others' steps.
//!
//! A conversation's floor says up to where its messages are gone. The floor goes first, and what is below is gone for
//! everybody at once; the rows follow in their own time.
//!
//! Invariants
//! - A floor only grows, and never beyond the head.
//! - The row at the floor stays, without its body: so the newest row is never deleted, and the counts that unread
//!   numbers begin with are always there. Every row above the floor stays.
//! - Where a row says that what a user said before it is gone ([`ERASED`](whimbrel_core::MessageKind::ERASED)), it is: the row comes with the last of
//!   it, in one transaction.
//! - Read cursors of members are not below the floor: whoever raises it raises them before ([`Keeping::behind`]).

use async_trait::async_trait;
use whimbrel_core::{ConversationId, ConversationKind, Seq, UserId};

use crate::StoreError;
use crate::directory::Rows;

/// How long what is said in a conversation is kept. 0 sets no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Keep {
    /// Messages that are older go, milliseconds.
    pub age_ms: u64,
    /// Messages that at least so many follow go.
    pub messages: u64,
}

impl Keep {
    /// What the stricter of both says, bound by bound.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let strict = |one: u64, two: u64| match (one, two) {
            (0, bound) | (bound, 0) => bound,
            (one, two) => one.min(two),
        };
        Self { age_ms: strict(self.age_ms, other.age_ms), messages: strict(self.messages, other.messages) }
    }

    /// Whether everything is kept.
    pub fn is_all(self) -> bool {
        self == Self::default()
    }
}

/// A conversation, as far as retention has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub id: ConversationId,
    /// Of which kind.
    pub kind: ConversationKind,
    /// Up to here messages are gone.
    pub floor: Seq,
    /// The first row that is there; 0: there is none.
    pub first: Seq,
    /// The last row.
    pub head: Seq,
    /// When the row after the floor was placed, milliseconds since 1970; `None`: there is none.
    pub oldest_at: Option<u64>,
    /// What the owner of a group has set.
    pub keep: Keep,
}

/// Which conversations are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Groups whose owners have set something.
    Set,
}

/// What a step of erasing has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erased {
    /// Rows that it placed, to be told.
    pub rows: Rows,
    /// Whether there is more to be done.
    pub more: bool,
}

/// As the place that erasing has come to in a conversation: nothing is left to be done there, whatever is said meanwhile.
pub(crate) const THROUGH: Seq = Seq(u64::MAX >> 1);

/// The steps of retention.
#[async_trait]
pub trait Keeping: Send + Sync + 'static {
    /// Conversations beyond `after`, by id, at most `limit`; and where to go on, `None` when this was the last page.
    async fn kept(
        &self,
        which: Which,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<(Vec<Kept>, Option<ConversationId>), StoreError>;

    /// The first row in (`after`, `upto`] that was placed at this time or later; the place behind `upto` if there is none.
    /// All rows between are there.
    async fn first_since(
        &self,
        conversation: ConversationId,
        after: Seq,
        upto: Seq,
        at: u64,
    ) -> Result<Seq, StoreError>;

    /// Those beyond `after`, by id, at most `limit`, whose read cursors are below `floor`. Who has left is among them
    /// while their cursor can still be raised.
    async fn behind(
        &self,
        conversation: ConversationId,
        floor: Seq,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError>;

    /// Raises the floor, and empties the row there; a lower one, or one where no row stands, changes nothing. The floor
    /// as it is then. The cursors have to be there already: see [`Keeping::behind`].
    async fn raise_floor(&self, conversation: ConversationId, floor: Seq) -> Result<Seq, StoreError>;

    /// Notes that everything is to be emptied that this user has said so far. Said twice, it begins anew.
    async fn erase(&self, user: UserId) -> Result<(), StoreError>;

    /// Users whose messages are to be emptied, by id, at most `limit`.
    async fn erasures(&self, limit: usize) -> Result<Vec<UserId>, StoreError>;

    /// Empties what this user said among the next `look` rows, as if it had been taken back, and notes how far that has
    /// come; at the end the note goes. In each conversation where they said something the last step places a row that says
    /// so ([`ERASED`](whimbrel_core::MessageKind::ERASED)), behind everything that is emptied there: whatever a device
    /// has fetched before still has that row ahead of it. Where they said nothing no row comes.
    async fn erase_some(&self, user: UserId, look: usize) -> Result<Erased, StoreError>;

    /// Deletes at most `limit` messages below the floor, the oldest first, and at most `limit` notes of what is about
    /// them. How many rows those were; 0: all is gone.
    async fn sweep(&self, conversation: ConversationId, limit: usize) -> Result<usize, StoreError>;
}

/// Milliseconds since 1970, by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_bound_counts_and_none_is_no_bound() {
        let keep = |age_ms, messages| Keep { age_ms, messages };
        assert_eq!(keep(0, 5).and(keep(7, 0)), keep(7, 5));
        assert_eq!(keep(9, 5).and(keep(7, 6)), keep(7, 5));
        assert!(keep(0, 0).and(keep(0, 0)).is_all() && !keep(0, 1).is_all());
    }
}
