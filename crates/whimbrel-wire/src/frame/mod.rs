//! Frames: an envelope (number, acknowledgement) around a payload.
//!
//! A payload is encoded once, whatever the number of sessions that get it ([`Encoded`]); the envelope, which differs
//! from session to session, is a few bytes in front of it ([`put_frame`]). That works because a protobuf message is
//! the concatenation of its fields, and the payload is one of them.
//!
//! There is no encoder for a whole frame besides this one, and no decoder that hands out a frame that breaks the
//! protocol's rules on numbers and counts.

mod decode;
mod direct;
mod encoded;

use bytes::BufMut;
use prost::encoding::{encode_varint, encoded_len_varint};

pub use crate::proto::client_frame::Payload as ClientPayload;
pub use crate::proto::server_frame::Payload as ServerPayload;
pub use crate::proto::{ClientFrame, ServerFrame};
pub use decode::{decode_client, decode_server};
pub use encoded::Encoded;

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;

/// Most bytes that a frame has besides its payload: the prefix, a number and an acknowledgement.
pub const ENVELOPE_MAX: usize = PREFIX + 2 * (1 + 10);

/// The tag of `number` (field 1, varint), the same in both directions.
const NUMBER: u8 = 1 << 3;
/// The tag of `ack` (field 2, varint), the same in both directions.
const ACK: u8 = 2 << 3;

/// Bytes that [`put_frame`] will write, length prefix included.
pub fn frame_len(number: u64, ack: u64, payload: Option<&Encoded>) -> usize {
    match body_len(number, ack, payload) {
        0 => 0,
        len => PREFIX + len,
    }
}

/// Writes one frame: length prefix, number and acknowledgement (left out when 0), payload.
///
/// A frame that would say nothing (no payload, both numbers 0) is not written at all, since its length would be the
/// forbidden 0. Whether `number` suits the payload ([`Encoded::is_numbered`]) is the caller's business.
///
/// # Panics
/// When `out` cannot grow and has no room, as a fixed slice has not; `Vec<u8>` and `BytesMut` grow. When the frame
/// would be longer than 4 GiB.
pub fn put_frame(out: &mut impl BufMut, number: u64, ack: u64, payload: Option<&Encoded>) {
    let len = body_len(number, ack, payload);
    if len == 0 {
        return;
    }
    out.put_u32(u32::try_from(len).expect("a frame is far below 4 GiB"));
    for (tag, value) in [(NUMBER, number), (ACK, ack)] {
        if value != 0 {
            out.put_u8(tag);
            encode_varint(value, out);
        }
    }
    if let Some(payload) = payload {
        out.put_slice(payload.as_bytes());
    }
}

fn body_len(number: u64, ack: u64, payload: Option<&Encoded>) -> usize {
    let varint = |value: u64| if value == 0 { 0 } else { 1 + encoded_len_varint(value) };
    varint(number) + varint(ack) + payload.map_or(0, Encoded::len)
}

#[cfg(test)]
mod tests;
