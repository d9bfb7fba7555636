//! The socket's language, sans-I/O: bytes in, values out, and back.
//!
//! What is written here is what `proto/whimbrel/client/v1/client.proto` says, for both ends of a connection. No
//! socket, no clock, no task and no lock live in this crate: time is a number that the caller passes in, and bytes are
//! slices. Nothing here logs.
//!
//! | module | owns |
//! |---|---|
//! | [`proto`] | the generated types |
//! | [`frame`] | payloads that are encoded once and put into many frames; decoding and its limits |
//! | [`codec`] | cutting a byte stream into frames; nothing is held between frames |
//! | [`window`] | numbers and acknowledgements, both directions |
//! | [`seal`] | AES-256-GCM of bodies, and their hash |
//! | [`file_seal`] | AES-256-GCM of files, chunk by chunk |
//! | [`convert`] | core's values from and to the generated types |
//!
//! The golden vectors in `vectors/` are written and checked by this crate's tests; other SDKs read them.

pub mod codec;
pub mod convert;
mod error;
pub mod file_seal;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod seal;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;
pub mod window;

/// The types that `client.proto` defines, as generated; their documentation is that file's.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/whimbrel.client.v1.rs"));
}

pub use convert::PROTOCOL;
pub use error::FrameError;
pub use frame::{ClientFrame, ClientPayload, Encoded, ServerFrame, ServerPayload};
