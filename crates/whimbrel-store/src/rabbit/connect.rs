//! One connection: made within a time, named, never recovered by the library. Whoever holds it makes another.

use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionBuilder, ConnectionProperties, ErrorKind, runtime};
use tokio::time::timeout;

use super::config::{RabbitConfig, SETUP_TIMEOUT, shown};

/// Why there is no connection, or none that can be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RabbitError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// The broker answered, and does not let this user or virtual host in.
    #[error("the broker at {broker} refuses: {reason}; check the user, the password and the virtual host in its URL")]
    Refused {
        /// Where.
        broker: String,
        /// Its words.
        reason: String,
    },
    /// A queue is there with other arguments than this program gives it.
    #[error("{0}")]
    Queue(String),
    /// The broker does not answer, now.
    #[error("the broker is out of reach: {0}")]
    Away(String),
}

impl RabbitError {
    /// Nothing but an operator mends it.
    pub(super) fn is_permanent(&self) -> bool {
        !matches!(self, Self::Away(_))
    }
}

impl From<lapin::Error> for RabbitError {
    fn from(error: lapin::Error) -> Self {
        Self::Away(error.to_string())
    }
}

/// Connects. `what` tells a process's connections apart in the broker's lists.
pub(super) async fn connect(config: &RabbitConfig, uri: &AMQPUri, what: &str) -> Result<Connection, RabbitError> {
    let name = format!("{} ({what})", config.name);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let tls = OwnedTLSConfig { identity: None, cert_chain: config.ca.clone() };
    let builder = ConnectionBuilder::new_with_runtime(runtime::default_runtime()?)
        .with_uri(uri.clone())
        .with_properties(properties)
        .with_tls_config(tls);
    match within(SETUP_TIMEOUT, async { Ok(builder.connect().await?) }).await {
        Err(RabbitError::Away(reason)) if reason.contains("ACCESS") || reason.contains("NOT-ALLOWED") => {
            Err(RabbitError::Refused { broker: shown(uri), reason })
        }
        other => other,
    }
}

/// What the broker answers within a time.
pub(super) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, RabbitError>>,
) -> Result<T, RabbitError> {
    let too_late = || RabbitError::Away(format!("no answer within {} s", limit.as_secs()));
    timeout(limit, answer).await.unwrap_or_else(|_| Err(too_late()))
}

/// A channel whose publishes are confirmed.
pub(super) async fn confirming(connection: &Connection) -> Result<Channel, RabbitError> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// The reply code of a broker's error, such as 404; 0 when it is none of the broker's.
pub(super) fn reply_code(error: &lapin::Error) -> u16 {
    if let ErrorKind::ProtocolError(error) = error.kind() { error.get_id() } else { 0 }
}
