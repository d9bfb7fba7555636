//! A payload as bytes, encoded once.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{ClientPayload, ServerPayload};

/// A payload as its protobuf field: tag, length, body. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded(Bytes);

/// The tags (field × 8 + 2) of the payloads that have no number. Fields 10 to 12 are kept for such in both directions.
const UNNUMBERED: [u8; 3] = [10 << 3 | 2, 11 << 3 | 2, 12 << 3 | 2];

impl Encoded {
    /// Field 11, empty: in both directions.
    const HEARTBEAT: &'static [u8] = &[11 << 3 | 2, 0];
    /// Field 18, empty: the tag takes two bytes.
    const POKE: &'static [u8] = &[(18 << 3 | 2) as u8 | 0x80, 1, 0];

    /// What a server sends.
    pub fn server(payload: &ServerPayload) -> Self {
        let mut out = BytesMut::with_capacity(payload.encoded_len());
        payload.encode(&mut out);
        Self(out.freeze())
    }

    /// What a client sends.
    pub fn client(payload: &ClientPayload) -> Self {
        let mut out = BytesMut::with_capacity(payload.encoded_len());
        payload.encode(&mut out);
        Self(out.freeze())
    }

    /// A heartbeat, which is the same in both directions. Allocates nothing.
    pub const fn heartbeat() -> Self {
        Self(Bytes::from_static(Self::HEARTBEAT))
    }

    /// A server's poke. Allocates nothing.
    pub const fn poke() -> Self {
        Self(Bytes::from_static(Self::POKE))
    }

    /// From bytes that one of the encoders of this module wrote.
    pub(super) fn from_field(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Bytes that it takes in a frame.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: a payload has at least its tag and length.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The field.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether frames with this payload have a number: all but Hello, Welcome, Heartbeat and Goodbye.
    pub fn is_numbered(&self) -> bool {
        !self.0.first().is_some_and(|tag| UNNUMBERED.contains(tag))
    }
}

impl fmt::Debug for Encoded {
    /// The length only: a payload may hold an access token or what somebody wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} bytes)", self.len())
    }
}
