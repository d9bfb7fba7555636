//! The sections of the configuration: each key's name, kind, bounds and default, in the order of the manual
//! (`deploy/whimbrel.toml`, which a test compares with this file).
//!
//! What a role is told is that role's own `Config`, and its defaults are the role's; here they get their names.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tracing_subscriber::filter::Targets;
use whimbrel_api::{MetricsAccess, Registration};
use whimbrel_core::AddressRange;
use whimbrel_store::keeping::Keep;
use whimbrel_store::sqlite::SqliteConfig;

use super::kind::{Address, Bool, Folder, Integer, ListOf, OneOf, OptionalFile, OptionalSecret, Size, Text, Time};
use super::reader::Reader;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// `[data]`: what rests where.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    /// Everything that the server keeps is in it.
    pub(crate) folder: PathBuf,
}

impl Data {
    pub(super) fn read(r: &mut Reader) -> Self {
        Self { folder: r.get("data.folder", "whimbrel-data".into(), Folder) }
    }
}

/// A socket that listens: part of `[clients]` and of `[http]`.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    /// Where.
    pub(crate) address: SocketAddr,
    /// Whether TLS is used once there is a certificate.
    pub(crate) tls: bool,
    /// Whether it may listen beyond loopback without TLS.
    pub(crate) allow_plaintext: bool,
}

impl Listen {
    fn read(r: &mut Reader, port: u16, [listen, tls, allow_plaintext]: [&'static str; 3]) -> Self {
        Self {
            address: r.get(listen, SocketAddr::from(([127, 0, 0, 1], port)), Address),
            tls: r.get(tls, true, Bool),
            allow_plaintext: r.get(allow_plaintext, false, Bool),
        }
    }
}

const RANGES: ListOf<AddressRange> = ListOf("addresses or ranges, such as \"10.0.0.0/8\" or \"::1\"", PhantomData);

/// `[clients]`: the socket of the client protocol.
pub(super) fn clients(r: &mut Reader) -> (Listen, whimbrel_connector::Config) {
    let listen = Listen::read(r, 7100, ["clients.listen", "clients.tls", "clients.allow_plaintext"]);
    let mut c = whimbrel_connector::Config::default();
    c.max_connections = r.get("clients.max_connections", c.max_connections, Integer(1, 10_000_000));
    let per_address = Integer(0, 10_000_000);
    let key = "clients.max_connections_per_address";
    c.max_connections_per_address = r.get(key, c.max_connections_per_address, per_address);
    c.trusted_proxies = r.get("clients.trusted_proxies", c.trusted_proxies.clone(), RANGES);
    c.handshakes = r.get("clients.handshakes", c.handshakes, Integer(1, 100_000));
    c.handshake_timeout = r.get("clients.handshake_timeout", c.handshake_timeout, Time::ms(100, 60_000));
    c.hello_timeout = r.get("clients.hello_timeout", c.hello_timeout, Time::ms(100, 60_000));
    c.frame_timeout = r.get("clients.frame_timeout", c.frame_timeout, Time::ms(100, 600_000));
    c.heartbeat = r.get("clients.heartbeat", c.heartbeat, Time::ms(100, 600_000));
    c.silence = r.get("clients.silence", c.silence, Time::ms(200, 1_800_000));
    c.ack_timeout = r.get("clients.ack_timeout", c.ack_timeout, Time::ms(100, 60_000));
    c.ack_timeouts = r.get("clients.ack_timeouts", c.ack_timeouts, Integer(1, 20));
    c.mailbox_frames = r.get("clients.mailbox_frames", c.mailbox_frames, Integer(16, 1_000_000));
    c.mailbox_bytes = r.get("clients.mailbox_bytes", c.mailbox_bytes, Size(256 * KIB, 1024 * MIB));
    c.requests_per_second = r.get("clients.requests_per_second", c.requests_per_second, Integer(0, 1_000_000));
    c.requests_burst = r.get("clients.requests_burst", c.requests_burst, Integer(1, 10_000_000));
    let rates = Size(0, 1024 * MIB as u32);
    c.bytes_per_second = r.get("clients.bytes_per_second", c.bytes_per_second, rates);
    c.bytes_burst = r.get("clients.bytes_burst", c.bytes_burst, Size(256 * KIB as u32, 1024 * MIB as u32));
    c.busy_retry = r.get("clients.busy_retry", c.busy_retry, Time::ms(100, 600_000));
    c.goodbye_linger = r.get("clients.goodbye_linger", c.goodbye_linger, Time::ms(10, 60_000));
    c.drain_spread = r.get("clients.drain_spread", c.drain_spread, Time::ms(0, 600_000));
    (listen, c)
}

const METRICS: &[(&str, MetricsAccess)] =
    &[("loopback", MetricsAccess::Loopback), ("everyone", MetricsAccess::Everyone)];

const REGISTRATION: &[(&str, Registration)] = &[("open", Registration::Open), ("closed", Registration::Closed)];

/// `[http]`: REST, health and metrics.
pub(super) fn http(r: &mut Reader, c: &mut whimbrel_api::Config) -> Listen {
    let listen = Listen::read(r, 7180, ["http.listen", "http.tls", "http.allow_plaintext"]);
    c.trusted_proxies = r.get("http.trusted_proxies", c.trusted_proxies.clone(), RANGES);
    let origins = ListOf::<String>("origins, such as \"https://chat.example.com\"", PhantomData);
    c.allowed_origins = r.get("http.allowed_origins", c.allowed_origins.clone(), origins);
    c.metrics = r.get("http.metrics", c.metrics, OneOf(METRICS));
    c.request_timeout = r.get("http.request_timeout", c.request_timeout, Time::ms(100, 600_000));
    c.head_timeout = r.get("http.head_timeout", c.head_timeout, Time::ms(100, 600_000));
    c.body_max = r.get("http.body_max", c.body_max, Size(4 * KIB, 16 * MIB));
    c.connections_max = r.get("http.max_connections", c.connections_max, Integer(1, 1_000_000));
    let per_address = Integer(1, 1_000_000);
    c.connections_per_address = r.get("http.max_connections_per_address", c.connections_per_address, per_address);
    c.changes_max = r.get("http.max_changes", c.changes_max, Integer(1, 1_000_000));
    c.drain_timeout = r.get("http.drain_timeout", c.drain_timeout, Time::ms(100, 600_000));
    listen
}

/// `[auth]`: accounts, passwords, tokens.
pub(super) fn auth(r: &mut Reader, c: &mut whimbrel_api::Config) {
    c.registration = r.get("auth.registration", c.registration, OneOf(REGISTRATION));
    c.access_token_ttl = r.get("auth.access_token_ttl", c.access_token_ttl, Time::s(1, DAY));
    c.refresh_grace = r.get("auth.refresh_grace", c.refresh_grace, Time::s(0, HOUR));
    let memory =
        r.get("auth.argon2_memory", c.hashing.memory_kib * KIB as u32, Size(64 * KIB as u32, 1024 * MIB as u32));
    c.hashing.memory_kib = memory / KIB as u32;
    c.hashing.passes = r.get("auth.argon2_passes", c.hashing.passes, Integer(1, 20));
    c.hashing.concurrency = r.get("auth.argon2_at_once", c.hashing.concurrency, Integer(1, 1024));
    c.hashing.queue = r.get("auth.argon2_waiting", c.hashing.queue, Integer(0, 100_000));
}

/// `[admin]`: the key of the embedding product.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    /// The key itself.
    pub(crate) key: Option<SecretString>,
    /// A file whose first line is the key.
    pub(crate) key_file: Option<PathBuf>,
}

impl Admin {
    pub(super) fn read(r: &mut Reader) -> Self {
        Self {
            key: r.get("admin.key", None, OptionalSecret(whimbrel_api::ADMIN_KEY_MIN)),
            key_file: r.get("admin.key_file", None, OptionalFile),
        }
    }
}

/// `[master_key]`: what wraps the keys of conversations, and what tokens are derived from.
#[derive(Debug, Clone)]
pub(crate) struct MasterKeySource {
    /// The keys themselves, as a master key file has them (or separated by commas).
    pub(crate) keys: Option<SecretString>,
    /// Where they are; `None`: `master.key` in the data folder, made at the first start.
    pub(crate) file: Option<PathBuf>,
}

impl MasterKeySource {
    pub(super) fn read(r: &mut Reader) -> Self {
        Self {
            keys: r.get("master_key.keys", None, OptionalSecret(64)),
            file: r.get("master_key.file", None, OptionalFile),
        }
    }
}

/// `[tls]`: the certificate of both sockets.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// PEM, the server's own first.
    pub(crate) certificate: Option<PathBuf>,
    /// PEM.
    pub(crate) private_key: Option<PathBuf>,
}

impl Tls {
    pub(super) fn read(r: &mut Reader) -> Self {
        Self {
            certificate: r.get("tls.certificate", None, OptionalFile),
            private_key: r.get("tls.private_key", None, OptionalFile),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[messages]`: what may be said, and how long things may take.
pub(super) fn messages(
    r: &mut Reader,
    connector: &mut whimbrel_connector::Config,
    archiver: &mut whimbrel_archiver::Config,
) -> whimbrel_transfer::Config {
    let mut c = whimbrel_transfer::Config::default();
    c.bodies_readable = r.get("messages.bodies_readable", c.bodies_readable, Bool);
    connector.bodies_readable = c.bodies_readable;
    c.oldest_draft = r.get("messages.oldest_draft", c.oldest_draft, Time::s(HOUR, 3650 * DAY));
    archiver.recall_within = r.get("messages.recall_within", archiver.recall_within, Time::s(0, 3650 * DAY));
    c.place_timeout = r.get("messages.place_timeout", c.place_timeout, Time::ms(100, 60_000));
    c.cursor_delay = r.get("messages.cursor_delay", c.cursor_delay, Time::ms(0, 10_000));
    c.syncs_at_once = r.get("messages.syncs_at_once", c.syncs_at_once, Integer(1, 1024));
    c.last_seen_every = r.get("presence.last_seen_every", c.last_seen_every, Time::ms(100, 3_600_000));
    c
}

/// `[retention]`: how long what is said is kept.
pub(super) fn retention(
    r: &mut Reader,
    transfer: &whimbrel_transfer::Config,
    c: &mut whimbrel_archiver::retention::Config,
) {
    let mut bounds = |age: &'static str, messages: &'static str| {
        let age = r.get(age, Duration::ZERO, Time::s(0, 36_500 * DAY));
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Keep { age_ms, messages: r.get(messages, 0, Integer(0, 1_000_000_000_000)) }
    };
    c.all = bounds("retention.age", "retention.messages");
    c.direct = bounds("retention.direct_age", "retention.direct_messages");
    c.group = bounds("retention.group_age", "retention.group_messages");
    c.private = bounds("retention.private_age", "retention.private_messages");
    c.young = transfer.oldest_draft + transfer.newest_draft + Duration::from_secs(HOUR);
    c.every = r.get("retention.every", c.every, Time::s(1, 7 * DAY));
    c.step = r.get("retention.step", c.step, Integer(1, 100_000));
    c.pause = r.get("retention.pause", c.pause, Time::ms(0, 60_000));
}

/// `[database]`: SQLite.
pub(super) fn database(r: &mut Reader) -> SqliteConfig {
    let mut c = SqliteConfig::default();
    c.readers = r.get("database.readers", c.readers, Integer(1, 64));
    c.cache_bytes = r.get("database.cache", c.cache_bytes, Size(MIB as u64, 64 * 1024 * MIB as u64));
    c.wal_bytes = r.get("database.wal", c.wal_bytes, Size(MIB as u64, 4096 * MIB as u64));
    c
}

/// `[log]`: what is written to standard error.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// A level, or levels by module.
    pub(crate) filter: String,
    /// How lines look.
    pub(crate) format: LogFormat,
}

const LOG_FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
const LOG_FILTER: Text = Text(
    "a level (\"error\", \"warn\", \"info\", \"debug\", \"trace\") or levels by module, such as \
     \"info,whimbrel_api=debug\"",
    |text| !text.is_empty() && text.split(',').all(is_directive) && text.parse::<Targets>().is_ok(),
);

/// Left to itself, a misspelt level would be read as the name of a module.
fn is_directive(text: &str) -> bool {
    let level = text.rsplit('=').next().unwrap_or_default().trim();
    ["off", "error", "warn", "info", "debug", "trace"].contains(&level.to_ascii_lowercase().as_str())
}

impl Log {
    pub(super) fn read(r: &mut Reader) -> Self {
        Self {
            filter: r.get("log.filter", "info".into(), LOG_FILTER),
            format: r.get("log.format", LogFormat::Text, OneOf(LOG_FORMATS)),
        }
    }
}

/// `[process]`: the process itself.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// A stop takes no longer than this.
    pub(crate) stop_within: Duration,
}

impl Process {
    pub(super) fn read(r: &mut Reader) -> Self {
        Self { stop_within: r.get("process.stop_within", Duration::from_secs(20), Time::s(1, 600)) }
    }
}
