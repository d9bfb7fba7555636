//! Opening: the pool, what every session is set to, what the server must be set to.

use secrecy::SecretString;

/// Where the database is, and how much of it is used.
#[derive(Debug, Clone)]
pub struct MySqlConfig {
    /// `mysql://user:password@host:port/database`.
    pub url: SecretString,
    /// Connections that are kept at most.
    pub connections: u32,
}
