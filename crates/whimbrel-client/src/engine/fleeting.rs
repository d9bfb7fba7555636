//! Fleeting messages: when their time is over they are hidden here, and the server is told that they vanish.
//!
//! Whoever comes first tells it, and the server refuses the others, which is as good. So that not everybody comes first,
//! the author's devices tell it at once and the others a while later, each after its own pause.
//!
//! A message whose time counts from when it was read begins with what this device hears of that. The store keeps when that
//! was, so that it is the same time after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use whimbrel_core::{ConversationId, Seq, UserId};

/// Fleeting messages that are waited for; later ones vanish by other devices.
const WAITING_MAX: usize = 10_000;
/// How much later than the author's devices others tell the server.
const GRACE: Duration = Duration::from_secs(5);
/// When telling the server failed, it is tried again after so long.
const AGAIN: Duration = Duration::from_secs(30);

/// What is waited for.
#[derive(Debug, Default)]
pub(crate) struct Fleeting {
    waiting: BTreeMap<(ConversationId, Seq), Waiting>,
    /// When the times began that count from a reading, by this device's clock, as the store has it.
    begun: BTreeMap<(ConversationId, Seq), u64>,
    next: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    sender: UserId,
    after: Duration,
    is_own: bool,
    /// Since it began: when its time is over.
    over_at: Option<Instant>,
    is_hidden: bool,
    /// When the server is to be told; `None`: not yet, or it was.
    tell_at: Option<Instant>,
}

/// One message, as it is learnt of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) conversation: ConversationId,
    pub(crate) seq: Seq,
    pub(crate) sender: UserId,
    pub(crate) after_ms: u64,
    pub(crate) is_own: bool,
    /// How long ago its time began, if it has.
    pub(crate) began_ms_ago: Option<u64>,
}

/// What the passing of time brings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) hide: Vec<(ConversationId, Seq)>,
    pub(crate) tell: Vec<(ConversationId, Seq)>,
}

impl Fleeting {
    pub(crate) fn learn(&mut self, seen: Seen, pause: Duration, now: Instant) {
        if self.waiting.len() >= WAITING_MAX {
            return;
        }
        let after = Duration::from_millis(seen.after_ms);
        let mut waiting =
            Waiting { sender: seen.sender, after, is_own: seen.is_own, over_at: None, is_hidden: false, tell_at: None };
        if let Some(ago) = seen.began_ms_ago {
            waiting.begin(Duration::from_millis(seen.after_ms.saturating_sub(ago)), pause, now);
        }
        self.waiting.insert((seen.conversation, seen.seq), waiting);
        self.find_next();
    }

    /// As an earlier client noted it.
    pub(crate) fn remember(&mut self, begun: impl IntoIterator<Item = (ConversationId, Seq, u64)>) {
        self.begun.extend(begun.into_iter().map(|(id, seq, at)| ((id, seq), at)));
    }

    /// When the time of this one began: now, if that is not known; then it is news.
    pub(crate) fn began(&mut self, id: ConversationId, seq: Seq, now_ms: u64) -> (u64, bool) {
        let is_news = !self.begun.contains_key(&(id, seq));
        (*self.begun.entry((id, seq)).or_insert(now_ms), is_news)
    }

    /// Everything up to `upto` was read: by the user (then what others said begins), or by the other. Gives those that begin.
    pub(crate) fn read(
        &mut self,
        id: ConversationId,
        upto: Seq,
        by_me: bool,
        pause: Duration,
        now: Instant,
    ) -> Vec<Seq> {
        let mut began = Vec::new();
        for ((_, seq), waiting) in self.waiting.range_mut((id, Seq::ZERO)..=(id, upto)) {
            if waiting.is_own != by_me && waiting.over_at.is_none() {
                waiting.begin(waiting.after, pause, now);
                began.push(*seq);
            }
        }
        if !began.is_empty() {
            self.find_next();
        }
        began
    }

    pub(crate) fn taken_back(&mut self, id: ConversationId, seq: Seq) {
        self.begun.remove(&(id, seq));
        if self.waiting.remove(&(id, seq)).is_some() {
            self.find_next();
        }
    }

    /// What a user said in the conversation before a place is gone. Gives what was waited for.
    pub(crate) fn erased(&mut self, id: ConversationId, user: UserId, before: Seq) -> Vec<Seq> {
        let waiting = self.waiting.range((id, Seq::ZERO)..(id, before)).filter(|(_, waiting)| waiting.sender == user);
        let gone: Vec<Seq> = waiting.map(|((_, seq), _)| *seq).collect();
        for seq in &gone {
            self.begun.remove(&(id, *seq));
            self.waiting.remove(&(id, *seq));
        }
        self.find_next();
        gone
    }

    /// The conversation's messages up to and with `upto` are gone.
    pub(crate) fn dropped(&mut self, id: ConversationId, upto: Seq) {
        self.waiting.retain(|(conversation, seq), _| *conversation != id || *seq > upto);
        self.begun.retain(|(conversation, seq), _| *conversation != id || *seq > upto);
        self.find_next();
    }

    /// Telling the server failed: later, again.
    pub(crate) fn not_told(&mut self, id: ConversationId, seq: Seq, now: Instant) {
        if let Some(waiting) = self.waiting.get_mut(&(id, seq)) {
            waiting.tell_at = Some(now + AGAIN);
            self.find_next();
        }
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Over {
        let mut over = Over::default();
        if self.next.is_none_or(|next| next > now) {
            return over;
        }
        for (place, waiting) in &mut self.waiting {
            if !waiting.is_hidden && waiting.over_at.is_some_and(|at| at <= now) {
                waiting.is_hidden = true;
                over.hide.push(*place);
            }
            if waiting.tell_at.take_if(|at| *at <= now).is_some() {
                over.tell.push(*place);
            }
        }
        self.find_next();
        over
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    fn find_next(&mut self) {
        let hides = |waiting: &Waiting| waiting.over_at.filter(|_| !waiting.is_hidden);
        self.next = self.waiting.values().flat_map(|waiting| [hides(waiting), waiting.tell_at]).flatten().min();
    }
}

impl Waiting {
    fn begin(&mut self, left: Duration, pause: Duration, now: Instant) {
        // A time that does not fit never comes.
        self.over_at = now.checked_add(left);
        let pause = if self.is_own { Duration::ZERO } else { GRACE + pause };
        self.tell_at = self.over_at.and_then(|at| at.checked_add(pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: ConversationId = ConversationId::from_bytes([1; 16]);
    const PAUSE: Duration = Duration::from_secs(2);

    fn seen(seq: u64, is_own: bool, began_ms_ago: Option<u64>) -> Seen {
        Seen {
            conversation: CHAT,
            seq: Seq(seq),
            sender: UserId(1 + u64::from(is_own)),
            after_ms: 1000,
            is_own,
            began_ms_ago,
        }
    }

    /// One's own is hidden and told at once when its time is over; another's is hidden then and told after the pause.
    #[tokio::test(start_paused = true)]
    async fn the_author_tells_first() {
        let (mut fleeting, now) = (Fleeting::default(), Instant::now());
        fleeting.learn(seen(1, true, Some(400)), PAUSE, now);
        fleeting.learn(seen(2, false, Some(0)), PAUSE, now);
        assert_eq!(fleeting.tick(now + Duration::from_millis(599)), Over::default());
        let place = |seq| vec![(CHAT, Seq(seq))];
        let over = fleeting.tick(now + Duration::from_millis(600));
        assert_eq!(over, Over { hide: place(1), tell: place(1) });
        let over = fleeting.tick(now + Duration::from_secs(1));
        assert_eq!(over, Over { hide: place(2), tell: vec![] });
        let at = now + Duration::from_secs(1) + GRACE + PAUSE;
        assert_eq!(fleeting.deadline(), Some(at));
        assert_eq!(fleeting.tick(at), Over { hide: vec![], tell: place(2) });
        assert_eq!(fleeting.deadline(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_begins_once_read_begins_with_the_other_side() {
        let (mut fleeting, now) = (Fleeting::default(), Instant::now());
        fleeting.learn(seen(1, true, None), PAUSE, now);
        fleeting.learn(seen(2, false, None), PAUSE, now);
        assert_eq!(fleeting.deadline(), None);
        fleeting.read(CHAT, Seq(2), true, PAUSE, now);
        assert_eq!(fleeting.tick(now + Duration::from_secs(1)).hide, [(CHAT, Seq(2))]);
        fleeting.read(CHAT, Seq(2), false, PAUSE, now);
        assert_eq!(fleeting.tick(now + Duration::from_secs(1)).hide, [(CHAT, Seq(1))]);
        fleeting.taken_back(CHAT, Seq(2));
        assert_eq!(fleeting.deadline(), None, "what is gone is not told again");
    }

    /// Two of the other's, the second behind the place: only the first is given up.
    #[tokio::test(start_paused = true)]
    async fn what_is_erased_is_not_waited_for() {
        let (mut fleeting, now) = (Fleeting::default(), Instant::now());
        for (seq, is_own) in [(1, true), (2, false), (5, false)] {
            fleeting.learn(seen(seq, is_own, Some(0)), PAUSE, now);
        }
        assert_eq!(fleeting.erased(CHAT, UserId(1), Seq(5)), [Seq(2)]);
        let over = fleeting.tick(now + Duration::from_secs(1));
        assert_eq!(over.hide, [(CHAT, Seq(1)), (CHAT, Seq(5))]);
    }
}
