use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use whimbrel_core::GoodbyeCode;
use whimbrel_core::limits::{CURSORS_MAX, SEND_BATCH_MAX, SYNC_CONVERSATIONS_MAX, WATCHED_MAX};

use super::*;
use crate::{FrameError, proto, testing};

/// The frame's bytes after the prefix, with the prefix checked.
fn written(number: u64, ack: u64, payload: Option<&Encoded>) -> Bytes {
    let mut out = Vec::new();
    put_frame(&mut out, number, ack, payload);
    assert_eq!(out.len(), frame_len(number, ack, payload));
    let mut out = Bytes::from(out);
    let body = out.split_off(PREFIX);
    assert_eq!(out.as_ref(), (body.len() as u32).to_be_bytes());
    body
}

fn with_numbers<P: Clone + std::fmt::Debug>(
    payload: impl Strategy<Value = P>,
    encode: fn(&P) -> Encoded,
) -> impl Strategy<Value = (P, u64, u64)> {
    payload.prop_flat_map(move |payload| {
        let is_numbered = encode(&payload).is_numbered();
        (Just(payload), testing::numbers(is_numbered)).prop_map(|(payload, (number, ack))| (payload, number, ack))
    })
}

proptest! {
    // The generated encoder writes whole frames; ours puts an envelope before an encoded payload. Both must write the
    // same bytes, and decoding must give the same frame.
    #[test]
    fn a_client_frame_is_what_the_generated_encoder_writes_and_reads_back(
        (payload, number, ack) in with_numbers(testing::client_payload(), Encoded::client)
    ) {
        let encoded = Encoded::client(&payload);
        let frame = ClientFrame { number, ack, payload: Some(payload) };
        let bytes = written(number, ack, Some(&encoded));
        prop_assert_eq!(&bytes, &frame.encode_to_vec());
        prop_assert_eq!(decode_client(bytes), Ok(frame));
    }

    #[test]
    fn a_server_frame_is_what_the_generated_encoder_writes_and_reads_back(
        (payload, number, ack) in with_numbers(testing::server_payload(), Encoded::server)
    ) {
        let encoded = Encoded::server(&payload);
        let frame = ServerFrame { number, ack, payload: Some(payload) };
        let bytes = written(number, ack, Some(&encoded));
        prop_assert_eq!(&bytes, &frame.encode_to_vec());
        prop_assert_eq!(decode_server(bytes), Ok(frame));
    }

    // The direct encoders skip the generated types; the detour over these must give the same bytes.
    #[test]
    fn direct_encoders_write_what_the_generated_ones_write(
        (conversation, messages) in testing::messages(),
        answers in testing::answers(),
        receipts in testing::receipts(),
        advanced in testing::advanced(),
        signal in testing::signal(),
        presences in testing::presences(),
    ) {
        let detour = ServerPayload::Deliver(testing::proto_deliver(conversation, &messages));
        prop_assert_eq!(Encoded::deliver(conversation, &messages), Encoded::server(&detour));
        let detour = ServerPayload::Answers(testing::proto_answers(conversation, &answers));
        prop_assert_eq!(Encoded::answers(conversation, &answers), Encoded::server(&detour));
        let detour = ServerPayload::Receipts(testing::proto_receipts(&receipts));
        let direct = Encoded::receipts(&receipts);
        prop_assert_eq!(direct, Encoded::server(&detour));
        let detour = ServerPayload::Advanced(testing::proto_advanced(&advanced));
        prop_assert_eq!(Encoded::advanced(&advanced), Encoded::server(&detour));
        let detour = ServerPayload::Presences(testing::proto_presences(&presences));
        prop_assert_eq!(Encoded::presences(&presences), Encoded::server(&detour));
        let direct = Encoded::signaled(&signal);
        prop_assert_eq!(direct, Encoded::server(&ServerPayload::Signaled(signal.into())));
    }

    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_client(Bytes::copy_from_slice(&bytes));
        let _ = decode_server(Bytes::from(bytes));
    }

    // Arbitrary bytes rarely get past the first field: here a good frame is damaged at one place.
    #[test]
    fn decoding_a_damaged_frame_never_panics(
        (payload, number, ack) in with_numbers(testing::client_payload(), Encoded::client),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = written(number, ack, Some(&Encoded::client(&payload))).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        crate::fuzzing::client_frame(&bytes);
        crate::fuzzing::server_frame(&bytes);
    }
}

#[test]
fn the_payloads_without_content_are_constants() {
    let heartbeat = Encoded::heartbeat();
    assert_eq!(heartbeat, Encoded::server(&ServerPayload::Heartbeat(proto::Heartbeat {})));
    assert_eq!(heartbeat, Encoded::client(&ClientPayload::Heartbeat(proto::Heartbeat {})));
    assert_eq!(Encoded::poke(), Encoded::server(&ServerPayload::Poke(proto::Poke {})));
}

#[test]
fn a_clone_shares_the_bytes() {
    let encoded = Encoded::server(&ServerPayload::Deliver(proto::Deliver::default()));
    assert_eq!(encoded.clone().as_bytes().as_ptr(), encoded.as_bytes().as_ptr());
}

#[test]
fn a_frame_that_would_say_nothing_is_not_written() {
    let mut out = Vec::new();
    put_frame(&mut out, 0, 0, None);
    assert_eq!((out.len(), frame_len(0, 0, None)), (0, 0));
}

#[test]
fn the_envelope_has_a_limit() {
    let payload = Encoded::heartbeat();
    assert_eq!(frame_len(u64::MAX, u64::MAX, Some(&payload)) - payload.len(), ENVELOPE_MAX);
}

#[test]
fn debug_output_shows_nothing_of_a_payload() {
    let hello = proto::Hello { access_token: "secret".into(), ..Default::default() };
    assert_eq!(format!("{:?}", Encoded::client(&ClientPayload::Hello(hello))), "Encoded(10 bytes)");
}

/// A decoded body lies in the frame's own memory.
#[test]
fn decoding_copies_no_body() {
    let draft = proto::Draft { body: Bytes::from(vec![7; 100]), ..Default::default() };
    let send = proto::Send { drafts: vec![draft], ..Default::default() };
    let bytes = written(1, 0, Some(&Encoded::client(&ClientPayload::Send(send))));
    let Some(ClientPayload::Send(send)) = decode_client(bytes.clone()).expect("good").payload else { panic!() };
    assert!(bytes.as_ptr_range().contains(&send.drafts[0].body.as_ptr()));
}

#[test]
fn only_what_has_a_number_is_numbered() {
    let goodbye = Encoded::client(&ClientPayload::Goodbye(proto::Goodbye::default()));
    let poke = Encoded::poke();
    assert!(!goodbye.is_numbered() && !Encoded::heartbeat().is_numbered() && poke.is_numbered());
    let bad = Err(FrameError::BadField("number"));
    assert_eq!(decode_client(written(1, 0, Some(&goodbye))), bad);
    assert_eq!(decode_client(written(1, 0, Some(&Encoded::heartbeat()))), bad);
    let bad = Err(FrameError::BadField("number"));
    assert_eq!(decode_server(written(0, 0, Some(&poke))), bad);
    assert_eq!(decode_server(written(1, 0, Some(&Encoded::heartbeat()))), bad);
}

/// Field 99 is no payload of this version: with a number it is unknown, without one it is passed over, so that later
/// versions may add payloads that need no answer.
#[test]
fn an_unknown_payload_ends_the_session_only_if_it_is_numbered() {
    let unknown = [0x9a, 0x06, 0x00];
    let numbered = Bytes::from([&[NUMBER, 1][..], &unknown].concat());
    assert_eq!(decode_client(numbered.clone()), Err(FrameError::Unknown));
    assert_eq!(decode_server(numbered), Err(FrameError::Unknown));
    let unnumbered = Bytes::from([&[ACK, 5][..], &unknown].concat());
    assert_eq!(decode_client(unnumbered.clone()), Ok(ClientFrame { ack: 5, ..Default::default() }));
    assert_eq!(decode_server(unnumbered), Ok(ServerFrame { ack: 5, ..Default::default() }));
}

/// A client's lists are counted before they are decoded: one more than the limit is refused, also when the entries
/// are empty (two bytes each) or spread over a payload field that is repeated.
#[test]
fn a_list_above_its_limit_is_refused_before_it_is_decoded() {
    let of = |payload: u8, list: u8, count: usize| {
        let body = [list << 3 | 2, 0].repeat(count);
        let mut frame = vec![NUMBER, 1, payload << 3 | 2];
        encode_varint(body.len() as u64, &mut frame);
        frame.extend(body);
        frame
    };
    for (payload, list, max, name) in
        [(13, 2, SEND_BATCH_MAX, "drafts"), (14, 1, CURSORS_MAX, "cursors"), (15, 4, SYNC_CONVERSATIONS_MAX, "known")]
    {
        assert!(decode_client(of(payload, list, max).into()).is_ok());
        assert_eq!(decode_client(of(payload, list, max + 1).into()), Err(FrameError::BadField(name)));
        let twice = [of(payload, list, max), of(payload, list, 1)].concat();
        assert_eq!(decode_client(twice.into()), Err(FrameError::BadField(name)));
    }
}

/// Numbers in a list are counted too, packed or not.
#[test]
fn a_list_of_numbers_above_its_limit_is_refused_before_it_is_decoded() {
    let of = |count: usize| {
        let watch = proto::Watch { users: vec![u64::MAX; count] };
        ClientFrame { number: 1, payload: Some(ClientPayload::Watch(watch)), ..Default::default() }.encode_to_vec()
    };
    assert!(decode_client(of(WATCHED_MAX).into()).is_ok());
    let bad = Err(FrameError::BadField("users"));
    assert_eq!(decode_client(of(WATCHED_MAX + 1).into()), bad);
    assert_eq!(decode_client([of(WATCHED_MAX), of(1)].concat().into()), bad);
}

#[test]
fn every_error_has_its_goodbye() {
    for (error, code) in [
        (FrameError::Empty, GoodbyeCode::BAD_FRAME),
        (FrameError::TooLarge { len: 2, max: 1 }, GoodbyeCode::FRAME_TOO_LARGE),
        (FrameError::Malformed, GoodbyeCode::BAD_FRAME),
        (FrameError::Unknown, GoodbyeCode::UNKNOWN_FRAME),
        (FrameError::BadField("x"), GoodbyeCode::BAD_FIELD),
    ] {
        assert_eq!(error.goodbye(), code);
    }
}
