//! Standalone: connector, transfer, archiver and API in one process, on SQLite, with nothing else to install.
//!
//! `build` makes the roles and ties them together: the only place that knows on which engines they stand. [`start`]
//! opens the doors, [`Standalone::stop`] closes them in the order in which nothing is lost. The roles themselves are
//! the cluster's.

mod build;
mod greeting;
mod stop;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use whimbrel_api::TlsSource;

use super::bind;
use crate::config::{self, Config, flags::ConfigFlags};
use crate::house::data_folder::DataFolder;
use crate::house::{descriptors, panics, signal, telemetry, tls};
use build::Roles;

/// A server that runs until [`Standalone::stop`].
pub(crate) struct Standalone {
    client_addr: SocketAddr,
    http_addr: SocketAddr,
    roles: Roles,
    tasks: Tasks,
    stop_within: std::time::Duration,
    /// Held until everything else is closed.
    folder: DataFolder,
}

/// What runs, and how it is told to end.
struct Tasks {
    api: JoinHandle<()>,
    archiver: JoinHandle<()>,
    retention: JoinHandle<()>,
    stop_api: CancellationToken,
    stop_archiver: CancellationToken,
    stop_retention: CancellationToken,
    /// Cancelled once one of the three has ended, for whatever reason.
    ended: CancellationToken,
}

/// `whimbrel standalone`: runs until a signal.
pub(crate) async fn run(flags: &ConfigFlags) -> anyhow::Result<ExitCode> {
    let loaded = config::load(flags)?;
    let chosen = loaded.is_set("clients.max_connections") || loaded.is_set("http.max_connections");
    let config = loaded.config;
    telemetry::init_log(&config.log);
    panics::end_the_process();
    let stop = signal::stop_token()?;
    let metrics = telemetry::init_metrics()?;
    telemetry::spawn_upkeep(metrics.clone());
    let connections = (config.connector.max_connections + config.api.connections_max) as u64;
    match chosen {
        true => descriptors::make_room(connections),
        false => descriptors::make_room_up_to(connections),
    }
    let server = start(&config, metrics).await?;
    greeting::say(&config, &server);
    let failed = tokio::select! {
        () = stop.cancelled() => false,
        () = server.failed() => true,
    };
    server.stop().await?;
    if failed {
        bail!("The server stopped because one of its roles had ended, which is a bug");
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts a server; it accepts when this returns. Ports of 0 are chosen by the system.
pub(crate) async fn start(config: &Config, metrics: PrometheusHandle) -> anyhow::Result<Standalone> {
    let certificate = tls::open(&config.tls)?;
    let api_config = super::api_config(config)?;
    let mut folder = DataFolder::open(&config.data.folder, "standalone").await?;
    let clients = bind("clients.listen", config.clients.address)?;
    let http = bind("http.listen", config.http.address)?;
    let (client_addr, http_addr) = (clients.local_addr()?, http.local_addr()?);

    let ended = CancellationToken::new();
    let (roles, archiver, retention) = build::build(config, api_config, metrics, ended.clone()).await?;
    let (stop_api, stop_archiver) = (CancellationToken::new(), CancellationToken::new());
    let stop_retention = CancellationToken::new();
    let retention = watched(&ended, retention.run(stop_retention.clone()));
    let archiver = watched(&ended, archiver.run(stop_archiver.clone()));
    let client_tls = certificate.clone().filter(|_| config.clients.tls);
    roles.connector.start(clients, client_tls, roles.transfer.clone());
    let http_tls = certificate.filter(|_| config.http.tls);
    let http_tls = http_tls.map(|certificate| -> TlsSource { Arc::new(move || certificate.current()) });
    let (api, stopping) = (roles.api.clone(), stop_api.clone());
    let api = watched(&ended, async move { api.serve(http, http_tls, stopping).await });

    folder.announce(client_addr, http_addr)?;
    let tasks = Tasks { api, archiver, retention, stop_api, stop_archiver, stop_retention, ended };
    Ok(Standalone { client_addr, http_addr, roles, tasks, stop_within: config.process.stop_within, folder })
}

/// A task whose end, a panic included, is noticed.
fn watched(ended: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let guard = ended.clone().drop_guard();
    tokio::spawn(async move {
        let _guard = guard;
        work.await;
    })
}

impl Standalone {
    /// Where clients connect.
    pub(crate) fn client_addr(&self) -> SocketAddr {
        self.client_addr
    }

    /// Where REST is.
    pub(crate) fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Returns when a role has ended that should not have.
    pub(crate) async fn failed(&self) {
        self.tasks.ended.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways in which a role can end that should not: it returns, and it panics.
    #[tokio::test]
    async fn the_end_of_a_role_is_noticed_also_when_it_panics() {
        for panics in [false, true] {
            let ended = CancellationToken::new();
            let task = watched(&ended, async move { assert!(!panics, "on purpose") });
            ended.cancelled().await;
            assert_eq!(task.await.is_err(), panics);
        }
    }
}
