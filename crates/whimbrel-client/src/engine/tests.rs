//! The engine against a model of a server whose frames come late, twice, in any order or not at all.

use std::sync::Arc;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::time::Instant;
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, Draft, Known, Message, MessageId, MessageKind, Outcome, Seq,
    SessionId, SyncAnswer, UserId, View,
};
use whimbrel_wire::codec::Splitter;
use whimbrel_wire::convert::{self, WireId};
use whimbrel_wire::frame::{decode_client, put_frame};
use whimbrel_wire::{ClientPayload, ServerPayload, proto};

use super::{Engine, Habits};
use crate::builder::FirstSync;
use crate::event::Event;
use crate::inbox::Recount;
use crate::keys::Directory;
use crate::relation::{Profile, Relation, RelationState};
use crate::store::{Commit, Erased, Snapshot};

mod erased;
mod fleeting;
mod restored;

const CHAT: ConversationId = ConversationId::from_bytes([7; 16]);
const ME: UserId = UserId(1);
const PEER: UserId = UserId(2);
const DEVICE: DeviceId = DeviceId::from_bytes([9; 16]);

/// What happens next; the numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// The peer says something; the Deliver may be lost.
    PeerSays { lost: bool },
    /// What the peer said is gone, and a row says so; its Deliver may be lost.
    PeerErased { lost: bool },
    /// This device drafts something.
    Draft,
    /// The engine's frames reach the server. Own messages may be delivered as well as answered, or instead.
    Flush { deliver: bool, answer: bool },
    /// A frame arrives, which may arrive again later.
    Arrive { which: usize, again: bool },
    /// What gathered is committed.
    Commit,
    /// The session breaks, everything under way with it, and the next begins.
    Break,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<bool>().prop_map(|lost| Step::PeerSays { lost }),
        1 => any::<bool>().prop_map(|lost| Step::PeerErased { lost }),
        2 => Just(Step::Draft),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(deliver, answer)| Step::Flush { deliver, answer }),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(which, again)| Step::Arrive { which, again }),
        3 => Just(Step::Commit),
        1 => Just(Step::Break),
    ]
}

struct World {
    engine: Engine,
    now: Instant,
    timeline: Vec<Message>,
    own: Cursors,
    air: Vec<ServerPayload>,
    stored: Vec<Message>,
    shown: Vec<Seq>,
    sent: Vec<(MessageId, Seq)>,
    drafted: Vec<MessageId>,
    unread: u64,
}

impl World {
    fn new() -> Self {
        let habits = Habits {
            user: ME,
            device: DEVICE,
            first_sync: FirstSync::Everything,
            read_receipts: true,
            auto_deliver: true,
        };
        let snapshot = Snapshot {
            relations_loaded: true,
            settings_loaded: true,
            bodies_readable: Some(true),
            ..Snapshot::default()
        };
        let directory = Directory::default();
        directory.put(Relation {
            peer: Profile { id: PEER, handle: "peer".into(), display_name: String::new(), avatar: None },
            state: RelationState::Friends,
            blocked: false,
            greeting: None,
            conversation: Some(CHAT),
            keys: Vec::new(),
            changed_at: 1,
        });
        let mut world = Self {
            engine: Engine::new(habits, Arc::new(directory), snapshot),
            now: Instant::now(),
            timeline: Vec::new(),
            own: Cursors::default(),
            air: Vec::new(),
            stored: Vec::new(),
            shown: Vec::new(),
            sent: Vec::new(),
            drafted: Vec::new(),
            unread: 0,
        };
        world.engine.session_started(&welcome());
        world
    }

    fn place(&mut self, sender: UserId, device: DeviceId, draft: &Draft) -> Message {
        if let Some(known) = self.timeline.iter().find(|message| message.message_id == draft.message_id) {
            return known.clone();
        }
        let message = Message {
            conversation: CHAT,
            seq: Seq(self.timeline.len() as u64 + 1),
            sender,
            device,
            message_id: draft.message_id,
            kind: draft.kind,
            key_version: 0,
            body: draft.body.clone(),
            at: 1,
        };
        self.timeline.push(message.clone());
        message
    }

    fn erase(&mut self, user: UserId) -> Message {
        empty(&mut self.timeline, user, Seq(u64::MAX));
        let (message_id, body) = (MessageId::generate(), format!(r#"{{"user":{user}}}"#).into());
        let draft = Draft { message_id, kind: MessageKind::ERASED, key_version: 0, body };
        self.place(user, DeviceId::from_bytes([0; 16]), &draft)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::PeerSays { lost } => {
                let message = self.place(PEER, DeviceId::from_bytes([8; 16]), &draft());
                if !lost {
                    self.air.push(deliver(message));
                }
            }
            Step::PeerErased { lost } => {
                let message = self.erase(PEER);
                if !lost {
                    self.air.push(deliver(message));
                }
            }
            Step::Draft => {
                let draft = draft();
                self.drafted.push(draft.message_id);
                self.engine.draft(CHAT, draft);
            }
            Step::Flush { deliver, answer } => self.flush(deliver, answer),
            Step::Arrive { which, again } if !self.air.is_empty() => {
                let place = which % self.air.len();
                let payload = if again { self.air[place].clone() } else { self.air.swap_remove(place) };
                self.engine.receive(payload, self.now).expect("the model keeps to the protocol");
            }
            Step::Arrive { .. } => {}
            Step::Commit => self.commit(),
            Step::Break => {
                self.air.clear();
                self.engine.session_started(&welcome());
            }
        }
    }

    fn flush(&mut self, deliver_too: bool, answer: bool) {
        // As the driver does: what is not stored is not told.
        self.commit();
        while let Some(payload) = self.engine.next_frame(self.now) {
            let mut bytes = BytesMut::new();
            put_frame(&mut bytes, 1, 0, Some(&payload));
            let frame = Splitter::new().push(&bytes, usize::MAX).next().expect("a frame").expect("whole");
            match decode_client(frame).expect("well-formed").payload {
                Some(ClientPayload::Send(send)) => self.take_send(send, deliver_too, answer),
                Some(ClientPayload::Sync(sync)) => {
                    let question = convert::sync(sync).expect("well-formed");
                    let known = question.known.iter().find(|known| known.conversation == CHAT);
                    let view = self.view(known.copied());
                    let answer = SyncAnswer { id: question.id, views: vec![view], next: None };
                    self.air.push(ServerPayload::Synced(answer.into()));
                }
                Some(ClientPayload::Advance(advance)) => self.take_advance(advance),
                other => panic!("{other:?}"),
            }
        }
    }

    fn take_send(&mut self, send: proto::Send, deliver_too: bool, answer: bool) {
        let (_, drafts) = convert::send(send).expect("well-formed");
        let placed: Vec<_> = drafts.iter().map(|draft| self.place(ME, DEVICE, draft)).collect();
        if deliver_too || !answer {
            self.air.extend(placed.iter().cloned().map(deliver));
        }
        if answer {
            let answers = placed.iter().map(|m| (m.message_id, Outcome::Sent { seq: m.seq, at: m.at }).into());
            let answers = proto::Answers { conversation_id: CHAT.wire(), answers: answers.collect() };
            self.air.push(ServerPayload::Answers(answers));
        }
    }

    /// DELIVERED is only ever said of what is stored.
    fn take_advance(&mut self, advance: proto::Advance) {
        for (_, cursors) in convert::advance(advance).expect("well-formed") {
            assert!(cursors.delivered.0 <= self.stored.len() as u64, "{cursors:?} of {}", self.stored.len());
            self.own = self.own.max(cursors);
            let cursors = vec![(CHAT, self.own).into()];
            self.air.push(ServerPayload::Advanced(proto::Advanced { cursors }));
        }
    }

    fn view(&self, known: Option<Known>) -> View {
        let reset = known.is_some_and(|known| {
            let there = known.cursor.0.checked_sub(1).and_then(|index| self.timeline.get(index as usize));
            known.cursor > Seq::ZERO && there.map(|message| message.message_id) != known.message_id
        });
        let after = known.filter(|_| !reset).map(|known| known.cursor.0 as usize);
        // Two at a time, so that going on is needed as well.
        let messages: Vec<_> = self.timeline.iter().skip(after.unwrap_or(usize::MAX)).take(2).cloned().collect();
        let head = Seq(self.timeline.len() as u64);
        let unread = self.timeline.iter().filter(|m| is_from_peer(m) && m.seq > self.own.read).count() as u64;
        View {
            conversation: CHAT,
            kind: ConversationKind::Direct,
            peer: Some(PEER),
            head,
            head_at: 0,
            floor: Seq::ZERO,
            own: self.own,
            unread,
            peer_cursors: Cursors::default(),
            reset,
            complete: after.is_some_and(|after| after + messages.len() == self.timeline.len()),
            messages,
        }
    }

    fn commit(&mut self) {
        let taken = self.engine.take();
        let Commit { messages, dropped_runs, conversations, erased, .. } = taken.commit;
        if !dropped_runs.is_empty() {
            self.stored.clear();
            self.shown.clear();
        }
        for message in messages {
            assert_eq!(message.seq.0, self.stored.len() as u64 + 1, "the run has no holes and no doubles");
            self.stored.push(message);
        }
        for Erased { user, from, before, .. } in erased {
            assert_eq!(from, Seq::ZERO);
            empty(&mut self.stored, user, before);
        }
        if let Some(row) = conversations.last() {
            assert_eq!(row.cursor.0, self.stored.len() as u64, "the cursor is the run's end");
        }
        for event in taken.events {
            match event {
                Event::Message(message) => self.shown.push(message.seq),
                Event::Sent { message_id, seq, .. } => self.sent.push((message_id, seq)),
                Event::Unread { unread, .. } => self.unread = unread,
                _ => {}
            }
        }
        for (id, recount) in self.engine.recounts() {
            let count = |after: Seq, upto: Seq| {
                let among = self.stored.iter().filter(|m| is_from_peer(m) && m.seq > after && m.seq <= upto);
                among.count() as u64
            };
            let unread = match recount {
                Recount::Is(unread) => Some(unread),
                Recount::Count { after, upto } => Some(count(after, upto)),
                Recount::Adjust { read, new } => {
                    Some(self.engine.unread(id) + count(new.0, new.1) - count(read.0, read.1))
                }
                Recount::Ask => None,
            };
            self.engine.recounted(id, unread);
        }
    }

    /// One more session, in which everything arrives.
    fn finish(&mut self) {
        self.step(Step::Break);
        for _ in 0..1000 {
            self.commit();
            self.flush(false, true);
            if self.air.is_empty() {
                break;
            }
            for payload in std::mem::take(&mut self.air) {
                self.engine.receive(payload, self.now).expect("the model keeps to the protocol");
            }
        }
        self.commit();
    }
}

fn is_from_peer(message: &Message) -> bool {
    message.sender == PEER && message.kind.is_countable()
}

/// As a server and a store do.
fn empty(rows: &mut [Message], user: UserId, before: Seq) {
    for row in rows.iter_mut().filter(|row| row.sender == user && row.seq < before && row.kind.is_submittable()) {
        row.body.truncate(row.kind.open_len() * usize::from(row.kind.is_follow_up()));
    }
}

fn draft() -> Draft {
    Draft { message_id: MessageId::generate(), kind: MessageKind::TEXT, key_version: 0, body: "x".into() }
}

fn deliver(message: Message) -> ServerPayload {
    ServerPayload::Deliver(proto::Deliver { conversation_id: CHAT.wire(), messages: vec![message.into()] })
}

fn welcome() -> convert::Welcome {
    convert::Welcome {
        session: SessionId::generate(),
        user: ME,
        max_frame: 4096,
        window: 256,
        heartbeat_ms: 1000,
        silence_ms: 3000,
        ack_timeout_ms: 1000,
        ack_timeouts: 3,
        server_time_ms: 0,
        bodies_readable: true,
        max_body: 1024,
        max_drafts: 3,
        max_conversations: 500,
        max_watched: 200,
    }
}

proptest! {
    /// Whatever comes late, twice, in another order or not at all, and whenever the session breaks: the store holds the
    /// timeline, each message was shown once and in order, and each draft has one answer, which is its place.
    #[test]
    fn any_interleaving_yields_the_gapless_run(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.finish();
        prop_assert_eq!(&world.stored, &world.timeline);
        let all: Vec<Seq> = world.timeline.iter().map(|message| message.seq).collect();
        prop_assert_eq!(&world.shown, &all);
        let mut answered: Vec<MessageId> = world.sent.iter().map(|(id, _)| *id).collect();
        answered.sort();
        world.drafted.sort();
        prop_assert_eq!(&answered, &world.drafted);
        for (id, seq) in &world.sent {
            prop_assert_eq!(&world.timeline[seq.0 as usize - 1].message_id, id);
        }
        prop_assert_eq!(world.engine.outbox().len(), 0);
        prop_assert_eq!(world.unread, world.timeline.iter().filter(|message| is_from_peer(message)).count() as u64);
        prop_assert!(world.engine.is_in_step());
    }
}

/// While an answer is under way, live messages beyond the cursor ask nothing more; what they told is asked afterwards.
#[test]
fn one_sync_is_under_way_at_a_time() {
    let mut world = World::new();
    world.flush(false, true);
    assert_eq!(world.air.len(), 1);
    for _ in 0..5 {
        world.step(Step::PeerSays { lost: false });
    }
    let (synced, live): (Vec<_>, Vec<_>) =
        std::mem::take(&mut world.air).into_iter().partition(|payload| matches!(payload, ServerPayload::Synced(_)));
    for payload in live {
        world.engine.receive(payload, world.now).expect("well-formed");
    }
    assert!(world.engine.next_frame(world.now).is_none());
    for payload in synced {
        world.engine.receive(payload, world.now).expect("well-formed");
    }
    world.finish();
    assert_eq!(world.stored.len(), 5);
}

/// The whole comparison is answered without the conversation: the device drops it, and what it drafts there is still
/// answered by the server alone.
#[test]
fn a_conversation_that_the_server_does_not_have_is_dropped() {
    let mut world = World::new();
    world.step(Step::PeerSays { lost: false });
    world.finish();
    world.engine.session_started(&welcome());
    world.flush(false, true);
    for payload in std::mem::take(&mut world.air) {
        let ServerPayload::Synced(synced) = payload else { continue };
        let empty = proto::Synced { views: Vec::new(), ..synced };
        world.engine.receive(ServerPayload::Synced(empty), world.now).expect("well-formed");
    }
    let taken = world.engine.take();
    assert_eq!(taken.commit.dropped_runs, [CHAT]);
    assert!(taken.commit.conversations.is_empty());
    assert!(
        taken
            .events
            .iter()
            .any(|event| matches!(event, Event::ConversationReset { conversation } if *conversation == CHAT))
    );
}

/// Somebody placed another body under the draft's id: the device gets that message before its answer, which is CONFLICT.
#[test]
fn the_original_of_a_conflict_does_not_count_as_sent() {
    let mut world = World::new();
    world.finish();
    let mine = draft();
    let original = Draft { body: "the original".into(), ..mine.clone() };
    let placed = world.place(ME, DEVICE, &original);
    world.engine.draft(CHAT, mine.clone());
    world.engine.receive(deliver(placed), world.now).expect("well-formed");
    world.commit();
    assert_eq!((world.stored.len(), world.sent.len(), world.engine.outbox().len()), (1, 0, 1));

    let answers = vec![(mine.message_id, Outcome::Conflict).into()];
    let answers = ServerPayload::Answers(proto::Answers { conversation_id: CHAT.wire(), answers });
    world.engine.receive(answers, world.now).expect("well-formed");
    let taken = world.engine.take();
    assert_eq!(taken.commit.answered, [mine.message_id]);
    assert!(matches!(taken.outcomes[..], [(_, crate::event::Outcome::Conflict)]));
    assert_eq!(world.engine.outbox().len(), 0);
}
