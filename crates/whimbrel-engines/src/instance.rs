//! A server of one's own: started, killed, frozen and started again on the same folder and ports.
//!
//! What differs between servers is their [`Recipe`]; how they live is here, once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};

use crate::leash::{LOOK_EVERY, Leashed};
use crate::ports::Port;

/// A server that is not ready after so long will not be. RabbitMQ takes 4 s alone and 20 s on a machine that is busy.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// A probe that is not answered after so long is made anew.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that was told to stop and has not after so long is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// Other ports are tried so often when somebody else took them first.
const CLASHES: usize = 5;
/// Bytes of the log that are shown when something went wrong.
const LOG_TAIL: u64 = 4000;

/// How one kind of server is started and asked whether it is ready.
pub trait Recipe: Send + Sync + Sized + 'static {
    /// What people call it.
    const NAME: &'static str;

    /// Where clients connect, also while it is down. It may hold a password.
    fn url(&self) -> String;

    #[doc(hidden)]
    fn parts(&self) -> Parts<'_>;

    /// What must be there before each start: a companion process, say.
    #[doc(hidden)]
    fn prepare(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Ends what [`Recipe::prepare`] started.
    #[doc(hidden)]
    fn tidy(&mut self) {}

    /// The command that becomes the server, made by [`crate::leash::command`].
    #[doc(hidden)]
    fn command(&self) -> anyhow::Result<Command>;

    /// Succeeds if the server answers what a client asks first.
    #[doc(hidden)]
    fn probe(&self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What every recipe has.
#[doc(hidden)]
#[derive(Debug)]
pub struct Parts<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) ports: &'a [Port],
    pub(crate) wipe: bool,
}

/// A private server. Dropping it kills it; if this process ends, however that may be, it ends too.
#[derive(Debug)]
pub struct Instance<R: Recipe> {
    pub(crate) recipe: R,
    process: Option<Leashed>,
}

impl<R: Recipe> Instance<R> {
    /// Starts what `recipe` makes, with other ports if another program got to one of its ports first.
    pub(crate) async fn begin(recipe: impl Fn() -> anyhow::Result<R>) -> anyhow::Result<Self> {
        for _ in 1..CLASHES {
            let mut instance = Self { recipe: recipe()?, process: None };
            match instance.launch().await {
                Err(_) if instance.clashed() => {
                    tracing::debug!(server = R::NAME, "A port was taken meanwhile; trying others");
                }
                answer => return answer.map(|()| instance),
            }
        }
        let mut instance = Self { recipe: recipe()?, process: None };
        instance.launch().await?;
        Ok(instance)
    }

    /// True if it could not start because somebody else is at one of its ports.
    fn clashed(&mut self) -> bool {
        self.kill();
        self.recipe.tidy();
        self.recipe.parts().ports.iter().any(|port| !port.is_free())
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        self.recipe.prepare()?;
        let parts = self.recipe.parts();
        let wipe = parts.wipe.then_some(parts.folder);
        self.process = Some(Leashed::spawn(self.recipe.command()?, &self.log_path(), wipe)?);
        let started = Instant::now();
        let mut answer = Ok(());
        while started.elapsed() < START_TIMEOUT {
            // First the probe: what answered was this process, if it still runs afterwards.
            answer = tokio::time::timeout(PROBE_TIMEOUT, self.recipe.probe()).await.map_err(Into::into).flatten();
            let process = self.process.as_mut().context("It does not run")?;
            if let Some(status) = process.try_wait()? {
                bail!("{} ended with {status}:\n{}", R::NAME, self.log_tail());
            }
            if answer.is_ok() {
                tracing::debug!(server = R::NAME, took = ?started.elapsed(), "Started");
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let why = answer.err().map(|error| format!("{error:#}")).unwrap_or_default();
        bail!("{} is not ready after {START_TIMEOUT:?} ({why}):\n{}", R::NAME, self.log_tail())
    }

    /// Where clients connect, also while it is down. It may hold a password.
    #[must_use]
    pub fn url(&self) -> String {
        self.recipe.url()
    }

    /// Where all of its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.recipe.parts().folder
    }

    /// The port that clients connect to, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.recipe.parts().ports[0].number()
    }

    /// Its process id.
    ///
    /// # Errors
    /// While it does not run.
    pub fn pid(&self) -> anyhow::Result<u32> {
        let process = self.process.as_ref().with_context(|| format!("{} does not run", R::NAME))?;
        u32::try_from(Pid::as_raw(Some(process.pid()))).context("A process id")
    }

    /// True while its process is there, frozen or not.
    #[must_use]
    pub fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// Ends it with SIGKILL and waits until it has ended: nothing is finished politely.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, on the same folder and ports, and waits until it is ready. One that runs is killed first.
    ///
    /// # Errors
    /// When it does not become ready; the end of its log is part of the error.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        self.launch().await
    }

    /// Asks it to stop and waits until it has; kills it when that takes too long.
    ///
    /// # Errors
    /// When it had to be killed.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.signal(Signal::TERM)?;
        // A frozen one hears of it only once it goes on.
        process.signal(Signal::CONT)?;
        if process.wait(STOP_TIMEOUT).await?.is_none() {
            bail!("{} did not stop within {STOP_TIMEOUT:?} and was killed:\n{}", R::NAME, self.log_tail());
        }
        Ok(())
    }

    /// Stops its process where it is (SIGSTOP): its sockets stay open and nothing answers.
    ///
    /// # Errors
    /// While it does not run.
    pub fn freeze(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on.
    ///
    /// # Errors
    /// While it does not run.
    pub fn thaw(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.process.as_mut().with_context(|| format!("{} does not run", R::NAME))?.signal(signal)
    }

    /// The end of what it logged.
    #[must_use]
    pub fn log_tail(&self) -> String {
        log_tail(&self.log_path())
    }

    fn log_path(&self) -> PathBuf {
        log_path(self.folder())
    }
}

/// Where what a server prints is kept.
pub(crate) fn log_path(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// The end of a log.
pub(crate) fn log_tail(log: &Path) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let mut tail = Vec::new();
    let _ = std::fs::File::open(log).and_then(|mut file| {
        let end = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(end.saturating_sub(LOG_TAIL)))?;
        file.take(LOG_TAIL).read_to_end(&mut tail)
    });
    String::from_utf8_lossy(&tail).into_owned()
}

/// Makes `folder` (and what leads to it) and answers its whole path.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .and_then(|()| folder.canonicalize())
        .with_context(|| format!("The folder {}", folder.display()))
}
