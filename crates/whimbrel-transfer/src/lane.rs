//! One partition's lane: who waits for places, what has gathered, which records are under way. No I/O.
//!
//! Invariants
//! - One batch of a (user, device, conversation) is in the lane at a time: that keeps a sender's order. The same
//!   drafts again take its answer over; anything else is told to come again.
//! - A Send is never split over records.
//! - Nothing waits for a clock: what gathered goes when a record comes back, or at once if one may still go.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use smallvec::SmallVec;
use whimbrel_core::{BatchId, ConversationId, DeviceId, Draft, MessageId, Outcome, UserId, limits};
use whimbrel_store::{DraftsEntry, Entry};

use crate::Config;
use crate::config::hint_ms;
use crate::outgoing::{Answers, Waiter};

/// After how many place timeouts a record that nobody spoke of no longer keeps others from being published.
const FLIGHT_TIMEOUTS: u32 = 12;

/// Whose drafts keep their order among each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) conversation: ConversationId,
}

impl Key {
    fn of(entry: &DraftsEntry) -> Self {
        Self { user: entry.sender, device: entry.device, conversation: entry.conversation }
    }
}

/// Drafts that wait for their places.
#[derive(Debug)]
struct Pending {
    /// Who is answered, and where.
    waiter: Waiter,
    since: Instant,
    /// The record they went with.
    batch: Option<BatchId>,
    /// Told apart from a later batch of the same key.
    ticket: u64,
    drafts: SmallVec<[Draft; 2]>,
}

/// What became of drafts that were to be admitted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// They wait now; the ticket names them.
    New(u64),
    /// They were there already; this session is answered now.
    Joined,
    /// Not now.
    Busy(Duration),
}

/// The state of one partition.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pending: HashMap<Key, Pending>,
    gathered: VecDeque<Entry>,
    gathered_count: usize,
    gathered_bytes: usize,
    /// Records under way, in the order in which they were published, which is the order of the log.
    flights: VecDeque<(BatchId, Instant)>,
    tickets: u64,
}

impl Lane {
    /// Lets drafts in, if none of the same key are under way and the bounds allow it.
    pub(crate) fn admit(
        &mut self,
        waiter: Waiter,
        key: Key,
        drafts: &[Draft],
        now: Instant,
        config: &Config,
    ) -> Admitted {
        if let Some(pending) = self.pending.get_mut(&key) {
            let same = drafts.iter().all(|draft| pending.drafts.contains(draft));
            if same {
                pending.waiter = waiter;
            }
            return if same { Admitted::Joined } else { Admitted::Busy(config.retry_soon) };
        }
        let full = self.gathered_count + drafts.len() > config.gathered_max
            || self.gathered_bytes + bytes_of(drafts) > config.gathered_bytes_max;
        if full || self.is_stalled(now, config) {
            return Admitted::Busy(config.retry_later);
        }
        self.tickets += 1;
        let pending = Pending { waiter, since: now, batch: None, ticket: self.tickets, drafts: drafts.into() };
        self.pending.insert(key, pending);
        Admitted::New(self.tickets)
    }

    /// Nothing was placed for longer than anybody waits. Another record goes out to try when the last one has had its
    /// time, too: this transfer need not hear of a place that was told while the way to it was broken.
    fn is_stalled(&self, now: Instant, config: &Config) -> bool {
        let is_late = |flight: Option<&(BatchId, Instant)>| flight.is_some_and(|flight| is_late(flight, now, config));
        is_late(self.flights.front()) && !is_late(self.flights.back())
    }

    /// Puts admitted drafts in line, unless they were given up meanwhile.
    pub(crate) fn gather(&mut self, key: Key, ticket: u64, drafts: Vec<Draft>) {
        if self.pending.get(&key).is_some_and(|pending| pending.ticket == ticket) {
            self.gathered_count += drafts.len();
            self.gathered_bytes += bytes_of(&drafts);
            let Key { user: sender, device, conversation } = key;
            self.gathered.push_back(Entry::Drafts(DraftsEntry { conversation, sender, device, drafts }));
        }
    }

    /// Puts a cursor in line; `false` if there is no room.
    pub(crate) fn gather_cursor(&mut self, entry: Entry, config: &Config) -> bool {
        let fits = self.gathered_count < config.gathered_max;
        if fits {
            self.gathered_count += 1;
            self.gathered.push_back(entry);
        }
        fits
    }

    /// The next record's entries, if something gathered and another record may go.
    pub(crate) fn next_record(&mut self, in_flight: usize, now: Instant, config: &Config) -> Option<Vec<Entry>> {
        let is_young = |flight: &&(BatchId, Instant)| !is_late(flight, now, config);
        if self.gathered.is_empty() || self.flights.iter().filter(is_young).count() >= in_flight {
            return None;
        }
        let (mut entries, mut count, mut bytes) = (Vec::new(), 0, 0);
        while let Some(entry) = self.gathered.front() {
            let (more, more_bytes) = size_of(entry);
            let full = count + more > limits::RECORD_DRAFTS_MAX || bytes + more_bytes > config.record_bytes_max;
            if full && !entries.is_empty() {
                break;
            }
            (count, bytes) = (count + more, bytes + more_bytes);
            entries.extend(self.gathered.pop_front());
        }
        self.gathered_count -= count;
        self.gathered_bytes -= bytes;
        Some(entries)
    }

    /// A record with these drafts is under way.
    pub(crate) fn published(&mut self, batch: BatchId, keys: &[Key], now: Instant) {
        self.flights.push_back((batch, now));
        for key in keys {
            if let Some(pending) = self.pending.get_mut(key) {
                pending.batch = Some(batch);
            }
        }
    }

    /// The record was placed, and with it every earlier one, whoever was told of those: the log keeps its order.
    pub(crate) fn landed(&mut self, batch: BatchId) -> bool {
        let at = self.flights.iter().position(|(flight, _)| *flight == batch);
        at.map(|at| self.flights.drain(..=at)).is_some()
    }

    /// The log did not take the record.
    pub(crate) fn crashed(&mut self, batch: BatchId) -> bool {
        let at = self.flights.iter().position(|(flight, _)| *flight == batch);
        at.and_then(|at| self.flights.remove(at)).is_some()
    }

    /// Takes whoever waits for this draft's outcome, if any does. It counts only from the record that the draft went
    /// with last: that a draft was not placed, because a later record may still place it; that it was, because the
    /// earlier one may have had another body under the same id. The archiver decides that for the last one, too.
    pub(crate) fn settle(&mut self, key: Key, message_id: MessageId, batch: Option<BatchId>) -> Option<Waiter> {
        let pending = self.pending.get_mut(&key)?;
        if pending.batch != batch {
            return None;
        }
        let at = pending.drafts.iter().position(|draft| draft.message_id == message_id)?;
        pending.drafts.remove(at);
        let waiter = pending.waiter;
        if pending.drafts.is_empty() {
            self.pending.remove(&key);
        }
        Some(waiter)
    }

    /// Gives up the drafts of one key, if they are still those of the ticket, with this outcome.
    pub(crate) fn give_up(&mut self, key: Key, ticket: u64, outcome: Outcome) -> Option<Answers> {
        let is_it = self.pending.get(&key).is_some_and(|pending| pending.ticket == ticket);
        is_it.then(|| self.pending.remove(&key).map(|pending| pending.answers(key, outcome))).flatten()
    }

    /// Gives up drafts of a record that the log did not take.
    pub(crate) fn give_up_keys(&mut self, keys: &[Key], retry: Duration) -> Vec<Answers> {
        let again = Outcome::Retry { after_ms: hint_ms(retry) };
        keys.iter().filter_map(|key| self.pending.remove(key).map(|pending| pending.answers(*key, again))).collect()
    }

    /// Gives up drafts of a record whose whereabouts are unknown.
    pub(crate) fn give_up_batch(&mut self, batch: BatchId, retry: Duration) -> Vec<Answers> {
        let keys: Vec<Key> =
            self.pending.iter().filter(|(_, pending)| pending.batch == Some(batch)).map(|(key, _)| *key).collect();
        self.give_up_keys(&keys, retry)
    }

    /// Gives up what has waited too long, also what had gathered and was never published: its sender sends it again.
    pub(crate) fn sweep(&mut self, now: Instant, config: &Config) -> Vec<Answers> {
        let late = |since: Instant, limit: Duration| now.duration_since(since) >= limit;
        self.flights.retain(|(_, since)| !late(*since, config.place_timeout * FLIGHT_TIMEOUTS));
        let keys: Vec<Key> = (self.pending.iter())
            .filter(|(_, pending)| late(pending.since, config.place_timeout))
            .map(|(key, _)| *key)
            .collect();
        if keys.is_empty() {
            return Vec::new();
        }
        let answers = self.give_up_keys(&keys, config.retry_later);
        let waits = &self.pending;
        self.gathered.retain(|entry| match entry {
            Entry::Drafts(entry) => waits.contains_key(&Key::of(entry)),
            Entry::Cursor { .. } => true,
        });
        self.gathered_count = self.gathered.iter().map(|entry| size_of(entry).0).sum();
        self.gathered_bytes = self.gathered.iter().map(|entry| size_of(entry).1).sum();
        answers
    }

    /// No sender waits for anything. Cursors may be gathered or under way: their owners repeat them.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Gives up everything: the transfer ends.
    pub(crate) fn clear(&mut self, retry: Duration) -> Vec<Answers> {
        let keys: Vec<Key> = self.pending.keys().copied().collect();
        let answers = self.give_up_keys(&keys, retry);
        *self = Self { tickets: self.tickets, ..Self::default() };
        answers
    }
}

/// Nobody waits for what this record brings any more.
fn is_late((_, since): &(BatchId, Instant), now: Instant, config: &Config) -> bool {
    now.duration_since(*since) > config.place_timeout
}

impl Pending {
    fn answers(self, key: Key, outcome: Outcome) -> Answers {
        Answers {
            user: key.user,
            to: self.waiter,
            conversation: key.conversation,
            answers: self.drafts.iter().map(|draft| (draft.message_id, outcome)).collect(),
        }
    }
}

/// The keys of a record's drafts.
pub(crate) fn keys_of(entries: &[Entry]) -> Vec<Key> {
    entries
        .iter()
        .filter_map(|entry| if let Entry::Drafts(entry) = entry { Some(Key::of(entry)) } else { None })
        .collect()
}

/// The bytes of these drafts' bodies.
pub(crate) fn bytes_of(drafts: &[Draft]) -> usize {
    drafts.iter().map(|draft| draft.body.len()).sum()
}

/// How many drafts an entry counts for, and the bytes of their bodies.
fn size_of(entry: &Entry) -> (usize, usize) {
    match entry {
        Entry::Drafts(entry) => (entry.drafts.len(), bytes_of(&entry.drafts)),
        Entry::Cursor { .. } => (1, 0),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use whimbrel_core::{ConnectorId, Cursors, MessageKind, SessionId};

    use super::*;

    fn draft(body: &'static str) -> Draft {
        let (message_id, body) = (MessageId::generate(), Bytes::from_static(body.as_bytes()));
        Draft { message_id, kind: MessageKind::TEXT, key_version: 1, body }
    }

    fn waiter() -> Waiter {
        Waiter { session: SessionId::generate(), connector: ConnectorId::generate() }
    }

    fn sender() -> (Waiter, Key) {
        let (user, device, conversation) = (UserId(1), DeviceId::generate(), ConversationId::generate());
        (waiter(), Key { user, device, conversation })
    }

    fn put(lane: &mut Lane, config: &Config, drafts: &[Draft]) -> Key {
        let (from, key) = sender();
        let Admitted::New(ticket) = lane.admit(from, key, drafts, Instant::now(), config) else { panic!("not let in") };
        lane.gather(key, ticket, drafts.to_vec());
        key
    }

    /// Same drafts: joined, and the new session is answered. Another body, or more drafts: not now.
    #[test]
    fn only_the_same_drafts_join_what_is_under_way() {
        let (config, mut lane) = (Config::default(), Lane::default());
        let (from, key) = sender();
        let drafts = [draft("a"), draft("b")];
        let now = Instant::now();
        assert!(matches!(lane.admit(from, key, &drafts, now, &config), Admitted::New(_)));
        let again = waiter();
        assert_eq!(lane.admit(again, key, &drafts[1..], now, &config), Admitted::Joined);
        let other = Draft { body: Bytes::from_static(b"x"), ..drafts[0].clone() };
        for drafts in [vec![other], vec![drafts[0].clone(), draft("c")]] {
            assert_eq!(lane.admit(from, key, &drafts, now, &config), Admitted::Busy(config.retry_soon));
        }
        assert_eq!(lane.settle(key, drafts[0].message_id, None), Some(again));
        assert_eq!(lane.settle(key, drafts[1].message_id, None), Some(again));
        assert_eq!(lane.settle(key, drafts[1].message_id, None), None);
        assert!(lane.is_idle());
    }

    /// The first attempt timed out. That it is refused in the end says nothing of the second, in a later record; that it
    /// is placed neither: it may have had another body. Nor does either while the second has not gone out.
    #[test]
    fn the_outcome_of_an_earlier_attempt_is_not_the_answer() {
        let (config, mut lane) = (Config::default(), Lane::default());
        let one = draft("a");
        let key = put(&mut lane, &config, std::slice::from_ref(&one));
        let (first, second) = (BatchId::generate(), BatchId::generate());
        assert_eq!(lane.settle(key, one.message_id, Some(first)), None);
        lane.published(second, &[key], Instant::now());
        assert_eq!(lane.settle(key, one.message_id, Some(first)), None);
        assert!(lane.settle(key, one.message_id, Some(second)).is_some());
    }

    /// One record may be under way: what comes meanwhile leaves together, a Send never split.
    #[test]
    fn what_gathers_leaves_in_one_record_within_its_bounds() {
        let (config, mut lane) = (Config { record_bytes_max: 4, ..Config::default() }, Lane::default());
        put(&mut lane, &config, &[draft("a")]);
        let now = Instant::now();
        let first = lane.next_record(1, now, &config).expect("nothing is under way");
        lane.published(BatchId::from_bytes([1; 16]), &keys_of(&first), now);
        put(&mut lane, &config, &[draft("b"), draft("c")]);
        put(&mut lane, &config, &[draft("dd")]);
        put(&mut lane, &config, &[draft("eeeee")]);
        assert_eq!(lane.next_record(1, now, &config), None, "one is under way");
        assert!(lane.landed(BatchId::from_bytes([1; 16])));
        let sizes: Vec<usize> =
            std::iter::from_fn(|| lane.next_record(1, now, &config)).map(|entries| entries.len()).collect();
        assert_eq!(sizes, [2, 1], "what fits, then the one that is too large for any record");
        assert_eq!((lane.gathered_count, lane.gathered_bytes), (0, 0));
    }

    /// The bounds hold over Sends and cursors, and a lane that stands still lets nobody wait in vain.
    #[test]
    fn a_full_or_stalled_lane_tells_senders_to_come_again() {
        let config = Config { gathered_max: 2, ..Config::default() };
        let mut lane = Lane::default();
        put(&mut lane, &config, &[draft("a")]);
        let cursor =
            Entry::Cursor { conversation: ConversationId::generate(), user: UserId(1), cursors: Cursors::default() };
        assert!(lane.gather_cursor(cursor.clone(), &config) && !lane.gather_cursor(cursor, &config));
        let (from, key) = sender();
        let busy = Admitted::Busy(config.retry_later);
        assert_eq!(lane.admit(from, key, &[draft("b")], Instant::now(), &config), busy);
        let mut lane = Lane::default();
        let now = Instant::now();
        lane.published(BatchId::generate(), &[], now);
        lane.published(BatchId::generate(), &[], now + config.place_timeout);
        let later = now + config.place_timeout + Duration::from_millis(1);
        assert_eq!(lane.admit(from, key, &[draft("b")], later, &config), busy);
    }

    /// The announcement went to another transfer while the way to this one was broken. When nobody waits for it any
    /// more, one record goes out to try; its place says that the earlier ones have theirs.
    #[test]
    fn a_lane_that_was_not_told_of_a_place_tries_again_and_goes_on() {
        let (config, mut lane) = (Config::default(), Lane::default());
        let (now, tried) = (Instant::now(), BatchId::generate());
        lane.published(BatchId::generate(), &[], now);
        let later = now + config.place_timeout * 2;
        let (from, key) = sender();
        let one = draft("a");
        let Admitted::New(ticket) = lane.admit(from, key, std::slice::from_ref(&one), later, &config) else {
            panic!("not tried")
        };
        lane.gather(key, ticket, vec![one]);
        assert!(lane.next_record(1, later, &config).is_some(), "the lost record keeps nobody");
        lane.published(tried, &[key], later);
        let (from, key) = sender();
        let busy = Admitted::Busy(config.retry_later);
        assert_eq!(lane.admit(from, key, &[draft("b")], later, &config), busy, "one tries for all");
        assert!(lane.landed(tried));
        assert!(matches!(lane.admit(from, key, &[draft("b")], later, &config), Admitted::New(_)));
        assert!(lane.flights.is_empty());
    }

    /// Given up: the sender is told to come again, and what was never published is not published later.
    #[test]
    fn drafts_that_waited_too_long_are_given_up_whole() {
        let (config, mut lane) = (Config::default(), Lane::default());
        put(&mut lane, &config, &[draft("a"), draft("b")]);
        assert!(lane.sweep(Instant::now(), &config).is_empty());
        let answers = lane.sweep(Instant::now() + config.place_timeout, &config);
        assert_eq!(answers.len(), 1);
        assert!(answers[0].answers.iter().all(|(_, outcome)| matches!(outcome, Outcome::Retry { .. })));
        assert_eq!(answers[0].answers.len(), 2);
        assert!(lane.is_idle() && lane.gathered_count == 0);
    }
}
