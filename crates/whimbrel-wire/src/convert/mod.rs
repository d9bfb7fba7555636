//! Core's values from and to the generated types.
//!
//! Towards the wire nothing can fail. From the wire every field is checked here and nowhere else: an id that is not
//! 16 bytes, a list that must not be empty, a number outside of its enumeration gives [`FrameError::BadField`] with
//! the field's name in client.proto. What depends on a deployment (longest body, rights, …) is not checked here.

mod chat;
mod presence;
mod session;
mod signal;
mod sync;

use bytes::Bytes;
use whimbrel_core::{ConversationId, DeviceId, MessageId, SessionId};

use crate::FrameError;

pub(crate) use chat::outcome_fields;
pub use chat::{advance, advanced, answers, deliver, draft, message, receipts, send};
pub use presence::{presences, watch};
pub use session::{Hello, PROTOCOL, Welcome, goodbye, hello, welcome};
pub use signal::{signal, signaled};
pub use sync::{sync, synced};

/// An identifier of 16 bytes.
pub trait WireId: Sized {
    /// The identifier in `bytes`, if there are exactly 16 of them.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// The bytes to send.
    fn wire(&self) -> Bytes;
}

macro_rules! wire_ids {
    ($($name:ident),*) => {$(
        impl WireId for $name {
            fn read(bytes: &[u8]) -> Option<Self> {
                Self::from_slice(bytes)
            }
            fn wire(&self) -> Bytes {
                Bytes::copy_from_slice(self.as_bytes())
            }
        }
    )*};
}

wire_ids!(ConversationId, DeviceId, MessageId, SessionId);

/// Reads an identifier; `field` names it in the error.
///
/// # Errors
/// [`FrameError::BadField`] when it is not 16 bytes.
pub fn id<T: WireId>(bytes: &[u8], field: &'static str) -> Result<T, FrameError> {
    T::read(bytes).ok_or(FrameError::BadField(field))
}

/// Reads an identifier that may be left out.
///
/// # Errors
/// [`FrameError::BadField`] when it is neither empty nor 16 bytes.
pub fn optional_id<T: WireId>(bytes: &[u8], field: &'static str) -> Result<Option<T>, FrameError> {
    if bytes.is_empty() { Ok(None) } else { id(bytes, field).map(Some) }
}

/// A device as it is sent: nothing for the all-zero one of rows that the server placed.
pub(crate) fn device_bytes(device: &DeviceId) -> &[u8] {
    let bytes = device.as_bytes();
    if *bytes == [0; 16] { &[] } else { bytes }
}

/// Refuses an empty list.
fn not_empty<T>(list: &[T], field: &'static str) -> Result<(), FrameError> {
    if list.is_empty() { Err(FrameError::BadField(field)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
