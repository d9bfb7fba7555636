//! Deliver: from what was placed to what each session gets, in which order. No I/O.
//!
//! Invariants
//! - Each session gets what is about one conversation in the order of the seqs, answers included.
//! - The session whose draft is answered SENT here does not get that row again; every other one of the audience does,
//!   the sender's other sessions too. When nobody waits for the answer any more, all of them do.
//! - Consecutive rows of a conversation for the same sessions are one [`Delivery`]; bodies are shared, not copied.

use std::sync::Arc;

use smallvec::SmallVec;
use whimbrel_core::{
    Audience, ConversationId, Delivery, Message, MessageId, Outcome, PlacedRow, Seq, SessionId, UserId,
};
use whimbrel_rpc::PushBody;
use whimbrel_store::Route;

use crate::reach::{Outgoing, Routes};

/// An answer, and the session that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) conversation: ConversationId,
    pub(crate) message_id: MessageId,
    pub(crate) outcome: Outcome,
}

/// Something about a place. At one place the answers come first: they say who does not need the row.
enum Event {
    Answer(Answered),
    Row(PlacedRow),
}

impl Event {
    fn key(&self) -> (ConversationId, Seq, bool) {
        match self {
            Event::Answer(answered) => {
                let seq = if let Outcome::Sent { seq, .. } = answered.outcome { seq } else { Seq::ZERO };
                (answered.conversation, seq, false)
            }
            Event::Row(row) => (row.message.conversation, row.message.seq, true),
        }
    }
}

/// A set of sessions, in the order in which UserStatus named them.
type Sessions = SmallVec<[Route; 4]>;

/// What is being put together for one conversation. The session of `answers` is never among those of `rows`, so the
/// order of the two does not matter.
#[derive(Default)]
struct Open {
    to: Sessions,
    rows: Vec<Message>,
    waiting: Option<Route>,
    answers: Vec<(MessageId, Outcome)>,
}

/// Arranges everything that one announcement leads to.
pub(crate) fn arrange(rows: Vec<PlacedRow>, answered: Vec<Answered>, routes: &Routes) -> Outgoing {
    let answers = answered.into_iter().map(Event::Answer);
    let mut events: Vec<Event> = answers.chain(rows.into_iter().map(Event::Row)).collect();
    events.sort_by_key(Event::key);
    let mut outgoing = Outgoing::default();
    let mut open = Open::default();
    let mut at = (None, Seq::ZERO, false);
    let mut base: (Option<Audience>, Sessions) = (None, Sessions::new());
    let mut answered_here: SmallVec<[SessionId; 2]> = SmallVec::new();
    for event in events {
        let (conversation, seq, is_row) = event.key();
        if at.0 != Some(conversation) {
            if let Some(conversation) = at.0 {
                open.flush(conversation, &mut outgoing);
            }
            base.0 = None;
        }
        if (at.0, at.1) != (Some(conversation), seq) {
            answered_here.clear();
        } else if is_row && at.2 {
            // The same row, found by two records.
            continue;
        }
        at = (Some(conversation), seq, is_row);
        match event {
            Event::Answer(answered) => {
                answered_here.push(answered.session);
                if let Some(route) = routes.session(answered.user, answered.session) {
                    open.answer(conversation, route, (answered.message_id, answered.outcome), &mut outgoing);
                }
            }
            Event::Row(row) => {
                if base.0 != Some(row.audience) {
                    base = (Some(row.audience), sessions(row.audience, routes));
                }
                let mut to = base.1.clone();
                to.retain(|route| !answered_here.contains(&route.session));
                open.row(conversation, to, row.message, &mut outgoing);
            }
        }
    }
    if let Some(conversation) = at.0 {
        open.flush(conversation, &mut outgoing);
    }
    outgoing
}

/// The sessions of an audience.
pub(crate) fn sessions(audience: Audience, routes: &Routes) -> Sessions {
    audience.users().flat_map(|user| routes.of(user).iter().copied()).collect()
}

impl Open {
    fn row(&mut self, conversation: ConversationId, to: Sessions, message: Message, outgoing: &mut Outgoing) {
        if to.is_empty() {
            return;
        }
        if to != self.to {
            self.flush_rows(conversation, outgoing);
            if self.waiting.is_some_and(|waiting| to.contains(&waiting)) {
                self.flush_answers(conversation, outgoing);
            }
            self.to = to;
        }
        self.rows.push(message);
    }

    fn answer(
        &mut self,
        conversation: ConversationId,
        route: Route,
        answer: (MessageId, Outcome),
        outgoing: &mut Outgoing,
    ) {
        if self.waiting != Some(route) {
            self.flush_answers(conversation, outgoing);
            if self.to.contains(&route) {
                self.flush_rows(conversation, outgoing);
            }
            self.waiting = Some(route);
        }
        self.answers.push(answer);
    }

    fn flush_rows(&mut self, conversation: ConversationId, outgoing: &mut Outgoing) {
        if !self.rows.is_empty() {
            let messages = std::mem::take(&mut self.rows);
            outgoing.many(&self.to, &PushBody::Deliver(Arc::new(Delivery { conversation, messages })));
        }
        self.to.clear();
    }

    fn flush_answers(&mut self, conversation: ConversationId, outgoing: &mut Outgoing) {
        if let Some(route) = self.waiting.take() {
            outgoing.one(route, PushBody::Answers { conversation, answers: std::mem::take(&mut self.answers) });
        }
    }

    fn flush(&mut self, conversation: ConversationId, outgoing: &mut Outgoing) {
        self.flush_rows(conversation, outgoing);
        self.flush_answers(conversation, outgoing);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use smallvec::smallvec;
    use whimbrel_core::{ConnectorId, DeviceId, MessageKind, Refusal};
    use whimbrel_rpc::{PushItem, To};

    use super::*;

    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);
    const HERE: ConnectorId = ConnectorId::from_bytes([1; 16]);
    const THERE: ConnectorId = ConnectorId::from_bytes([2; 16]);
    const CHAT: ConversationId = ConversationId::from_bytes([7; 16]);

    fn route(name: u8, connector: ConnectorId) -> Route {
        Route {
            session: SessionId::from_bytes([name; 16]),
            device: DeviceId::from_bytes([name; 16]),
            connector,
            since: 1,
        }
    }

    /// Ann's phone (1) and laptop (2, on another connector), Bob's phone (3).
    fn routes() -> Routes {
        Routes::from([(ANN, smallvec![route(1, HERE), route(2, THERE)]), (BOB, smallvec![route(3, HERE)])])
    }

    fn row(seq: u64, sender: UserId) -> PlacedRow {
        let message = Message {
            conversation: CHAT,
            seq: Seq(seq),
            sender,
            device: DeviceId::from_bytes([9; 16]),
            message_id: id(seq),
            kind: MessageKind::TEXT,
            key_version: 1,
            body: Bytes::new(),
            at: seq,
        };
        PlacedRow { message, audience: Audience::Two(ANN, BOB) }
    }

    fn id(number: u64) -> MessageId {
        MessageId::from_bytes([number as u8; 16])
    }

    fn sent(seq: u64, user: UserId, session: u8) -> Answered {
        let outcome = Outcome::Sent { seq: Seq(seq), at: seq };
        let session = SessionId::from_bytes([session; 16]);
        Answered { user, session, conversation: CHAT, message_id: id(seq), outcome }
    }

    /// What a session gets: the seqs of its pushes, answers negative, 0 for an answer without a place.
    fn run(items: &[PushItem], session: u8) -> Vec<Vec<i64>> {
        let session = SessionId::from_bytes([session; 16]);
        let mine = items.iter().filter(|item| {
            item.to == To::from(session) || matches!(&item.to, To::Sessions(to) if to.contains(&session))
        });
        mine.map(|item| match &item.body {
            PushBody::Deliver(delivery) => delivery.messages.iter().map(|message| message.seq.0 as i64).collect(),
            PushBody::Answers { answers, .. } => (answers.iter())
                .map(|(_, outcome)| if let Outcome::Sent { seq, .. } = outcome { -(seq.0 as i64) } else { 0 })
                .collect(),
            other => panic!("unexpected {other:?}"),
        })
        .collect()
    }

    /// A talk in one announcement: each session sees every place once, in order, its own as answers.
    #[test]
    fn every_session_gets_the_places_in_order_and_its_own_as_answers() {
        let rows = vec![row(10, ANN), row(11, ANN), row(12, BOB), row(13, ANN)];
        let answers = vec![sent(13, ANN, 1), sent(12, BOB, 3), sent(10, ANN, 1), sent(11, ANN, 1)];
        let mut outgoing = arrange(rows, answers, &routes());
        let (here, there) = (outgoing.take(HERE), outgoing.take(THERE));
        assert_eq!(run(&here, 1), [vec![-10, -11], vec![12], vec![-13]]);
        assert_eq!(run(&here, 3), [vec![10, 11], vec![-12], vec![13]]);
        assert_eq!(run(&there, 2), [vec![10, 11], vec![12], vec![13]]);
    }

    /// Nobody waits for the answer any more: the sender's sessions get the row like everybody's.
    #[test]
    fn without_anybody_to_answer_the_sender_gets_the_row_too() {
        let mut outgoing = arrange(vec![row(1, ANN), row(2, BOB)], vec![sent(1, ANN, 8)], &routes());
        let here = outgoing.take(HERE);
        assert_eq!(run(&here, 1), [[1, 2]]);
        let one = here.iter().filter(|item| matches!(&item.to, To::Sessions(to) if to.len() == 2)).count();
        assert_eq!((here.len(), one), (1, 1), "one delivery for both sessions");
    }

    /// Two records found the same row, out of order with a new one: it is delivered once, in its place.
    #[test]
    fn a_row_that_was_found_twice_is_delivered_once_and_in_its_place() {
        let mut outgoing = arrange(vec![row(5, ANN), row(4, ANN), row(4, ANN)], vec![], &routes());
        assert_eq!(run(&outgoing.take(HERE), 3), [[4, 5]]);
    }

    #[test]
    fn refusals_reach_the_session_that_waits() {
        let refused = Answered { outcome: Outcome::Refused(Refusal::Blocked), ..sent(0, ANN, 2) };
        let mut outgoing = arrange(vec![], vec![refused], &routes());
        assert_eq!(run(&outgoing.take(THERE), 2), [[0]]);
        assert!(outgoing.take(HERE).is_empty());
    }
}
