//! MySQL 8.4 and later, MariaDB 10.11 and later: the cluster's timeline and directory.
//!
//! | room | does |
//! |---|---|
//! | `open` | the pool, what every session is set to, what the server must be set to |
//! | `migrate` | the schema |
//! | `error` | what went wrong, in this crate's words |
//! | `timeline`, `place`, `head`, `sync` | [`Timeline`](crate::Timeline) |
//! | `directory` | [`Directory`](crate::Directory) |

mod directory;
mod open;

use std::sync::Arc;

use sqlx::MySqlPool;

use crate::Keyring;

pub use open::MySqlConfig;

/// A database with Whimbrel's schema. Cloning gives another handle on the same pool.
#[derive(Clone)]
pub struct MySqlStore {
    pool: MySqlPool,
    keyring: Arc<Keyring>,
}
