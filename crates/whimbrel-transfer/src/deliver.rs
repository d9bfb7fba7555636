//! Deliver: from what was placed to what each session gets, in which order. No I/O.
//!
//! Invariants
//! - Each session gets what is about one conversation in the order of the seqs, answers included.
//! - The session whose draft is answered SENT here does not get that row again; every other one of the audience does,
//!   the sender's other sessions too. When nobody waits for the answer any more, all of them do.
//! - The same when nobody knows who is where: then the connectors are told which sessions have their answer instead.
//! - Consecutive rows of a conversation for the same readers are one [`Delivery`]; bodies are shared, not copied.

use std::sync::Arc;

use smallvec::SmallVec;
use whimbrel_core::{ConversationId, Delivery, Message, MessageId, Outcome, PlacedRow, Seq, SessionId, UserId};
use whimbrel_rpc::PushBody;

use crate::outgoing::{Outgoing, Waiter};
use crate::readers::{Base, Readers, Ways, base};

/// An answer, and the session that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) user: UserId,
    pub(crate) to: Waiter,
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

/// What is being put together for one conversation. The session of `answers` is never among the readers of `rows`, so
/// the order of the two does not matter.
struct Open<'a> {
    ways: &'a Ways,
    outgoing: Outgoing,
    readers: Readers,
    rows: Vec<Message>,
    waiting: Option<Waiter>,
    answers: Vec<(MessageId, Outcome)>,
}

/// Arranges everything that one announcement leads to.
pub(crate) fn arrange(rows: Vec<PlacedRow>, answered: Vec<Answered>, ways: &Ways) -> Outgoing {
    let answers = answered.into_iter().map(Event::Answer);
    let mut events: Vec<Event> = answers.chain(rows.into_iter().map(Event::Row)).collect();
    events.sort_by_key(Event::key);
    let mut open = Open::new(ways);
    let mut at = (None, Seq::ZERO, false);
    let mut known: (Option<Base>, Readers) = (None, Readers::nobody());
    let mut answered_here: SmallVec<[SessionId; 2]> = SmallVec::new();
    for event in events {
        let (conversation, seq, is_row) = event.key();
        if at.0 != Some(conversation) {
            if let Some(conversation) = at.0 {
                open.flush(conversation);
            }
            known.0 = None;
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
                answered_here.push(answered.to.session);
                open.answer(conversation, answered.to, (answered.message_id, answered.outcome));
            }
            Event::Row(row) => {
                let base = base(&row);
                if known.0 != Some(base) {
                    known = (Some(base), Readers::of(&row, ways));
                }
                open.row(conversation, known.1.but(&answered_here), row.message);
            }
        }
    }
    if let Some(conversation) = at.0 {
        open.flush(conversation);
    }
    open.outgoing
}

impl<'a> Open<'a> {
    fn new(ways: &'a Ways) -> Self {
        let (outgoing, readers) = (Outgoing::default(), Readers::nobody());
        Self { ways, outgoing, readers, rows: Vec::new(), waiting: None, answers: Vec::new() }
    }

    fn row(&mut self, conversation: ConversationId, readers: Readers, message: Message) {
        if readers.is_nobody() {
            return;
        }
        if readers != self.readers || self.rows.is_empty() {
            self.flush_rows(conversation);
            if self.waiting.is_some_and(|waiting| readers.includes(waiting.session)) {
                self.flush_answers(conversation);
            }
            self.readers = readers;
        }
        self.rows.push(message);
    }

    fn answer(&mut self, conversation: ConversationId, to: Waiter, answer: (MessageId, Outcome)) {
        if self.waiting != Some(to) {
            self.flush_answers(conversation);
            if self.readers.includes(to.session) {
                self.flush_rows(conversation);
            }
            self.waiting = Some(to);
        }
        self.answers.push(answer);
    }

    fn flush_rows(&mut self, conversation: ConversationId) {
        if self.rows.is_empty() {
            return;
        }
        let body = PushBody::Deliver(Arc::new(Delivery { conversation, messages: std::mem::take(&mut self.rows) }));
        self.readers.address(conversation, &body, self.ways, &mut self.outgoing);
    }

    /// A connector that may not have heard that a message was SENT has to hear of the message.
    fn flush_answers(&mut self, conversation: ConversationId) {
        if let Some(waiting) = self.waiting.take() {
            let answers = std::mem::take(&mut self.answers);
            let owed = answers.iter().any(|(_, outcome)| matches!(outcome, Outcome::Sent { .. }));
            self.outgoing.answer(waiting, PushBody::Answers { conversation, answers }, owed);
        }
    }

    fn flush(&mut self, conversation: ConversationId) {
        self.flush_rows(conversation);
        self.flush_answers(conversation);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hashbrown::HashMap;
    use smallvec::smallvec;
    use whimbrel_core::{Audience, ConnectorId, DeviceId, MessageKind, Refusal, Roster, RosterChange, Span};
    use whimbrel_rpc::{PushItem, To};
    use whimbrel_store::Route;

    use super::*;
    use crate::reach::{Routes, Whereabouts};

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
    fn routes() -> Ways {
        let routes = [(ANN, smallvec![route(1, HERE), route(2, THERE)]), (BOB, smallvec![route(3, HERE)])];
        ways(Whereabouts::Known(Routes::from(routes)))
    }

    fn blind() -> Ways {
        ways(Whereabouts::Anywhere(vec![HERE, THERE]))
    }

    fn ways(whereabouts: Whereabouts) -> Ways {
        Ways { whereabouts, everywhere: vec![HERE, THERE], rosters: HashMap::new() }
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
        PlacedRow { message, audience: Audience::Two(ANN, BOB), change: None }
    }

    fn id(number: u64) -> MessageId {
        MessageId::from_bytes([number as u8; 16])
    }

    fn sent(seq: u64, user: UserId, session: u8) -> Answered {
        let outcome = Outcome::Sent { seq: Seq(seq), at: seq };
        let connector = if session == 2 { THERE } else { HERE };
        let to = Waiter { session: SessionId::from_bytes([session; 16]), connector };
        Answered { user, to, conversation: CHAT, message_id: id(seq), outcome }
    }

    /// What a session gets: the seqs of its pushes, answers negative, 0 for an answer without a place.
    fn run(items: &[PushItem], session: u8) -> Vec<Vec<i64>> {
        let session = SessionId::from_bytes([session; 16]);
        // In these tests whoever is named by user has sessions here.
        let mine = items.iter().filter(|item| match &item.to {
            To::Sessions(to) => to.contains(&session),
            To::Users { except, .. } => !except.contains(&session),
            To::Group(to) => !to.except.contains(&session),
            To::Device(..) => false,
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

    /// Nobody knows who is where: every connector gets everything by user, in the same order, and the answers say who
    /// does not need which row.
    #[test]
    fn without_routes_every_connector_gets_the_places_in_order_and_answers_stand_for_rows() {
        let rows = vec![row(10, ANN), row(11, ANN), row(12, BOB), row(13, ANN)];
        let answers = vec![sent(13, ANN, 1), sent(12, BOB, 3), sent(10, ANN, 1), sent(11, ANN, 1)];
        let mut outgoing = arrange(rows, answers, &blind());
        let (here, there) = (outgoing.take(HERE), outgoing.take(THERE));
        assert_eq!(run(&here, 1), [vec![-10, -11], vec![12], vec![-13]]);
        assert_eq!(run(&here, 3), [vec![10, 11], vec![-12], vec![13]]);
        assert_eq!(run(&there, 2), [vec![10, 11], vec![12], vec![13]]);
    }

    /// An answer whose row is told elsewhere stands between rows of the same readers: it is not overtaken.
    #[test]
    fn an_answer_without_its_row_keeps_its_place() {
        for whereabouts in [routes(), blind()] {
            let rows = vec![row(10, BOB), row(12, BOB)];
            let mut outgoing = arrange(rows, vec![sent(11, ANN, 1)], &whereabouts);
            assert_eq!(run(&outgoing.take(HERE), 1), [[10], [-11], [12]]);
        }
    }

    /// A SENT stands for a row: the connector that may not have taken it is owed the row. "Again" stands for nothing.
    #[test]
    fn a_connector_is_owed_what_was_answered_sent_there() {
        let retry = Answered { outcome: Outcome::Retry { after_ms: 1 }, ..sent(2, ANN, 2) };
        for (answer, owed) in [(sent(1, ANN, 2), true), (retry, false)] {
            let outgoing = arrange(vec![], vec![answer], &routes());
            let parcels: Vec<bool> = outgoing.parcels().map(|(_, parcel)| parcel.owed).collect();
            assert_eq!(parcels, [owed]);
        }
    }

    /// Nobody waits for the answer any more: the sender's sessions get the row like everybody's.
    #[test]
    fn without_anybody_to_answer_the_sender_gets_the_row_too() {
        let mut outgoing = arrange(vec![row(1, ANN), row(2, BOB)], vec![], &routes());
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

    fn grouped(seq: u64, revision: u64, size: u32) -> PlacedRow {
        let audience = Audience::Group { revision: Seq(revision), size };
        let change = RosterChange { after: Seq(1), at: Seq(seq), ..RosterChange::default() };
        let change = (seq == revision).then(|| Arc::new(change));
        PlacedRow { audience, change, ..row(seq, ANN) }
    }

    /// Bob is removed with row 11: he gets that and nothing after it, though all is told at once.
    #[test]
    fn a_small_groups_rows_go_to_who_was_in_it_at_their_places() {
        let span = |until| Span { since: Seq(1), until: Seq(until) };
        let roster = Roster::new(Seq(11), vec![(ANN, span(0)), (BOB, span(11))]);
        let rows =
            || vec![grouped(9, 1, 2), grouped(10, 1, 2), grouped(11, 11, 1), grouped(12, 11, 1), grouped(13, 11, 1)];
        let mut known = routes();
        known.rosters.insert(CHAT, Arc::new(roster.clone()));
        let mut outgoing = arrange(rows(), vec![sent(12, ANN, 1)], &known);
        let here = outgoing.take(HERE);
        assert_eq!(run(&here, 3).concat(), [9, 10, 11]);
        assert_eq!(run(&here, 1).concat(), [9, 10, 11, -12, 13]);
        assert_eq!(run(&outgoing.take(THERE), 2).concat(), [9, 10, 11, 12, 13]);
        let mut unknown = blind();
        unknown.rosters.insert(CHAT, Arc::new(roster));
        let items = arrange(rows(), vec![], &unknown).take(HERE);
        let to_bob = |item: &&PushItem| matches!(&item.to, To::Users { users, .. } if users.contains(&BOB));
        assert_eq!(run(&items.iter().filter(to_bob).cloned().collect::<Vec<_>>(), 3).concat(), [9, 10, 11]);
    }

    /// One push to each connector for what is owed to the same members; the row of a change is by itself.
    #[test]
    fn a_large_groups_rows_go_to_each_connector_once() {
        let rows = vec![
            grouped(9, 1, 500),
            grouped(10, 1, 500),
            grouped(11, 11, 499),
            grouped(12, 11, 499),
            grouped(13, 11, 499),
        ];
        for ways in [routes(), blind()] {
            let mut outgoing = arrange(rows.clone(), vec![sent(12, ANN, 1)], &ways);
            for (connector, mine) in [(HERE, vec![9, 10, 11, -12, 13]), (THERE, vec![9, 10, 11, 12, 13])] {
                let items = outgoing.take(connector);
                let of_group = |item: &PushItem| match &item.to {
                    To::Group(to) => Some((to.seq.0, to.revision.0, to.change.is_some(), to.except.len())),
                    _ => None,
                };
                let pushes: Vec<_> = items.iter().filter_map(of_group).collect();
                assert_eq!(pushes, [(9, 1, false, 0), (11, 11, true, 0), (12, 11, false, 1), (12, 11, false, 0)]);
                assert_eq!(run(&items, if connector == HERE { 1 } else { 2 }).concat(), mine);
            }
        }
    }
}
