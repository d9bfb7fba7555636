//! `vectors/bad_input.json`: what a client may do wrong in its bytes, and the goodbye that it gets.

use bytes::Bytes;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use whimbrel_core::GoodbyeCode;
use whimbrel_core::limits::{HELLO_FRAME_MAX, SEND_BATCH_MAX, SIGNAL_MAX, WATCHED_MAX, WINDOW};

use super::{frames, golden, hex};
use crate::codec::Splitter;
use crate::convert::{self, WireId};
use crate::frame::{ClientFrame, ClientPayload, decode_client};
use crate::proto;
use crate::window::{Accept, Receive, Transmit};

#[derive(Serialize, Deserialize)]
struct File {
    about: String,
    refused: Vec<Refused>,
    accepted: Vec<Accepted>,
}

#[derive(Serialize, Deserialize)]
struct Refused {
    name: String,
    about: String,
    /// What a client sends, from the session's first byte on.
    #[serde(with = "hex")]
    bytes: Bytes,
    goodbye: u32,
    goodbye_name: String,
}

#[derive(Serialize, Deserialize)]
struct Accepted {
    name: String,
    about: String,
    #[serde(with = "hex")]
    bytes: Bytes,
    /// What the frames hold once they are read.
    frames: Vec<ClientFrame>,
}

/// Reads a stream as a server does that has sent nothing yet: until the first thing that is wrong.
fn read(bytes: &[u8]) -> Result<Vec<ClientFrame>, GoodbyeCode> {
    let (mut receive, mut transmit) = (Receive::new(WINDOW), Transmit::new(WINDOW));
    let mut frames = Vec::new();
    for frame in Splitter::new().push(bytes, HELLO_FRAME_MAX) {
        let frame = frame.and_then(decode_client).map_err(|error| error.goodbye())?;
        transmit.acknowledged(frame.ack, 0).map_err(|error| error.goodbye())?;
        match if frame.number == 0 { Accept::Process } else { receive.accept(frame.number) } {
            Accept::Process => {}
            Accept::Repeat => continue,
            Accept::OutOfTurn => return Err(GoodbyeCode::OUT_OF_TURN),
            Accept::BeyondWindow => return Err(GoodbyeCode::WINDOW_VIOLATED),
        }
        check(frame.clone()).map_err(|error| error.goodbye())?;
        frames.push(frame);
    }
    Ok(frames)
}

fn check(frame: ClientFrame) -> Result<(), crate::FrameError> {
    match frame.payload {
        Some(ClientPayload::Hello(hello)) => convert::hello(hello).map(drop),
        Some(ClientPayload::Send(send)) => convert::send(send).map(drop),
        Some(ClientPayload::Advance(advance)) => convert::advance(advance).map(drop),
        Some(ClientPayload::Sync(sync)) => convert::sync(sync).map(drop),
        Some(ClientPayload::Signal(signal)) => convert::signal(signal).map(drop),
        Some(ClientPayload::Watch(watch)) => convert::watch(watch).map(drop),
        Some(ClientPayload::Heartbeat(_) | ClientPayload::Goodbye(_)) | None => Ok(()),
    }
}

/// The prefix, and the bytes behind it.
fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn numbered(number: u64, ack: u64, payload: ClientPayload) -> Vec<u8> {
    framed(&ClientFrame { number, ack, payload: Some(payload) }.encode_to_vec())
}

fn send(change: impl FnOnce(&mut proto::Send)) -> ClientPayload {
    let mut send = proto::Send { conversation_id: frames::CONVERSATION.wire(), drafts: vec![frames::draft().into()] };
    change(&mut send);
    ClientPayload::Send(send)
}

fn hello(change: impl FnOnce(&mut proto::Hello)) -> ClientPayload {
    let mut hello = frames::hello().into();
    change(&mut hello);
    ClientPayload::Hello(hello)
}

fn sync(ids: &[u8], until: &[u8]) -> ClientPayload {
    let id = |byte: &u8| Bytes::from(vec![*byte; 16]);
    let known = ids.iter().map(|byte| proto::Known { conversation_id: id(byte), ..Default::default() }).collect();
    ClientPayload::Sync(proto::Sync {
        id: 1,
        after: id(&5),
        until: Bytes::copy_from_slice(until),
        known,
        ..Default::default()
    })
}

fn signal(len: usize) -> ClientPayload {
    ClientPayload::Signal(proto::Signal { conversation_id: frames::CONVERSATION.wire(), body: vec![7; len].into() })
}

fn watch(users: impl IntoIterator<Item = u64>) -> ClientPayload {
    ClientPayload::Watch(proto::Watch { users: users.into_iter().collect() })
}

fn case(name: &str, about: &str, code: GoodbyeCode, bytes: Vec<u8>) -> Refused {
    Refused {
        name: name.into(),
        about: about.into(),
        bytes: bytes.into(),
        goodbye: code.0,
        goodbye_name: code.name().into(),
    }
}

fn bad_bytes() -> Vec<Refused> {
    let too_large = (HELLO_FRAME_MAX as u32 + 1).to_be_bytes().to_vec();
    vec![
        case("length_zero", "A length of 0.", GoodbyeCode::BAD_FRAME, vec![0, 0, 0, 0]),
        case(
            "length_above_limit",
            "8,193 bytes announced before Welcome: refused at the prefix.",
            GoodbyeCode::FRAME_TOO_LARGE,
            too_large,
        ),
        case(
            "length_of_another_protocol",
            "An HTTP request: its first letters are a huge length.",
            GoodbyeCode::FRAME_TOO_LARGE,
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        ),
        case("garbage", "A good length and no protobuf behind it.", GoodbyeCode::BAD_FRAME, framed(&[0xff; 16])),
        case(
            "field_cut_off",
            "A payload that is longer than its frame.",
            GoodbyeCode::BAD_FRAME,
            framed(&[0x08, 1, 0x6a, 100, 0]),
        ),
        case("wrong_wire_type", "`number` as bytes.", GoodbyeCode::BAD_FRAME, framed(&[0x0a, 1, 1])),
        case(
            "varint_too_long",
            "A `number` of eleven bytes.",
            GoodbyeCode::BAD_FRAME,
            framed(&[&[0x08][..], &[0xff; 11]].concat()),
        ),
        case(
            "token_not_utf8",
            "A string that is not UTF-8.",
            GoodbyeCode::BAD_FRAME,
            framed(&[0x52, 3, 0x12, 1, 0xff]),
        ),
    ]
}

fn bad_numbers() -> Vec<Refused> {
    let heartbeat = ClientPayload::Heartbeat(proto::Heartbeat {});
    vec![
        case(
            "unknown_payload",
            "A numbered frame whose payload (field 99) nobody knows.",
            GoodbyeCode::UNKNOWN_FRAME,
            framed(&[0x08, 1, 0x9a, 0x06, 0]),
        ),
        case("numbered_nothing", "A numbered frame without payload.", GoodbyeCode::UNKNOWN_FRAME, framed(&[0x08, 1])),
        case("send_without_number", "A Send with number 0.", GoodbyeCode::BAD_FIELD, numbered(0, 0, send(|_| ()))),
        case("heartbeat_with_number", "A Heartbeat with a number.", GoodbyeCode::BAD_FIELD, numbered(1, 0, heartbeat)),
        case(
            "first_number_two",
            "The first numbered frame is number 2.",
            GoodbyeCode::OUT_OF_TURN,
            numbered(2, 0, send(|_| ())),
        ),
        case(
            "number_skipped",
            "1, then 3.",
            GoodbyeCode::OUT_OF_TURN,
            [numbered(1, 0, send(|_| ())), numbered(3, 0, send(|_| ()))].concat(),
        ),
        case(
            "ack_of_nothing",
            "An acknowledgement of number 1, which the server never sent.",
            GoodbyeCode::WINDOW_VIOLATED,
            framed(&[0x10, 1]),
        ),
    ]
}

fn bad_fields() -> Vec<Refused> {
    let bad = GoodbyeCode::BAD_FIELD;
    let short = || Bytes::from(vec![1; 15]);
    let many = SEND_BATCH_MAX + 1;
    let one = |payload| numbered(1, 0, payload);
    vec![
        case("device_id_missing", "A Hello without device id.", bad, numbered(0, 0, hello(|h| h.device_id.clear()))),
        case(
            "platform_too_long",
            "A platform of 33 bytes.",
            bad,
            numbered(0, 0, hello(|h| h.platform = "p".repeat(33))),
        ),
        case(
            "sdk_version_too_long",
            "An SDK version of 65 bytes.",
            bad,
            numbered(0, 0, hello(|h| h.sdk_version = "s".repeat(65))),
        ),
        case(
            "conversation_id_short",
            "A conversation id of 15 bytes.",
            bad,
            one(send(|s| s.conversation_id = short())),
        ),
        case("message_id_short", "A message id of 15 bytes.", bad, one(send(|s| s.drafts[0].message_id = short()))),
        case("no_drafts", "A Send without drafts.", bad, one(send(|s| s.drafts.clear()))),
        case(
            "too_many_drafts",
            "A Send with 101 (empty) drafts.",
            bad,
            one(send(|s| s.drafts = vec![proto::Draft::default(); many])),
        ),
        case("no_cursors", "An Advance without cursors.", bad, one(ClientPayload::Advance(proto::Advance::default()))),
        case(
            "sync_out_of_order",
            "A Sync that names conversations in another order than that of their bytes.",
            bad,
            one(sync(&[8, 7], &[])),
        ),
        case("sync_named_twice", "A Sync that names a conversation twice.", bad, one(sync(&[7, 7], &[]))),
        case(
            "sync_outside_range",
            "A Sync that names a conversation outside of (after, until].",
            bad,
            one(sync(&[5], &[])),
        ),
        case("sync_range_backwards", "A Sync whose `until` stands before its `after`.", bad, one(sync(&[], &[4; 16]))),
        case("signal_empty", "A Signal that says nothing.", bad, one(signal(0))),
        case("signal_too_long", "A Signal of 513 bytes.", bad, one(signal(SIGNAL_MAX + 1))),
        case("watch_of_nobody", "A Watch of user 0.", bad, one(watch([1, 0]))),
        case("watch_named_twice", "A Watch that names a user twice.", bad, one(watch([5, 2, 5]))),
        case("watch_too_many", "A Watch of 201 users.", bad, one(watch(1..=WATCHED_MAX as u64 + 1))),
    ]
}

fn accepted() -> Vec<Accepted> {
    let case = |name: &str, about: &str, bytes: Vec<u8>| Accepted {
        name: name.into(),
        about: about.into(),
        frames: read(&bytes).expect("is accepted"),
        bytes: bytes.into(),
    };
    let first = || numbered(1, 0, send(|_| ()));
    vec![
        case(
            "unknown_field",
            "A Heartbeat with a field that nobody knows: it is passed over.",
            framed(&[0x5a, 2, 0x78, 1]),
        ),
        case(
            "unknown_payload_without_number",
            "Field 99 in a frame without number: as a frame without payload.",
            framed(&[0x9a, 0x06, 0]),
        ),
        case("repeat", "Number 1 twice: the second is acknowledged, and that is all.", [first(), first()].concat()),
        case(
            "half_a_frame",
            "The first half of a frame: nothing yet. The rest is waited for, for as long as FRAME_TIMEOUT allows.",
            first()[..20].to_vec(),
        ),
        case(
            "fields_in_another_order",
            "The payload before the number: protobuf allows it.",
            framed(&[0x72, 22, 0x0a, 20, 0x10, 1, 0x0a, 16, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0x08, 1]),
        ),
    ]
}

#[test]
fn bad_input_gets_the_goodbye_that_the_vectors_name() {
    let about = "What a client sends from its first byte on (no Welcome has come, the limit is 8,192 bytes), and the \
                 code of the Goodbye that a server answers; or what it reads.";
    let refused = bad_bytes().into_iter().chain(bad_numbers()).chain(bad_fields()).collect();
    let file = golden("bad_input.json", &File { about: about.into(), refused, accepted: accepted() });
    for vector in &file.refused {
        assert_eq!(read(&vector.bytes), Err(GoodbyeCode(vector.goodbye)), "{}", vector.name);
    }
    for vector in &file.accepted {
        assert_eq!(read(&vector.bytes).as_ref(), Ok(&vector.frames), "{}", vector.name);
    }
}
