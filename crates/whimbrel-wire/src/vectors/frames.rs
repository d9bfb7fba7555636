//! `vectors/frames.json`: every payload in both directions.

use bytes::Bytes;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use whimbrel_core::limits::{
    BODY_MAX, FRAME_MAX, SEND_BATCH_MAX, SIGNAL_MAX, SYNC_CONVERSATIONS_MAX, WATCHED_MAX, WINDOW,
};
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, Draft, GoodbyeCode, Known, Message, MessageId, MessageKind,
    Outcome, Presence, PresenceState, Receipt, Refusal, Seq, SessionId, Signal, SyncAnswer, SyncQuestion, UserId, View,
};

use super::{golden, hex, sealing};
use crate::codec::Splitter;
use crate::convert::{self, Hello, Welcome, WireId};
use crate::frame::{self, ClientFrame, ClientPayload, Encoded, ServerFrame, ServerPayload};
use crate::{PROTOCOL, proto, seal, testing};

pub(super) const ALICE: UserId = UserId(1);
const BOB: UserId = UserId(2);
pub(super) const CONVERSATION: ConversationId =
    ConversationId::from_bytes(0x0198_c0de_0000_7000_8000_0000_0000_0001_u128.to_be_bytes());
const PRIVATE: ConversationId =
    ConversationId::from_bytes(0x0198_c0de_0000_7000_8000_0000_0000_0002_u128.to_be_bytes());
const GROUP: ConversationId = ConversationId::from_bytes(0x0198_c0de_0000_7000_8000_0000_0000_0003_u128.to_be_bytes());
/// What stands at place 1 before the vectors' story begins.
const EARLIER: MessageId = MessageId::from_bytes(0x017f_22e2_7900_7000_8000_0000_0000_0001_u128.to_be_bytes());
/// Alice's message, at place 2: RFC 9562, appendix A.6.
pub(super) const MESSAGE: MessageId =
    MessageId::from_bytes(0x017f_22e2_79b0_7cc3_98c4_dc0c_0c07_398f_u128.to_be_bytes());
pub(super) const LATER: MessageId = MessageId::from_bytes(0x017f_22e2_79b1_7000_8000_0000_0000_0001_u128.to_be_bytes());
pub(super) const PHONE: DeviceId = DeviceId::from_bytes(0x919108f7_52d1_4320_9bac_f847db4148a8_u128.to_be_bytes());
const SESSION: SessionId = SessionId::from_bytes(0x5c146b14_3c52_4afd_938a_375d0df1fbf6_u128.to_be_bytes());
/// 2022-02-22 19:22:22 UTC, the time in [`MESSAGE`].
const AT: u64 = 1_645_557_742_000;
/// A SignalBody: typing.
const TYPING: &[u8] = &[0x08, 0x01];

#[derive(Serialize, Deserialize)]
pub(super) struct File {
    about: String,
    pub(super) client: Vec<Vector<ClientFrame>>,
    pub(super) server: Vec<Vector<ServerFrame>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Vector<F> {
    pub(super) name: String,
    about: String,
    /// With the length prefix.
    #[serde(with = "hex")]
    pub(super) bytes: Bytes,
    frame: F,
}

fn client(name: &str, about: &str, number: u64, ack: u64, payload: Option<ClientPayload>) -> Vector<ClientFrame> {
    let bytes = framed(number, ack, payload.as_ref().map(Encoded::client));
    Vector { name: name.into(), about: about.into(), bytes, frame: ClientFrame { number, ack, payload } }
}

fn server(name: &str, about: &str, number: u64, ack: u64, payload: Option<ServerPayload>) -> Vector<ServerFrame> {
    let bytes = framed(number, ack, payload.as_ref().map(Encoded::server));
    Vector { name: name.into(), about: about.into(), bytes, frame: ServerFrame { number, ack, payload } }
}

fn framed(number: u64, ack: u64, payload: Option<Encoded>) -> Bytes {
    let mut out = Vec::new();
    frame::put_frame(&mut out, number, ack, payload.as_ref());
    out.into()
}

fn send(drafts: Vec<Draft>) -> Option<ClientPayload> {
    let drafts = drafts.into_iter().map(Into::into).collect();
    Some(ClientPayload::Send(proto::Send { conversation_id: CONVERSATION.wire(), drafts }))
}

fn advance(delivered: u64, read: u64) -> Option<ClientPayload> {
    let cursor = (CONVERSATION, Cursors { delivered: Seq(delivered), read: Seq(read) }).into();
    Some(ClientPayload::Advance(proto::Advance { cursors: vec![cursor] }))
}

fn signal(body: &'static [u8]) -> Option<ClientPayload> {
    let body = Bytes::from_static(body);
    Some(ClientPayload::Signal(proto::Signal { conversation_id: CONVERSATION.wire(), body }))
}

fn watch(users: &[UserId]) -> Option<ClientPayload> {
    Some(ClientPayload::Watch(testing::proto_watch(users)))
}

fn sync(sync: SyncQuestion) -> Option<ClientPayload> {
    Some(ClientPayload::Sync(sync.into()))
}

pub(super) fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        access_token: "header.claims.signature".into(),
        device: PHONE,
        platform: "linux".into(),
        sdk_version: "whimbrel-rust/0.1.0".into(),
    }
}

pub(super) fn draft() -> Draft {
    let SealFields { kind, key_version } = SealFields::of_the_first_vector();
    Draft { message_id: MESSAGE, kind, key_version, body: sealing::sealed_hello_bob() }
}

struct SealFields {
    kind: MessageKind,
    key_version: u32,
}

impl SealFields {
    fn of_the_first_vector() -> Self {
        Self { kind: sealing::CONTEXT.kind, key_version: sealing::CONTEXT.key_version }
    }
}

fn from_client() -> Vec<Vector<ClientFrame>> {
    let nothing_known =
        SyncQuestion { id: 1, after: None, until: None, known: vec![], only_known: false, max_messages: 0 };
    let at = |cursor, message_id| Known { conversation: CONVERSATION, cursor: Seq(cursor), message_id };
    let start = Known { conversation: PRIVATE, cursor: Seq(0), message_id: None };
    let longest =
        Draft { message_id: LATER, kind: MessageKind(999), key_version: u32::MAX, body: vec![0xee; 300].into() };
    let readable = Draft { message_id: LATER, kind: MessageKind::TEXT, key_version: 0, body: sealing::hello_bob() };
    let empty = Draft { body: Bytes::new(), ..readable.clone() };
    let goodbye = |code, reason: &str| Some(ClientPayload::Goodbye(convert::goodbye(code, reason, 0)));
    let max = u64::MAX;
    vec![
        client("hello", "The first frame of a session.", 0, 0, Some(ClientPayload::Hello(hello().into()))),
        client("acknowledge", "Nothing but: your frames up to 1 have come.", 0, 1, None),
        client("acknowledge_max", "The largest number that there is.", 0, max, None),
        client(
            "heartbeat",
            "Nothing else was sent for heartbeat_ms.",
            0,
            0,
            Some(ClientPayload::Heartbeat(proto::Heartbeat {})),
        ),
        client(
            "heartbeat_ack",
            "A heartbeat that acknowledges.",
            0,
            300,
            Some(ClientPayload::Heartbeat(proto::Heartbeat {})),
        ),
        client("goodbye", "The client leaves.", 0, 7, goodbye(GoodbyeCode::CLIENT_LEAVES, "")),
        client(
            "goodbye_reason",
            "The client heard nothing.",
            0,
            0,
            goodbye(GoodbyeCode::SILENT, "nothing heard for 45 s"),
        ),
        client("sync_fresh", "A device that knows nothing yet.", 1, 0, sync(nothing_known.clone())),
        client(
            "sync_all",
            "A device that knows two conversations.",
            1,
            0,
            sync(SyncQuestion { known: vec![at(1, Some(EARLIER)), start], ..nothing_known.clone() }),
        ),
        client(
            "sync_range",
            "The conversations after one and up to another.",
            2,
            1,
            sync(SyncQuestion {
                id: 2,
                after: Some(CONVERSATION),
                until: Some(PRIVATE),
                known: vec![start],
                ..nothing_known.clone()
            }),
        ),
        client(
            "sync_gap",
            "What follows a cursor in one conversation, 50 messages at most.",
            3,
            2,
            sync(SyncQuestion {
                id: max as u32,
                known: vec![at(max, None)],
                only_known: true,
                max_messages: 50,
                ..nothing_known
            }),
        ),
        client("send", "One text, sealed: the body is the vector `text` of sealing.json.", 2, 1, send(vec![draft()])),
        client(
            "send_two",
            "Two drafts, in their order; lengths that take two bytes.",
            3,
            1,
            send(vec![draft(), longest]),
        ),
        client(
            "send_readable",
            "A text where bodies are readable: the plain Body, key version 0.",
            2,
            1,
            send(vec![readable]),
        ),
        client("send_empty", "An empty body, which is left out; the largest number.", max, max, send(vec![empty])),
        client("advance", "Everything up to 2 is stored, 1 is read.", 3, 2, advance(2, 1)),
        client("advance_delivered", "Everything up to 2 is stored.", 3, 2, advance(2, 0)),
        client("advance_max", "The largest places.", 3, 2, advance(max, max)),
        client(
            "send_edit",
            "Other content for the message at place 2: the vector `edit` of sealing.json.",
            4,
            2,
            send(vec![sealing::edit_draft()]),
        ),
        client(
            "send_recall",
            "The message at place 2 is taken back: its seq and nothing else, with the current key version.",
            4,
            2,
            send(vec![Draft {
                message_id: LATER,
                kind: MessageKind::RECALL,
                key_version: 1,
                body: seal::about(Seq(2), &[]),
            }]),
        ),
        client("signal_typing", "The user writes: a SignalBody, not sealed.", 4, 2, signal(TYPING)),
        client("signal_max", "The longest signal.", 4, 2, signal(&[0x5a; SIGNAL_MAX])),
        client("watch", "Who of these two is here?", 5, 2, watch(&[ALICE, UserId(300)])),
        client("watch_nobody", "Of nobody any more.", 6, 2, watch(&[])),
        client(
            "watch_max",
            "As many as may be watched.",
            5,
            2,
            watch(&(1..=WATCHED_MAX as u64).map(UserId).collect::<Vec<_>>()),
        ),
    ]
}

fn message(seq: u64) -> Message {
    let Draft { message_id, kind, key_version, body } = draft();
    Message {
        conversation: CONVERSATION,
        seq: Seq(seq),
        sender: ALICE,
        device: PHONE,
        message_id,
        kind,
        key_version,
        body,
        at: AT,
    }
}

fn made_by_server() -> Message {
    Message {
        conversation: PRIVATE,
        seq: Seq(1),
        sender: BOB,
        device: DeviceId::from_bytes([0; 16]),
        message_id: LATER,
        kind: MessageKind::RELATION,
        key_version: 0,
        body: Bytes::from_static(br#"{"user":1}"#),
        at: AT,
    }
}

fn deliver(messages: &[Message]) -> Option<ServerPayload> {
    Some(ServerPayload::Deliver(testing::proto_deliver(messages[0].conversation, messages)))
}

fn answers(answers: &[(MessageId, Outcome)]) -> Option<ServerPayload> {
    Some(ServerPayload::Answers(testing::proto_answers(CONVERSATION, answers)))
}

fn synced(id: u32, views: Vec<View>, next: Option<ConversationId>) -> Option<ServerPayload> {
    Some(ServerPayload::Synced(SyncAnswer { id, views, next }.into()))
}

fn presences() -> Option<ServerPayload> {
    use PresenceState::{Offline, Online, Unknown};
    let of = |(user, state, last_seen)| Presence { user: UserId(user), state, last_seen };
    let all = [(1, Online, 0), (2, Offline, AT), (300, Offline, 0), (u64::MAX, Unknown, 0)].map(of);
    Some(ServerPayload::Presences(testing::proto_presences(&all)))
}

fn welcome() -> Welcome {
    Welcome {
        session: SESSION,
        user: ALICE,
        max_frame: FRAME_MAX as u32,
        window: WINDOW,
        heartbeat_ms: 20_000,
        silence_ms: 45_000,
        ack_timeout_ms: 5_000,
        ack_timeouts: 3,
        server_time_ms: AT,
        bodies_readable: false,
        max_body: BODY_MAX as u32,
        max_drafts: SEND_BATCH_MAX as u32,
        max_conversations: SYNC_CONVERSATIONS_MAX as u32,
        max_watched: 0,
    }
}

fn views() -> (View, View, View) {
    let direct = View {
        conversation: CONVERSATION,
        kind: ConversationKind::Direct,
        peer: Some(ALICE),
        head: Seq(2),
        head_at: AT,
        floor: Seq(0),
        own: Cursors { delivered: Seq(1), read: Seq(1) },
        unread: 1,
        peer_cursors: Cursors { delivered: Seq(2), read: Seq(2) },
        reset: false,
        messages: vec![message(2)],
        complete: true,
    };
    let private = View {
        conversation: PRIVATE,
        kind: ConversationKind::Private,
        peer: None,
        head: Seq(1),
        own: Cursors::default(),
        unread: 0,
        peer_cursors: Cursors::default(),
        messages: vec![],
        complete: false,
        ..direct.clone()
    };
    let restored = View { reset: true, complete: false, floor: Seq(1), messages: vec![], ..direct.clone() };
    (direct, private, restored)
}

fn view_of_a_group(direct: &View) -> View {
    let joined = Message {
        conversation: GROUP,
        kind: MessageKind::GROUP,
        sender: BOB,
        device: DeviceId::from_bytes([0; 16]),
        message_id: LATER,
        key_version: 0,
        body: Bytes::from_static(br#"{"what":"joined","by":2,"users":[1]}"#),
        ..message(2)
    };
    View {
        conversation: GROUP,
        kind: ConversationKind::Group,
        peer: None,
        floor: Seq(1),
        own: Cursors { delivered: Seq(1), read: Seq(1) },
        unread: 0,
        peer_cursors: Cursors::default(),
        messages: vec![joined],
        ..direct.clone()
    }
}

fn from_server() -> Vec<Vector<ServerFrame>> {
    let goodbye = |code, reason: &str, after| Some(ServerPayload::Goodbye(convert::goodbye(code, reason, after)));
    let (direct, private, restored) = views();
    let group = view_of_a_group(&direct);
    let cursors = Cursors { delivered: Seq(2), read: Seq(1) };
    let receipt = Receipt { conversation: CONVERSATION, user: BOB, cursors };
    let own = Receipt { user: ALICE, cursors: Cursors { delivered: Seq(2), read: Seq(0) }, ..receipt };
    let sent = Outcome::Sent { seq: Seq(2), at: AT };
    let refused = Outcome::Refused(Refusal::NotFriends);
    let retry = Outcome::Retry { after_ms: 1500 };
    let max = u64::MAX;
    vec![
        server("welcome", "The answer to Hello.", 0, 0, Some(ServerPayload::Welcome(welcome().into()))),
        server(
            "welcome_readable",
            "A deployment that keeps bodies readable.",
            0,
            0,
            Some(ServerPayload::Welcome(Welcome { bodies_readable: true, ..welcome() }.into())),
        ),
        server(
            "welcome_presence",
            "A server that tells presence.",
            0,
            0,
            Some(ServerPayload::Welcome(Welcome { max_watched: WATCHED_MAX as u32, ..welcome() }.into())),
        ),
        server("presences", "One of each: online, offline with and without a time, unknown.", 5, 5, presences()),
        server("acknowledge", "Nothing but: your frames up to 1 have come.", 0, 1, None),
        server(
            "heartbeat",
            "Nothing else was sent for heartbeat_ms.",
            0,
            0,
            Some(ServerPayload::Heartbeat(proto::Heartbeat {})),
        ),
        server("goodbye", "Another session of the device took over.", 0, 3, goodbye(GoodbyeCode::REPLACED, "", 0)),
        server(
            "goodbye_retry",
            "The server stops: connect again after 2.5 s.",
            0,
            3,
            goodbye(GoodbyeCode::MOVING, "the server is stopping", 2500),
        ),
        server(
            "answer_sent",
            "The draft of the client's vector `send` has place 2.",
            2,
            2,
            answers(&[(MESSAGE, sent)]),
        ),
        server(
            "answers",
            "One of each: sent, conflict, refused, retry.",
            3,
            3,
            answers(&[(MESSAGE, sent), (LATER, Outcome::Conflict), (LATER, refused), (LATER, retry)]),
        ),
        server("deliver", "The same message, as Bob gets it.", 3, 2, deliver(&[message(2)])),
        server(
            "deliver_two",
            "Two messages in their order.",
            3,
            2,
            deliver(&[message(2), Message { message_id: LATER, ..message(3) }]),
        ),
        server(
            "deliver_by_server",
            "A row that the server made: no device, readable body.",
            3,
            2,
            deliver(&[made_by_server()]),
        ),
        server(
            "deliver_max",
            "The largest numbers.",
            max,
            max,
            deliver(&[Message { sender: UserId(max), at: max, ..message(max) }]),
        ),
        server(
            "receipts",
            "Bob has stored 2 and read 1; another device of Alice's has stored 2.",
            4,
            2,
            Some(ServerPayload::Receipts(testing::proto_receipts(&[receipt, own]))),
        ),
        server(
            "advanced",
            "The device's cursors are durable.",
            5,
            3,
            Some(ServerPayload::Advanced(testing::proto_advanced(&[(CONVERSATION, cursors)]))),
        ),
        server("synced_nothing", "There are no conversations.", 1, 1, synced(1, vec![], None)),
        server(
            "synced",
            "A direct conversation with what followed the cursor, and a private one that was not named.",
            1,
            1,
            synced(1, vec![direct, private], None),
        ),
        server(
            "synced_more",
            "The answer stopped: go on after this conversation.",
            1,
            1,
            synced(2, vec![], Some(PRIVATE)),
        ),
        server(
            "synced_reset",
            "The run that the device holds is not this timeline's.",
            1,
            1,
            synced(2, vec![restored], None),
        ),
        server("poke", "Sync everything.", 6, 3, Some(ServerPayload::Poke(proto::Poke {}))),
        server(
            "signaled_typing",
            "Bob writes.",
            7,
            3,
            Some(ServerPayload::Signaled(
                Signal { conversation: CONVERSATION, user: BOB, device: PHONE, body: Bytes::from_static(TYPING) }
                    .into(),
            )),
        ),
        server(
            "synced_group",
            "A group that the user came to with row 2: earlier ones are not for them.",
            1,
            1,
            synced(1, vec![group], None),
        ),
        server(
            "deliver_recalled",
            "A message that was taken back: it keeps its place, and has no body.",
            3,
            2,
            deliver(&[Message { body: Bytes::new(), ..message(2) }]),
        ),
    ]
}

/// The one frame that `bytes` are, without its prefix.
fn unframed(bytes: &[u8]) -> Bytes {
    let frames: Vec<_> = Splitter::new().push(bytes, FRAME_MAX).collect();
    let [Ok(frame)] = &frames[..] else { panic!("not one frame: {frames:?}") };
    frame.clone()
}

pub(super) fn file() -> File {
    let about = "Frames in both directions, with their length prefix, and what they say.";
    golden("frames.json", &File { about: about.into(), client: from_client(), server: from_server() })
}

#[test]
fn the_frame_vectors_are_what_the_code_writes_and_reads() {
    let file = file();
    for vector in &file.client {
        let frame = unframed(&vector.bytes);
        assert_eq!(frame, vector.frame.encode_to_vec(), "{}", vector.name);
        assert_eq!(frame::decode_client(frame).as_ref(), Ok(&vector.frame), "{}", vector.name);
        crate::fuzzing::client_frame(&unframed(&vector.bytes));
    }
    for vector in &file.server {
        let frame = unframed(&vector.bytes);
        assert_eq!(frame, vector.frame.encode_to_vec(), "{}", vector.name);
        assert_eq!(frame::decode_server(frame).as_ref(), Ok(&vector.frame), "{}", vector.name);
        crate::fuzzing::server_frame(&unframed(&vector.bytes));
    }
}

/// A payload that is added to the protocol and not to the vectors is noticed: their fields are 10 to 17 and 10 to 20.
#[test]
fn every_payload_has_a_vector() {
    let seen = |tags: Vec<Bytes>| {
        let mut fields: Vec<u64> =
            tags.into_iter().map(|mut tag| prost::encoding::decode_varint(&mut tag).expect("a tag") >> 3).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    };
    let file = file();
    let client = file.client.iter().filter_map(|v| v.frame.payload.as_ref()).map(Encoded::client);
    let server = file.server.iter().filter_map(|v| v.frame.payload.as_ref()).map(Encoded::server);
    let tag = |encoded: Encoded| Bytes::copy_from_slice(encoded.as_bytes());
    assert_eq!(seen(client.map(tag).collect()), (10..=17).collect::<Vec<_>>());
    assert_eq!(seen(server.map(tag).collect()), (10..=20).collect::<Vec<_>>());
}
