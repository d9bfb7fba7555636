//! A server of one's own: a child process of this same program, on a data folder and ports that nobody else uses.
//!
//! It is reached, killed and stopped by its process id and by nothing broader. It ends with this process, however that
//! ends: its standard input is a pipe from here, and it was told to stop when that closes.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A server that is not ready after so long will not be.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that was told to stop and has not after so long is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a level is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Ports are chosen below the range from which systems take the client side's, or a client's own end of a connection
/// could sit on the server's port while that is down.
const PORTS: std::ops::Range<u16> = 15_000..30_000;
/// Bytes of the log that are shown when something went wrong.
const LOG_TAIL: usize = 2000;

/// A private server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct PrivateServer {
    folder: PathBuf,
    settings: Vec<String>,
    admin_key: String,
    clients: SocketAddr,
    http: SocketAddr,
    child: Option<Child>,
}

impl PrivateServer {
    /// Starts one with its data in `folder` (which exists) and these settings (`section.key=value`), and waits until
    /// it is ready.
    ///
    /// # Errors
    /// When it does not become ready; the end of its log is part of the error.
    pub(crate) async fn start(folder: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let key: [u8; 32] = rand::random();
        let (clients, http) = (free_port()?, free_port()?);
        let mut server = Self {
            folder: folder.to_owned(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            admin_key: key.iter().map(|byte| format!("{byte:02x}")).collect(),
            clients: clients.local_addr()?,
            http: http.local_addr()?,
            child: None,
        };
        drop((clients, http));
        server.launch().await?;
        Ok(server)
    }

    /// Starts it again, on the same data and the same ports, and waits until it is ready.
    ///
    /// # Errors
    /// As [`PrivateServer::start`].
    pub(crate) async fn launch(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path()).context("The server's log")?;
        let mut command = Command::new(std::env::current_exe().context("The path of this program")?);
        // Whatever is configured on this machine is for its own server.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WHIMBREL_")) {
            command.env_remove(name);
        }
        let (clients, http) = (self.clients.to_string(), self.http.to_string());
        command
            .current_dir(&self.folder)
            .args(["standalone", "--data", "data", "--listen", &clients, "--http", &http, "--exit-with-stdin"])
            .args(self.settings.iter().flat_map(|setting| ["--set", setting]))
            .env("WHIMBREL_ADMIN__KEY", &self.admin_key)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().context("The server's log")?)
            .stderr(log);
        self.child = Some(command.spawn().context("The private server could not be started")?);
        self.wait_ready().await
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let url = format!("{}/readyz", self.api());
        let started = Instant::now();
        loop {
            if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            let child = self.child.as_mut().context("The private server does not run")?;
            if let Some(status) = child.try_wait().context("The private server cannot be waited for")? {
                bail!("The private server ended with {status}:\n{}", self.log_tail());
            }
            if started.elapsed() > START_TIMEOUT {
                bail!("The private server is not ready after {START_TIMEOUT:?}:\n{}", self.log_tail());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends it with SIGKILL: nothing is finished politely.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only if it has ended already, which is what was wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to stop and waits until it has; kills it when that takes too long.
    ///
    /// # Errors
    /// When it had to be killed, or ended with anything but 0.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("A process id")?;
        kill_process(pid, Signal::TERM).context("The private server cannot be told to stop")?;
        let told = Instant::now();
        while told.elapsed() < STOP_TIMEOUT {
            match child.try_wait().context("The private server cannot be waited for")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("The private server ended with {status}:\n{}", self.log_tail()),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        self.kill();
        bail!("The private server did not stop within {STOP_TIMEOUT:?}:\n{}", self.log_tail())
    }

    /// Its process id.
    ///
    /// # Errors
    /// While it does not run.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.child.as_ref().context("The private server does not run")?.id())
    }

    /// Where clients connect, also while it is down.
    pub(crate) fn clients(&self) -> SocketAddr {
        self.clients
    }

    /// Where REST is, also while it is down.
    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The administrator's key.
    pub(crate) fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// What it logged.
    fn log_path(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL)..]).into_owned()
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A listener on a port that was free, to be dropped just before the server takes it.
fn free_port() -> anyhow::Result<TcpListener> {
    (0..1000)
        .find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, rand::random_range(PORTS))).ok())
        .context("No free port was found on 127.0.0.1")
}

/// In the server: ends this process as soon as its standard input does, which is when whoever started it has ended. What
/// was answered "sent" is on disk at any moment, so nothing has to be finished.
pub(crate) fn exit_with_stdin() {
    std::thread::spawn(|| {
        // Nothing is ever written to it; an error is an end as well.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    });
}
