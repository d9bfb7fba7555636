//! What clients asked of one transfer and it has not answered: what becomes "retry", and what is asked again, when the
//! stream ends.
//!
//! An entry is made when a request is put on the stream, in the same locked moment, and taken off when the answer is
//! read, before it is pushed on. So each request is answered by the transfer or by this list, and by both only if it was
//! given twice.

use std::time::{Duration, Instant};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;
use whimbrel_core::{ConversationId, MessageId, Outcome, SessionId, SyncQuestion};

use crate::{PushBody, PushItem, Request, RequestBody, SessionRef, To};

#[derive(Default)]
pub(super) struct UnderWay {
    sends: HashMap<(SessionId, ConversationId), Send>,
    syncs: HashMap<SessionId, Sync>,
}

/// The drafts of one session in one conversation.
struct Send {
    open: SmallVec<[MessageId; 2]>,
    since: Instant,
}

/// A session has at most one.
struct Sync {
    from: SessionRef,
    question: SyncQuestion,
    since: Instant,
}

impl UnderWay {
    pub(super) fn len(&self) -> usize {
        self.sends.len() + self.syncs.len()
    }

    /// A request goes out.
    pub(super) fn add(&mut self, request: Request, now: Instant) {
        let Request { from, body } = request;
        match body {
            RequestBody::Send { conversation, drafts } => {
                let ids = drafts.iter().map(|draft| draft.message_id);
                match self.sends.entry((from.session, conversation)) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(Send { open: ids.collect(), since: now });
                    }
                    Entry::Occupied(mut more) => {
                        let send = more.get_mut();
                        send.open.extend(ids);
                        send.since = now;
                    }
                }
            }
            RequestBody::Sync(question) => {
                self.syncs.insert(from.session, Sync { from, question, since: now });
            }
            RequestBody::Advance(_) | RequestBody::Signal { .. } => {}
        }
    }

    /// Something came for sessions: what it answers is not under way any more.
    pub(super) fn settle(&mut self, item: &PushItem) {
        let To::Sessions(sessions) = &item.to else { return };
        for session in sessions {
            match &item.body {
                PushBody::Answers { conversation, answers } => self.answered(*session, *conversation, answers),
                PushBody::Synced(answer) => self.synced(*session, answer.id),
                PushBody::Close { .. } => {
                    self.syncs.remove(session);
                }
                _ => {}
            }
        }
    }

    fn synced(&mut self, session: SessionId, id: u32) {
        if self.syncs.get(&session).is_some_and(|sync| sync.question.id == id) {
            self.syncs.remove(&session);
        }
    }

    fn answered(&mut self, session: SessionId, conversation: ConversationId, answers: &[(MessageId, Outcome)]) {
        let Some(send) = self.sends.get_mut(&(session, conversation)) else { return };
        if send.open.len() == answers.len() && send.open.iter().eq(answers.iter().map(|(id, _)| id)) {
            send.open.clear();
        }
        for (id, _) in answers {
            if let Some(at) = send.open.iter().position(|open| open == id) {
                send.open.remove(at);
            }
        }
        if send.open.is_empty() {
            self.sends.remove(&(session, conversation));
        }
    }

    /// The sessions have gone: nobody waits for the answers to their syncs.
    pub(super) fn gone(&mut self, sessions: &[SessionRef]) {
        for session in sessions {
            self.syncs.remove(&session.session);
        }
    }

    /// Takes off what has been here for longer than `within`.
    pub(super) fn overdue(&mut self, within: Duration, now: Instant) -> Self {
        let is_late = |since: Instant| now.saturating_duration_since(since) > within;
        Self {
            sends: self.sends.extract_if(|_, send| is_late(send.since)).collect(),
            syncs: self.syncs.extract_if(|_, sync| is_late(sync.since)).collect(),
        }
    }

    /// Everything: the answers for the Sends, and the syncs to ask again.
    pub(super) fn give_up(self, after_ms: impl Fn() -> u32) -> (Vec<PushItem>, Vec<Request>) {
        let answers = self
            .sends
            .into_iter()
            .map(|((session, conversation), send)| retry(session, conversation, send.open, after_ms()));
        let syncs =
            self.syncs.into_values().map(|sync| Request { from: sync.from, body: RequestBody::Sync(sync.question) });
        (answers.collect(), syncs.collect())
    }
}

/// "Send these again."
pub(super) fn retry(
    session: SessionId,
    conversation: ConversationId,
    ids: impl IntoIterator<Item = MessageId>,
    after_ms: u32,
) -> PushItem {
    let answers = ids.into_iter().map(|id| (id, Outcome::Retry { after_ms })).collect();
    PushItem { to: session.into(), body: PushBody::Answers { conversation, answers } }
}
