//! The transfer: decides what happens to a message, and brings what was placed to those it is owed to.
//!
//! | room | does |
//! |---|---|
//! | `attach`, `closings` | which sessions are reachable; who has to go |
//! | `send`, `check`, `audience` | what is let in, and what never can be |
//! | `lane`, `append` | what waits for its place; records for the log |
//! | `announcing`, `readers`, `deliver` | what was placed: who is answered, who gets what, in which order |
//! | `rosters` | who is in groups; connectors that do not know |
//! | `outgoing`, `reach` | what goes to each connector; how it gets there, and what did not |
//! | `cursors` | receipts now, durable cursors soon |
//! | `signals` | what passes: typing and the like |
//! | `presence`, `seen`, `lasting` | who is here, and may be shown to whom; when they were here last |
//! | `sync` | what follows, for devices that ask |
//! | `watch` | what others changed and did not live to tell |
//!
//! Invariants
//! - SENT is answered only by an announcement: nothing here knows a seq before it was committed.
//! - Routes are read after the commit of what is told. While UserStatus does not know them, everything is told by user
//!   to every connector in reach.
//! - An announcement has been taken by every connector of its audience when it returns, or names those that it may not
//!   have reached. Answers go to the connector through which they were asked for.
//! - Everything that is asked is answered by a push to its session, if only by "again"; except cursors of those who
//!   are not members, and cursors that found no room: their devices repeat them.
//! - No clock delays a message: a timer only gives up (the sweeper) or gathers durable cursors.
//!
//! Absent: seqs, decisions about rights that can change, anything durable. A transfer that dies is replaced by another
//! one, and retries join what it left in the log.

mod announcing;
mod append;
mod attach;
mod audience;
mod check;
mod clock;
mod closings;
mod config;
mod cursors;
mod deliver;
mod lane;
mod lasting;
mod outgoing;
mod presence;
mod reach;
mod readers;
mod role;
mod rosters;
mod seen;
mod send;
mod signals;
mod sync;
mod watch;

pub use config::Config;
pub use role::{Stores, TransferRole};
