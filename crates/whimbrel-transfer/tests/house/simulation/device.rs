//! A device as the protocol wants it: outbox, gapless runs, sync.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use rand::RngExt;
use rand::rngs::StdRng;
use whimbrel_core::{
    ConversationId, Cursors, DeviceId, Draft, Known, Message, MessageId, Outcome, Seq, SyncQuestion, UserId,
};
use whimbrel_rpc::{PushBody, Request, RequestBody, SessionRef, Transfer};

use crate::support::{House, draft};

/// What anybody was told.
#[derive(Default)]
pub struct Facts {
    /// Which message has a place.
    pub told: HashMap<(ConversationId, u64), MessageId>,
    /// Drafts whose senders were told that they will not be placed.
    pub refused: HashSet<MessageId>,
    /// Drafts that were refused while the same draft was under way again.
    pub given_up: HashSet<MessageId>,
    /// How far users were said to have got.
    pub receipts: HashMap<(UserId, ConversationId), Cursors>,
    /// How far a device of theirs has really got.
    pub reached: HashMap<(UserId, ConversationId), u64>,
}

impl Facts {
    fn place(&mut self, chat: ConversationId, seq: Seq, id: MessageId) {
        let known = *self.told.entry((chat, seq.0)).or_insert(id);
        assert_eq!(known, id, "two messages were told at one place");
    }
}

#[derive(Debug)]
pub struct Device {
    user: UserId,
    id: DeviceId,
    session: Option<SessionRef>,
    /// Which connector has it.
    connector: usize,
    /// How often the answer to a sync was looked for.
    patience: usize,
    /// Pushes of the session that were taken.
    seen: usize,
    syncing: bool,
    must_sync: bool,
    chats: BTreeMap<ConversationId, Chat>,
    /// Everything that was ever written here, in its order.
    pub written: HashMap<ConversationId, Vec<MessageId>>,
}

#[derive(Debug, Default)]
struct Chat {
    /// Not answered, in order.
    outbox: VecDeque<Draft>,
    /// Of these, what is under way.
    waiting: HashSet<MessageId>,
    /// Sent twice in one session: the first answer need not be the last word about it.
    doubled: HashSet<MessageId>,
    /// Answered SENT.
    sent: Vec<Draft>,
    run: Vec<MessageId>,
}

impl Device {
    pub fn new(user: UserId, id: DeviceId, chats: &[ConversationId]) -> Self {
        let chats: BTreeMap<_, _> = chats.iter().map(|chat| (*chat, Chat::default())).collect();
        let written = chats.keys().map(|chat| (*chat, Vec::new())).collect();
        Self {
            user,
            id,
            session: None,
            connector: 0,
            patience: 0,
            seen: 0,
            syncing: false,
            must_sync: true,
            chats,
            written,
        }
    }

    pub fn shown(&self, chat: ConversationId) -> Vec<MessageId> {
        self.chats[&chat].run.clone()
    }

    pub fn is_at_rest(&self, rows: &HashMap<ConversationId, Vec<Message>>) -> bool {
        self.session.is_some()
            && self.chats.iter().all(|(chat, state)| state.outbox.is_empty() && state.run.len() == rows[chat].len())
    }

    /// What it holds of a conversation, if it has a session on one of these connectors.
    pub fn live(&self, chat: ConversationId, connectors: &[bool]) -> Option<usize> {
        let state = self.chats.get(&chat)?;
        (self.session.is_some() && connectors[self.connector]).then_some(state.run.len())
    }

    fn any_chat(&self, dice: &mut StdRng) -> ConversationId {
        *self.chats.keys().nth(dice.random_range(0..self.chats.len())).unwrap()
    }

    /// Puts a draft in the outbox.
    pub fn write(&mut self, dice: &mut StdRng) {
        let chat = self.any_chat(dice);
        let draft = draft("words");
        self.written.get_mut(&chat).unwrap().push(draft.message_id);
        self.chats.get_mut(&chat).unwrap().outbox.push_back(draft);
    }

    /// Sends what may go, and sometimes the same again; syncs if there is need.
    pub fn pump(&mut self, house: &House, dice: &mut StdRng) {
        let Some(session) = self.session else { return };
        for (chat, state) in &mut self.chats {
            let again = !state.waiting.is_empty() && dice.random_bool(0.1);
            let count = dice.random_range(1..=4);
            let drafts: Vec<Draft> = match (state.waiting.is_empty(), again) {
                (true, _) => state.outbox.iter().take(count).cloned().collect(),
                (false, true) => {
                    state.outbox.iter().filter(|draft| state.waiting.contains(&draft.message_id)).cloned().collect()
                }
                (false, false) => continue,
            };
            if again {
                state.doubled.extend(drafts.iter().map(|draft| draft.message_id));
            }
            if !drafts.is_empty() {
                let body = RequestBody::Send { conversation: *chat, drafts: drafts.clone() };
                // No transfer in reach: "again".
                if submit(house, self.connector, *chat, Request { from: session, body }) {
                    state.waiting.extend(drafts.iter().map(|draft| draft.message_id));
                }
            }
        }
        self.sync(house);
    }

    fn sync(&mut self, house: &House) {
        // A stream that broke took the question or the answer along: the connector asks again elsewhere.
        self.patience = if self.syncing { self.patience + 1 } else { 0 };
        if self.patience > 30 {
            (self.syncing, self.must_sync, self.patience) = (false, true, 0);
        }
        let Some(from) = self.session.filter(|_| self.must_sync && !self.syncing) else { return };
        let Some(chat) = self.chats.keys().next().copied() else { return };
        let known = self.chats.iter().map(|(conversation, state)| Known {
            conversation: *conversation,
            cursor: Seq(state.run.len() as u64),
            message_id: state.run.last().copied(),
        });
        let question = SyncQuestion {
            id: 1,
            after: None,
            until: None,
            known: known.collect(),
            only_known: true,
            max_messages: 50,
        };
        if submit(house, self.connector, chat, Request { from, body: RequestBody::Sync(question) }) {
            (self.must_sync, self.syncing) = (false, true);
        }
    }

    /// Sends a message that was answered long ago, sometimes with another body.
    pub fn repeat_old(&mut self, house: &House, dice: &mut StdRng) {
        let chat = self.any_chat(dice);
        let (Some(session), state) = (self.session, &self.chats[&chat]) else { return };
        if !state.sent.is_empty() && state.waiting.is_empty() {
            let mut draft = state.sent[dice.random_range(0..state.sent.len())].clone();
            if dice.random_bool(0.5) {
                draft.body = "another body".into();
            }
            let body = RequestBody::Send { conversation: chat, drafts: vec![draft] };
            submit(house, self.connector, chat, Request { from: session, body });
        }
    }

    /// Says how far it has got.
    pub fn advance(&mut self, house: &House, facts: &mut Facts) {
        let Some(session) = self.session else { return };
        for (chat, state) in &self.chats {
            let end = state.run.len() as u64;
            let reached = facts.reached.entry((self.user, *chat)).or_default();
            *reached = end.max(*reached);
            // Beyond the truth about heads only where the server can know it: the clamp is for others' tests.
            let cursors = Cursors { delivered: Seq(end), read: Seq(end / 2) };
            let body = RequestBody::Advance(vec![(*chat, cursors)]);
            submit(house, self.connector, *chat, Request { from: session, body });
        }
    }

    /// The connection is gone, noticed by the connector or not.
    pub async fn vanish(&mut self, house: &House, dice: &mut StdRng) {
        let Some(session) = self.session.take() else { return };
        house.connectors[self.connector].1.lose(session.session);
        if dice.random_bool(0.5) {
            house.transfer.detach(vec![session]).await;
        }
    }

    /// A new session at one of the connectors: attach, then sync. Gives the connector if the session has to be
    /// asserted there later.
    pub async fn come(&mut self, house: &House, dice: &mut StdRng) -> Option<usize> {
        let mut assert = None;
        if self.session.is_none() {
            let connector = dice.random_range(0..house.connectors.len());
            let transfer = reached(house, connector).next()?;
            let (session, attached) = house.try_attach_at(connector, transfer, self.user, self.id).await.ok()?;
            assert = (!attached.registered).then_some(connector);
            (self.session, self.connector) = (Some(session), connector);
            (self.seen, self.syncing, self.must_sync) = (0, false, true);
            self.chats.values_mut().for_each(|state| state.waiting.clear());
        }
        self.sync(house);
        assert
    }

    /// Takes what was pushed.
    pub fn take(&mut self, house: &House, facts: &mut Facts) {
        let Some(session) = self.session else { return };
        let pushed = house.connectors[self.connector].1.look(session.session, |got| got.0[self.seen..].to_vec());
        self.seen += pushed.len();
        for body in pushed {
            match body {
                PushBody::Deliver(delivery) => self.run_on(delivery.conversation, &delivery.messages, facts),
                PushBody::Answers { conversation, answers } => {
                    for (id, outcome) in answers {
                        self.answered(conversation, id, outcome, facts);
                    }
                }
                PushBody::Synced(answer) => {
                    self.syncing = false;
                    for view in answer.views {
                        assert!(!view.reset, "no database was restored");
                        self.run_on(view.conversation, &view.messages, facts);
                        self.must_sync |= !view.complete;
                    }
                }
                PushBody::Receipts(receipts) => {
                    for receipt in receipts {
                        let whose = (receipt.user, receipt.conversation);
                        let reached = facts.reached.get(&whose).copied().unwrap_or(0);
                        assert!(receipt.cursors.delivered.0 <= reached, "a receipt says more than is true");
                        let told = facts.receipts.entry(whose).or_default();
                        *told = told.max(receipt.cursors);
                    }
                }
                PushBody::Poke => self.must_sync = true,
                PushBody::Close { .. } => return self.session = None,
                PushBody::Advanced(_) | PushBody::Signal(_) => {}
            }
        }
        self.sync(house);
    }

    fn answered(&mut self, chat: ConversationId, id: MessageId, outcome: Outcome, facts: &mut Facts) {
        let Some(state) = self.chats.get_mut(&chat) else { return };
        state.waiting.remove(&id);
        match outcome {
            Outcome::Sent { seq, .. } => {
                facts.place(chat, seq, id);
                self.hold(chat, seq, id);
            }
            Outcome::Refused(why) => {
                let at = state.outbox.iter().position(|draft| draft.message_id == id);
                assert!(at.is_some() || !state.run.contains(&id), "{why}: but it stands");
                at.map(|at| state.outbox.remove(at));
                let doubled = state.doubled.contains(&id);
                if doubled { &mut facts.given_up } else { &mut facts.refused }.insert(id);
            }
            Outcome::Conflict => assert!(state.sent.iter().any(|draft| draft.message_id == id), "no conflict was sent"),
            Outcome::Retry { .. } => {}
        }
    }

    fn run_on(&mut self, chat: ConversationId, messages: &[Message], facts: &mut Facts) {
        // A private conversation's rows are not the simulation's matter.
        if !self.chats.contains_key(&chat) {
            return;
        }
        for message in messages {
            facts.place(chat, message.seq, message.message_id);
            self.hold(chat, message.seq, message.message_id);
        }
    }

    /// The rule of the seq. A message of one's own that stands is answered by that.
    fn hold(&mut self, chat: ConversationId, seq: Seq, id: MessageId) {
        let Some(state) = self.chats.get_mut(&chat) else { return };
        if let Some(at) = state.outbox.iter().position(|draft| draft.message_id == id) {
            state.sent.extend(state.outbox.remove(at));
            state.waiting.remove(&id);
        }
        let cursor = state.run.len() as u64;
        if seq.0 == cursor + 1 {
            state.run.push(id);
        } else if seq.0 > cursor + 1 {
            self.must_sync = true;
        }
    }
}

/// The transfers that a connector has a stream to.
pub fn reached(house: &House, connector: usize) -> impl Iterator<Item = usize> {
    let id = house.connectors[connector].0;
    (0..house.webs.len()).filter(move |transfer| house.webs[*transfer].reaches(id))
}

/// Through the conversation's transfer, or another if the way to it is broken; `false`: there is none.
fn submit(house: &House, connector: usize, chat: ConversationId, request: Request) -> bool {
    let first = usize::from(chat.as_bytes()[15]) % house.transfers.len();
    let Some(transfer) = reached(house, connector).min_by_key(|transfer| *transfer != first) else { return false };
    house.transfers[transfer].submit(house.connectors[connector].0, vec![request]);
    true
}
