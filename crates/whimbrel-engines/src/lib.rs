//! Private Redis, RabbitMQ and MySQL or MariaDB servers, in a folder of their own, on free ports; and finding running ones.
//!
//! It serves tests, proofs and load tests. It knows nothing of Whimbrel, speaks only as much of each protocol as tells
//! whether a server really answers, and holds no connection.
//!
//! - [`Redis`], [`Rabbit`], [`Sql`]: the installed server programs as child processes. They listen on 127.0.0.1 only, keep
//!   all their files below one folder, and take nothing from the machine's own configuration.
//! - [`find`]: a server for tests: one that is named, one that runs, one started privately, or one from Docker.
//!
//! **Nothing outlives this process**, however that ends: each child is on a leash (`leash.rs`). **Nothing else is touched**:
//! children are signalled by their own id or group, and no other process is. **Ports are reserved** among all processes of
//! a user that use this crate, also while an instance is down, so that nobody else is met at the port of a dead server.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod docker;
mod find;
mod instance;
mod leash;
mod ports;
mod programs;
mod rabbit;
mod redis;
mod speak;
mod sql;
mod url;

pub use find::{Found, Kind, find};
pub use instance::{Instance, Recipe};
pub use rabbit::{Rabbit, RabbitRecipe};
pub use redis::{Persistence, Redis, RedisOptions, RedisRecipe};
pub use sql::{Sql, SqlRecipe};
