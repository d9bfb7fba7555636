//! A cluster of a test's own: private engines that may be killed, and the program's roles as processes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use whimbrel_engines::{Persistence, Rabbit, Redis, RedisOptions, Sql};

use crate::server::{ADMIN_KEY, Doors, program};
use crate::wait::{PATIENCE, until};

/// Lines of a role's log that are shown when a test fails.
const LOG_LINES: usize = 40;
const DATABASE: &str = "whimbrel";
/// Between roles.
pub const SECRET: &str = "test-cluster-secret-0123456789abcdef";
const MASTER_KEY: &str = "test:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Engines and roles. Dropping it kills all of them.
pub struct Cluster {
    /// Who is online.
    pub redis: Redis,
    /// The log.
    pub rabbit: Rabbit,
    /// The timeline.
    pub sql: Sql,
    roles: BTreeMap<String, Role>,
    /// Of every role and tool that is started from now on, the current one first.
    pub master_keys: String,
    /// `section.key=value`, for every role that is started from now on.
    pub settings: Vec<String>,
    folder: TempDir,
}

/// A process of a role.
pub struct Role {
    name: String,
    door: SocketAddr,
    health: SocketAddr,
    child: Option<Child>,
}

impl Cluster {
    /// Starts engines and these roles, such as "connector a", "transfer 1"; ready when it returns.
    pub async fn start(roles: &[&str]) -> anyhow::Result<Self> {
        Self::with(roles, &[]).await
    }

    /// The same with settings.
    pub async fn with(roles: &[&str], settings: &[&str]) -> anyhow::Result<Self> {
        // Once is enough; more are harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::Builder::new().prefix("whimbrel-test-").tempdir()?;
        let below = |name: &str| -> anyhow::Result<PathBuf> {
            let path = folder.path().join(name);
            std::fs::create_dir(&path)?;
            Ok(path)
        };
        let (redis, rabbit, sql) = (below("redis")?, below("rabbitmq")?, below("database")?);
        let options = RedisOptions { persistence: Persistence::Snapshots };
        let (redis, rabbit, sql) =
            tokio::try_join!(Redis::start(&redis, options), Rabbit::start(&rabbit), Sql::start(&sql))?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let master_keys = MASTER_KEY.to_owned();
        let mut cluster = Self { redis, rabbit, sql, roles: BTreeMap::new(), master_keys, settings, folder };
        cluster.run("migrate")?;
        for name in roles {
            cluster.begin(name)?;
        }
        for name in roles {
            cluster.wait_ready(name).await?;
        }
        cluster.wait_meshed().await?;
        Ok(cluster)
    }

    /// Starts one more role, or one that ended again, at its former address; ready when it returns.
    pub async fn launch(&mut self, name: &str) -> anyhow::Result<()> {
        self.begin(name)?;
        self.wait_ready(name).await
    }

    /// Starts it, and does not wait.
    pub fn begin(&mut self, name: &str) -> anyhow::Result<()> {
        let kind = name.split(' ').next().unwrap_or_default().to_owned();
        let (door, health) = match self.roles.get(name) {
            Some(role) => (role.door, role.health),
            None => (free_port()?, free_port()?),
        };
        let (own, health) = match kind.as_str() {
            "connector" => (vec![format!("clients.listen={door}"), format!("connector.health={health}")], health),
            "transfer" => (vec![format!("transfer.listen={door}"), format!("transfer.health={health}")], health),
            "archiver" => (vec![format!("archiver.health={health}")], health),
            "api" => (vec![format!("http.listen={door}")], door),
            other => bail!("{other} is no role"),
        };
        let log = std::fs::File::options().create(true).append(true).open(self.log_path(name))?;
        let mut command = self.command(&kind)?;
        for setting in self.settings.iter().chain(&own) {
            command.args(["--set", setting]);
        }
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("start a role")?;
        self.roles.insert(name.to_owned(), Role { name: name.to_owned(), door, health, child: Some(child) });
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub async fn wait_ready(&mut self, name: &str) -> anyhow::Result<()> {
        let started = std::time::Instant::now();
        let http = reqwest::Client::builder().no_proxy().build()?;
        loop {
            let log = self.log(name);
            let role = self.role(name);
            let url = format!("http://{}/readyz", role.health);
            if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = role.child.as_mut().context("it was started")?.try_wait()? {
                bail!("the {name} ended with {status}:\n{log}");
            }
            ensure!(started.elapsed() < PATIENCE, "the {name} is not ready:\n{log}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Kills every role and starts it again.
    pub async fn relaunch(&mut self) -> anyhow::Result<()> {
        let names: Vec<String> = self.roles.keys().cloned().collect();
        for name in &names {
            self.role(name).kill();
            self.begin(name)?;
        }
        for name in &names {
            self.wait_ready(name).await?;
        }
        self.wait_meshed().await
    }

    /// Waits until every transfer has its streams with all who run: what is written down of a cluster in which something
    /// is away holds for one that was whole.
    async fn wait_meshed(&self) -> anyhow::Result<()> {
        let count = |kind: &str| self.roles.values().filter(|role| role.is(kind)).count();
        let peers = ["connector", "archiver", "api"];
        let wanted = peers.map(|peer| format!("whimbrel_rpc_streams{{peer=\"{peer}\"}} {}", count(peer)));
        for transfer in self.roles.values().filter(|role| role.is("transfer")) {
            let metrics = format!("{}/metrics", transfer.health());
            until(&format!("the streams of the {}", transfer.name), async || {
                let answer = reqwest::get(&metrics).await.expect("it runs").text().await.expect("text");
                let has = |line: &String| line.ends_with(" 0") || answer.lines().any(|one| one == line);
                wanted.iter().all(has)
            })
            .await;
        }
        Ok(())
    }

    /// Runs a command of this program to its good end; what it printed.
    pub fn run(&self, what: &str) -> anyhow::Result<String> {
        let output = self.command(what)?.output()?;
        ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// This program on this cluster's engines, with these words.
    pub fn command(&self, what: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(program()?);
        command
            .args(what.split(' '))
            .current_dir(self.folder.path())
            .env("WHIMBREL_CLUSTER__SECRET", SECRET)
            .env("WHIMBREL_MASTER_KEY__KEYS", &self.master_keys)
            .env("WHIMBREL_ADMIN__KEY", ADMIN_KEY)
            .env("WHIMBREL_REDIS__URL", self.redis.url())
            .env("WHIMBREL_RABBITMQ__URL", self.rabbit.url())
            .env("WHIMBREL_MYSQL__URL", self.sql.user_url(DATABASE));
        Ok(command)
    }

    /// A role by its name.
    pub fn role(&mut self, name: &str) -> &mut Role {
        self.roles.get_mut(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The way through this connector, and any API.
    pub fn through(&self, connector: &str) -> Through {
        Through { clients: self.roles[connector].door, api: self.api() }
    }

    /// The way through this connector and this API.
    pub fn by(&self, connector: &str, api: &str) -> Through {
        Through { clients: self.roles[connector].door, api: format!("http://{}", self.roles[api].door) }
    }

    /// Root's address of the database.
    pub fn database_url(&self) -> String {
        self.sql.database_url(DATABASE)
    }

    /// What a role printed.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_path(name)).unwrap_or_default()
    }

    /// A folder that lives as long as this, for a test's own files.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{}.log", name.replace(' ', "-")))
    }

    fn first(&self, kind: &str) -> &Role {
        let is_it = |role: &&Role| role.is(kind);
        self.roles.values().find(is_it).unwrap_or_else(|| panic!("there is no {kind}"))
    }
}

impl Role {
    fn is(&self, kind: &str) -> bool {
        self.name.starts_with(kind) && self.child.is_some()
    }

    /// Kills it with -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.pid()?.to_string();
        ensure!(Command::new("kill").args(["-s", name, &pid]).status()?.success(), "kill -s {name} {pid}");
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.signal("TERM")?;
        self.ended().await
    }

    /// Waits for its end, which must be a good one.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let started = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().context("it runs")?.try_wait()? {
                self.child = None;
                ensure!(status.success(), "the {} ended with {status}", self.name);
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "the {} does not stop", self.name);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Its process id.
    pub fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.child.as_ref().context("it runs")?.id())
    }

    /// Where it listens: for clients, for roles, for REST.
    pub fn door(&self) -> SocketAddr {
        self.door
    }

    /// Where its health and metrics are: `http://host:port`.
    pub fn health(&self) -> String {
        format!("http://{}", self.health)
    }
}

/// What roles said is shown with the failure of a test, and with nothing else.
impl Drop for Cluster {
    fn drop(&mut self) {
        for name in self.roles.keys() {
            let log = self.log(name);
            let lines: Vec<&str> = log.lines().collect();
            println!("{name}:\n  {}\n", lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  "));
        }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.kill();
    }
}

/// By the first connector and the first API that run.
impl Doors for Cluster {
    fn clients(&self) -> SocketAddr {
        self.first("connector").door
    }

    fn api(&self) -> String {
        format!("http://{}", self.first("api").door)
    }

    fn admin_key(&self) -> &str {
        ADMIN_KEY
    }
}

/// The way through one connector.
pub struct Through {
    clients: SocketAddr,
    api: String,
}

impl Doors for Through {
    fn clients(&self) -> SocketAddr {
        self.clients
    }

    fn api(&self) -> String {
        self.api.clone()
    }

    fn admin_key(&self) -> &str {
        ADMIN_KEY
    }
}

/// An address whose port was free a moment ago, below the range from which clients' own ends are taken; in one process never
/// the same again, since whoever was given it first may not listen yet.
fn free_port() -> anyhow::Result<SocketAddr> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        let [high, low, ..] = *uuid::Uuid::new_v4().as_bytes();
        AtomicU16::new(u16::from_ne_bytes([high, low]))
    });
    let ports = (0..1000).map(|_| 15_000 + next.fetch_add(1, Ordering::Relaxed) % 15_000);
    let listener = ports.filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()).next();
    Ok(listener.context("no free port")?.local_addr()?)
}
