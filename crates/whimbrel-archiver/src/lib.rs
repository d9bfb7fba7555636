//! The archiver: consume · place · announce · retention.
//!
//! It takes what the log delivered, gives every draft its place in one transaction, tells the transfers, and only
//! then lets the log forget the records. It is the only room that says which seq comes next.
//!
//! Invariants
//! - One transaction is in flight, over all partitions, in the log's order. The announcement of a batch may overlap
//!   with the commit of the next one; announcements keep their order.
//! - A record is acknowledged after its commit *and* after its announcement returned. Whatever goes wrong before, it
//!   is delivered again and its ids are looked up first.
//! - Rights are decided here, from members that are as new as the head that the row is placed on. Nothing tells this
//!   room that they changed: a change is a row, so a stale head collides with it and is read again. A refusal places
//!   nothing that could collide, therefore none is made from a remembered head.
//! - A database that is away is waited for: nobody is answered, and nothing is skipped.
//!
//! Absent: leases, leadership, epochs. Two archivers over the same log are slower and do no harm.

mod announce;
mod backoff;
mod config;
mod consume;
mod place;
pub mod retention;
#[cfg(test)]
mod testing;

pub use config::Config;
pub use consume::Archiver;
pub use retention::Retention;
