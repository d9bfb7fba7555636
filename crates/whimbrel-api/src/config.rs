//! What a deployment may choose, with defaults that are safe.

use std::time::Duration;

use axum::http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::files::FilesConfig;
use crate::limits::DelayPolicy;
use crate::net::AddressRange;

/// Who may make accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Everybody.
    Open,
    /// The administrator only.
    Closed,
}

/// Who may read the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAccess {
    /// This machine.
    Loopback,
    /// Whoever reaches the port.
    Everyone,
}

/// What a password hash costs (argon2id), and how many are made at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashing {
    /// Memory of one hash, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Hashes under way at once; each takes a thread and its memory.
    pub concurrency: usize,
    /// Hashes that may wait for their turn; beyond these, requests are answered `busy`.
    pub queue: usize,
}

/// The API's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long an access token is good.
    pub access_token_ttl: Duration,
    /// How long a used refresh token may be repeated, because its answer may have got lost.
    pub refresh_grace: Duration,
    /// For how long it is believed that a device is still logged in; a logged-out one is cut off after at most this.
    pub recheck: Duration,
    /// The administrator's key, at least [`ADMIN_KEY_MIN`] bytes; `None`: there is no administration by REST.
    pub admin_key: Option<SecretString>,
    /// Who may make accounts.
    pub registration: Registration,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<AddressRange>,
    /// Origins beyond the server's own whose pages may call the API (`https://chat.example.com`).
    pub allowed_origins: Vec<String>,
    /// Password hashing.
    pub hashing: Hashing,
    /// Attempts to prove by password who one is, per account.
    pub account_delay: DelayPolicy,
    /// The same, per address.
    pub address_delay: DelayPolicy,
    /// Registrations per address.
    pub registration_delay: DelayPolicy,
    /// Accounts, and addresses, whose attempts are remembered; also users whose rate of changes is.
    pub delays_remembered: usize,
    /// A request that takes longer is answered `timeout`.
    pub request_timeout: Duration,
    /// The same for the administrator's requests, which do up to a thousand things.
    pub admin_timeout: Duration,
    /// Longest body, bytes.
    pub body_max: usize,
    /// The same for the administrator's requests.
    pub admin_body_max: usize,
    /// Changes under way at once; beyond these, requests are answered `busy`.
    pub changes_max: usize,
    /// Connections at once; beyond these, new ones wait in the listener's queue.
    pub connections_max: usize,
    /// Connections of one address at once (trusted proxies excepted); beyond these, new ones are closed.
    pub connections_per_address: usize,
    /// A TLS handshake that takes longer is given up.
    pub handshake_timeout: Duration,
    /// A request's head that takes longer, and a connection that is idle for longer, is given up.
    pub head_timeout: Duration,
    /// A connection is not reused after this age.
    pub connection_age_max: Duration,
    /// How long requests under way have to finish when the server stops.
    pub drain_timeout: Duration,
    /// Who may read the metrics.
    pub metrics: MetricsAccess,
    /// Bodies rest readable: what they say can be searched.
    pub bodies_readable: bool,
    /// Files.
    pub files: FilesConfig,
}

/// Shortest administrator's key, bytes.
pub const ADMIN_KEY_MIN: usize = 16;

impl Default for Config {
    fn default() -> Self {
        let secs = Duration::from_secs;
        let delay = |free| DelayPolicy { free, first: secs(1), longest: secs(60), forget: secs(15 * 60) };
        Self {
            access_token_ttl: secs(15 * 60),
            refresh_grace: secs(60),
            recheck: secs(2),
            admin_key: None,
            registration: Registration::Open,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            hashing: Hashing { memory_kib: 19 * 1024, passes: 2, concurrency: 2, queue: 64 },
            account_delay: delay(5),
            address_delay: delay(30),
            registration_delay: delay(100),
            delays_remembered: 16 * 1024,
            request_timeout: secs(30),
            admin_timeout: secs(120),
            body_max: 64 * 1024,
            admin_body_max: 1024 * 1024,
            changes_max: 1024,
            connections_max: 4096,
            connections_per_address: 256,
            handshake_timeout: secs(10),
            head_timeout: secs(30),
            connection_age_max: secs(10 * 60),
            drain_timeout: secs(10),
            metrics: MetricsAccess::Loopback,
            bodies_readable: false,
            files: FilesConfig::default(),
        }
    }
}

/// A setting that the API cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    /// The setting's name, as in [`Config`].
    pub key: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Config {
    /// Checks the settings; [`ApiRole::new`](crate::ApiRole::new) does so too.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, reason: &str| Err(ConfigError { key, reason: reason.to_owned() });
        if self.admin_key.as_ref().is_some_and(|key| key.expose_secret().len() < ADMIN_KEY_MIN) {
            return wrong("admin_key", "it needs at least 16 characters");
        }
        if self.access_token_ttl < Duration::from_secs(1) {
            return wrong("access_token_ttl", "it needs at least a second");
        }
        if self.hashing.concurrency == 0 || self.connections_max == 0 || self.changes_max == 0 {
            return wrong("hashing.concurrency, connections_max, changes_max", "none of them can be 0");
        }
        argon2::Params::new(self.hashing.memory_kib, self.hashing.passes, 1, None)
            .map_err(|error| ConfigError { key: "hashing", reason: error.to_string() })?;
        self.origins().map(drop)
    }

    /// The allowed origins, as they are compared.
    pub(crate) fn origins(&self) -> Result<Vec<HeaderValue>, ConfigError> {
        let one = |origin: &String| {
            let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let good = authority.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
            let value = HeaderValue::from_str(origin).ok().filter(|_| good);
            value.ok_or_else(|| ConfigError {
                key: "allowed_origins",
                reason: format!("'{origin}' is no origin such as https://chat.example.com"),
            })
        };
        self.allowed_origins.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_named() {
        let key = |config: Config| config.check().err().map(|error| error.key);
        assert_eq!(key(Config::default()), None);
        assert_eq!(key(Config { admin_key: Some("short".into()), ..Default::default() }), Some("admin_key"));
        for origin in ["*", "chat.example.com", "https://a/", "https://", "https://a\n"] {
            let config = Config { allowed_origins: vec![origin.into()], ..Default::default() };
            assert_eq!(key(config), Some("allowed_origins"), "{origin}");
        }
        let hashing = Hashing { memory_kib: 1, ..Config::default().hashing };
        assert_eq!(key(Config { hashing, ..Default::default() }), Some("hashing"));
    }
}
