//! A child process that cannot outlive this one, also when this one is killed with -9.
//!
//! The child is first a shell, which leaves a watcher behind and then becomes the program (`exec`), so that the id of the
//! child is the program's. The watcher reads a pipe whose only other end is here, and kills the child's process group
//! when that end closes. The watcher belongs to the group itself, which is why the group's id cannot have been given to
//! anybody else by then, however long the program has been dead.
//!
//! No `unsafe`, and nothing that only Linux has.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How often a level is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A folder that the watcher removes after the program has been killed.
const WIPE: &str = "ENGINES_LEASH_WIPE";
/// If the program is frozen when its owner dies, the system sends the whole group SIGHUP (a group without a parent, with a
/// stopped member), which would end the watcher before it did its work: it heeds no signal but SIGKILL.
///
/// The folder is removed in a second attempt as well: a program that was just killed may have finished a write meanwhile.
const SCRIPT: &str = r#"exec 3<&0 </dev/null
(
  trap "" HUP INT QUIT TERM
  while read -r _ <&3; do :; done
  kill -9 $$
  if [ -n "$ENGINES_LEASH_WIPE" ]; then rm -rf -- "$ENGINES_LEASH_WIPE" || { sleep 1; rm -rf -- "$ENGINES_LEASH_WIPE"; }; fi
  kill -9 0
) >/dev/null 2>&1 &
exec "$@" 3<&-"#;

/// A command that will run on a leash. Arguments, environment and folder may be added; the standard streams are set here.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "leash"]).arg(program).env_remove(WIPE);
    command
}

/// A running program on a leash. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Leashed {
    child: Child,
    pid: Pid,
    /// Once the child has been waited for its id may be somebody else's.
    ended: Option<ExitStatus>,
}

impl Leashed {
    /// Starts what [`command`] made; what it prints is appended to the file `log`. The folder `wipe` goes when the program
    /// is let go.
    pub(crate) fn spawn(mut command: Command, log: &Path, wipe: Option<&Path>) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(log).with_context(|| format!("The log {log:?}"))?;
        if let Some(folder) = wipe {
            command.env(WIPE, folder);
        }
        command.stdin(Stdio::piped()).stdout(log.try_clone().context("The log")?).stderr(log).process_group(0);
        let child = command.spawn().context("No child process could be started")?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("A process id")?;
        Ok(Self { child, pid, ended: None })
    }

    /// The program's process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, if it has.
    pub(crate) fn try_wait(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().context("A child process cannot be waited for")?;
        }
        Ok(self.ended)
    }

    /// How it ended, if it does within `limit`.
    pub(crate) async fn wait(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let since = Instant::now();
        loop {
            match self.try_wait()? {
                None if since.elapsed() < limit => tokio::time::sleep(LOOK_EVERY).await,
                seen => return Ok(seen),
            }
        }
    }

    /// Sends the program, and only it, a signal.
    pub(crate) fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        anyhow::ensure!(self.try_wait()?.is_none(), "The process has ended");
        kill_process(self.pid, signal).context("The process cannot be signalled")
    }
}

impl Drop for Leashed {
    /// Ends the program and all of its group with SIGKILL, the watcher too, and waits for it.
    fn drop(&mut self) {
        // The watcher keeps the group's id from being given to others, also when the program ended long ago; both fail only if
        // everything has ended, which is what was wanted.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Runs a command line in a shell when this process ends, however it ends. The answer keeps it from running.
pub(crate) fn at_end(line: &str) -> anyhow::Result<Child> {
    let script = format!("trap '' HUP INT QUIT TERM; while read -r _; do :; done; {line}");
    Command::new("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("No child process could be started")
}
