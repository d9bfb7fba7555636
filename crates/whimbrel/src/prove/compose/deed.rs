//! What of a plan can be done to containers, and by which commands. Pure, but for the shell that does it.
//!
//! A deed and its undoing are one shell: it does the deed, waits until its standard input ends, and undoes it. So a
//! container comes back whether this program goes on, fails, is interrupted or is killed, and never before the deed is
//! done.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::super::trouble::Trouble;
use super::docker::{command, spawn, text};

/// Docker does and undoes a deed within this.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often the shell is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What the shell prints once the deed is done, and when it could not be done.
const DONE: &str = "done\n";
const FAILED: &str = "failed\n";

/// What is done to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// SIGKILL; then it is started.
    Kill,
    /// All its processes stand still; then they go on.
    Pause,
    /// Redis is emptied.
    Flush,
}

/// Which service a fault is done to, and what; or why it cannot be done to containers.
pub(super) fn deed(trouble: Trouble) -> Result<(&'static str, Deed), &'static str> {
    match trouble {
        Trouble::KillConnector => Ok(("connector", Deed::Kill)),
        Trouble::KillTransfer => Ok(("transfer", Deed::Kill)),
        Trouble::KillArchiver => Ok(("archiver", Deed::Kill)),
        Trouble::KillApi => Ok(("api", Deed::Kill)),
        Trouble::KillRedis => Ok(("redis", Deed::Kill)),
        Trouble::KillRabbitmq => Ok(("rabbitmq", Deed::Kill)),
        Trouble::KillDatabase => Ok(("mysql", Deed::Kill)),
        Trouble::FlushRedis => Ok(("redis", Deed::Flush)),
        Trouble::FreezeTransfer => Ok(("transfer", Deed::Pause)),
        Trouble::FreezeArchiver => Ok(("archiver", Deed::Pause)),
        Trouble::RestoreRedis => {
            Err("the project's Redis keeps its data in memory only, so there is no snapshot to restore")
        }
        Trouble::Cut => {
            Err("Docker cuts a container off from a network and all that is in it, not from one other container")
        }
    }
}

/// The shell for one container, which is its `$0`.
fn shell(deed: Deed, id: &str) -> Option<Command> {
    let (does, undoes) = match deed {
        Deed::Kill => ("docker kill --signal KILL", "docker start"),
        Deed::Pause => ("docker pause", "docker unpause"),
        Deed::Flush => return None,
    };
    // Whoever closes the terminal or ends the group must not end what brings the container back.
    let script = format!(
        "trap '' HUP INT TERM\n\
         exec 3>&2\n\
         if {does} \"$0\" </dev/null >/dev/null 2>&3; then echo done; else echo failed; fi\n\
         cat >/dev/null\n\
         {undoes} \"$0\" </dev/null >/dev/null 2>&3"
    );
    let mut shell = command("sh");
    shell.args(["-c", &script, id]);
    Some(shell)
}

/// A deed that is done and not undone. Dropping it undoes it, and waits for that.
pub(super) struct Done {
    shell: Child,
    complaints: File,
}

impl Done {
    /// Does it to the container with this id.
    ///
    /// # Errors
    /// When Docker cannot; the container is then as it was, or comes back.
    pub(super) async fn begin(deed: Deed, id: &str) -> anyhow::Result<Self> {
        Self::follow(shell(deed, id).context("This deed has no undoing")?).await
    }

    async fn follow(mut shell: Command) -> anyhow::Result<Self> {
        let (said, complaints) = (tempfile::tempfile()?, tempfile::tempfile()?);
        shell.stdin(Stdio::piped()).stdout(said.try_clone()?).stderr(complaints.try_clone()?);
        let mut done = Self { shell: spawn(&mut shell)?, complaints };
        let began = Instant::now();
        loop {
            match heard(&said)?.as_str() {
                DONE => return Ok(done),
                FAILED => bail!("{}", text(&mut done.complaints)?.trim()),
                _ if began.elapsed() > TIMEOUT => bail!("Docker does not do it within {TIMEOUT:?}"),
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Undoes it.
    ///
    /// # Errors
    /// When Docker cannot.
    pub(super) async fn undo(mut self) -> anyhow::Result<()> {
        drop(self.shell.stdin.take());
        let began = Instant::now();
        let status = loop {
            match self.shell.try_wait().context("The shell cannot be waited for")? {
                Some(status) => break status,
                None if began.elapsed() > TIMEOUT => bail!("Docker does not undo it within {TIMEOUT:?}"),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        };
        if !status.success() {
            bail!("{}", text(&mut self.complaints)?.trim());
        }
        Ok(())
    }
}

impl Drop for Done {
    /// It blocks: the program is about to end, and says when it does that everything runs again.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let began = Instant::now();
        while matches!(self.shell.try_wait(), Ok(None)) && began.elapsed() < TIMEOUT {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// What the shell has said so far; its place in the file is the shell's own, so it is read from the beginning.
fn heard(said: &File) -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    let count = said.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn containers_permit_ten_kinds_of_faults_and_the_others_say_why_not() {
        let (can, cannot): (Vec<_>, Vec<_>) = Trouble::ALL.into_iter().partition(|trouble| deed(*trouble).is_ok());
        assert_eq!(can.len(), 10);
        assert_eq!(cannot, [Trouble::RestoreRedis, Trouble::Cut]);
    }

    /// A `docker` of the test's own, which writes down what it is told; `kill` of the container "stubborn" fails.
    struct Fake(tempfile::TempDir);

    impl Fake {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("docker");
            let script = "#!/bin/sh\necho \"$@\" >>\"$0.log\"\n\
                          case \"$*\" in kill*stubborn) echo 'it does not die' >&2; exit 1;; esac\n";
            std::fs::write(&path, script).expect("a file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
            Self(folder)
        }

        async fn done(&self, deed: Deed, id: &str) -> anyhow::Result<Done> {
            let mut shell = shell(deed, id).expect("it is undone");
            let path = std::env::var("PATH").expect("a PATH");
            shell.env("PATH", format!("{}:{path}", self.0.path().display()));
            Done::follow(shell).await
        }

        fn told(&self) -> Vec<String> {
            let log = std::fs::read_to_string(self.0.path().join("docker.log")).expect("it was told something");
            log.lines().map(str::to_owned).collect()
        }
    }

    #[tokio::test]
    async fn a_deed_is_done_at_once_and_undone_when_it_is_time() {
        let fake = Fake::new();
        let done = fake.done(Deed::Kill, "abc").await.expect("it is done");
        assert_eq!(fake.told(), ["kill --signal KILL abc"]);
        done.undo().await.expect("it is undone");
        assert_eq!(fake.told(), ["kill --signal KILL abc", "start abc"]);
    }

    /// An interruption and an error drop it.
    #[tokio::test]
    async fn a_deed_is_undone_when_it_is_dropped() {
        let fake = Fake::new();
        drop(fake.done(Deed::Pause, "abc").await.expect("it is done"));
        assert_eq!(fake.told(), ["pause abc", "unpause abc"]);
    }

    /// It may have been done by half.
    #[tokio::test]
    async fn a_deed_that_failed_is_undone_and_says_why() {
        let fake = Fake::new();
        let error = fake.done(Deed::Kill, "stubborn").await.err().expect("it fails").to_string();
        assert_eq!(error, "it does not die");
        assert_eq!(fake.told(), ["kill --signal KILL stubborn", "start stubborn"]);
        assert!(shell(Deed::Flush, "abc").is_none(), "what is flushed comes back by itself");
    }
}
