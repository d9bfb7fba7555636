//! Decoding, with the protocol's rules on numbers and counts.
//!
//! Bodies and ids of a decoded frame are slices of its bytes: nothing is copied, and the frame's memory lives as long
//! as the last of them.

use bytes::{Buf, Bytes};
use prost::Message as _;
use prost::encoding::decode_varint;
use whimbrel_core::limits::{CURSORS_MAX, SEND_BATCH_MAX, SYNC_CONVERSATIONS_MAX, WATCHED_MAX};

use super::{ClientFrame, ClientPayload, ServerFrame, ServerPayload};
use crate::FrameError;

/// Decodes what follows a length prefix, as a server reads it.
///
/// # Errors
/// [`FrameError::Malformed`], [`FrameError::Unknown`], and [`FrameError::BadField`] for a list that is longer than the
/// protocol's limit, or a number where there is none or the reverse. Ids are not looked at: see [`crate::convert`].
pub fn decode_client(frame: Bytes) -> Result<ClientFrame, FrameError> {
    check_counts(&frame)?;
    let frame = ClientFrame::decode(frame).map_err(|_| FrameError::Malformed)?;
    use ClientPayload::{Goodbye, Heartbeat, Hello};
    let unnumbered = matches!(&frame.payload, Some(Hello(_) | Heartbeat(_) | Goodbye(_)));
    check_number(frame.number, frame.payload.is_some(), unnumbered)?;
    Ok(frame)
}

/// Decodes what follows a length prefix, as a client reads it.
///
/// # Errors
/// As [`decode_client`], except that lists are limited by the frame's length only: a client believes its server.
pub fn decode_server(frame: Bytes) -> Result<ServerFrame, FrameError> {
    let frame = ServerFrame::decode(frame).map_err(|_| FrameError::Malformed)?;
    use ServerPayload::{Goodbye, Heartbeat, Welcome};
    let unnumbered = matches!(&frame.payload, Some(Welcome(_) | Heartbeat(_) | Goodbye(_)));
    check_number(frame.number, frame.payload.is_some(), unnumbered)?;
    Ok(frame)
}

/// An unnumbered frame whose payload is unknown passes as one without payload: so a later version may add such.
fn check_number(number: u64, has_payload: bool, unnumbered: bool) -> Result<(), FrameError> {
    match (number, has_payload) {
        (0, false) => Ok(()),
        (_, false) => Err(FrameError::Unknown),
        (_, true) if (number == 0) == unnumbered => Ok(()),
        (_, true) => Err(FrameError::BadField("number")),
    }
}

/// The lists that a client may send: the payload's field, the list's field, its limit, its name.
const LISTS: [(u64, u64, usize, &str); 3] =
    [(13, 2, SEND_BATCH_MAX, "drafts"), (14, 1, CURSORS_MAX, "cursors"), (15, 4, SYNC_CONVERSATIONS_MAX, "known")];

/// The list of numbers that a client may send: as in [`LISTS`]. Packed, each of them ends with a byte below 128, and takes
/// eight bytes once it is decoded. Those that stand unpacked take two bytes each on their way, and are counted later.
const NUMBERS: (u64, u64, usize, &str) = (17, 1, WATCHED_MAX, "users");

/// Counts list entries before anything is decoded: an entry of two bytes becomes a struct of a hundred, so a frame
/// within its limit could otherwise ask for fifty times its length.
///
/// Repeated payload fields are added up, since decoding merges them. What does not parse here is left to the decoder.
fn check_counts(frame: &[u8]) -> Result<(), FrameError> {
    let mut counts = [0; LISTS.len()];
    let mut numbers = 0;
    walk(frame, |field, body| {
        if field == NUMBERS.0 {
            walk(body, |field, list| {
                if field == NUMBERS.1 {
                    numbers += list.iter().filter(|byte| **byte < 0x80).count();
                }
            });
        }
        for ((payload, list, _, _), count) in LISTS.iter().zip(&mut counts) {
            if field == *payload {
                walk(body, |field, _| *count += usize::from(field == *list));
            }
        }
    });
    if numbers > NUMBERS.2 {
        return Err(FrameError::BadField(NUMBERS.3));
    }
    match LISTS.iter().zip(counts).find(|((_, _, max, _), count)| count > max) {
        Some(((_, _, _, name), _)) => Err(FrameError::BadField(name)),
        None => Ok(()),
    }
}

/// Visits the length-delimited fields of a message, as far as it parses.
fn walk(mut bytes: &[u8], mut visit: impl FnMut(u64, &[u8])) {
    while let Ok(tag) = decode_varint(&mut bytes) {
        let skip = match tag & 7 {
            0 if decode_varint(&mut bytes).is_ok() => 0,
            1 => 8,
            2 => match decode_varint(&mut bytes) {
                Ok(len) if len <= bytes.len() as u64 => {
                    visit(tag >> 3, &bytes[..len as usize]);
                    len as usize
                }
                _ => return,
            },
            // Groups are long gone from protobuf but still skipped by decoders: their fields are walked as if they
            // stood here, which counts too many rather than too few.
            3 | 4 => 0,
            5 => 4,
            _ => return,
        };
        if skip > bytes.len() {
            return;
        }
        bytes.advance(skip);
    }
}
