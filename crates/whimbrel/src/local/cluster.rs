//! A cluster of one's own: private engines, and as many processes of each role as one likes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use whimbrel_engines::{Kind, Persistence, Rabbit, Redis, RedisOptions, Sql};

use super::front::Front;
use super::process::{Process, Start, free_addresses};
use super::relay::Relay;
use super::standalone::random_key;

/// The database that the roles use.
const DATABASE: &str = "whimbrel";

/// How many processes of each role, and what they are told.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Connectors.
    pub(crate) connectors: usize,
    /// Transfers.
    pub(crate) transfers: usize,
    /// Archivers.
    pub(crate) archivers: usize,
    /// APIs.
    pub(crate) apis: usize,
    /// Put relays before the transfers, so that the way to one can be cut.
    pub(crate) relays: bool,
    /// `section.key=value`, for every role.
    pub(crate) settings: Vec<String>,
}

/// A private cluster. Dropping it kills it.
pub(crate) struct PrivateCluster {
    /// Who is online.
    pub(crate) redis: Redis,
    /// The log.
    pub(crate) rabbit: Rabbit,
    /// The timeline.
    pub(crate) sql: Sql,
    /// The roles' processes.
    pub(crate) connectors: Vec<Process>,
    /// The same.
    pub(crate) transfers: Vec<Process>,
    /// The same.
    pub(crate) archivers: Vec<Process>,
    /// The same.
    pub(crate) apis: Vec<Process>,
    /// Before each transfer, if that was asked for.
    pub(crate) relays: Vec<Relay>,
    client_doors: Vec<SocketAddr>,
    clients: Front,
    rest: Front,
    admin_key: String,
}

/// What every process of the cluster is told.
struct Common {
    folder: PathBuf,
    variables: Vec<(String, String)>,
    settings: Vec<String>,
}

impl PrivateCluster {
    /// Starts everything below `folder` (which exists), and waits until all of it is ready.
    ///
    /// # Errors
    /// When an engine is not installed, or something does not become ready.
    pub(crate) async fn start(folder: &Path, shape: &Shape) -> anyhow::Result<Self> {
        check_installed(&Kind::missing())?;
        let below = |name: &str| -> anyhow::Result<PathBuf> {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
            Ok(path)
        };
        let (redis, rabbit, sql) = (below("redis")?, below("rabbitmq")?, below("database")?);
        let options = RedisOptions { persistence: Persistence::Snapshots };
        let (redis, rabbit, sql) =
            tokio::try_join!(Redis::start(&redis, options), Rabbit::start(&rabbit), Sql::start(&sql))?;
        let admin_key = random_key();
        let common = Common {
            folder: folder.to_owned(),
            variables: variables(&redis, &rabbit, &sql, &admin_key),
            settings: shape.settings.clone(),
        };
        common.migrate()?;
        let (transfers, relays) = common.transfers(shape).await?;
        let (connectors, client_doors) = common.roles("connector", shape.connectors)?;
        let (apis, rest_doors) = common.roles("api", shape.apis)?;
        let (archivers, _) = common.roles("archiver", shape.archivers)?;
        let (clients, rest) = (Front::start(client_doors.clone()).await?, Front::start(rest_doors).await?);
        let mut cluster = Self {
            redis,
            rabbit,
            sql,
            connectors,
            transfers,
            archivers,
            apis,
            relays,
            client_doors,
            clients,
            rest,
            admin_key,
        };
        for process in cluster.processes() {
            process.begin()?;
        }
        for process in cluster.processes() {
            process.wait_ready().await?;
        }
        Ok(cluster)
    }

    /// Every process of a role.
    pub(crate) fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        let [transfers, archivers] = [&mut self.transfers, &mut self.archivers];
        transfers.iter_mut().chain(archivers).chain(&mut self.apis).chain(&mut self.connectors)
    }

    /// Where clients connect: spread over all connectors.
    pub(crate) fn clients(&self) -> SocketAddr {
        self.clients.address()
    }

    /// Where each connector listens.
    pub(crate) fn connector_addresses(&self) -> &[SocketAddr] {
        &self.client_doors
    }

    /// Where REST is: `http://host:port`.
    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.rest.address())
    }

    /// The administrator's key.
    pub(crate) fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// Where the database is, for a look at what it is doing.
    pub(crate) fn database_url(&self) -> String {
        self.sql.database_url(DATABASE)
    }

    /// Starts those of the roles' processes again that have ended by themselves; gives the end of what each logged.
    ///
    /// # Errors
    /// When one does not become ready.
    pub(crate) async fn revive(&mut self) -> anyhow::Result<Vec<String>> {
        let mut ended = Vec::new();
        for process in self.processes() {
            if process.has_ended() {
                ended.push(format!("the {} ended by itself:\n{}", process.name(), process.log_tail()));
                process.launch().await?;
            }
        }
        Ok(ended)
    }

    /// Process ids of the roles and the engines, for their use of the machine.
    ///
    /// # Errors
    /// While one of them does not run.
    pub(crate) fn pids(&mut self) -> anyhow::Result<Vec<(String, u32)>> {
        let mut pids = vec![
            ("Redis".to_owned(), self.redis.pid()?),
            ("RabbitMQ".to_owned(), self.rabbit.pid()?),
            ("database".to_owned(), self.sql.pid()?),
        ];
        for process in self.processes() {
            pids.push((process.name().to_owned(), process.pid()?));
        }
        Ok(pids)
    }

    /// Stops everything politely, clients' side first.
    ///
    /// # Errors
    /// When a role had to be killed, or ended with anything but 0.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        for role in [&mut self.connectors, &mut self.apis, &mut self.transfers, &mut self.archivers] {
            for process in role {
                process.stop().await?;
            }
        }
        // Nothing of theirs is wanted any more.
        self.redis.kill();
        self.rabbit.kill();
        self.sql.kill();
        Ok(())
    }
}

/// Says all that is missing at once.
fn check_installed(missing: &[Kind]) -> anyhow::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = missing.iter().map(|kind| format!("{} (package {})", kind.name(), kind.packages())).collect();
    bail!("A private cluster needs servers that are not installed on this machine: {}", named.join(", "))
}

fn variables(redis: &Redis, rabbit: &Rabbit, sql: &Sql, admin_key: &str) -> Vec<(String, String)> {
    let key = format!("private:{}", random_key());
    let named = [
        ("CLUSTER__SECRET", random_key()),
        ("MASTER_KEY__KEYS", key),
        ("ADMIN__KEY", admin_key.to_owned()),
        ("REDIS__URL", redis.url()),
        ("RABBITMQ__URL", rabbit.url()),
        ("MYSQL__URL", sql.user_url(DATABASE)),
    ];
    named.into_iter().map(|(name, value)| (format!("WHIMBREL_{name}"), value)).collect()
}

impl Common {
    fn migrate(&self) -> anyhow::Result<()> {
        let mut command = Command::new(std::env::current_exe().context("The path of this program")?);
        let output = command
            .arg("migrate")
            .current_dir(&self.folder)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .context("whimbrel migrate could not be started")?;
        if !output.status.success() {
            bail!("whimbrel migrate failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// So many processes of a role, not running yet, and what each listens to besides its health.
    fn roles(&self, role: &str, count: usize) -> anyhow::Result<(Vec<Process>, Vec<SocketAddr>)> {
        let (mut processes, mut doors) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let [door, health] = free_addresses()?;
            let own = match role {
                "connector" => vec![format!("clients.listen={door}"), format!("connector.health={health}")],
                "api" => vec![format!("http.listen={door}")],
                _ => vec![format!("{role}.health={health}")],
            };
            let health = if role == "api" { door } else { health };
            processes.push(self.process(role, number, health, own));
            doors.push(door);
        }
        Ok((processes, doors))
    }

    async fn transfers(&self, shape: &Shape) -> anyhow::Result<(Vec<Process>, Vec<Relay>)> {
        let (mut processes, mut relays) = (Vec::new(), Vec::new());
        for number in 1..=shape.transfers {
            let [door, health] = free_addresses()?;
            let mut own = vec![format!("transfer.listen={door}"), format!("transfer.health={health}")];
            if shape.relays {
                let relay = Relay::start(door).await?;
                own.push(format!("transfer.advertise={}", relay.address()));
                relays.push(relay);
            }
            processes.push(self.process("transfer", number, health, own));
        }
        Ok((processes, relays))
    }

    fn process(&self, role: &str, number: usize, health: SocketAddr, own: Vec<String>) -> Process {
        let settings = self.settings.iter().cloned().chain(own);
        let arguments = settings.flat_map(|setting| ["--set".to_owned(), setting]);
        Process::new(Start {
            name: format!("{role} {number}"),
            folder: self.folder.clone(),
            arguments: std::iter::once(role.to_owned()).chain(arguments).collect(),
            variables: self.variables.clone(),
            health,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_named_with_what_to_install() {
        assert!(check_installed(&[]).is_ok());
        let error = check_installed(&[Kind::Redis, Kind::Sql]).expect_err("two are missing").to_string();
        assert_eq!(
            error,
            "A private cluster needs servers that are not installed on this machine: Redis (package redis-server), \
             MySQL or MariaDB (package mariadb-server or mysql-server)"
        );
    }
}
