//! The transfer: decides what happens to a message, and brings what was placed to those it is owed to.
//!
//! | room | does |
//! |---|---|
//! | `attach` | which sessions are reachable; who has to go |
//! | `send`, `check`, `audience` | what is let in, and what never can be |
//! | `lane`, `append` | what waits for its place; records for the log |
//! | `deliver`, `reach` | what each session gets, in which order; how it gets there |
//! | `cursors` | receipts now, durable cursors soon |
//! | `sync` | what follows, for devices that ask |
//!
//! Invariants
//! - SENT is answered only by an announcement: nothing here knows a seq before it was committed.
//! - Routes are read after the commit of what is told.
//! - Everything that is asked is answered by a push to its session, if only by "again"; except cursors of those who
//!   are not members, and cursors that found no room: their devices repeat them.
//! - No clock delays a message: a timer only gives up (the sweeper) or gathers durable cursors.
//!
//! Absent: seqs, decisions about rights that can change, anything durable. A transfer that dies is replaced by another
//! one, and retries join what it left in the log.
//!
//! When UserStatus stays away for longer than a few tries, what was placed is pushed to nobody: senders are told to
//! come again by time, and devices sync.

mod append;
mod attach;
mod audience;
mod check;
mod config;
mod cursors;
mod deliver;
mod lane;
mod reach;
mod role;
mod send;
mod sync;

pub use config::Config;
pub use lane::partition;
pub use role::TransferRole;
