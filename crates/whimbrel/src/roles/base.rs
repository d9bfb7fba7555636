//! What every role of a cluster begins with: the configuration, logs, figures, the keys, and who else is there.
//!
//! Roles find each other through the roster (leases in Redis). The list of transfers that was read last stands while
//! Redis is away; so a role that runs goes on, and only one that starts meanwhile waits.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use whimbrel_core::TransferId;
use whimbrel_rpc::grpc::{PROTOCOL, Security, Tls, TransferAt};
use whimbrel_rpc::token::TokenKey;
use whimbrel_store::Keyring;
use whimbrel_store::mysql::{MySqlConfig, MySqlStore, OpenError};
use whimbrel_store::redis::{Member, RedisConfig, RoleName, Roster};

use super::{REFRESH, TOKENS};
use crate::config::cluster::SECRET_MIN;
use crate::config::{self, Config, flags::ConfigFlags};
use crate::house::admin::{self, Admin, Ready};
use crate::house::{master_key, panics, secret_file, signal, telemetry};

/// Pauses between tries to open a database that is away.
const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// A role that has read its configuration.
pub(super) struct Base {
    pub(super) role: RoleName,
    pub(super) config: Config,
    /// Cancelled by the first signal.
    pub(super) stop: CancellationToken,
    pub(super) metrics: PrometheusHandle,
    pub(super) keyring: Arc<Keyring>,
    pub(super) security: Security,
    pub(super) roster: Arc<Roster>,
}

impl Base {
    /// Reads and checks everything that can be wrong, before anything is opened.
    pub(super) fn begin(role: RoleName, flags: &ConfigFlags) -> anyhow::Result<Self> {
        let config = config::load(flags)?.config;
        telemetry::init_log(&config.log);
        panics::end_the_process();
        let stop = signal::stop_token()?;
        let metrics = telemetry::init_metrics()?;
        telemetry::spawn_upkeep(metrics.clone());
        if config.master_key.keys.is_none() && config.master_key.file.is_none() {
            bail!(
                "The roles of a cluster share one master key: set master_key.keys or master_key.file (`whimbrel keys \
                 new` makes one)"
            );
        }
        let keyring = Arc::new(master_key::keyring(&config.master_key, &config.data.folder)?);
        let security = security(&config)?;
        let roster = Roster::new(redis(&config)).context("redis.url cannot be used")?;
        Ok(Self { role, config, stop, metrics, keyring, security, roster })
    }

    /// Signs and checks access tokens; the same in every role.
    pub(super) fn tokens(&self) -> Arc<TokenKey> {
        Arc::new(TokenKey::new(&self.keyring.derive(TOKENS)))
    }

    /// What refresh tokens are made with.
    pub(super) fn refresh_secret(&self) -> secrecy::SecretSlice<u8> {
        self.keyring.derive(REFRESH)
    }

    /// Opens the database; waits while it is away, and until the stop.
    pub(super) async fn database(&self) -> anyhow::Result<MySqlStore> {
        let config = mysql(&self.config);
        let mut waited = false;
        loop {
            match MySqlStore::open(config.clone(), self.keyring.clone()).await {
                Ok(store) => {
                    for warning in store.warnings() {
                        tracing::warn!("{warning}");
                    }
                    return Ok(store);
                }
                Err(OpenError::Away(reason)) => {
                    if !std::mem::replace(&mut waited, true) {
                        tracing::warn!(reason, "the database does not answer; waiting for it");
                    }
                    tokio::select! {
                        () = tokio::time::sleep(OPEN_PAUSE) => {}
                        () = self.stop.cancelled() => bail!("Stopped before the database answered: {reason}"),
                    }
                }
                Err(error) => return Err(error).context("The database cannot be used"),
            }
        }
    }

    /// Serves health and metrics at this address from now on.
    pub(super) async fn health(&self, key: &str, address: SocketAddr, ready: Ready) -> anyhow::Result<SocketAddr> {
        let listener = admin::bind(key, address).await?;
        let bound = listener.local_addr()?;
        let admin = Admin { ready, metrics: self.metrics.clone(), access: self.config.api.metrics };
        tokio::spawn(admin::serve(listener, admin));
        Ok(bound)
    }

    /// Gives every new list of transfers to `set`.
    pub(super) fn follow_transfers(&self, set: impl Fn(Vec<TransferAt>) + Send + 'static) -> JoinHandle<()> {
        let members = self.roster.watch(RoleName::Transfer);
        tokio::spawn(follow(members, move |members| {
            let transfers = members.iter().map(|member| TransferAt {
                id: TransferId::from_bytes(*member.id.as_bytes()),
                address: member.address.clone(),
            });
            set(transfers.collect());
        }))
    }

    /// This process's entry in the roster.
    pub(super) fn member(&self, id: Uuid, address: String) -> Member {
        let detail = [("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into();
        Member { role: self.role, id, address, protocol: PROTOCOL, detail }
    }

    /// Says that the role is there, for people and machines.
    pub(super) fn ready(&self, places: &[(&str, String)]) {
        let places: Vec<_> = places.iter().map(|(name, place)| format!("{name} {place}")).collect();
        tracing::info!(role = %self.role, version = env!("CARGO_PKG_VERSION"), "ready: {}", places.join(", "));
    }
}

/// Calls `each` with the list as it is, and whenever it changes.
pub(super) async fn follow(mut members: watch::Receiver<Vec<Member>>, each: impl Fn(&[Member])) {
    loop {
        each(&members.borrow_and_update().clone());
        if members.changed().await.is_err() {
            return;
        }
    }
}

/// How this role and the others know each other.
fn security(config: &Config) -> anyhow::Result<Security> {
    let cluster = &config.cluster;
    let secret = match (&cluster.secret, &cluster.secret_file) {
        (Some(secret), _) => secret.clone(),
        (None, Some(file)) => {
            let secret = secret_file::read_first_line(file).context("cluster.secret_file")?;
            if secret.chars().count() < SECRET_MIN {
                bail!("cluster.secret_file: the secret must have at least {SECRET_MIN} characters");
            }
            SecretString::from(secret)
        }
        (None, None) => bail!(
            "The roles of a cluster share a secret: set cluster.secret (WHIMBREL_CLUSTER__SECRET) or cluster.secret_file"
        ),
    };
    match (&cluster.certificate, &cluster.private_key, &cluster.authority) {
        (Some(certificate), Some(key), Some(authority)) => {
            let [certificate, key, authority] = [certificate, key, authority].map(|path| path.to_string_lossy());
            let name = cluster.server_name.clone();
            let tls = Tls::read(&certificate, &key, &authority, name)
                .context("cluster.certificate, cluster.private_key, cluster.authority")?;
            Ok(Security { secret, tls: Some(tls) })
        }
        _ => Ok(Security { secret, tls: None }),
    }
}

/// Where Redis is.
pub(super) fn redis(config: &Config) -> RedisConfig {
    let engines = &config.engines;
    RedisConfig { prefix: engines.redis_prefix.clone(), ..RedisConfig::new(engines.redis_url.clone()) }
}

/// Where MySQL is.
pub(crate) fn mysql(config: &Config) -> MySqlConfig {
    let engines = &config.engines;
    MySqlConfig { connections: engines.mysql_connections, ..MySqlConfig::new(engines.mysql_url.clone()) }
}

/// The address under which others reach a listener here: as configured, or as it listens, or (if it listens
/// everywhere) this machine's address towards Redis.
pub(super) fn advertised(config: &Config, listening: SocketAddr) -> anyhow::Result<String> {
    if let Some(address) = &config.places.transfer_advertise {
        return Ok(address.clone());
    }
    if !listening.ip().is_unspecified() {
        return Ok(listening.to_string());
    }
    let url = config.engines.redis_url.expose_secret();
    let ip = towards(url).context(
        "transfer.listen is everywhere, and this machine's address could not be found out; set transfer.advertise",
    )?;
    Ok(SocketAddr::new(ip, listening.port()).to_string())
}

/// This machine's address on the way to the host of a URL. Nothing is sent.
fn towards(url: &str) -> anyhow::Result<std::net::IpAddr> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = rest.split(['/', ',', '?']).next().unwrap_or_default();
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:6379") };
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.connect(host)?;
    Ok(socket.local_addr()?.ip())
}
