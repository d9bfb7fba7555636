//! What a deployment says about its Redis, and how it is read.

use std::fmt;
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionInfo, IntoConnectionInfo};
use secrecy::{ExposeSecret, SecretString};
use whimbrel_core::limits;

use crate::StoreError;

/// How long a caller waits for Redis at most.
const TIMEOUT: Duration = Duration::from_millis(500);
/// How long one attempt to connect takes at most; callers do not wait for it longer than [`RedisConfig::timeout`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often Redis Cluster's client asks again after it was sent from one node to another, within one call.
const REDIRECTS: u32 = 3;

/// Where Redis is, and how long anything takes.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port][/database]`, or `redis+cluster://[user:password@]host:port[,host:port]…` for
    /// some of the nodes of a Redis Cluster.
    pub url: SecretString,
    /// What every key begins with: deployments that share a Redis have different ones.
    pub prefix: String,
    /// How long a call takes at most.
    pub timeout: Duration,
    /// How long one attempt to connect takes at most.
    pub connect_timeout: Duration,
    /// How long leases last. This one and the next two are the same for all processes of a deployment.
    pub lease: Duration,
    /// How often leases are renewed and read.
    pub lease_every: Duration,
    /// How long routes are not trusted after Redis was emptied.
    pub routes_unsure: Duration,
}

impl RedisConfig {
    /// The Redis at `url`, all else as deployments have it.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            prefix: "whimbrel".into(),
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            lease: limits::LEASE,
            lease_every: limits::LEASE_EVERY,
            routes_unsure: limits::ROUTES_UNSURE,
        }
    }
}

/// Whom to connect to.
pub(super) enum Target {
    Single(Client),
    Cluster(Box<ClusterClient>),
}

impl Target {
    /// What is wrong is said without the URL, which may hold a password.
    pub(super) fn read(config: &RedisConfig) -> Result<Self, StoreError> {
        let bad_prefix = |c: char| c == '{' || c == '}' || c.is_whitespace() || c.is_control();
        if config.prefix.is_empty() || config.prefix.contains(bad_prefix) {
            return Err(wrong("the prefix of Redis's keys must be a word without braces"));
        }
        let url = config.url.expose_secret();
        match url.split_once("://") {
            Some(("redis", _)) => Self::single(url),
            Some(("redis+cluster", nodes)) => Self::cluster(nodes, config),
            Some(("rediss" | "rediss+cluster", _)) => {
                Err(wrong("the Redis URL asks for TLS (rediss), which this program is built without"))
            }
            Some((scheme, _)) if scheme.len() < 20 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') => {
                Err(wrong(format!("the Redis URL begins with {scheme}://, not with redis:// or redis+cluster://")))
            }
            _ => Err(wrong("the Redis URL does not begin with redis:// or redis+cluster://")),
        }
    }

    fn single(url: &str) -> Result<Self, StoreError> {
        Client::open(node(url)?).map(Self::Single).map_err(|error| wrong(reason(&error)))
    }

    fn cluster(nodes: &str, config: &RedisConfig) -> Result<Self, StoreError> {
        let (login, nodes) = match nodes.rsplit_once('@') {
            Some((login, nodes)) => (format!("{login}@"), nodes),
            None => (String::new(), nodes),
        };
        let nodes = nodes.strip_suffix('/').unwrap_or(nodes);
        if nodes.contains('/') {
            return Err(wrong("the Redis URL names a database, and a Redis Cluster has only one"));
        }
        let nodes = nodes.split(',').map(|place| {
            let port = place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            port.then_some(()).ok_or_else(|| wrong(format!("the Redis URL's node {place:?} is not host:port")))?;
            node(&format!("redis://{login}{place}"))
        });
        let builder = ClusterClient::builder(nodes.collect::<Result<Vec<_>, _>>()?)
            .tcp_settings(at_once())
            .connection_timeout(config.connect_timeout)
            .response_timeout(config.timeout)
            .retries(REDIRECTS)
            .min_retry_wait(1)
            .max_retry_wait(50);
        builder.build().map(|client| Self::Cluster(Box::new(client))).map_err(|error| wrong(reason(&error)))
    }
}

/// Calls share a connection: none waits in the kernel until the one before it has arrived.
fn at_once() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn node(url: &str) -> Result<ConnectionInfo, StoreError> {
    let info = url.into_connection_info().map(|info| info.set_tcp_settings(at_once()));
    info.map_err(|error| wrong(format!("the Redis URL is wrong: {}", reason(&error))))
}

/// The library's sentence, without the kind and the details, which may repeat what was given.
fn reason(error: &redis::RedisError) -> String {
    let text = error.to_string();
    text.split(" - ").next().unwrap_or_default().to_owned()
}

fn wrong(what: impl fmt::Display) -> StoreError {
    StoreError::Unavailable(what.to_string())
}
