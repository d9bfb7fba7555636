//! MySQL 8.4 and later, MariaDB 10.11 and later: the cluster's timeline and directory.
//!
//! | room | does |
//! |---|---|
//! | `open` | where the database is, opening it |
//! | `server` | which server it is, and what it must be set to |
//! | `life` | whether the server is still the same, and has not gone back |
//! | `pool`, `change` | connections, what every session is set to; transactions |
//! | `migrate` | the schema |
//! | `alone` | one connection for work on the whole database |
//! | `error` | what went wrong, in this crate's words |
//! | `timeline`, `head`, `rights`, `place`, `effects`, `raise`, `sync` | [`Timeline`](crate::Timeline) |
//! | `history` | [`History`](crate::History) |
//! | `search`, `texts` | [`Search`](crate::Search) |
//! | `keeping`, `erasing` | [`Keeping`](crate::Keeping) |
//! | `directory` | [`Directory`](crate::Directory) |
//! | `groups` | [`Groups`](crate::Groups) |
//! | `settings` | [`Settings`](crate::Settings) |
//! | `presence` | [`Presences`](crate::Presences) |
//! | `filing` | [`Files`](crate::Files) |
//!
//! Absences: nobody waits for a database that is away longer than [`MySqlConfig`] says; no transaction and no row lock
//! outlives a process that froze by more than `wait_timeout`; no connection whose state is not known is used again; no
//! foreign keys, whose checks would cost every row.

mod alone;
mod change;
mod directory;
mod effects;
mod erasing;
mod error;
mod filing;
mod groups;
mod head;
mod history;
mod keeping;
mod life;
mod migrate;
mod open;
mod place;
mod pool;
mod presence;
mod raise;
mod rights;
mod search;
mod server;
mod settings;
mod sync;
#[cfg(test)]
mod tests;
mod text;
mod texts;
mod timeline;
mod value;

use std::sync::Arc;

use crate::Keyring;
use pool::Pool;

pub(crate) use alone::alone;
pub use error::OpenError;
pub use migrate::{Migrated, migrate};
pub use open::MySqlConfig;

/// A database with Whimbrel's schema. Cloning gives another handle on the same connections.
#[derive(Clone)]
pub struct MySqlStore {
    pool: Arc<Pool>,
    keyring: Arc<Keyring>,
    warnings: Arc<[String]>,
    /// Bytes of the longest statement that the server takes.
    packet_max: usize,
    texts: Arc<texts::State>,
}

impl std::fmt::Debug for MySqlStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MySqlStore")
    }
}
