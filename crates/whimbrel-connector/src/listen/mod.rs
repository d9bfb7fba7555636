//! Accepting connections: never more than the configured number, nothing slow in the loop.
//!
//! The loop only accepts and spawns. A proxy's header, a handshake, a refusal, a login happens in the connection's own
//! task. When the process is out of files the loop waits and goes on.

mod door;
mod proxied;
mod tcp;
mod tls;

pub(crate) use tcp::accept;
pub use tcp::bind;
