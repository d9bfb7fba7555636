//! Cursors (`read ≤ delivered ≤ head`; they only grow) and the exact unread count.

use crate::Seq;

/// How far a user has got in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursors {
    /// Some device of the user has stored everything it was owed up to here.
    pub delivered: Seq,
    /// The user has read up to here.
    pub read: Seq,
}

impl Cursors {
    /// These cursors with READ implying DELIVERED.
    pub fn normalized(self) -> Self {
        Self { delivered: self.delivered.max(self.read), read: self.read }
    }

    /// No further than `head`.
    pub fn clamped(self, head: Seq) -> Self {
        Self { delivered: self.delivered.min(head), read: self.read.min(head) }
    }

    /// The maximum of both, cursor by cursor.
    pub fn max(self, other: Self) -> Self {
        Self { delivered: self.delivered.max(other.delivered), read: self.read.max(other.read) }
    }
}

/// Running counts at one row of a direct conversation.
///
/// A row carries `n`, how many countable messages stand up to and with it, and `own`, how many of those are its
/// sender's. The other user's are therefore `n − own`, and placing a message updates no counter anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Countable messages up to the row.
    pub n: u64,
    /// Of these, the ones of the user who asks.
    pub own: u64,
}

impl Counts {
    /// The counts as `user` sees them, from a row's `n`, `own` and whether `user` is its sender.
    pub fn for_user(n: u64, own: u64, is_sender: bool) -> Self {
        Self { n, own: if is_sender { own } else { n - own } }
    }
}

/// Unread messages of a user in a direct conversation: what others said after the read cursor.
///
/// `head` are the counts at the last row, `read` at the row of the read cursor (zeros when that is 0).
pub fn unread_direct(head: Counts, read: Counts) -> u64 {
    (head.n - read.n) - (head.own - read.own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_counts_only_what_the_other_said_after_the_read_cursor() {
        // a b b a b, read up to the second: b at 3 and 5 are unread for a; nothing of b's own is for b.
        let said = ["a", "b", "b", "a", "b"];
        let (mut n, mut own) = (0, [0, 0]);
        let rows: Vec<(u64, u64, usize)> = said
            .iter()
            .map(|who| {
                let who = usize::from(*who == "b");
                n += 1;
                own[who] += 1;
                (n, own[who], who)
            })
            .collect();
        for (me, expected) in [(0, 2), (1, 1)] {
            let at = |row: usize| Counts::for_user(rows[row].0, rows[row].1, rows[row].2 == me);
            assert_eq!(unread_direct(at(4), at(1)), expected);
        }
        assert_eq!(unread_direct(Counts::for_user(5, 3, false), Counts::default()), 3);
    }

    #[test]
    fn read_implies_delivered_and_the_head_is_the_limit() {
        let asked = Cursors { delivered: Seq(2), read: Seq(9) };
        assert_eq!(asked.normalized().clamped(Seq(5)), Cursors { delivered: Seq(5), read: Seq(5) });
    }
}
