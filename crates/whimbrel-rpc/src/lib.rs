//! The roles' language: what connectors, transfers, archivers and the API say to each other.
//!
//! Each conversation between rooms is one trait. In one process the other side implements it directly; between
//! processes a client and an adapter carry it. Nobody who calls one of these traits knows which of the two it is.
//!
//! | trait | spoken by | to |
//! |---|---|---|
//! | [`Transfer`] | connector | transfer: attach, submit, detach |
//! | [`Push`] | transfer | connector: answers, deliveries, receipts, goodbyes |
//! | [`Announce`] | archiver, API | transfer: what was placed, what became durable, who was logged out |
//! | [`Peers`] | transfer | finds the [`Push`] of a connector |
//!
//! Between processes, [`grpc`] carries them.
//!
//! The access tokens that connectors check and the API issues are here too ([`token`]), because both roles must agree
//! on them and neither may know the other.

pub mod announce;
mod convert;
pub mod grpc;
pub mod peers;
pub mod push;
pub mod rosters;
pub mod token;
pub mod transfer;

pub use announce::{Announce, DraftPlaced, PlacedBatch, Revoked, Through, Told};
pub use peers::Peers;
pub use push::{Push, PushBody, PushItem, Taken, To, ToGroup};
pub use rosters::Rosters;
pub use transfer::{
    Attach, AttachRefused, Attached, Lease, Request, RequestBody, SessionRef, Standing, Stirred, Stirring, Transfer,
};
