//! The server that is measured.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use whimbrel_store::mysql::{MySqlConfig, MySqlStore};
use whimbrel_store::sqlite::{SqliteConfig, SqliteStore};
use whimbrel_store::{Keyring, MasterKey, Timeline};

use super::args::{Local, TargetArgs};
use super::usage::{Process, Processes};
use crate::local::cluster::{PrivateCluster, Shape};
use crate::local::standalone::PrivateServer;
use crate::prove::accounts::Accounts;

/// Access tokens live longer than any run.
pub(super) const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// A private server is told not to slow its load down; everything else is as it comes.
const PRIVATE_SETTINGS: [&str; 3] = ["clients.requests_per_second=0", "clients.bytes_per_second=0B", "log.filter=warn"];

/// What a private server is told: the last word is the user's.
fn settings(args: &TargetArgs) -> impl Iterator<Item = &str> {
    PRIVATE_SETTINGS.into_iter().chain(args.settings.iter().map(String::as_str))
}

/// A server that was started for this.
enum Private {
    Standalone(Box<PrivateServer>),
    Cluster(Box<PrivateCluster>),
}

/// A server that runs.
pub(super) struct Target {
    /// Where clients connect: at least one.
    pub(super) servers: Vec<SocketAddr>,
    /// Makes accounts there.
    pub(super) accounts: Accounts,
    /// Its processes, if they are on this machine and known.
    pub(super) processes: Option<Processes>,
    private: Option<(Private, TempDir)>,
}

impl Target {
    /// Starts a private server, or takes the one that was named.
    pub(super) async fn open(args: &TargetArgs) -> anyhow::Result<Self> {
        match args.local {
            Some(Local::Standalone) => Self::private(args).await,
            Some(Local::Cluster) => Self::private_cluster(args).await,
            None => {
                let api = args.api.as_deref().context("--api is needed")?;
                let key = args.admin_key.clone().or_else(|| std::env::var("WHIMBREL_ADMIN__KEY").ok());
                let key = key.context("--admin-key or WHIMBREL_ADMIN__KEY is needed, to make accounts")?;
                Ok(Self {
                    servers: vec![args.server.context("--server is needed")?],
                    accounts: Accounts::new(api, &key)?,
                    processes: args.pid.map(Processes::one),
                    private: None,
                })
            }
        }
    }

    async fn private(args: &TargetArgs) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("whimbrel-bench-").tempdir().context("A temporary folder")?;
        let settings: Vec<&str> = settings(args).collect();
        let server = PrivateServer::start(folder.path(), &settings).await?;
        Ok(Self {
            servers: vec![server.clients()],
            accounts: Accounts::new(&server.api(), server.admin_key())?,
            processes: Some(Processes::one(server.pid()?)),
            private: Some((Private::Standalone(Box::new(server)), folder)),
        })
    }

    async fn private_cluster(args: &TargetArgs) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("whimbrel-bench-").tempdir().context("A temporary folder")?;
        let shape = Shape {
            connectors: args.connectors.into(),
            transfers: args.transfers.into(),
            archivers: args.archivers.into(),
            apis: 1,
            relays: false,
            settings: settings(args).map(str::to_owned).collect(),
        };
        let mut cluster = PrivateCluster::start(folder.path(), &shape).await?;
        let kind = |(name, pid): (String, u32)| (name.split(' ').next().unwrap_or_default().to_owned(), Process(pid));
        let processes = cluster.pids()?.into_iter().map(kind).collect();
        Ok(Self {
            servers: cluster.connector_addresses().to_vec(),
            accounts: Accounts::new(&cluster.api(), cluster.admin_key())?,
            processes: Some(Processes(processes)),
            private: Some((Private::Cluster(Box::new(cluster)), folder)),
        })
    }

    /// A folder on the disk that the private server writes to; for another server, that of temporary files.
    pub(super) fn folder(&self) -> PathBuf {
        self.private.as_ref().map_or_else(std::env::temp_dir, |(_, folder)| folder.path().to_owned())
    }

    /// Where the client with this number connects.
    pub(super) fn server(&self, number: usize) -> SocketAddr {
        self.servers[number % self.servers.len()]
    }

    /// Restarts the private server, so that nothing that was allocated for making accounts is left in its heap. Another
    /// server is left alone.
    ///
    /// # Errors
    /// When it does not end politely, or does not come back.
    pub(super) async fn refresh(&mut self) -> anyhow::Result<()> {
        if let Some((Private::Standalone(server), _)) = &mut self.private {
            server.stop().await?;
            server.launch().await?;
            self.processes = Some(Processes::one(server.pid()?));
        }
        Ok(())
    }

    /// Opens the private server's database and hands it to `fill`; a server that is one process is stopped meanwhile.
    ///
    /// # Errors
    /// When the server is not private, does not stop or come back, or the database cannot be opened.
    pub(super) async fn fill(
        &mut self,
        fill: impl AsyncFnOnce(&dyn Timeline) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        // Nothing is wrapped or opened by it: the rows are.
        let keyring = Arc::new(Keyring::new(MasterKey::generate(), Vec::new())?);
        match &mut self.private {
            Some((Private::Standalone(server), folder)) => {
                server.stop().await?;
                let data = folder.path().join("data");
                let open = move || SqliteStore::open(&data, keyring, SqliteConfig::default());
                let store = tokio::task::spawn_blocking(open).await??;
                let filled = fill(&store).await;
                store.close().await?;
                server.launch().await?;
                self.processes = Some(Processes::one(server.pid()?));
                filled
            }
            Some((Private::Cluster(cluster), _)) => {
                let config = MySqlConfig::new(cluster.database_url().into());
                let store = MySqlStore::open(config, keyring).await?;
                let filled = fill(&store).await;
                store.close().await;
                filled
            }
            None => anyhow::bail!("This is measured on a private server only: --local standalone or --local cluster"),
        }
    }

    /// Stops the private server and waits for its end.
    ///
    /// # Errors
    /// When it does not end politely.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self.private {
            Some((Private::Standalone(mut server), _folder)) => server.stop().await,
            Some((Private::Cluster(cluster), _folder)) => cluster.stop().await,
            None => Ok(()),
        }
    }
}
