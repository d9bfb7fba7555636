//! The server that is measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use super::args::{Local, TargetArgs};
use super::usage::Process;
use crate::prove::accounts::Accounts;
use crate::local::standalone::PrivateServer;

/// Access tokens live longer than any run.
pub(super) const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// A private server is told not to slow its load down; everything else is as it comes.
const PRIVATE_SETTINGS: [&str; 3] = ["clients.requests_per_second=0", "clients.bytes_per_second=0B", "log.filter=warn"];

/// A server that runs.
pub(super) struct Target {
    /// Where clients connect.
    pub(super) server: SocketAddr,
    /// Makes accounts there.
    pub(super) accounts: Accounts,
    /// Its process, if it is on this machine and known.
    pub(super) process: Option<Process>,
    private: Option<(PrivateServer, TempDir)>,
}

impl Target {
    /// Starts a private server, or takes the one that was named.
    pub(super) async fn open(args: &TargetArgs) -> anyhow::Result<Self> {
        match args.local {
            Some(Local::Standalone) => Self::private().await,
            None => {
                let api = args.api.as_deref().context("--api is needed")?;
                let key = args.admin_key.clone().or_else(|| std::env::var("WHIMBREL_ADMIN__KEY").ok());
                let key = key.context("--admin-key or WHIMBREL_ADMIN__KEY is needed, to make accounts")?;
                Ok(Self {
                    server: args.server.context("--server is needed")?,
                    accounts: Accounts::new(api, &key)?,
                    process: args.pid.map(Process),
                    private: None,
                })
            }
        }
    }

    async fn private() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("whimbrel-bench-").tempdir().context("A temporary folder")?;
        let server = PrivateServer::start(folder.path(), &PRIVATE_SETTINGS).await?;
        Ok(Self {
            server: server.clients(),
            accounts: Accounts::new(&server.api(), server.admin_key())?,
            process: Some(Process(server.pid()?)),
            private: Some((server, folder)),
        })
    }

    /// Restarts the private server, so that nothing that was allocated for making accounts is left in its heap. Another
    /// server is left alone.
    ///
    /// # Errors
    /// When it does not end politely, or does not come back.
    pub(super) async fn refresh(&mut self) -> anyhow::Result<()> {
        if let Some((server, _)) = &mut self.private {
            server.stop().await?;
            server.launch().await?;
            self.process = Some(Process(server.pid()?));
        }
        Ok(())
    }

    /// Stops the private server and waits for its end.
    ///
    /// # Errors
    /// When it does not end politely.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self.private {
            Some((mut server, _folder)) => server.stop().await,
            None => Ok(()),
        }
    }
}
