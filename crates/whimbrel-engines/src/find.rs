//! A server for tests, from the first place that has one: the environment, the standard port, the installed program, Docker.
//!
//! A server that is named but does not answer is an error, not a reason to look further: tests would run against another
//! server than was asked for. What is started here serves all of this process until it ends.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::sync::OnceCell;

use crate::instance::Instance;
use crate::speak::{amqp, mysql, resp};
use crate::url::Url;
use crate::{Rabbit, Recipe, Redis, Sql, docker};

/// A server that does not answer its first question within this does not answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// A container's server is ready within this.
const DOCKER_TIMEOUT: Duration = Duration::from_secs(120);
/// Where packages put the socket of MySQL or MariaDB.
const SQL_SOCKETS: [&str; 4] =
    ["/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];

/// What can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Redis.
    Redis,
    /// RabbitMQ.
    Rabbit,
    /// MySQL or MariaDB.
    Sql,
}

/// A server that answers.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where clients connect. It may hold a password.
    pub url: String,
    /// One sentence on what it is and where it comes from, without a password.
    pub how: String,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Redis, Self::Rabbit, Self::Sql];

    /// The environment variable that names a server of this kind.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Redis => "WHIMBREL_TEST_REDIS",
            Self::Rabbit => "WHIMBREL_TEST_AMQP",
            Self::Sql => "WHIMBREL_TEST_MYSQL",
        }
    }

    /// Those whose programs are not installed on this machine.
    #[must_use]
    pub fn missing() -> Vec<Self> {
        Self::ALL.into_iter().filter(|kind| !kind.is_installed()).collect()
    }

    fn is_installed(self) -> bool {
        match self {
            Self::Redis => crate::redis::program().is_some(),
            Self::Rabbit => crate::rabbit::program().is_some(),
            Self::Sql => crate::sql::program().is_some(),
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Rabbit => "RabbitMQ",
            Self::Sql => "MySQL or MariaDB",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Redis => 6379,
            Self::Rabbit => 5672,
            Self::Sql => 3306,
        }
    }

    /// The address of a server with the login that a fresh one has.
    fn url(self, address: &str) -> String {
        match self {
            Self::Redis => format!("redis://{address}"),
            Self::Rabbit => format!("amqp://guest:guest@{address}/%2f"),
            Self::Sql => format!("mysql://root@{address}"),
        }
    }

    fn image(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Redis => ("redis:8", &[]),
            Self::Rabbit => ("rabbitmq:4-management", &[]),
            Self::Sql => ("mysql:8.4", &["MYSQL_ALLOW_EMPTY_PASSWORD=yes", "MYSQL_ROOT_HOST=%"]),
        }
    }

    /// What to install on this machine.
    #[must_use]
    pub fn packages(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Rabbit => "rabbitmq-server",
            Self::Sql => "mariadb-server or mysql-server",
        }
    }
}

/// Finds a server of this kind, or starts one for the rest of this process's life.
///
/// # Errors
/// When there is none and none can be started; the error says what to install. When the environment names one that does
/// not answer.
pub async fn find(kind: Kind) -> anyhow::Result<Found> {
    static FOUND: [OnceCell<Found>; 3] = [const { OnceCell::const_new() }; 3];
    FOUND[kind as usize].get_or_try_init(|| look(kind)).await.cloned()
}

async fn look(kind: Kind) -> anyhow::Result<Found> {
    if let Some(found) = named(kind).await? {
        return Ok(found);
    }
    if let Some(found) = standing(kind).await {
        return Ok(found);
    }
    let private = match installed(kind).await {
        Some(Ok(found)) => return Ok(found),
        Some(Err(error)) => format!("the installed one could not be started: {error:#}"),
        None => "none is installed".to_owned(),
    };
    let container = if docker::answers().await {
        match contained(kind).await {
            Ok(found) => return Ok(found),
            Err(error) => format!("Docker has none: {error:#}"),
        }
    } else {
        "no Docker engine answers".to_owned()
    };
    bail!(
        "No {} for tests: {} is not set, nothing usable answers on 127.0.0.1:{}, {private}, and {container}. Install \
         {}, or name a server in {}.",
        kind.name(),
        kind.variable(),
        kind.port(),
        kind.packages(),
        kind.variable()
    )
}

/// The one that the environment names.
async fn named(kind: Kind) -> anyhow::Result<Option<Found>> {
    let variable = kind.variable();
    let Some(url) = std::env::var(variable).ok().filter(|url| !url.is_empty()) else { return Ok(None) };
    let parts = Url::parse(&url, kind.port()).with_context(|| format!("{variable} is not an address"))?;
    let what = probe(kind, &parts)
        .await
        .with_context(|| format!("{variable} names {}, where no {} answers", parts.shown(), kind.name()))?;
    Ok(Some(Found { how: format!("{what} on {} (named by {variable})", parts.address), url }))
}

/// The one on the standard port, if it lets in whom a fresh server does.
async fn standing(kind: Kind) -> Option<Found> {
    let address = format!("127.0.0.1:{}", kind.port());
    let url = kind.url(&address);
    let why = match at(kind, &url).await {
        Ok(what) => return Some(Found { url, how: format!("{what} on {address} (found on the standard port)") }),
        Err(why) => why,
    };
    tracing::debug!(server = kind.name(), "Not usable on the standard port: {why:#}");
    if kind != Kind::Sql {
        return None;
    }
    for socket in SQL_SOCKETS {
        if let Ok(Ok(what)) = tokio::time::timeout(PROBE_TIMEOUT, mysql::probe_socket(socket, "root")).await {
            let url = format!("mysql://root@localhost?socket={}", socket.replace('/', "%2F"));
            return Some(Found { url, how: format!("{what} on {socket} (found at a usual place)") });
        }
    }
    None
}

/// The installed one, started; nothing if it is not installed.
async fn installed(kind: Kind) -> Option<anyhow::Result<Found>> {
    match kind.is_installed() {
        true => Some(start(kind).await),
        false => None,
    }
}

async fn start(kind: Kind) -> anyhow::Result<Found> {
    let folder = tempfile::Builder::new().prefix("engines-").tempdir().context("A temporary folder")?;
    let path = folder.path();
    let found = match kind {
        Kind::Redis => keep(kind, Redis::start_wiped(path).await?).await,
        Kind::Rabbit => keep(kind, Rabbit::start_wiped(path).await?).await,
        Kind::Sql => keep(kind, Sql::start_wiped(path).await?).await,
    }?;
    // From now on the server's watcher removes it.
    let _ = folder.keep();
    Ok(found)
}

/// Lets an instance live as long as this process.
async fn keep<R: Recipe>(kind: Kind, instance: Instance<R>) -> anyhow::Result<Found> {
    let (url, port) = (instance.url(), instance.port());
    let what = at(kind, &url).await?;
    std::mem::forget(instance);
    Ok(Found { url, how: format!("{what} on 127.0.0.1:{port} (installed; started for this process)") })
}

/// One from Docker.
async fn contained(kind: Kind) -> anyhow::Result<Found> {
    let (image, environment) = kind.image();
    let address = docker::run(image, kind.port(), environment).await?;
    let url = kind.url(&address);
    let what = docker::ready(|| at(kind, &url), DOCKER_TIMEOUT).await.context("The container does not answer")?;
    Ok(Found { how: format!("{what} on {address} (Docker image {image}, started for this process)"), url })
}

/// Name and version of what answers at an address.
async fn at(kind: Kind, url: &str) -> anyhow::Result<String> {
    probe(kind, &Url::parse(url, kind.port())?).await
}

async fn probe(kind: Kind, url: &Url) -> anyhow::Result<String> {
    tokio::time::timeout(PROBE_TIMEOUT, ask(kind, url)).await.context("No answer")?
}

async fn ask(kind: Kind, url: &Url) -> anyhow::Result<String> {
    let login = url.login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
    let schemes: [&str; 2] = match kind {
        Kind::Redis => ["redis", "rediss"],
        Kind::Rabbit => ["amqp", "amqps"],
        Kind::Sql => ["mysql", "mariadb"],
    };
    ensure!(schemes.contains(&url.scheme.as_str()), "The address must start with {}://", schemes[0]);
    if url.scheme.ends_with("ps") || url.scheme.ends_with("ss") {
        // Whatever listens is taken for it: TLS is left to who uses it.
        tokio::net::TcpStream::connect(&url.address).await.context("Nothing listens there")?;
        return Ok(format!("{} behind TLS", kind.name()));
    }
    match kind {
        Kind::Redis => Ok(format!("Redis {}", resp::probe(&url.address, login).await?)),
        Kind::Rabbit => {
            let (user, password) = login.unwrap_or(("guest", "guest"));
            let vhost = url.path.as_deref().unwrap_or("/");
            Ok(format!("RabbitMQ {}", amqp::probe(&url.address, user, password, vhost).await?))
        }
        // A password is left to the driver.
        Kind::Sql => {
            let user = login.filter(|(_, password)| password.is_empty()).map(|(user, _)| user);
            mysql::probe(&url.address, user).await
        }
    }
}

/// Tests look at the words of people who have nothing installed.
#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_of_another_scheme_or_of_nobody_is_refused_with_its_reason() {
        let error = at(Kind::Redis, "amqp://127.0.0.1").await.unwrap_err();
        assert_eq!(error.to_string(), "The address must start with redis://");
        let port = crate::ports::Port::reserve().unwrap();
        for kind in Kind::ALL {
            let address = format!("127.0.0.1:{}", port.number());
            let error = at(kind, &kind.url(&address)).await.unwrap_err();
            assert_eq!(error.to_string(), format!("Nothing listens at {address}"));
        }
    }

    #[tokio::test]
    #[ignore = "needs a Docker engine, and fetches images; run with --run-ignored=only"]
    async fn docker_has_them_all() {
        assert!(docker::answers().await, "no Docker engine answers");
        for kind in Kind::ALL {
            let found = contained(kind).await.unwrap();
            println!("{} at {}", found.how, found.url);
        }
    }
}
