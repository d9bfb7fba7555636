//! A private Redis server.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::instance::{Instance, Parts, Recipe, make_folder};
use crate::ports::Port;
use crate::speak::resp::{self, Connection};
use crate::{leash, programs};

/// Where redis-server may be besides PATH.
const PLACES: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/opt/homebrew/bin"];
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// What the server reads at its start.
const DUMP: &str = "dump.rdb";

/// A private Redis server.
pub type Redis = Instance<RedisRecipe>;

/// What a private Redis keeps when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    /// Nothing: a restart is a loss of everything.
    #[default]
    Off,
    /// What was saved last by [`Redis::save`], or by stopping politely.
    Snapshots,
}

/// How a private Redis is set up.
#[derive(Debug, Clone, Copy, Default)]
pub struct RedisOptions {
    /// What it keeps when it dies.
    pub persistence: Persistence,
}

/// How a private Redis is started.
#[derive(Debug)]
pub struct RedisRecipe {
    program: PathBuf,
    folder: PathBuf,
    ports: [Port; 1],
    options: RedisOptions,
    wipe: bool,
}

/// The server program, if it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    programs::locate(&PROGRAMS, &PLACES)
}

impl RedisRecipe {
    fn new(folder: &Path, options: RedisOptions, wipe: bool) -> anyhow::Result<Self> {
        let program = program().context("redis-server is not installed")?;
        Ok(Self { program, folder: make_folder(folder)?, ports: [Port::reserve()?], options, wipe })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0].number())
    }

    fn dump(&self) -> PathBuf {
        self.folder.join(DUMP)
    }
}

impl Recipe for RedisRecipe {
    const NAME: &'static str = "Redis";

    fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    fn parts(&self) -> Parts<'_> {
        Parts { folder: &self.folder, ports: &self.ports, wipe: self.wipe }
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut command = leash::command(&self.program);
        command.current_dir(&self.folder).args(["--bind", "127.0.0.1", "--port", &self.ports[0].number().to_string()]);
        command.arg("--dir").arg(&self.folder).args(["--dbfilename", DUMP]);
        command.args(["--appendonly", "no", "--daemonize", "no", "--loglevel", "notice"]);
        match self.options.persistence {
            // An empty text is no argument to older versions, but two quotes are.
            Persistence::Off => command.args(["--save", "\"\""]),
            // So rarely that only SAVE and a polite stop are seen.
            Persistence::Snapshots => command.args(["--save", "1000000 1000000"]),
        };
        Ok(command)
    }

    async fn probe(&self) -> anyhow::Result<()> {
        resp::probe(&self.address(), None).await.map(drop)
    }
}

impl Instance<RedisRecipe> {
    /// Starts one with its files in `folder`, and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed or does not become ready; the end of its log is part of the error.
    pub async fn start(folder: &Path, options: RedisOptions) -> anyhow::Result<Self> {
        Self::begin(|| RedisRecipe::new(folder, options, false)).await
    }

    /// As [`Redis::start`]; the folder is removed when this process ends.
    pub(crate) async fn start_wiped(folder: &Path) -> anyhow::Result<Self> {
        Self::begin(|| RedisRecipe::new(folder, RedisOptions::default(), true)).await
    }

    /// One command, on a connection of its own; the answer as text.
    ///
    /// # Errors
    /// When it does not answer, or with an error, nothing or an array.
    pub async fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        Connection::open(&self.recipe.address()).await?.command(words).await
    }

    /// Empties every database.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn flush_all(&self) -> anyhow::Result<()> {
        self.command(&["FLUSHALL"]).await.map(drop)
    }

    /// Saves a snapshot, which the next start reads, and answers the path of a copy that later snapshots leave alone.
    ///
    /// # Errors
    /// When it does not answer, cannot write, or keeps nothing.
    pub async fn save(&self) -> anyhow::Result<PathBuf> {
        ensure!(self.recipe.options.persistence == Persistence::Snapshots, "This Redis was started without snapshots");
        self.command(&["SAVE"]).await?;
        let copy =
            (1..).map(|number| self.recipe.folder.join(format!("snapshot-{number}.rdb"))).find(|path| !path.exists());
        let copy = copy.context("No name for a snapshot is left")?;
        std::fs::copy(self.recipe.dump(), &copy).context("The snapshot cannot be copied")?;
        Ok(copy)
    }

    /// Kills it and starts it again with an older snapshot: what was written since is lost.
    ///
    /// # Errors
    /// When the snapshot cannot be read or the server does not become ready.
    pub async fn restore_snapshot(&mut self, snapshot: &Path) -> anyhow::Result<()> {
        ensure!(self.recipe.options.persistence == Persistence::Snapshots, "This Redis was started without snapshots");
        self.kill();
        std::fs::copy(snapshot, self.recipe.dump()).with_context(|| format!("The snapshot {}", snapshot.display()))?;
        self.restart().await
    }
}
