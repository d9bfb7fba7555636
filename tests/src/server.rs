//! A standalone server of a test's own: a process on free ports with a data folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::wait::PATIENCE;

pub(crate) const ADMIN_KEY: &str = "test-admin-key-0123456789abcdef0123456789";

/// The program under test, as it was built beside these tests.
pub fn program() -> anyhow::Result<PathBuf> {
    let tests = std::env::current_exe().context("the path of this test")?;
    let folder = tests.parent().and_then(Path::parent).context("the build folder")?;
    let program = folder.join("whimbrel");
    ensure!(program.exists(), "{} is missing: run `cargo build -p whimbrel` first", program.display());
    Ok(program)
}

/// Where a server's clients and its REST are.
pub trait Doors {
    /// Where clients connect.
    fn clients(&self) -> SocketAddr;
    /// Where REST answers.
    fn api(&self) -> String;
    /// The administrator's key.
    fn admin_key(&self) -> &str;
}

impl Doors for Server {
    fn clients(&self) -> SocketAddr {
        Server::clients(self)
    }

    fn api(&self) -> String {
        Server::api(self)
    }

    fn admin_key(&self) -> &str {
        ADMIN_KEY
    }
}

/// A running server. Dropping it kills it with -9.
pub struct Server {
    folder: TempDir,
    options: Options,
    running: Option<Running>,
}

struct Running {
    child: Child,
    clients: SocketAddr,
    http: SocketAddr,
}

/// How a server is started.
#[derive(Clone, Default)]
pub struct Options {
    /// `section.key=value`.
    pub set: Vec<String>,
    /// Added to the environment.
    pub environment: Vec<(String, String)>,
}

impl Server {
    /// Starts one with the defaults.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with(Options::default()).await
    }

    /// Starts one with these settings.
    pub async fn with(options: Options) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("whimbrel-test-").tempdir()?;
        let mut server = Self { folder, options, running: None };
        server.launch().await?;
        Ok(server)
    }

    /// Starts the stopped server again on the same data and the same ports.
    pub async fn launch(&mut self) -> anyhow::Result<()> {
        // Who holds the data folder stands in its lock file, with the addresses once it listens.
        let holder = self.data().join("lock");
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let (clients, http) = match &self.running {
            Some(running) => (running.clients.to_string(), running.http.to_string()),
            None => ("127.0.0.1:0".to_owned(), "127.0.0.1:0".to_owned()),
        };
        let mut command = Command::new(program()?);
        command
            .args(["standalone", "--listen", &clients, "--http", &http])
            .args([Path::new("--data"), &self.data()])
            .env("WHIMBREL_ADMIN__KEY", ADMIN_KEY)
            .envs(self.options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        for setting in &self.options.set {
            command.args(["--set", setting]);
        }
        let mut child = command.spawn().context("start the server")?;
        let started = std::time::Instant::now();
        let addresses = loop {
            if let Ok(text) = std::fs::read(&holder)
                && let Ok(addresses) = serde_json::from_slice::<serde_json::Value>(&text)
                && addresses["pid"] == child.id()
                && addresses["http"].is_string()
            {
                break addresses;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.log());
            }
            if started.elapsed() > PATIENCE {
                let _ = child.kill();
                bail!("the server is not ready:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let address = |key: &str| -> anyhow::Result<SocketAddr> {
            addresses[key].as_str().and_then(|a| a.parse().ok()).with_context(|| format!("{key} in {addresses}"))
        };
        self.running = Some(Running { clients: address("clients")?, http: address("http")?, child });
        Ok(())
    }

    /// Kills it with -9, so that nothing is finished politely.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let running = self.running.as_mut().context("it runs")?;
        running.child.kill()?;
        running.child.wait()?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal("TERM")?;
        let running = self.running.as_mut().context("it runs")?;
        let started = std::time::Instant::now();
        loop {
            if let Some(status) = running.child.try_wait()? {
                return Ok(status);
            }
            ensure!(started.elapsed() < PATIENCE, "it does not stop:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Copies its data, with the master key, while it runs.
    pub fn back_up(&self, to: &Path) -> anyhow::Result<()> {
        let output = Command::new(program()?)
            .arg("backup")
            .args([Path::new("--data"), &self.data()])
            .arg("--to")
            .arg(to)
            .output()?;
        ensure!(output.status.success(), "backup: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Puts a copy in the place of the stopped server's data.
    pub fn put_back(&self, copy: &Path) -> anyhow::Result<()> {
        std::fs::remove_dir_all(self.data())?;
        std::fs::rename(copy, self.data()).context("put the copy back")
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.pid()?.to_string();
        ensure!(Command::new("kill").args(["-s", name, &pid]).status()?.success(), "kill -s {name} {pid}");
        Ok(())
    }

    /// Its process id.
    pub fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.running.as_ref().context("it runs")?.child.id())
    }

    /// Where clients connect.
    pub fn clients(&self) -> SocketAddr {
        self.running.as_ref().expect("it was started").clients
    }

    /// Where REST answers.
    pub fn api(&self) -> String {
        format!("http://{}", self.running.as_ref().expect("it was started").http)
    }

    /// The administrator's key.
    pub fn admin_key(&self) -> &'static str {
        ADMIN_KEY
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder that lives as long as this, for a test's own files.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// What it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}
