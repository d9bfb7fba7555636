//! One child process of this same program.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A process that is not ready after so long will not be.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A process that was told to stop and has not after so long is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a level is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Ports are chosen below the range from which systems take the client side's, or a client's own end of a connection
/// could sit on the server's port while that is down.
const PORTS: std::ops::Range<u16> = 15_000..30_000;
/// Bytes of the log that are shown when something went wrong.
const LOG_TAIL: usize = 2000;

/// How a process is started, as often as it is.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// For people, and for the log's name.
    pub(crate) name: String,
    /// Its working folder, which exists; its log is in it.
    pub(crate) folder: PathBuf,
    /// Arguments of this program; `--exit-with-stdin` is added.
    pub(crate) arguments: Vec<String>,
    /// Variables. Others that are Whimbrel's are taken away: what is configured on this machine is for its own server.
    pub(crate) variables: Vec<(String, String)>,
    /// Answers 200 at `/readyz` once it is ready.
    pub(crate) health: SocketAddr,
}

/// A process that can be started again and again. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    start: Start,
    child: Option<Child>,
}

impl Process {
    /// One that does not run yet.
    pub(crate) fn new(start: Start) -> Self {
        Self { start, child: None }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.start.name
    }

    /// Starts it, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready; the end of its log is part of the error.
    pub(crate) async fn launch(&mut self) -> anyhow::Result<()> {
        self.begin()?;
        self.wait_ready().await
    }

    /// Starts it, and does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        let Start { name, folder, arguments, variables, .. } = &self.start;
        let log = File::options().create(true).append(true).open(self.log_path()).context("The log")?;
        let mut command = Command::new(std::env::current_exe().context("The path of this program")?);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WHIMBREL_")) {
            command.env_remove(name);
        }
        // A group of its own: an interrupt at the keyboard is this process's alone; and a child that is frozen when this
        // process ends is woken and ended by the system, as the stopped member of a group that nobody has any more.
        command
            .process_group(0)
            .current_dir(folder)
            .args(arguments)
            .arg("--exit-with-stdin")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().context("The log")?)
            .stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("The {name} could not be started"))?);
        Ok(())
    }

    /// Waits until it answers that it is ready.
    ///
    /// # Errors
    /// When it does not become ready; the end of its log is part of the error.
    pub(crate) async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let url = format!("http://{}/readyz", self.start.health);
        let started = Instant::now();
        loop {
            if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            let name = &self.start.name;
            let child = self.child.as_mut().with_context(|| format!("The {name} does not run"))?;
            if let Some(status) = child.try_wait().with_context(|| format!("The {name} cannot be waited for"))? {
                bail!("The {name} ended with {status}:\n{}", self.log_tail());
            }
            if started.elapsed() > START_TIMEOUT {
                bail!("The {name} is not ready after {START_TIMEOUT:?}:\n{}", self.log_tail());
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

    /// Stops it where it stands, with SIGSTOP.
    ///
    /// # Errors
    /// While it does not run.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// While it does not run.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid()?).ok().and_then(Pid::from_raw).context("A process id")?;
        kill_process(pid, signal).with_context(|| format!("The {} cannot be signalled", self.start.name))
    }

    /// Asks it to stop and waits until it has; kills it when that takes too long.
    ///
    /// # Errors
    /// When it had to be killed, or ended with anything but 0.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        if self.child.is_none() {
            return Ok(());
        }
        self.signal(Signal::TERM)?;
        let (told, name) = (Instant::now(), self.start.name.clone());
        while told.elapsed() < STOP_TIMEOUT {
            let Some(child) = &mut self.child else { return Ok(()) };
            match child.try_wait().with_context(|| format!("The {name} cannot be waited for"))? {
                Some(status) if status.success() => {
                    self.child = None;
                    return Ok(());
                }
                Some(status) => bail!("The {name} ended with {status}:\n{}", self.log_tail()),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        self.kill();
        bail!("The {name} did not stop within {STOP_TIMEOUT:?}:\n{}", self.log_tail())
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// Its process id.
    ///
    /// # Errors
    /// While it does not run.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        let child = self.child.as_ref();
        Ok(child.with_context(|| format!("The {} does not run", self.start.name))?.id())
    }

    fn log_path(&self) -> PathBuf {
        log_path(&self.start.folder, &self.start.name)
    }

    /// The end of what it logged.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL)..]).into_owned()
    }
}

fn log_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{}.log", name.replace(' ', "-")))
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A listener on a port that was free, to be dropped just before the server takes it.
pub(crate) fn free_port() -> anyhow::Result<TcpListener> {
    (0..1000)
        .find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, rand::random_range(PORTS))).ok())
        .context("No free port was found on 127.0.0.1")
}

/// So many different addresses with free ports.
pub(crate) fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let listeners = (0..N).map(|_| free_port()).collect::<anyhow::Result<Vec<_>>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    Ok(addresses.try_into().expect("as many as were asked for"))
}

/// In the child: ends this process as soon as its standard input does, which is when whoever started it has ended. What
/// was answered "sent" is on disk at any moment, so nothing has to be finished.
pub(crate) fn exit_with_stdin() {
    std::thread::spawn(|| {
        // Nothing is ever written to it; an error is an end as well.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    });
}
