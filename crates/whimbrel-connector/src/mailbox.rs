//! What waits for one session, bounded in frames and bytes; no memory while empty.
//!
//! When it is full, news (deliveries, receipts) are dropped and the session is poked: a sync brings all of them. Until
//! the poke is taken further news are not queued either, since that sync comes after it. Answers are never dropped:
//! a client that waits for one would wait for ever. So an answer for which there is no room even without news ends the
//! session with TOO_SLOW, and the client's outbox and sync ask again. Signals are dropped first: they are taken only while
//! there is plenty of room.

use std::collections::VecDeque;
use std::mem;

use parking_lot::Mutex;
use whimbrel_core::GoodbyeCode;
use whimbrel_core::limits::SIGNAL_MAILBOX_SHARE;
use whimbrel_wire::Encoded;
use whimbrel_wire::frame::ENVELOPE_MAX;

/// What a frame is to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An answer to a request of this session.
    Answer,
    /// The answer to its sync.
    Synced,
    /// What a sync would bring as well.
    News,
    /// What passes, and what nobody misses.
    Signal,
    /// The same; but it is told again, as it is then ([`Mailbox::lost_presence`]).
    Presence,
    /// The poke that stands for news that were dropped, or was pushed.
    Poke,
}

/// Somebody wants the session to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: GoodbyeCode,
    pub(crate) retry_after_ms: u32,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// Taken. `wake`: the caller wakes the session, since nobody has undertaken that yet, or since it is to end.
    Taken { wake: bool, overflowed: bool },
    /// The session has ended.
    Gone,
}

#[derive(Default)]
pub(crate) struct Mailbox(Mutex<Inner>);

/// Where its session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Coming,
    /// The transfer has let it in.
    Admitted,
    /// It has ended: nothing is taken any more.
    Shut,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<(Kind, Encoded)>,
    bytes: usize,
    /// When news were dropped for want of room, milliseconds; 0 when they were not, or the poke has been taken.
    full_since: u64,
    close: Option<Close>,
    poke: bool,
    /// Somebody has undertaken to wake the session since it last took. For what is to be written one wake is enough: a
    /// session whose socket takes nothing goes on by itself. To end it must be woken all the same.
    signalled: bool,
    stage: Stage,
    /// There was no room for presence.
    lost_presence: bool,
}

impl Inner {
    fn fits(&self, len: usize, bounds: Bounds) -> bool {
        self.queue.is_empty() || (self.queue.len() < bounds.frames && self.bytes + len <= bounds.bytes)
    }

    fn push(&mut self, kind: Kind, frame: Encoded) {
        self.bytes += frame.len();
        self.queue.push_back((kind, frame));
    }

    /// Drops news in favour of a poke.
    fn overflow(&mut self, now: u64) {
        self.lost_presence |= self.queue.iter().any(|(kind, _)| *kind == Kind::Presence);
        self.queue.retain(|(kind, _)| !matches!(kind, Kind::News | Kind::Signal | Kind::Presence));
        self.bytes = self.queue.iter().map(|(_, frame)| frame.len()).sum();
        self.poke = true;
        self.full_since = now;
    }

    /// Whether there is room to spare.
    fn is_roomy(&self, len: usize, bounds: Bounds) -> bool {
        let (frames, bytes) = (bounds.frames / SIGNAL_MAILBOX_SHARE, bounds.bytes / SIGNAL_MAILBOX_SHARE);
        self.close.is_none() && self.full_since == 0 && self.queue.len() < frames && self.bytes + len <= bytes
    }

    fn put(&mut self, kind: Kind, frame: &Encoded, bounds: Bounds, now: u64) -> bool {
        if self.close.is_some() || (kind == Kind::News && self.full_since != 0) {
            return false;
        }
        let mut overflowed = false;
        if !self.fits(frame.len(), bounds) && self.full_since == 0 {
            self.overflow(now);
            overflowed = true;
        }
        if overflowed && kind == Kind::News {
            return true;
        }
        if self.fits(frame.len(), bounds) {
            self.push(kind, frame.clone());
        } else {
            self.close = Some(Close { code: GoodbyeCode::TOO_SLOW, retry_after_ms: 0 });
        }
        overflowed
    }

    fn signal(&mut self, overflowed: bool) -> Put {
        Put::Taken { wake: !mem::replace(&mut self.signalled, true), overflowed }
    }
}

impl Mailbox {
    /// Puts frames in, or a poke in their place. `now`: milliseconds of the house's clock.
    pub(crate) fn put(&self, kind: Kind, frames: &[Encoded], bounds: Bounds, now: u64) -> Put {
        let mut inner = self.0.lock();
        if inner.stage == Stage::Shut {
            return Put::Gone;
        }
        let was_closing = inner.close.is_some();
        let mut overflowed = false;
        let passes = matches!(kind, Kind::Signal | Kind::Presence);
        if passes && !frames.iter().all(|frame| inner.is_roomy(frame.len(), bounds)) {
            inner.lost_presence |= kind == Kind::Presence;
            return Put::Taken { wake: false, overflowed };
        }
        for frame in frames {
            overflowed |= inner.put(kind, frame, bounds, now);
        }
        if inner.close.is_some() && !was_closing {
            inner.signalled = false;
        }
        inner.signal(overflowed)
    }

    /// Whether presence got lost for want of room since this was asked last.
    pub(crate) fn lost_presence(&self) -> bool {
        mem::take(&mut self.0.lock().lost_presence)
    }

    /// Has the session sync everything.
    pub(crate) fn poke(&self) -> Put {
        let mut inner = self.0.lock();
        if inner.stage == Stage::Shut {
            return Put::Gone;
        }
        inner.poke = true;
        inner.signal(false)
    }

    /// Ends the session; the first reason stands. Always asks for a wake.
    pub(crate) fn close(&self, close: Close) -> Put {
        let mut inner = self.0.lock();
        if inner.stage == Stage::Shut {
            return Put::Gone;
        }
        inner.close.get_or_insert(close);
        inner.signalled = false;
        inner.signal(false)
    }

    /// Whether the session is to end.
    pub(crate) fn closing(&self) -> Option<Close> {
        self.0.lock().close
    }

    /// Since when news have been dropped, milliseconds; 0 when they are not.
    pub(crate) fn full_since(&self) -> u64 {
        self.0.lock().full_since
    }

    /// Takes nothing from now on; what is queued stays to be written.
    pub(crate) fn shut(&self) {
        self.0.lock().stage = Stage::Shut;
    }

    /// Whether the session has ended.
    pub(crate) fn is_shut(&self) -> bool {
        self.0.lock().stage == Stage::Shut
    }

    /// Notes that the transfer has let the session in.
    pub(crate) fn admit(&self) {
        let mut inner = self.0.lock();
        if inner.stage == Stage::Coming {
            inner.stage = Stage::Admitted;
        }
    }

    /// Whether the session is in, and has not ended.
    pub(crate) fn is_admitted(&self) -> bool {
        self.0.lock().stage == Stage::Admitted
    }

    /// Drops what waits: it was for somebody who was not let in.
    pub(crate) fn forget(&self) {
        let mut inner = self.0.lock();
        (inner.queue, inner.bytes, inner.poke) = (VecDeque::new(), 0, false);
    }

    /// Hands out up to `room` frames, as long as they fit into `budget` bytes (the first always does).
    pub(crate) fn take(&self, room: u64, budget: usize, mut put: impl FnMut(Kind, &Encoded)) {
        let mut inner = self.0.lock();
        inner.signalled = false;
        let (mut room, mut left) = (room, budget);
        if room > 0 && mem::take(&mut inner.poke) {
            inner.full_since = 0;
            put(Kind::Poke, &Encoded::poke());
            room -= 1;
        }
        while room > 0 {
            let Some((kind, frame)) = inner.queue.front() else { break };
            let (len, size) = (frame.len(), frame.len() + ENVELOPE_MAX);
            if size > left && left < budget {
                break;
            }
            put(*kind, frame);
            left = left.saturating_sub(size);
            room -= 1;
            inner.bytes -= len;
            inner.queue.pop_front();
        }
        if inner.queue.is_empty() {
            inner.queue = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::{ConversationId, MessageId, Outcome};

    const BOUNDS: Bounds = Bounds { frames: 4, bytes: 1000 };

    fn frame() -> Encoded {
        let answers = [(MessageId::generate(), Outcome::Conflict)];
        Encoded::answers(ConversationId::generate(), &answers)
    }

    fn taken(mailbox: &Mailbox) -> Vec<Kind> {
        let mut kinds = Vec::new();
        mailbox.take(u64::MAX, usize::MAX, |kind, _| kinds.push(kind));
        kinds
    }

    #[test]
    fn overflow_drops_news_pokes_once_and_keeps_answers() {
        let mailbox = Mailbox::default();
        mailbox.put(Kind::News, &[frame(), frame()], BOUNDS, 5);
        mailbox.put(Kind::Answer, &[frame()], BOUNDS, 5);
        assert_eq!(mailbox.full_since(), 0);
        let put = mailbox.put(Kind::News, &vec![frame(); 4], BOUNDS, 7);
        assert_eq!(put, Put::Taken { wake: false, overflowed: true });
        mailbox.put(Kind::Answer, &[frame()], BOUNDS, 8);
        assert_eq!(mailbox.full_since(), 7);
        assert_eq!(taken(&mailbox), [Kind::Poke, Kind::Answer, Kind::Answer]);
        assert_eq!(mailbox.full_since(), 0);
        mailbox.put(Kind::News, &[frame()], BOUNDS, 9);
        assert_eq!(taken(&mailbox), [Kind::News]);
    }

    #[test]
    fn signals_are_taken_while_there_is_plenty_of_room_and_go_first() {
        let bounds = Bounds { frames: 8, bytes: 100_000 };
        let mailbox = Mailbox::default();
        let dropped = Put::Taken { wake: false, overflowed: false };
        assert_eq!(mailbox.put(Kind::Signal, &[frame()], bounds, 1), Put::Taken { wake: true, overflowed: false });
        mailbox.put(Kind::News, &[frame()], bounds, 1);
        assert_eq!(mailbox.put(Kind::Signal, &[frame()], bounds, 1), dropped);
        mailbox.put(Kind::News, &vec![frame(); 7], bounds, 1);
        assert_eq!(mailbox.put(Kind::Signal, &[frame()], bounds, 1), dropped, "a poke stands for what it missed");
        assert_eq!(taken(&mailbox), [Kind::Poke]);
        mailbox.put(Kind::Signal, &[frame()], bounds, 1);
        assert_eq!(taken(&mailbox), [Kind::Signal]);
    }

    #[test]
    fn presence_without_room_is_noticed_once_whether_it_waited_or_came_too_late() {
        let bounds = Bounds { frames: 8, bytes: 100_000 };
        let mailbox = Mailbox::default();
        mailbox.put(Kind::Presence, &[frame()], bounds, 1);
        assert!(!mailbox.lost_presence());
        mailbox.put(Kind::News, &vec![frame(); 8], bounds, 1);
        assert_eq!([mailbox.lost_presence(), mailbox.lost_presence()], [true, false], "it waited");
        mailbox.put(Kind::Presence, &[frame()], bounds, 1);
        assert!(mailbox.lost_presence(), "a poke waits");
        assert_eq!(taken(&mailbox), [Kind::Poke]);
        mailbox.put(Kind::Presence, &[frame()], bounds, 1);
        assert_eq!((taken(&mailbox), mailbox.lost_presence()), (vec![Kind::Presence], false));
    }

    #[test]
    fn an_answer_without_room_ends_the_session_and_grows_nothing() {
        let mailbox = Mailbox::default();
        mailbox.put(Kind::Answer, &vec![frame(); 5], BOUNDS, 1);
        assert_eq!(mailbox.closing().map(|c| c.code), Some(GoodbyeCode::TOO_SLOW));
        mailbox.put(Kind::Answer, &vec![frame(); 100], BOUNDS, 1);
        assert_eq!(mailbox.0.lock().queue.len(), 4);
    }

    #[test]
    fn the_first_reason_to_close_stands_and_a_shut_mailbox_takes_nothing() {
        let mailbox = Mailbox::default();
        mailbox.close(Close { code: GoodbyeCode::REPLACED, retry_after_ms: 0 });
        mailbox.close(Close { code: GoodbyeCode::MOVING, retry_after_ms: 1 });
        assert_eq!(mailbox.closing().map(|c| c.code), Some(GoodbyeCode::REPLACED));
        mailbox.shut();
        assert_eq!(mailbox.put(Kind::News, &[frame()], BOUNDS, 1), Put::Gone);
    }

    #[test]
    fn only_what_fits_is_taken_and_an_empty_mailbox_holds_no_memory() {
        let mailbox = Mailbox::default();
        mailbox.put(Kind::Answer, &[frame(), frame(), frame()], BOUNDS, 1);
        let mut count = 0;
        mailbox.take(1, usize::MAX, |_, _| count += 1);
        assert_eq!(count, 1);
        mailbox.take(u64::MAX, 1, |_, _| count += 1);
        assert_eq!(count, 2, "the first fits always, the second not");
        assert_eq!(taken(&mailbox).len(), 1);
        let inner = mailbox.0.lock();
        assert_eq!((inner.queue.capacity(), inner.bytes), (0, 0));
    }

    #[test]
    fn a_put_asks_for_a_wake_until_the_session_has_looked() {
        let mailbox = Mailbox::default();
        let wakes = |put| matches!(put, Put::Taken { wake: true, .. });
        assert!(wakes(mailbox.put(Kind::News, &[frame()], BOUNDS, 1)));
        assert!(!wakes(mailbox.put(Kind::News, &[frame()], BOUNDS, 1)));
        mailbox.take(0, 0, |_, _| ());
        assert!(wakes(mailbox.put(Kind::News, &[frame()], BOUNDS, 1)), "it looked, and could not take");
    }

    #[test]
    fn an_end_asks_for_a_wake_also_when_one_was_asked_for() {
        // The idea: a session whose socket takes nothing does not look here, so that the wake before was for nothing.
        let wakes = |put| matches!(put, Put::Taken { wake: true, .. });
        let mailbox = Mailbox::default();
        mailbox.put(Kind::News, &[frame()], BOUNDS, 1);
        assert!(wakes(mailbox.close(Close { code: GoodbyeCode::REPLACED, retry_after_ms: 0 })));

        let mailbox = Mailbox::default();
        mailbox.put(Kind::Answer, &vec![frame(); 4], BOUNDS, 1);
        assert!(wakes(mailbox.put(Kind::Answer, &[frame()], BOUNDS, 1)), "without room it ends");
    }
}
