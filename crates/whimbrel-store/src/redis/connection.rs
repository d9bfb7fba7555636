//! One connection, to a server or to the nodes of a Redis Cluster, and what its errors mean.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use super::config::{RedisConfig, Target};
use crate::StoreError;

#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn open(target: &Target, config: &RedisConfig) -> Result<Self, String> {
        let connection = match target {
            Target::Single(client) => {
                let options = AsyncConnectionConfig::new().set_response_timeout(None);
                let options = options.set_connection_timeout(Some(config.connect_timeout));
                client.get_multiplexed_async_connection_with_config(&options).await.map(Self::Single)
            }
            Target::Cluster(client) => client.get_async_connection().await.map(Self::Cluster),
        };
        connection.map_err(|error| format!("cannot connect: {error}"))
    }

    pub(super) async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        }
        // A script's error comes as a value.
        .and_then(Value::extract_error)
    }
}

/// Why a call failed, and whether its connection is of use any more.
pub(super) struct Failure {
    pub(super) error: StoreError,
    pub(super) ends_connection: bool,
}

impl Failure {
    pub(super) fn of(name: &str, error: &RedisError) -> Self {
        use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly};
        let message = format!("Redis, {name}: {error}");
        let ends_connection = match error.kind() {
            ErrorKind::Server(kind) => matches!(kind, BusyLoading | ClusterDown | MasterDown | ReadOnly),
            ErrorKind::Extension => false,
            _ => true,
        };
        let ends_connection = ends_connection || is_refused(&message);
        let is_strange = message.contains("WRONGTYPE");
        let error = if is_strange { StoreError::Corrupt(message) } else { StoreError::Unavailable(message) };
        Self { error, ends_connection }
    }
}

/// Redis answers, and takes no writes: out of memory, cannot save, a replica.
fn is_refused(message: &str) -> bool {
    ["OOM", "MISCONF", "READONLY", "NOREPLICAS"].iter().any(|code| message.contains(code))
}
