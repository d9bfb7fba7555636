//! What is asked of the server, and in which order: one Sync at a time.
//!
//! A whole comparison goes through all conversations in ranges; gaps are single conversations of which more is known
//! to exist. Ranges come first, since they close most gaps. A gap that was closed meanwhile is not asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;
use whimbrel_core::{ConversationId, Known, SyncAnswer, SyncQuestion};

use crate::inbox::Conversation;

/// A Sync that is not answered for so long ends the session.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// After an answer that brought nothing of what was asked for.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of a Known in a frame, at most.
const KNOWN_LEN: usize = 64;

/// The syncs of one session.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    last_id: u32,
    under_way: Option<UnderWay>,
    /// Where the whole comparison goes on: after this conversation.
    range: Option<Option<ConversationId>>,
    /// When that is done, once more: something was missed meanwhile.
    again: bool,
    /// Conversations to ask for while their cursor is below their head.
    gaps: BTreeSet<ConversationId>,
    /// Conversations to ask for in any case.
    wanted: BTreeSet<ConversationId>,
    pause_until: Option<Instant>,
    compared: bool,
}

#[derive(Debug)]
struct UnderWay {
    id: u32,
    question: Question,
    /// The conversations that were named.
    named: Vec<ConversationId>,
    sent_at: Instant,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    Range { until: Option<ConversationId> },
    Gaps(Vec<ConversationId>),
}

impl Syncs {
    /// A session has begun: everything is compared.
    pub(crate) fn session_started(&mut self) {
        *self = Self { last_id: self.last_id, range: Some(None), ..Self::default() };
    }

    /// Everything is to be compared (again).
    pub(crate) fn compare(&mut self) {
        match self.range {
            None if !self.is_comparing() => self.range = Some(None),
            _ => self.again = true,
        }
    }

    /// More of this conversation exists than the device has.
    pub(crate) fn gap(&mut self, conversation: ConversationId) {
        self.gaps.insert(conversation);
    }

    /// The device wants to know how this conversation is.
    pub(crate) fn ask(&mut self, conversation: ConversationId) {
        self.wanted.insert(conversation);
    }

    /// Whether everything was compared once in this session.
    pub(crate) fn has_compared(&self) -> bool {
        self.compared
    }

    /// Whether nothing is asked and nothing waits to be.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.range.is_none() && self.gaps.is_empty() && self.wanted.is_empty()
    }

    fn is_comparing(&self) -> bool {
        matches!(&self.under_way, Some(UnderWay { question: Question::Range { .. }, .. }))
    }

    /// The next question, if one is to be asked now.
    pub(crate) fn next(
        &mut self,
        conversations: &HashMap<ConversationId, Conversation>,
        max_conversations: usize,
        max_frame: usize,
        now: Instant,
    ) -> Option<SyncQuestion> {
        let pauses = self.range.is_none() && self.pause_until.is_some_and(|until| until > now);
        if self.under_way.is_some() || pauses {
            return None;
        }
        // Also when nothing is left to ask: otherwise the pause would stay a deadline that has passed.
        self.pause_until = None;
        let max = max_conversations.min(max_frame / KNOWN_LEN).max(1);
        let (question, sync) = match self.range.take() {
            Some(after) => range(conversations, after, max),
            None => self.named(conversations, max)?,
        };
        self.last_id = self.last_id.wrapping_add(1);
        let named = sync.known.iter().map(|known| known.conversation).collect();
        self.under_way = Some(UnderWay { id: self.last_id, question, named, sent_at: now });
        Some(SyncQuestion { id: self.last_id, ..sync })
    }

    fn named(
        &mut self,
        conversations: &HashMap<ConversationId, Conversation>,
        max: usize,
    ) -> Option<(Question, SyncQuestion)> {
        let wanted = &self.wanted;
        self.gaps.retain(|id| {
            conversations.get(id).is_none_or(|conversation| conversation.row.cursor < conversation.row.head)
                && !wanted.contains(id)
        });
        let ids: BTreeSet<_> = self.wanted.iter().chain(&self.gaps).take(max).copied().collect();
        if ids.is_empty() {
            return None;
        }
        self.wanted.retain(|id| !ids.contains(id));
        self.gaps.retain(|id| !ids.contains(id));
        let known = ids.iter().map(|id| known(conversations.get(id), *id)).collect();
        let sync = SyncQuestion { id: 0, after: None, until: None, known, only_known: true, max_messages: 0 };
        Some((Question::Gaps(ids.into_iter().collect()), sync))
    }

    /// An answer has come and its views were taken. `moved`: they brought something.
    pub(crate) fn answered(&mut self, id: u32, next: Option<ConversationId>, moved: bool, now: Instant) {
        match self.under_way.take_if(|under_way| under_way.id == id).map(|under_way| under_way.question) {
            None => {}
            Some(Question::Range { until }) => match next.or(until) {
                Some(after) => self.range = Some(Some(after)),
                None => {
                    self.compared = true;
                    self.range = std::mem::take(&mut self.again).then_some(None);
                }
            },
            Some(Question::Gaps(named)) => {
                if let Some(next) = next {
                    self.wanted.extend(named.into_iter().filter(|id| *id > next));
                }
                let goes_on = !self.gaps.is_empty() || !self.wanted.is_empty();
                if goes_on && !moved {
                    self.pause_until = Some(now + PAUSE);
                }
            }
        }
    }

    /// Conversations that were named in what is under way and that this answer passes over: the server does not have
    /// them.
    pub(crate) fn unknown_to(&self, answer: &SyncAnswer) -> Vec<ConversationId> {
        let Some(under_way) = &self.under_way else { return Vec::new() };
        let shown: BTreeSet<_> = answer.views.iter().map(|view| view.conversation).collect();
        let reached = |id: &ConversationId| answer.next.is_none_or(|next| *id <= next);
        under_way.named.iter().copied().filter(|id| reached(id) && !shown.contains(id)).collect()
    }

    /// Whether this is the answer to what is under way.
    pub(crate) fn awaits(&self, id: u32) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.id == id)
    }

    /// What the passing of time brings. Says whether the session is to end: the answer stays away for good.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        // Here too, since a full window keeps the driver from asking for the next question.
        self.pause_until = self.pause_until.filter(|until| *until > now);
        self.under_way.as_ref().is_some_and(|under_way| under_way.sent_at + ANSWER_TIMEOUT <= now)
    }

    /// When [`Syncs::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.under_way {
            Some(under_way) => Some(under_way.sent_at + ANSWER_TIMEOUT),
            None => self.pause_until,
        }
    }
}

fn known(conversation: Option<&Conversation>, id: ConversationId) -> Known {
    let row = conversation.map(|conversation| &conversation.row);
    Known {
        conversation: id,
        cursor: row.map_or(whimbrel_core::Seq::ZERO, |row| row.cursor),
        message_id: row.and_then(|row| row.cursor_id),
    }
}

/// The range after `after` with at most `max` known conversations.
fn range(
    conversations: &HashMap<ConversationId, Conversation>,
    after: Option<ConversationId>,
    max: usize,
) -> (Question, SyncQuestion) {
    let mut ids: Vec<_> = conversations.keys().copied().filter(|id| after.is_none_or(|after| *id > after)).collect();
    ids.sort_unstable();
    let until = (ids.len() > max).then(|| ids[max - 1]);
    ids.truncate(max);
    let known = ids.into_iter().map(|id| known(conversations.get(&id), id)).collect();
    (Question::Range { until }, SyncQuestion { id: 0, after, until, known, only_known: false, max_messages: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::{ConversationKind, Cursors, Seq, View};

    const CHAT: ConversationId = ConversationId::from_bytes([1; 16]);
    const SYNC: (usize, usize) = (500, 4096);

    /// A device that has compared, asked for a gap and got nothing: it pauses.
    fn pausing(now: Instant) -> (Syncs, HashMap<ConversationId, Conversation>) {
        let view = View {
            conversation: CHAT,
            kind: ConversationKind::Direct,
            peer: None,
            head: Seq(1),
            head_at: 0,
            floor: Seq::ZERO,
            own: Cursors::default(),
            unread: 0,
            peer_cursors: Cursors::default(),
            reset: false,
            messages: Vec::new(),
            complete: false,
        };
        let conversations = HashMap::from([(CHAT, Conversation::starting(&view, Seq::ZERO))]);
        let mut syncs = Syncs { compared: true, ..Syncs::default() };
        syncs.gap(CHAT);
        let question = syncs.next(&conversations, SYNC.0, SYNC.1, now).expect("the gap is asked for");
        syncs.gap(CHAT);
        syncs.answered(question.id, None, false, now);
        assert!(syncs.next(&conversations, SYNC.0, SYNC.1, now).is_none());
        assert_eq!(syncs.deadline(), Some(now + PAUSE));
        (syncs, conversations)
    }

    /// A live message closes the only gap during the pause. Were the pause kept, it would be a deadline in the past, for
    /// which the driver would wake without end.
    #[test]
    fn a_pause_after_which_nothing_is_asked_is_over() {
        let now = Instant::now();
        let (mut syncs, mut conversations) = pausing(now);
        conversations.values_mut().for_each(|conversation| conversation.row.cursor = conversation.row.head);
        assert!(syncs.next(&conversations, SYNC.0, SYNC.1, now + PAUSE).is_none());
        assert_eq!(syncs.deadline(), None);
        assert!(syncs.is_idle());
    }

    /// The window is full when the pause ends, so nothing can be asked yet: that is no reason to wake again and again.
    #[test]
    fn a_pause_ends_although_nothing_may_be_asked_yet() {
        let now = Instant::now();
        let (mut syncs, conversations) = pausing(now);
        assert!(!syncs.tick(now + PAUSE));
        assert_eq!(syncs.deadline(), None);
        assert!(syncs.next(&conversations, SYNC.0, SYNC.1, now + PAUSE).is_some(), "the gap is not forgotten");
    }
}
