//! The same traits between processes: gRPC streams (proto/whimbrel/cluster/v1/cluster.proto).
//!
//! | here | is | made by |
//! |---|---|---|
//! | [`Streams`] | the connectors that stream to this transfer, as [`Peers`](crate::Peers) | transfers |
//! | [`serve`] | the server of both kinds of stream | transfers |
//! | [`Transfers`] | all transfers as one [`Transfer`](crate::Transfer) | connectors |
//! | [`Announcer`] | all transfers as one [`Announce`](crate::Announce) | archivers, the API |
//!
//! What holds for all of it:
//! - A message is what gathered while the last one was under way (`outbox`); no timer delays anything.
//! - Every queue is bounded in number and in bytes ([`Limits`]), and what happens when it is full has a name.
//! - A stream is one connection. When it ends, what was under way on it is settled by whoever gave it: answered
//!   "retry", asked again of another transfer, or reported lost. Nothing is resumed, so no state outlives a stream.
//! - A frozen peer's streams end by HTTP/2 keep-alive; a dead one's at once.

mod announcer;
mod announces;
mod connect;
mod connects;
mod figures;
mod fleet;
mod hello;
mod limits;
mod line;
mod missed;
mod older;
mod outbox;
mod peer;
mod placing;
mod rendezvous;
mod security;
mod serve;
mod submit;
mod telling;
mod transfers;
mod underway;
mod waiting;

pub use announcer::Announcer;
pub use fleet::TransferAt;
pub use hello::{PROTOCOL, Role};
pub use limits::Limits;
pub use peer::Streams;
pub use security::{Security, Tls, TlsError};
pub use serve::{ServeError, serve};
pub use transfers::Transfers;
