//! Redis: the cluster's user status, and which roles there are.
//!
//! Nothing here is durable, and nothing here is needed to keep a message. What is owed is the truth about itself: an
//! answer that may be short of a session is an error (I5), and everything goes to every connector then.
//!
//! **Keys.** A single server has one group of keys, a Redis Cluster sixteen, by user; a group's keys share a hash tag, so
//! that each group is one slot. Under `{prefix:group}:` there are `life`, `user:<id>` (the sessions, 56 bytes each, in one
//! value, so that a batch of users is one `MGET`) and `leases` (connectors, by when their lease ends), and in group 0
//! `role:<name>` and `role:<name>:is` (members). Every call is one script for each group, and atomic in it.
//!
//! **Dead connectors.** Their routes stay where they are, as nobody says goodbye for them: `locate` leaves them out, a
//! session of the same device takes their place whatever its `since`, and an hour later any session of their user
//! sweeps them away.
//!
//! **Lives.** Each script begins by looking at the group's life (`lua/life.lua`) and begins another one if it
//! - is missing: Redis is new or was emptied;
//! - has a lower number than the caller remembers, or the same number and another id: what is there is older;
//! - has a lower beat of the caller's than the caller remembers: a snapshot from before its last registrations. Each
//!   process has a beat of its own, raised in the script that registers, after its writes; one beat for all would be
//!   raised beyond what the loser remembers by others before the loser looks;
//! - belongs to another run of the server: it restarted, or a replica took over, and the last writes may be gone with
//!   everybody who remembers them. This is asked when a connection begins; in a Redis Cluster, whose connections are the
//!   library's, by every call (9 µs of 13).
//!
//! For the first `routes_unsure` of a life, the first one of all included, `locate` and `connectors` answer an error: in
//! the very call that found the loss. So an emptied Redis never looks like one where nobody is online.
//!
//! **Refused writes.** A server that takes no writes (out of memory, cannot save, a replica) would let all leases run
//! out. So every process writes at least once every `lease_every` with what it asks, and such a refusal ends the
//! connection.
//!
//! **No cache of routes.** One that is sound asks Redis each time whether it still counts: 7 µs of Redis and 5 of this process,
//! against 20 and 20 for 32 users that are simply read (`examples/locate_cost.rs`). Less than 1 µs for a user of a
//! message that costs some 70 does not pay for tracked keys and their invalidations.
//!
//! Absences: no clock but the server's takes part (leases, unsureness); no caller waits longer than `timeout`, nor at all
//! while Redis is known to be away; nothing needs two keys of different groups at once; nothing is evicted, if Redis
//! is left at `noeviction`, as it must be; no password is in any error.

mod config;
mod connection;
mod engine;
mod life;
mod roster;
mod route;
mod script;
#[cfg(test)]
mod tests;
mod user_status;

pub use config::RedisConfig;
pub use roster::{Member, Membership, RoleName, Roster};
pub use user_status::RedisUserStatus;
