//! Drafts that wait for their answers.
//!
//! One lane for each conversation, and in each at most one Send under way; the next goes out when all of it is
//! answered. That keeps the sender's order. What rests here is ciphertext and never changes: a repeat is the same
//! bytes under the same id.
//!
//! A draft may leave before its answer comes (its message was delivered first); the answer is awaited all the same,
//! since the server takes the next Send only then.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;
use whimbrel_core::{ConversationId, Draft, Message, MessageId, Outcome};

use crate::store::OUTBOX_MAX;

/// A Send that got no answer for so long is sent again; after the second time the session ends.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often waiting answers are looked at.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// The shortest and the longest pause that a RETRY is followed by, whatever its hint says.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Bytes that a draft takes in a frame besides its body, and a Send besides its drafts, at most.
const DRAFT_OVERHEAD: usize = 48;
const SEND_OVERHEAD: usize = 64;

/// The drafts of one device.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lanes: HashMap<ConversationId, Lane>,
    /// Lanes that have something to send now.
    ready: VecDeque<ConversationId>,
    len: usize,
    check_at: Option<Instant>,
    retry_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Lane {
    drafts: VecDeque<Draft>,
    under_way: Vec<MessageId>,
    sent_at: Option<Instant>,
    retry_at: Option<Instant>,
    is_ready: bool,
    was_overdue: bool,
}

/// What one Send may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendLimits {
    pub(crate) drafts: usize,
    pub(crate) frame: usize,
}

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len >= OUTBOX_MAX
    }

    pub(crate) fn contains(&self, conversation: ConversationId, id: MessageId) -> bool {
        self.lanes.get(&conversation).is_some_and(|lane| lane.drafts.iter().any(|draft| draft.message_id == id))
    }

    pub(crate) fn push(&mut self, conversation: ConversationId, draft: Draft) {
        self.lanes.entry(conversation).or_default().drafts.push_back(draft);
        self.len += 1;
        self.make_ready(conversation);
    }

    /// A session has begun: nothing is under way in it.
    pub(crate) fn session_started(&mut self) {
        self.check_at = None;
        let conversations: Vec<_> = self.lanes.keys().copied().collect();
        for conversation in conversations {
            if let Some(lane) = self.lanes.get_mut(&conversation) {
                lane.under_way.clear();
                lane.was_overdue = false;
            }
            self.make_ready(conversation);
        }
    }

    /// The next Send, if one may go out: everything that waits in its lane, as far as it fits.
    pub(crate) fn next_send(&mut self, now: Instant, limits: SendLimits) -> Option<(ConversationId, Vec<Draft>)> {
        while let Some(conversation) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&conversation) else { continue };
            lane.is_ready = false;
            let drafts = lane.take(limits);
            if drafts.is_empty() {
                continue;
            }
            lane.under_way = drafts.iter().map(|draft| draft.message_id).collect();
            lane.sent_at = Some(now);
            lane.retry_at = None;
            self.check_at.get_or_insert(now + CHECK_EVERY);
            return Some((conversation, drafts));
        }
        None
    }

    /// Takes an answer. Gives the draft if it is answered for good and was still here.
    pub(crate) fn answer(
        &mut self,
        conversation: ConversationId,
        id: MessageId,
        outcome: &Outcome,
        now: Instant,
    ) -> Option<Draft> {
        let lane = self.lanes.get_mut(&conversation)?;
        lane.under_way.retain(|waiting| *waiting != id);
        let draft = match outcome {
            Outcome::Retry { after_ms } => {
                let pause = Duration::from_millis((*after_ms).into()).clamp(RETRY_MIN, RETRY_MAX);
                lane.retry_at = lane.retry_at.max(Some(now + pause));
                self.retry_at = Some(self.retry_at.map_or(now + pause, |at| at.min(now + pause)));
                None
            }
            _ => self.remove(conversation, id),
        };
        self.make_ready(conversation);
        draft
    }

    /// One's own message was delivered: its draft leaves. Says whether it was here. A draft of the same id and another
    /// body is another message, which the server will answer with CONFLICT: it stays until then.
    pub(crate) fn resolve(&mut self, message: &Message) -> bool {
        let (conversation, id) = (message.conversation, message.message_id);
        let is_it = |draft: &Draft| draft.message_id == id && draft.body == message.body;
        if !self.lanes.get(&conversation).is_some_and(|lane| lane.drafts.iter().any(is_it)) {
            return false;
        }
        self.remove(conversation, id);
        self.make_ready(conversation);
        true
    }

    /// What the passing of time brings. Says whether the session is to end: answers stay away for good.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry(now);
        }
        if self.check_at.is_none_or(|at| at > now) {
            return false;
        }
        let overdue =
            |lane: &Lane| !lane.under_way.is_empty() && lane.sent_at.is_some_and(|at| at + ANSWER_TIMEOUT <= now);
        let late: Vec<_> = self.lanes.iter().filter(|(_, lane)| overdue(lane)).map(|(id, _)| *id).collect();
        for conversation in late {
            let Some(lane) = self.lanes.get_mut(&conversation) else { continue };
            if std::mem::replace(&mut lane.was_overdue, true) {
                return true;
            }
            lane.under_way.clear();
            self.make_ready(conversation);
        }
        let waiting = self.lanes.values().any(|lane| !lane.under_way.is_empty());
        self.check_at = waiting.then_some(now + CHECK_EVERY);
        false
    }

    /// When [`Outbox::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.check_at, self.retry_at].into_iter().flatten().min()
    }

    fn retry(&mut self, now: Instant) {
        let mut next: Option<Instant> = None;
        let mut due = Vec::new();
        for (conversation, lane) in &mut self.lanes {
            match lane.retry_at {
                Some(at) if at <= now => {
                    lane.retry_at = None;
                    due.push(*conversation);
                }
                Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                None => {}
            }
        }
        self.retry_at = next;
        due.into_iter().for_each(|conversation| self.make_ready(conversation));
    }

    fn remove(&mut self, conversation: ConversationId, id: MessageId) -> Option<Draft> {
        let lane = self.lanes.get_mut(&conversation)?;
        let place = lane.drafts.iter().position(|draft| draft.message_id == id)?;
        self.len -= 1;
        lane.drafts.remove(place)
    }

    /// Queues a lane that may send; forgets one that is done.
    fn make_ready(&mut self, conversation: ConversationId) {
        let Some(lane) = self.lanes.get_mut(&conversation) else { return };
        if !lane.under_way.is_empty() {
            return;
        }
        lane.was_overdue &= !lane.drafts.is_empty();
        if lane.drafts.is_empty() {
            self.lanes.remove(&conversation);
        } else if lane.retry_at.is_none() && !lane.is_ready {
            lane.is_ready = true;
            self.ready.push_back(conversation);
        }
    }
}

impl Lane {
    /// What goes into the next Send; nothing while one is under way or a pause lasts.
    fn take(&self, limits: SendLimits) -> Vec<Draft> {
        if !self.under_way.is_empty() || self.retry_at.is_some() {
            return Vec::new();
        }
        let mut room = limits.frame.saturating_sub(SEND_OVERHEAD);
        let fits = |draft: &&Draft| {
            let size = draft.body.len() + DRAFT_OVERHEAD;
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        };
        let mut drafts: Vec<Draft> = self.drafts.iter().take(limits.drafts).take_while(fits).cloned().collect();
        if drafts.is_empty() {
            // The server says what it thinks of one that is too long.
            drafts.extend(self.drafts.front().cloned());
        }
        drafts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use whimbrel_core::{DeviceId, MessageKind, Refusal, Seq, UserId};

    const CHAT: ConversationId = ConversationId::from_bytes([1; 16]);
    const LIMITS: SendLimits = SendLimits { drafts: 3, frame: 4096 };

    fn draft(n: u8) -> Draft {
        Draft {
            message_id: MessageId::from_bytes([n; 16]),
            kind: MessageKind::TEXT,
            key_version: 1,
            body: Bytes::from(vec![n; 40]),
        }
    }

    fn placed(draft: Draft) -> Message {
        Message {
            conversation: CHAT,
            seq: Seq(1),
            sender: UserId(1),
            device: DeviceId::from_bytes([9; 16]),
            message_id: draft.message_id,
            kind: draft.kind,
            key_version: draft.key_version,
            body: draft.body,
            at: 1,
        }
    }

    fn ids(send: Option<(ConversationId, Vec<Draft>)>) -> Vec<u8> {
        send.map_or_else(Vec::new, |(_, drafts)| drafts.iter().map(|draft| draft.message_id.as_bytes()[0]).collect())
    }

    fn sent(seq: u64) -> Outcome {
        Outcome::Sent { seq: Seq(seq), at: 1 }
    }

    /// Five drafts, three to a Send: the rest waits until each of the three is answered, whatever the answers are.
    #[tokio::test(start_paused = true)]
    async fn one_send_is_under_way_and_the_next_takes_all_that_waits() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        for n in 1..=5 {
            outbox.push(CHAT, draft(n));
        }
        assert_eq!(ids(outbox.next_send(now, LIMITS)), [1, 2, 3]);
        assert!(ids(outbox.next_send(now, LIMITS)).is_empty());
        outbox.answer(CHAT, draft(1).message_id, &sent(1), now);
        outbox.answer(CHAT, draft(2).message_id, &Outcome::Refused(Refusal::Blocked), now);
        assert!(ids(outbox.next_send(now, LIMITS)).is_empty());
        outbox.answer(CHAT, draft(3).message_id, &Outcome::Conflict, now);
        assert_eq!(ids(outbox.next_send(now, LIMITS)), [4, 5]);
    }

    /// The hint is 700 ms: nothing goes out after 699, and after 700 the same bytes under the same id.
    #[tokio::test(start_paused = true)]
    async fn a_retry_is_sent_again_after_its_hint_and_not_before() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.push(CHAT, draft(1));
        let (_, first) = outbox.next_send(now, LIMITS).expect("a Send");
        outbox.answer(CHAT, draft(1).message_id, &Outcome::Retry { after_ms: 700 }, now);
        tokio::time::advance(Duration::from_millis(699)).await;
        assert!(!outbox.tick(Instant::now()));
        assert!(ids(outbox.next_send(Instant::now(), LIMITS)).is_empty());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(outbox.deadline().map(|at| at <= Instant::now()), Some(true));
        outbox.tick(Instant::now());
        let (_, second) = outbox.next_send(Instant::now(), LIMITS).expect("a Send");
        assert_eq!(first, second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_session_sends_all_that_is_unanswered_again_in_order() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        for n in 1..=3 {
            outbox.push(CHAT, draft(n));
        }
        outbox.next_send(now, LIMITS);
        outbox.answer(CHAT, draft(2).message_id, &sent(1), now);
        outbox.session_started();
        assert_eq!(ids(outbox.next_send(now, LIMITS)), [1, 3]);
    }

    /// The message was delivered before its answer: the draft is gone, and still the lane waits for the answer.
    #[tokio::test(start_paused = true)]
    async fn a_delivered_draft_leaves_and_its_lane_waits_for_the_answer() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.push(CHAT, draft(1));
        outbox.next_send(now, LIMITS);
        outbox.push(CHAT, draft(2));
        assert!(outbox.resolve(&placed(draft(1))));
        assert_eq!((outbox.len(), ids(outbox.next_send(now, LIMITS))), (1, vec![]));
        assert_eq!(outbox.answer(CHAT, draft(1).message_id, &sent(1), now), None);
        assert_eq!(ids(outbox.next_send(now, LIMITS)), [2]);
    }

    /// What was delivered under the draft's id has another body, so the draft was not placed. Only its answer ends it.
    #[tokio::test(start_paused = true)]
    async fn a_draft_is_not_resolved_by_another_body_of_its_id() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.push(CHAT, draft(1));
        outbox.next_send(now, LIMITS);
        assert!(!outbox.resolve(&placed(Draft { body: Bytes::from_static(b"another"), ..draft(1) })));
        assert_eq!(outbox.len(), 1);
        assert_eq!(outbox.answer(CHAT, draft(1).message_id, &Outcome::Conflict, now), Some(draft(1)));
        assert_eq!(outbox.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_asked_for_again_and_then_ends_the_session() {
        let mut outbox = Outbox::default();
        outbox.push(CHAT, draft(1));
        outbox.next_send(Instant::now(), LIMITS);
        tokio::time::advance(ANSWER_TIMEOUT).await;
        assert!(!outbox.tick(Instant::now()));
        assert_eq!(ids(outbox.next_send(Instant::now(), LIMITS)), [1]);
        tokio::time::advance(ANSWER_TIMEOUT).await;
        assert!(outbox.tick(Instant::now()));
    }
}
