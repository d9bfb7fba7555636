//! RabbitMQ: the cluster's log.
//!
//! | room | does |
//! |---|---|
//! | `config` | where the broker is, every bound |
//! | `connect`, `topology` | a connection, the queues |
//! | `log`, `shared` | [`RabbitLog`], what its parts share |
//! | `publisher`, `in_flight` | the publishing connection: lanes, confirms |
//! | `consumer`, `partition` | [`Consumer`](crate::Consumer): one channel for each partition |
//! | `park`, `dead` | [`Park`](crate::Park), and what an operator does with dead letters |
//! | `record` | records as bytes (`log.proto`) |
//! | `management` | what only the management API tells |
//!
//! Invariants, above all absences
//! - A record is told to be confirmed only when a quorum queue has it on disk. A return, a rejection or the
//!   connection's end is told as an error; nothing is published twice by this room.
//! - No `basic.cancel`, no `basic.nack`, no requeue: a subscription ends by closing its channel.
//! - One prefetch everywhere. With another one somewhere, redelivery would not keep the order.
//! - Nothing of the library's own recovery: it publishes again what is in doubt, and behind newer records.
//! - A broker that is away makes appends fail at once; nothing gathers here meanwhile.
//!
//! # Who consumes what
//!
//! Every archiver subscribes to every partition, and the broker makes one of them active on each. When it dies, the
//! next in line goes on, at once when it was killed, within three times the heartbeat when it is frozen. So that the line is
//! not the whole truth, each archiver owns the partitions with `number % of == rank` ([`RabbitLog::set_share`]): one
//! that is served by somebody else is given up politely, which is to take nothing more of it, to wait until what was
//! handed out is acknowledged, to close its channel, and to stand in line again, behind its owner. An archiver finds out
//! that it serves a partition by a record; idle ones change hands with their first.
//!
//! # Changing the number of partitions
//!
//! A conversation's partition is a function of its id and of the number, so a conversation changes partitions with it.
//! That is harmless: a device has one batch of a conversation under way, so its own order is kept wherever the next one
//! goes; and two archivers that place the same conversation collide in the database and sort it out.
//!
//! - **More**: change the configuration and restart the roles one at a time, in any order. A new partition's queue is
//!   declared by whoever comes first. Archivers with the smaller number take it up when the binary tells them what
//!   transfers announce ([`RabbitLog::set_partitions_seen`]); until then its records wait, and their senders with them.
//! - **Fewer**: the same. Consumers find the higher queues that are still there, and empty them. Once all roles run with
//!   the smaller number and the higher queues are empty, delete them.
//!
//! The other arguments of a queue (its length) cannot be changed while it exists: the declaration is refused and says so.

mod config;
mod connect;
mod consumer;
mod dead;
mod in_flight;
mod log;
mod management;
mod park;
mod partition;
mod publisher;
mod record;
mod shared;
#[cfg(test)]
mod tests;
mod topology;

pub use config::{PARTITIONS_MAX, RabbitConfig};
pub use connect::RabbitError;
pub use dead::{DeadEntry, DeadLetters, DeadWhat, Which};
pub use log::RabbitLog;
pub use park::RabbitPark;
