//! What the server knows, and what follows from what it is told.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::sync::mpsc;
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, Draft, GoodbyeCode, Message, MessageId, MessageKind, Outcome,
    Presence, Seq, Sight, Signal, Span, SyncAnswer, SyncQuestion, UserId, View,
};
use whimbrel_wire::convert::{self, WireId};
use whimbrel_wire::seal::ConversationKey;
use whimbrel_wire::{ServerPayload, proto};

use super::files::Files;
use super::groups::{FakeGroup, FakeSetting};
use super::{Counts, system_row};
use crate::account::{Credentials, unix_now_s};
use crate::relation::RelationKey;

/// How a draft is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// As said, and not placed.
    With(Outcome),
    /// It is placed and delivered to everybody else, and neither answered nor delivered to its session.
    Silently,
    /// It is placed and delivered, to its own session too, and not answered.
    ByDelivery,
}

pub(crate) struct State {
    pub(super) users: BTreeMap<UserId, (String, String)>,
    pub(super) pairs: Vec<Pair>,
    pub(super) conversations: BTreeMap<ConversationId, Timeline>,
    pub(super) groups: BTreeMap<ConversationId, FakeGroup>,
    pub(super) settings: BTreeMap<(UserId, ConversationId), FakeSetting>,
    pub(super) refresh_tokens: HashMap<String, (UserId, DeviceId)>,
    pub(super) access_tokens: HashMap<String, (UserId, DeviceId)>,
    pub(super) sessions: HashMap<u64, Session>,
    pub(super) last_session: u64,
    pub(super) answering: VecDeque<Answering>,
    pub(super) refusing: VecDeque<(GoodbyeCode, u32)>,
    pub(super) sync_messages: usize,
    pub(super) token_life_s: u64,
    pub(super) refused_refreshes: usize,
    pub(super) relations_fail: bool,
    pub(super) history_fails: bool,
    pub(super) stale_history: bool,
    /// The status that searching is refused with.
    pub(super) search_fails: Option<u16>,
    pub(super) bodies_readable: bool,
    pub(super) files: Files,
    pub(super) sends: Vec<(ConversationId, Vec<Draft>)>,
    pub(super) counts: Counts,
}

impl Default for State {
    fn default() -> Self {
        Self {
            users: BTreeMap::new(),
            pairs: Vec::new(),
            conversations: BTreeMap::new(),
            groups: BTreeMap::new(),
            settings: BTreeMap::new(),
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
            sessions: HashMap::new(),
            last_session: 0,
            answering: VecDeque::new(),
            refusing: VecDeque::new(),
            sync_messages: 1000,
            token_life_s: 3600,
            refused_refreshes: 0,
            relations_fail: false,
            history_fails: false,
            stale_history: false,
            search_fails: None,
            bodies_readable: false,
            files: Files::default(),
            sends: Vec::new(),
            counts: Counts::default(),
        }
    }
}

pub(super) struct Pair {
    pub(super) users: [UserId; 2],
    pub(super) asked_by: Option<UserId>,
    pub(super) conversation: Option<ConversationId>,
    pub(super) keys: Vec<RelationKey>,
}

pub(super) struct Timeline {
    pub(super) members: Vec<UserId>,
    /// Of each member, in groups: what they see.
    pub(super) spans: HashMap<UserId, Span>,
    /// Of who came back: what they saw before, oldest first.
    pub(super) earlier: HashMap<UserId, Vec<Span>>,
    /// Of each user: what they cleared.
    pub(super) cleared: HashMap<UserId, Seq>,
    pub(super) is_group: bool,
    floor: Seq,
    messages: Vec<Message>,
    pub(super) cursors: HashMap<UserId, Cursors>,
}

pub(super) struct Session {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) out: mpsc::Sender<ServerPayload>,
}

impl Session {
    fn tell(&self, payload: ServerPayload) {
        // A test that overfills this sees frames missing, which the client has to bear as well.
        let _ = self.out.try_send(payload);
    }
}

impl State {
    pub(super) fn user(&mut self, handle: &str, password: &str) -> UserId {
        let id = UserId(self.users.len() as u64 + 1);
        self.users.insert(id, (handle.into(), password.into()));
        self.conversations.insert(private_of(id), Timeline::of(vec![id]));
        id
    }

    pub(super) fn open_device(&mut self, user: UserId, device: Option<DeviceId>) -> Credentials {
        let device = device.unwrap_or_else(DeviceId::generate);
        let token = || MessageId::generate().to_string();
        let (access, refresh) = (token(), token());
        self.access_tokens.insert(access.clone(), (user, device));
        self.refresh_tokens.insert(refresh.clone(), (user, device));
        Credentials {
            user,
            device,
            access_token: access.into(),
            access_expires_at: unix_now_s() + self.token_life_s,
            refresh_token: Some(refresh.into()),
        }
    }

    pub(super) fn pair(&mut self, a: UserId, b: UserId) -> &mut Pair {
        let place = self.pairs.iter().position(|pair| pair.users.contains(&a) && pair.users.contains(&b));
        let place = place.unwrap_or_else(|| {
            self.pairs.push(Pair { users: [a, b], asked_by: None, conversation: None, keys: Vec::new() });
            self.pairs.len() - 1
        });
        &mut self.pairs[place]
    }

    pub(super) fn befriend(&mut self, a: UserId, b: UserId) -> ConversationId {
        let conversation = ConversationId::generate();
        self.pair(a, b).conversation = Some(conversation);
        self.conversations.insert(conversation, Timeline::of(vec![a, b]));
        self.add_key(conversation);
        conversation
    }

    pub(super) fn add_key(&mut self, conversation: ConversationId) {
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.conversation == Some(conversation)) else { return };
        let version = pair.keys.len() as u32 + 1;
        pair.keys.push(RelationKey { version, key: ConversationKey::from_bytes(rand::random()) });
        let [a, b] = pair.users;
        self.relation_changed(a, b);
    }

    /// Tells both, in their private conversations.
    pub(super) fn relation_changed(&mut self, a: UserId, b: UserId) {
        for (user, peer) in [(a, b), (b, a)] {
            let row = system_row(MessageKind::RELATION, format!(r#"{{"user":{peer}}}"#));
            let message = self.place(private_of(user), user, None, row);
            self.deliver(&message);
        }
    }

    pub(super) fn newest_key(&self, conversation: ConversationId) -> Option<RelationKey> {
        if let Some(group) = self.groups.get(&conversation) {
            return group.keys.last().cloned();
        }
        self.pairs.iter().find(|pair| pair.conversation == Some(conversation))?.keys.last().cloned()
    }

    pub(super) fn place(
        &mut self,
        conversation: ConversationId,
        sender: UserId,
        device: Option<DeviceId>,
        draft: Draft,
    ) -> Message {
        let timeline = self.conversations.get_mut(&conversation).expect("the conversation exists");
        if let Some(known) = timeline.messages.iter().find(|message| message.message_id == draft.message_id) {
            return known.clone();
        }
        let seq = timeline.head().next();
        let message = Message {
            conversation,
            seq,
            sender,
            device: device.unwrap_or(DeviceId::from_bytes([0; 16])),
            message_id: draft.message_id,
            kind: draft.kind,
            key_version: draft.key_version,
            body: draft.body,
            at: 1_700_000_000_000 + seq.0,
        };
        timeline.take_back(&message);
        timeline.messages.push(message.clone());
        message
    }

    pub(super) fn empty(&mut self, conversation: ConversationId, user: UserId) {
        let timeline = self.conversations.get_mut(&conversation).expect("the conversation exists");
        for row in timeline.messages.iter_mut().filter(|row| row.sender == user && row.kind.is_submittable()) {
            row.body.truncate(if row.kind.is_follow_up() { 8 } else { 0 });
        }
    }

    pub(super) fn deliver(&self, message: &Message) {
        self.deliver_besides(message, None);
    }

    fn deliver_besides(&self, message: &Message, besides: Option<u64>) {
        let Some(timeline) = self.conversations.get(&message.conversation) else { return };
        for (id, session) in &self.sessions {
            if timeline.owes(session.user, message.seq) && Some(*id) != besides {
                let messages = vec![message.clone().into()];
                let conversation_id = message.conversation.wire();
                session.tell(ServerPayload::Deliver(proto::Deliver { conversation_id, messages }));
            }
        }
    }

    pub(super) fn goodbye(&mut self, code: GoodbyeCode, retry_after_ms: u32) {
        for (_, session) in self.sessions.drain() {
            session.tell(ServerPayload::Goodbye(convert::goodbye(code, "as the test wants", retry_after_ms)));
        }
    }

    pub(super) fn restore(&mut self, conversation: ConversationId, head: Seq) {
        if let Some(timeline) = self.conversations.get_mut(&conversation) {
            timeline.messages.retain(|message| message.seq <= head);
            timeline.cursors.values_mut().for_each(|cursors| *cursors = cursors.clamped(head));
        }
    }

    pub(super) fn forget(&mut self, conversation: ConversationId, floor: Seq) {
        if let Some(timeline) = self.conversations.get_mut(&conversation) {
            timeline.floor = floor;
            timeline.messages.retain(|message| message.seq > floor);
        }
    }

    pub(super) fn cursors(&self, conversation: ConversationId, user: UserId) -> Cursors {
        self.conversations.get(&conversation).map_or_else(Cursors::default, |timeline| timeline.cursors_of(user))
    }

    /// The messages that the user sees, of each of their times.
    pub(super) fn seen(&self, conversation: ConversationId, user: UserId) -> Option<Vec<Message>> {
        let timeline = self.conversations.get(&conversation).filter(|timeline| timeline.members.contains(&user))?;
        let view = timeline.view(conversation, user, None, &mut 0);
        let gone = timeline.cleared.get(&user).copied().unwrap_or_default().max(timeline.floor);
        let earlier = timeline.earlier.get(&user).map_or(&[][..], Vec::as_slice);
        let is_seen = |seq: Seq| {
            (seq > view.floor && seq <= view.head) || (seq > gone && earlier.iter().any(|span| span.covers(seq)))
        };
        Some(timeline.messages.iter().filter(|message| is_seen(message.seq)).cloned().collect())
    }

    pub(super) fn timeline(&self, conversation: ConversationId) -> Vec<Message> {
        self.conversations.get(&conversation).map_or_else(Vec::new, |timeline| timeline.messages.clone())
    }

    /// Drafts of a session: gives the answers.
    pub(super) fn send(
        &mut self,
        session: u64,
        conversation: ConversationId,
        drafts: Vec<Draft>,
    ) -> Vec<(MessageId, Outcome)> {
        self.sends.push((conversation, drafts.clone()));
        let Some(&Session { user, device, .. }) = self.sessions.get(&session) else { return Vec::new() };
        let is_member = self.conversations.get(&conversation).is_some_and(|timeline| timeline.has_now(user));
        let mut answers = Vec::new();
        for draft in drafts {
            let id = draft.message_id;
            let answering = self.answering.pop_front();
            if let Some(Answering::With(outcome)) = answering {
                answers.push((id, outcome));
                continue;
            }
            if !is_member {
                answers.push((id, Outcome::Refused(whimbrel_core::Refusal::NotMember)));
                continue;
            }
            let message = self.place(conversation, user, Some(device), draft);
            let to_itself = answering == Some(Answering::ByDelivery);
            self.deliver_besides(&message, (!to_itself).then_some(session));
            if answering.is_none() {
                answers.push((id, Outcome::Sent { seq: message.seq, at: message.at }));
            }
        }
        answers
    }

    /// Cursors of a session: gives what is durable.
    pub(super) fn advance(
        &mut self,
        session: u64,
        cursors: Vec<(ConversationId, Cursors)>,
    ) -> Vec<(ConversationId, Cursors)> {
        let Some(user) = self.sessions.get(&session).map(|session| session.user) else { return Vec::new() };
        let mut durable = Vec::new();
        for (conversation, cursors) in cursors {
            let Some(timeline) = self.conversations.get_mut(&conversation) else { continue };
            let now = timeline.cursors_of(user).max(cursors.clamped(timeline.head()));
            timeline.cursors.insert(user, now);
            durable.push((conversation, now));
            let mut members = timeline.members.clone();
            members.retain(|member| !timeline.is_group || *member == user);
            for (_, told) in self.sessions.iter().filter(|(id, told)| **id != session && members.contains(&told.user)) {
                let receipt = whimbrel_core::Receipt { conversation, user, cursors: now };
                told.tell(ServerPayload::Receipts(proto::Receipts { receipts: vec![receipt.into()] }));
            }
        }
        durable
    }

    /// A signal of a session, for everybody else.
    pub(super) fn signal(&self, session: u64, conversation: ConversationId, body: bytes::Bytes) {
        let Some(&Session { user, device, .. }) = self.sessions.get(&session) else { return };
        let Some(timeline) = self.conversations.get(&conversation) else { return };
        for (_, told) in self.sessions.iter().filter(|(id, told)| **id != session && timeline.has_now(told.user)) {
            let signal = Signal { conversation, user, device, body: body.clone() };
            told.tell(ServerPayload::Signaled(signal.into()));
        }
    }

    /// Who of these has a session; everybody is everybody's friend here, and nobody is told later.
    pub(super) fn presences(&self, users: &[UserId]) -> Vec<Presence> {
        let is_here = |user: UserId| self.sessions.values().any(|session| session.user == user);
        let sight = Sight::default();
        users.iter().map(|user| Presence::shown(*user, Some(&sight), Some(is_here(*user)), 0)).collect()
    }

    pub(super) fn sync(&mut self, user: UserId, question: &SyncQuestion) -> SyncAnswer {
        self.counts.syncs += 1;
        let mut room = self.sync_messages;
        let mut views = Vec::new();
        for (id, timeline) in &self.conversations {
            let known = question.known.iter().find(|known| known.conversation == *id);
            let in_range =
                question.after.is_none_or(|after| *id > after) && question.until.is_none_or(|until| *id <= until);
            if timeline.members.contains(&user) && in_range && (known.is_some() || !question.only_known) {
                views.push(timeline.view(*id, user, known, &mut room));
            }
        }
        SyncAnswer { id: question.id, views, next: None }
    }
}

pub(super) fn private_of(user: UserId) -> ConversationId {
    let mut bytes = [0xff; 16];
    bytes[8..].copy_from_slice(&user.0.to_be_bytes());
    ConversationId::from_bytes(bytes)
}

impl Timeline {
    pub(super) fn of(members: Vec<UserId>) -> Self {
        Self {
            members,
            spans: HashMap::new(),
            earlier: HashMap::new(),
            cleared: HashMap::new(),
            is_group: false,
            floor: Seq::ZERO,
            messages: Vec::new(),
            cursors: HashMap::new(),
        }
    }

    pub(super) fn head(&self) -> Seq {
        self.messages.last().map_or(self.floor, |message| message.seq)
    }

    /// Whether this row is for this user.
    fn owes(&self, user: UserId, seq: Seq) -> bool {
        self.members.contains(&user) && self.spans.get(&user).is_none_or(|span| span.covers(seq))
    }

    /// Whether the user is in it.
    pub(super) fn has_now(&self, user: UserId) -> bool {
        self.members.contains(&user) && self.spans.get(&user).is_none_or(|span| span.until == Seq::ZERO)
    }

    /// As every engine does with the row that says so.
    fn take_back(&mut self, by: &Message) {
        let Some(target) = by.kind.target(&by.body).filter(|_| by.kind.takes_back()) else { return };
        for row in &mut self.messages {
            if row.seq == target {
                row.body = bytes::Bytes::new();
            } else if row.kind.adds_content() && row.kind.target(&row.body) == Some(target) {
                row.body = row.body.slice(..8);
            }
        }
    }

    fn cursors_of(&self, user: UserId) -> Cursors {
        self.cursors.get(&user).copied().unwrap_or_default()
    }

    fn view(
        &self,
        conversation: ConversationId,
        user: UserId,
        known: Option<&whimbrel_core::Known>,
        room: &mut usize,
    ) -> View {
        let own = self.cursors_of(user);
        let peer = self.members.iter().copied().find(|member| *member != user && !self.is_group);
        let span = self.spans.get(&user).copied();
        let floor = span.map_or(self.floor, |span| Seq(span.since.0 - 1).max(self.floor));
        let floor = floor.max(self.cleared.get(&user).copied().unwrap_or_default());
        let head = span.map(|span| span.until).filter(|until| *until > Seq::ZERO).unwrap_or_else(|| self.head());
        let at = |seq: Seq| self.messages.iter().find(|message| message.seq == seq);
        let is_other = |known: &whimbrel_core::Known| {
            let differs = known.message_id.is_some_and(|id| at(known.cursor).is_some_and(|m| m.message_id != id));
            known.cursor > head || differs
        };
        let reset = known.is_some_and(is_other);
        let after = known.filter(|_| !reset).map(|known| known.cursor.max(floor));
        let follows: Vec<Message> = match after {
            Some(after) => {
                self.messages.iter().filter(|m| m.seq > after && m.seq <= head).take(*room).cloned().collect()
            }
            None => Vec::new(),
        };
        *room -= follows.len();
        let reached = follows.last().map_or(after, |last| Some(last.seq));
        let unread =
            |m: &&Message| m.seq > own.read.max(floor) && m.seq <= head && m.sender != user && m.kind.is_countable();
        View {
            conversation,
            kind: match peer {
                _ if self.is_group => ConversationKind::Group,
                Some(_) => ConversationKind::Direct,
                None => ConversationKind::Private,
            },
            peer,
            head,
            head_at: 0,
            floor,
            own,
            unread: self.messages.iter().filter(unread).count() as u64,
            peer_cursors: peer.map_or_else(Cursors::default, |peer| self.cursors_of(peer)),
            reset,
            messages: follows,
            complete: reached == Some(head),
        }
    }
}
