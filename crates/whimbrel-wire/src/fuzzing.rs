//! What the fuzz targets do with their input. Ordinary functions, so that the corpus also runs as an ordinary test.
//! They panic when something that must hold does not.

use bytes::Bytes;
use prost::Message as _;
use whimbrel_core::{ConversationId, MessageId, MessageKind, UserId};

use crate::codec::Splitter;
use crate::convert;
use crate::frame::{self, ClientPayload, Encoded, ServerPayload};
use crate::proto::Body;
use crate::seal::{self, ConversationKey, SealContext};

/// Arbitrary bytes as a client's frame: what decodes, encodes again to something that decodes to the same.
pub fn client_frame(data: &[u8]) {
    let Ok(frame) = frame::decode_client(Bytes::copy_from_slice(data)) else { return };
    let payload = frame.payload.as_ref().map(Encoded::client);
    if let Some(again) = reread(frame.number, frame.ack, payload.as_ref()) {
        assert_eq!(frame::decode_client(again).as_ref(), Ok(&frame));
    }
    match frame.payload {
        Some(ClientPayload::Hello(hello)) => drop(convert::hello(hello)),
        Some(ClientPayload::Send(send)) => drop(convert::send(send)),
        Some(ClientPayload::Advance(advance)) => drop(convert::advance(advance)),
        Some(ClientPayload::Sync(sync)) => drop(convert::sync(sync)),
        Some(ClientPayload::Signal(signal)) => drop(convert::signal(signal)),
        Some(ClientPayload::Watch(watch)) => drop(convert::watch(watch)),
        Some(ClientPayload::Heartbeat(_) | ClientPayload::Goodbye(_)) | None => {}
    }
}

/// Arbitrary bytes as a server's frame.
pub fn server_frame(data: &[u8]) {
    let Ok(frame) = frame::decode_server(Bytes::copy_from_slice(data)) else { return };
    let payload = frame.payload.as_ref().map(Encoded::server);
    if let Some(again) = reread(frame.number, frame.ack, payload.as_ref()) {
        assert_eq!(frame::decode_server(again).as_ref(), Ok(&frame));
    }
    match frame.payload {
        Some(ServerPayload::Welcome(welcome)) => drop(convert::welcome(welcome)),
        Some(ServerPayload::Answers(answers)) => drop(convert::answers(answers)),
        Some(ServerPayload::Deliver(deliver)) => drop(convert::deliver(deliver)),
        Some(ServerPayload::Receipts(receipts)) => drop(convert::receipts(receipts)),
        Some(ServerPayload::Advanced(advanced)) => drop(convert::advanced(advanced)),
        Some(ServerPayload::Synced(synced)) => drop(convert::synced(synced)),
        Some(ServerPayload::Signaled(signaled)) => drop(convert::signaled(signaled)),
        Some(ServerPayload::Presences(presences)) => drop(convert::presences(presences)),
        Some(ServerPayload::Heartbeat(_) | ServerPayload::Goodbye(_) | ServerPayload::Poke(_)) | None => {}
    }
}

/// A stream in pieces: the first byte is the length of the pieces, the second the longest frame. However it is cut,
/// the same frames come out, and no more memory is held than a frame takes.
pub fn splitter(data: &[u8]) {
    let [piece, max_frame, stream @ ..] = data else { return };
    let (piece, max_frame) = (usize::from(*piece).max(1), usize::from(*max_frame));
    let whole: Vec<_> = Splitter::new().push(stream, max_frame).collect();
    let mut splitter = Splitter::new();
    let mut cut = Vec::new();
    for part in stream.chunks(piece) {
        cut.extend(splitter.push(part, max_frame));
        assert!(splitter.allocated() <= frame::PREFIX + max_frame);
        if cut.last().is_some_and(Result::is_err) {
            break;
        }
    }
    assert_eq!(whole, cut);
}

/// Arbitrary bytes as a body: it does not open, and what it would hold does not break the reader. As a plain text it
/// opens to itself.
pub fn open_seal(data: &[u8]) {
    let key = ConversationKey::from_bytes([7; 32]);
    let context = SealContext {
        conversation: ConversationId::from_bytes([1; 16]),
        sender: UserId(2),
        message_id: MessageId::from_bytes([3; 16]),
        kind: MessageKind::TEXT,
        key_version: 4,
    };
    assert!(seal::open(&key, &context, data).is_err());
    drop(Body::decode(data));
    let sealed = seal::seal(&key, &context, data);
    assert_eq!(seal::open(&key, &context, &sealed).as_deref(), Ok(data));
}

/// The frame's bytes without their prefix, through the splitter; `None` for a frame that says nothing.
fn reread(number: u64, ack: u64, payload: Option<&Encoded>) -> Option<Bytes> {
    let mut bytes = Vec::new();
    frame::put_frame(&mut bytes, number, ack, payload);
    assert_eq!(bytes.len(), frame::frame_len(number, ack, payload));
    Splitter::new().push(&bytes, usize::MAX).next().map(|frame| frame.expect("written with a good length"))
}
