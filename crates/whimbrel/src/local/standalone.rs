//! A server that is one process, on a data folder of its own.

use std::net::SocketAddr;
use std::path::Path;

use super::process::{Process, Start, free_addresses};

/// A private server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct PrivateServer {
    process: Process,
    admin_key: String,
    clients: SocketAddr,
    http: SocketAddr,
}

/// A key that nobody else has: 64 hexadecimal digits.
pub(crate) fn random_key() -> String {
    let key: [u8; 32] = rand::random();
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl PrivateServer {
    /// Starts one with its data in `folder` (which exists) and these settings (`section.key=value`), and waits until
    /// it is ready.
    ///
    /// # Errors
    /// When it does not become ready; the end of its log is part of the error.
    pub(crate) async fn start(folder: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let admin_key = random_key();
        let [clients, http] = free_addresses()?;
        let (listen, rest) = (clients.to_string(), http.to_string());
        let arguments = ["standalone", "--data", "data", "--listen", &listen, "--http", &rest].into_iter();
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let start = Start {
            name: "server".to_owned(),
            folder: folder.to_owned(),
            arguments: arguments.chain(settings).map(str::to_owned).collect(),
            variables: vec![("WHIMBREL_ADMIN__KEY".to_owned(), admin_key.clone())],
            health: http,
        };
        let mut process = Process::new(start);
        process.launch().await?;
        Ok(Self { process, admin_key, clients, http })
    }

    /// Starts it again, on the same data and the same ports, and waits until it is ready.
    ///
    /// # Errors
    /// As [`PrivateServer::start`].
    pub(crate) async fn launch(&mut self) -> anyhow::Result<()> {
        self.process.launch().await
    }

    /// Ends it with SIGKILL: nothing is finished politely.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to stop and waits until it has; kills it when that takes too long.
    ///
    /// # Errors
    /// When it had to be killed, or ended with anything but 0.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        self.process.stop().await
    }

    /// Its process id.
    ///
    /// # Errors
    /// While it does not run.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.pid()
    }

    /// Where clients connect.
    pub(crate) fn clients(&self) -> SocketAddr {
        self.clients
    }

    /// Where REST is: `http://host:port`.
    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The administrator's key.
    pub(crate) fn admin_key(&self) -> &str {
        &self.admin_key
    }
}
