//! What gathers: cursors to read heads for, to tell, to log. Every map is bounded by
//! [`Config::cursors_max`](crate::Config), and a map that has something in it has a task that empties it.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashMap};
use metrics::counter;
use whimbrel_core::{Audience, ConversationId, Cursors, SessionId, UserId};
use whimbrel_store::Entry;

use super::CursorDesk;
use crate::outgoing::Waiter;

/// Parts of [`Config::cursor_delay`](crate::Config) over which the cursors of many are spread.
const PARTS: usize = 16;
/// What is shorter is not worth spreading over.
const PART_TIME_MIN: Duration = Duration::from_millis(10);
/// A part with fewer waits for the end of the delay, and goes with the others: a record for a handful costs more than it
/// spreads.
const PART_MIN: usize = 16;

/// Whose cursors, and where.
pub(super) type Whose = (UserId, ConversationId);

/// A receipt that is to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh {
    pub(super) cursors: Cursors,
    pub(super) audience: Audience,
    /// The session that said so, if one alone did.
    pub(super) by: Option<SessionId>,
}

#[derive(Default)]
pub(super) struct Gathered {
    /// Heads have to be read first.
    pub(super) unknown: HashMap<Whose, (Cursors, Option<Waiter>)>,
    pub(super) reading: bool,
    /// To be told to the audience.
    pub(super) receipts: HashMap<Whose, Fresh>,
    /// Durable already, and asked for again: to be told to one session, or to all of the user's.
    pub(super) advanced: HashMap<(Whose, Option<Waiter>), Cursors>,
    pub(super) telling: bool,
    unlogged: Unlogged,
    logging: bool,
}

/// What is to be logged: each user's cursor always in the same part, and each part logged once in a delay, at a time of
/// its own. So a group's members, who all read the same message at once, do not all become durable in one transaction that
/// the next message waits for; and still no cursor is logged more than once in a delay, or waits for longer.
#[derive(Default)]
struct Unlogged {
    parts: [HashMap<Whose, Cursors>; PARTS],
    len: usize,
    hasher: DefaultHashBuilder,
}

impl Unlogged {
    /// Raises a cursor; false if there is no room for one more.
    fn raise(&mut self, whose: Whose, cursors: Cursors, most: usize) -> bool {
        let part = &mut self.parts[self.hasher.hash_one(whose) as usize % PARTS];
        if self.len >= most && !part.contains_key(&whose) {
            return false;
        }
        let known = part.len();
        let unlogged = part.entry(whose).or_default();
        *unlogged = unlogged.max(cursors);
        self.len += part.len() - known;
        true
    }

    /// Takes what is due in this part of the delay: the part itself if it is worth a record, all that is left in the last.
    fn due(&mut self, number: usize) -> Vec<(Whose, Cursors)> {
        if number + 1 == PARTS {
            return self.all();
        }
        let due = match &mut self.parts[number] {
            part if part.len() >= PART_MIN => part.drain().collect(),
            _ => Vec::new(),
        };
        self.len -= due.len();
        due
    }

    fn all(&mut self) -> Vec<(Whose, Cursors)> {
        self.len = 0;
        self.parts.iter_mut().flat_map(HashMap::drain).collect()
    }
}

impl CursorDesk {
    /// Logs a cursor within [`Config::cursor_delay`](crate::Config).
    pub(super) fn log_later(self: &Arc<Self>, whose: Whose, cursors: Cursors) {
        let mut gathered = self.gathered.lock();
        if !gathered.unlogged.raise(whose, cursors, self.config.cursors_max) {
            return counter!("whimbrel_transfer_cursors_dropped_total").increment(1);
        }
        if !std::mem::replace(&mut gathered.logging, true) {
            let desk = self.clone();
            self.tasks.spawn(async move { desk.log_gathered().await });
        }
    }

    async fn log_gathered(self: Arc<Self>) {
        let delay = self.config.cursor_delay;
        let (pause, first) = match delay / PARTS as u32 {
            pause if pause >= PART_TIME_MIN => (pause, 0),
            _ => (delay, PARTS - 1),
        };
        for number in (first..PARTS).cycle() {
            tokio::select! {
                () = self.stop.cancelled() => self.log_now(),
                () = tokio::time::sleep(pause) => {
                    let due = self.gathered.lock().unlogged.due(number);
                    self.log(due);
                }
            }
            if number + 1 == PARTS {
                let mut gathered = self.gathered.lock();
                gathered.logging = gathered.unlogged.len > 0;
                if !gathered.logging {
                    return;
                }
            }
        }
    }

    /// Logs all that has gathered.
    pub(crate) fn log_now(&self) {
        let all = self.gathered.lock().unlogged.all();
        self.log(all);
    }

    fn log(&self, unlogged: Vec<(Whose, Cursors)>) {
        if unlogged.is_empty() {
            return;
        }
        let entries = unlogged.into_iter().map(|((user, conversation), cursors)| {
            (self.lanes.of(conversation), Entry::Cursor { conversation, user, cursors })
        });
        self.lanes.append_cursors(entries.collect());
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::Seq;

    use super::*;

    fn whose(user: u64) -> Whose {
        (UserId(user), ConversationId::from_bytes([7; 16]))
    }

    fn at(seq: u64) -> Cursors {
        Cursors { delivered: Seq(seq), read: Seq(0) }
    }

    #[test]
    fn many_cursors_are_spread_over_the_delay_and_each_comes_once() {
        let mut unlogged = Unlogged::default();
        for user in 0..1600 {
            assert!(unlogged.raise(whose(user), at(1), 1600) && unlogged.raise(whose(user), at(2), 1600));
        }
        assert!(!unlogged.raise(whose(1600), at(1), 1600), "there is no room");
        let mut came = Vec::new();
        for number in 0..PARTS {
            let due = unlogged.due(number);
            assert!((PART_MIN..400).contains(&due.len()), "{} in part {number}", due.len());
            came.extend(due);
            assert_eq!(unlogged.len, 1600 - came.len());
        }
        came.sort_by_key(|(whose, _)| *whose);
        assert_eq!(came, (0..1600).map(|user| (whose(user), at(2))).collect::<Vec<_>>());
    }

    #[test]
    fn a_few_cursors_go_together_in_the_end() {
        let mut unlogged = Unlogged::default();
        for user in 0..PART_MIN as u64 - 1 {
            assert!(unlogged.raise(whose(user), at(1), 100));
        }
        let counts: Vec<_> = (0..PARTS).map(|number| unlogged.due(number).len()).collect();
        assert_eq!((counts[..PARTS - 1].iter().sum(), counts[PARTS - 1]), (0, PART_MIN - 1));
        assert_eq!(unlogged.len, 0);
    }
}
