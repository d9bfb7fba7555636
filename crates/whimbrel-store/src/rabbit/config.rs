//! Where the broker is, how its queues are called, and every bound of this room.

use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use secrecy::{ExposeSecret, SecretString};
use whimbrel_core::limits::LOG_RECORDS_MAX;

/// Records of one partition that are delivered and not acknowledged. Not to be configured: a queue redelivers in order
/// only as long as every consumer of every archiver uses the same number.
pub(super) const PREFETCH: u16 = 64;
/// Records of one partition that wait for the publishing task, before [`LogError::Full`](crate::LogError::Full).
pub(super) const QUEUED_MAX: usize = 64;
/// Records of one partition that are published and not confirmed; more wait in line.
pub(super) const UNCONFIRMED_MAX: usize = 64;
/// Partitions, own and found.
pub const PARTITIONS_MAX: u32 = 256;
/// Heartbeat: the broker gives a frozen peer up after two to three times this, since it looks only that often; 9 s keep
/// the promise that a frozen archiver is replaced within 10.
pub(super) const HEARTBEAT_SECONDS: u16 = 3;
/// How long a TCP connection may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long connecting, logging in and opening channels may take altogether.
pub(super) const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between attempts to connect.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(50);
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a deployment chooses about its broker.
#[derive(Debug, Clone)]
pub struct RabbitConfig {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`.
    pub url: SecretString,
    /// Who this is, role and id: the name of its connections in the broker's lists.
    pub name: String,
    /// What the names of all queues begin with.
    pub prefix: String,
    /// Partitions that are written, 1 to [`PARTITIONS_MAX`].
    pub partitions: u32,
    /// Records that one transfer keeps unplaced in a partition before it lets drafts gather.
    pub records_in_flight: usize,
    /// Records that a partition holds; the broker rejects more. An argument of the queue: it cannot be changed later.
    pub queue_max_length: u32,
    /// Dead letters that are kept; the oldest gives way. An argument of the queue too.
    pub dead_letters_max: u32,
    /// Bytes of one encoded record: below the broker's `max_message_size` (16 MiB by default on 4.x). Together with
    /// the prefetch it bounds what one archiver holds in memory.
    pub record_bytes_max: usize,
    /// Certificates (PEM) that an `amqps` broker's is checked against.
    pub ca: Option<String>,
    /// `http://user:password@host:15672`: where [`RabbitLog::check`](super::RabbitLog::check) reads policies.
    pub management_url: Option<SecretString>,
}

impl RabbitConfig {
    /// The defaults, for this broker.
    pub fn new(url: SecretString, name: impl Into<String>) -> Self {
        Self {
            url,
            name: name.into(),
            prefix: "whimbrel.".into(),
            partitions: 8,
            records_in_flight: 4,
            queue_max_length: u32::try_from(LOG_RECORDS_MAX).unwrap_or(u32::MAX),
            dead_letters_max: 100_000,
            record_bytes_max: 8 * 1024 * 1024,
            ca: None,
            management_url: None,
        }
    }

    pub(super) fn log_queue(&self, partition: u32) -> String {
        format!("{}log.{partition}", self.prefix)
    }

    pub(super) fn dead_queue(&self) -> String {
        format!("{}log.dead", self.prefix)
    }

    /// Reads the URL and checks the bounds; the sentence never repeats the URL, because it holds a password.
    pub(super) fn target(&self) -> Result<AMQPUri, String> {
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            return Err(format!("the number of partitions must be 1 to {PARTITIONS_MAX}, not {}", self.partitions));
        }
        if self.prefix.len() > 200 {
            return Err("the prefix of the queues is longer than 200 bytes".into());
        }
        if self.queue_max_length == 0 || self.dead_letters_max == 0 {
            return Err("a queue that holds at most 0 messages takes none".into());
        }
        parse(self.url.expose_secret())
    }
}

fn parse(url: &str) -> Result<AMQPUri, String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err("the broker's URL must look like amqp://user:password@host:5672/vhost".into());
    };
    if scheme != "amqp" && scheme != "amqps" {
        return Err(format!("the broker's URL must begin with amqp:// or amqps://, not {scheme}://"));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.is_empty() || host.starts_with(':') {
        return Err("the broker's URL names no host".into());
    }
    let mut uri: AMQPUri = url.parse().map_err(|error: String| {
        format!(
            "the broker's URL cannot be read: {}",
            // The parser's words may hold the URL.
            if error.contains("://") { "it is malformed" } else { &error }
        )
    })?;
    // The parser takes an IPv6 address for "no host" and would go to localhost.
    if let Some((address, _)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        uri.authority.host = address.into();
    }
    if uri.vhost.is_empty() {
        return Err("the broker's URL ends with '/', which names a virtual host without a name: leave the slash out, \
                    or write the virtual host after it (%2f is the default one)"
            .into());
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    uri.query.connection_timeout.get_or_insert(u64::try_from(CONNECT_TIMEOUT.as_millis()).unwrap_or(u64::MAX));
    Ok(uri)
}

/// The broker without the password, for logs.
pub(super) fn shown(uri: &AMQPUri) -> String {
    let scheme = if uri.scheme == AMQPScheme::AMQPS { "amqps" } else { "amqp" };
    format!("{scheme}://{}:{} vhost {}", uri.authority.host, uri.authority.port, uri.vhost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_told_without_the_password() {
        for (url, word) in [
            ("localhost:5672", "must look like"),
            ("http://u:sesame@h", "amqp:// or amqps://"),
            ("amqp://u:sesame@", "names no host"),
            ("amqp://u:sesame@:5672", "names no host"),
            ("amqp://u:sesame@h/", "virtual host"),
            ("amqp://u:sesame@h:port", "cannot be read"),
            ("amqp://u:sesame@h/%2f?heartbeat=often", "cannot be read"),
        ] {
            let error = RabbitConfig::new(url.into(), "test").target().expect_err(url);
            assert!(error.contains(word) && !error.contains("sesame"), "{url}: {error}");
        }
    }

    #[test]
    fn an_url_says_where_to_go() {
        let uri = parse("amqp://u:p@[::1]:5673").expect("an address");
        assert_eq!((uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()), ("::1", 5673, "/"));
        let uri = parse("amqp://127.0.0.1/team%2fchat").expect("an address");
        assert_eq!(
            (uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()),
            ("127.0.0.1", 5672, "team/chat")
        );
        assert_eq!(uri.query.heartbeat, Some(HEARTBEAT_SECONDS));
        assert_eq!(shown(&uri), "amqp://127.0.0.1:5672 vhost team/chat");
    }

    #[test]
    fn senseless_bounds_are_refused() {
        let config = RabbitConfig::new("amqp://h".into(), "test");
        for wrong in [
            RabbitConfig { partitions: 0, ..config.clone() },
            RabbitConfig { partitions: PARTITIONS_MAX + 1, ..config.clone() },
            RabbitConfig { queue_max_length: 0, ..config.clone() },
        ] {
            assert!(wrong.target().is_err());
        }
        assert!(config.target().is_ok());
    }
}
