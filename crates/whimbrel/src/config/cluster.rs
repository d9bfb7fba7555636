//! The sections of a cluster: what roles share, where each listens, and the engines under them.
//!
//! A server that runs alone reads none of this; a role reads what it needs and says what is missing
//! ([`crate::roles`]).

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;

use super::kind::{Address, Integer, OptionalFile, OptionalSecret, OptionalText, Text, Url};
use super::reader::Reader;

/// Fewest characters of the cluster's secret.
pub(crate) const SECRET_MIN: usize = 16;

/// `[cluster]`: how roles know each other.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// What every role shows to every other.
    pub(crate) secret: Option<SecretString>,
    /// The file that holds it.
    pub(crate) secret_file: Option<PathBuf>,
    /// This role's certificate, PEM.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub(crate) private_key: Option<PathBuf>,
    /// Who signed the others' certificates, PEM.
    pub(crate) authority: Option<PathBuf>,
    /// What the transfers' certificates are issued to, if it is not the host in their addresses.
    pub(crate) server_name: Option<String>,
}

/// `[connector]`, `[transfer]`, `[archiver]`: where the roles are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The connector's health and metrics.
    pub(crate) connector_health: SocketAddr,
    /// Where a transfer listens for the other roles.
    pub(crate) transfer_listen: SocketAddr,
    /// Under which address they reach it.
    pub(crate) transfer_advertise: Option<String>,
    /// The transfer's health and metrics.
    pub(crate) transfer_health: SocketAddr,
    /// The archiver's health and metrics.
    pub(crate) archiver_health: SocketAddr,
}

/// `[redis]`, `[rabbitmq]`, `[mysql]`.
#[derive(Debug, Clone)]
pub(crate) struct Engines {
    /// Where Redis is.
    pub(crate) redis_url: SecretString,
    /// What all keys begin with.
    pub(crate) redis_prefix: String,
    /// Where RabbitMQ is.
    pub(crate) rabbit_url: SecretString,
    /// What all queues begin with.
    pub(crate) rabbit_prefix: String,
    /// Partitions of the log.
    pub(crate) rabbit_partitions: u32,
    /// Records that one transfer keeps unplaced in one partition.
    pub(crate) rabbit_in_flight: usize,
    /// Where RabbitMQ's management is, for a look at its policies.
    pub(crate) rabbit_management_url: Option<SecretString>,
    /// Where MySQL or MariaDB is.
    pub(crate) mysql_url: SecretString,
    /// Connections that one role keeps at most.
    pub(crate) mysql_connections: u32,
}

impl Cluster {
    pub(super) fn read(r: &mut Reader) -> Self {
        Self {
            secret: r.get("cluster.secret", None, OptionalSecret(SECRET_MIN)),
            secret_file: r.get("cluster.secret_file", None, OptionalFile),
            certificate: r.get("cluster.certificate", None, OptionalFile),
            private_key: r.get("cluster.private_key", None, OptionalFile),
            authority: r.get("cluster.authority", None, OptionalFile),
            server_name: r.get("cluster.server_name", None, OptionalText("a host's name", |name| !name.contains('/'))),
        }
    }
}

impl Places {
    pub(super) fn read(r: &mut Reader) -> Self {
        let here = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            connector_health: r.get("connector.health", here(7181), Address),
            transfer_listen: r.get("transfer.listen", here(7200), Address),
            transfer_advertise: r.get("transfer.advertise", None, OptionalText(ADVERTISED.0, ADVERTISED.1)),
            transfer_health: r.get("transfer.health", here(7182), Address),
            archiver_health: r.get("archiver.health", here(7183), Address),
        }
    }
}

const ADVERTISED: (&str, fn(&str) -> bool) = ("a name or an address with a port, such as \"10.0.0.7:7200\"", |text| {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
});

const PREFIX: Text = Text("1 to 32 of a-z, 0-9, '-', '_' and '.'", |text| {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
});

impl Engines {
    pub(super) fn read(r: &mut Reader) -> Self {
        let redis = Url(&["redis", "redis+cluster"]);
        Self {
            redis_url: r.get("redis.url", "redis://127.0.0.1:6379".into(), redis),
            redis_prefix: r.get("redis.prefix", "whimbrel".into(), PREFIX),
            rabbit_url: r.get("rabbitmq.url", "amqp://guest:guest@127.0.0.1:5672/%2f".into(), Url(&["amqp", "amqps"])),
            rabbit_prefix: r.get("rabbitmq.prefix", "whimbrel.".into(), PREFIX),
            rabbit_partitions: r.get("rabbitmq.partitions", 8, Integer(1, 1024)),
            rabbit_in_flight: r.get("rabbitmq.records_in_flight", 4, Integer(1, 64)),
            rabbit_management_url: r.get("rabbitmq.management_url", None, OptionalSecret(8)),
            mysql_url: r.get("mysql.url", "mysql://root@127.0.0.1:3306/whimbrel".into(), Url(&["mysql"])),
            mysql_connections: r.get("mysql.connections", 16, Integer(2, 1000)),
        }
    }
}
