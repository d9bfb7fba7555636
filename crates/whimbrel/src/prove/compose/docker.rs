//! The `docker` command line: one command, bounded, and what it printed.
//!
//! Commands run in a process group of their own, so that an interrupt at the keyboard is this program's alone and no
//! command ends half done.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A command that has not ended after so long is given up.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a command printed that ended well.
pub(super) struct Printed {
    pub(super) out: String,
    pub(super) err: String,
}

/// Runs `docker` with these arguments.
///
/// # Errors
/// When there is no such program, or it fails, or does not end.
pub(super) async fn docker(arguments: &[&str]) -> anyhow::Result<Printed> {
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut command = command("docker");
    command.args(arguments).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?);
    let mut child = Running(spawn(&mut command)?);
    let what = format!("docker {}", arguments.first().unwrap_or(&""));
    let began = Instant::now();
    let status = loop {
        match child.0.try_wait().with_context(|| format!("{what} cannot be waited for"))? {
            Some(status) => break status,
            None if began.elapsed() > TIMEOUT => bail!("{what} does not end within {TIMEOUT:?}"),
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    let printed = Printed { out: text(&mut out)?, err: text(&mut err)? };
    if !status.success() {
        bail!("{what}: {}", printed.err.trim());
    }
    Ok(printed)
}

/// A program in a process group of its own.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.process_group(0);
    command
}

/// Starts it, and says what is missing if it is not there.
pub(super) fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!(
            "The program {program} is not on this machine's PATH; --compose needs Docker's command line (`docker`), and \
             prove --cluster without --compose needs no Docker"
        ),
        _ => anyhow::Error::new(error).context(format!("{program} could not be started")),
    })
}

/// All that was written into a file.
pub(super) fn text(file: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Ended when it is dropped: nobody waits for what it would print.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_what_to_do_without_it() {
        let error = spawn(&mut command("docker-that-nobody-has")).expect_err("nobody has it").to_string();
        assert!(error.contains("docker-that-nobody-has is not on this machine's PATH"), "{error}");
        assert!(error.contains("without --compose"), "{error}");
    }
}
