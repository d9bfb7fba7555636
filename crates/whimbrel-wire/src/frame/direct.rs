//! Encoders from core's values straight to bytes, for what a server sends most. The generated types are not built on
//! the way, so a batch costs one allocation. Each gives the same bytes as the generated encoder (the tests compare).
//!
//! A length stands before its content, so everything is measured first: one description of a message's fields is walked
//! by a counter and then by a writer.

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{encode_varint, encoded_len_varint};
use whimbrel_core::{ConversationId, Cursors, Message, MessageId, Outcome, Presence, Receipt, Signal};

use super::Encoded;
use crate::convert::{device_bytes, outcome_fields};

/// Field numbers of ServerFrame's payload.
const ANSWERS: u32 = 13;
const DELIVER: u32 = 14;
const RECEIPTS: u32 = 15;
const ADVANCED: u32 = 16;
const SIGNALED: u32 = 19;
const PRESENCES: u32 = 20;

/// Where fields go, in the order of their numbers: counted, or written. Values that proto3 leaves out (0, empty) are
/// left out.
enum Sink<'a> {
    Count(usize),
    Write(&'a mut BytesMut),
}

/// Varint and length-delimited wire types.
const VARINT: u32 = 0;
const DELIMITED: u32 = 2;

impl Sink<'_> {
    fn varint(&mut self, value: u64) {
        match self {
            Sink::Count(len) => *len += encoded_len_varint(value),
            Sink::Write(out) => encode_varint(value, *out),
        }
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn uint(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.tag(field, VARINT);
            self.varint(value);
        }
    }

    fn bytes(&mut self, field: u32, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        self.tag(field, DELIMITED);
        self.varint(value.len() as u64);
        match self {
            Sink::Count(len) => *len += value.len(),
            Sink::Write(out) => out.put_slice(value),
        }
    }

    fn message(&mut self, field: u32, body: impl Fn(&mut Sink<'_>)) {
        let len = measure(&body);
        self.tag(field, DELIMITED);
        self.varint(len as u64);
        match self {
            Sink::Count(total) => *total += len,
            Sink::Write(_) => body(self),
        }
    }
}

fn measure(body: impl Fn(&mut Sink<'_>)) -> usize {
    let mut sink = Sink::Count(0);
    body(&mut sink);
    match sink {
        Sink::Count(len) => len,
        Sink::Write(_) => 0,
    }
}

fn encode(field: u32, body: impl Fn(&mut Sink<'_>)) -> Encoded {
    let len = measure(&body);
    let head = encoded_len_varint(u64::from(field << 3 | DELIMITED)) + encoded_len_varint(len as u64);
    let mut out = BytesMut::with_capacity(head + len);
    let mut sink = Sink::Write(&mut out);
    sink.tag(field, DELIMITED);
    sink.varint(len as u64);
    body(&mut sink);
    Encoded::from_field(Bytes::from(out))
}

fn put_message(out: &mut Sink<'_>, message: &Message) {
    out.uint(1, message.seq.0);
    out.uint(2, message.sender.0);
    out.bytes(3, device_bytes(&message.device));
    out.bytes(4, message.message_id.as_bytes());
    out.uint(5, message.kind.0.into());
    out.uint(6, message.key_version.into());
    out.bytes(7, &message.body);
    out.uint(8, message.at);
}

fn put_answer(out: &mut Sink<'_>, message_id: &MessageId, outcome: &Outcome) {
    let fields = outcome_fields(*outcome);
    out.bytes(1, message_id.as_bytes());
    out.uint(2, fields.outcome as u64);
    out.uint(3, fields.seq);
    out.uint(4, fields.at_ms);
    out.uint(5, fields.refusal.into());
    out.uint(6, fields.retry_after_ms.into());
}

impl Encoded {
    /// A Deliver: messages of one conversation, in seq order. The messages' own `conversation` is not looked at.
    pub fn deliver(conversation: ConversationId, messages: &[Message]) -> Self {
        encode(DELIVER, |out| {
            out.bytes(1, conversation.as_bytes());
            for message in messages {
                out.message(2, |out| put_message(out, message));
            }
        })
    }

    /// An Answers: what became of drafts of one conversation.
    pub fn answers(conversation: ConversationId, answers: &[(MessageId, Outcome)]) -> Self {
        encode(ANSWERS, |out| {
            out.bytes(1, conversation.as_bytes());
            for (message_id, outcome) in answers {
                out.message(2, |out| put_answer(out, message_id, outcome));
            }
        })
    }

    /// A Receipts: how far members have got.
    pub fn receipts(receipts: &[Receipt]) -> Self {
        encode(RECEIPTS, |out| {
            for Receipt { conversation, user, cursors } in receipts {
                out.message(1, |out| {
                    out.bytes(1, conversation.as_bytes());
                    out.uint(2, user.0);
                    out.uint(3, cursors.delivered.0);
                    out.uint(4, cursors.read.0);
                });
            }
        })
    }

    /// A Signaled: something that passes.
    pub fn signaled(signal: &Signal) -> Self {
        encode(SIGNALED, |out| {
            out.bytes(1, signal.conversation.as_bytes());
            out.uint(2, signal.user.0);
            out.bytes(3, signal.device.as_bytes());
            out.bytes(4, &signal.body);
        })
    }

    /// A Presences: what a session is shown of those whom it watches.
    pub fn presences(presences: &[Presence]) -> Self {
        encode(PRESENCES, |out| {
            for Presence { user, state, last_seen } in presences {
                out.message(1, |out| {
                    out.uint(1, user.0);
                    out.uint(2, *state as u64);
                    out.uint(3, *last_seen);
                });
            }
        })
    }

    /// An Advanced: cursors of the session's own user that are durable.
    pub fn advanced(cursors: &[(ConversationId, Cursors)]) -> Self {
        encode(ADVANCED, |out| {
            for (conversation, cursors) in cursors {
                out.message(1, |out| {
                    out.bytes(1, conversation.as_bytes());
                    out.uint(2, cursors.delivered.0);
                    out.uint(3, cursors.read.0);
                });
            }
        })
    }
}
