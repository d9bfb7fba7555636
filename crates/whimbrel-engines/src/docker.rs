//! A server in a container, where a Docker engine answers.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::leash;

/// An engine that does not answer within this is none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// An image may have to be fetched first.
const RUN_TIMEOUT: Duration = Duration::from_secs(300);

/// True if an engine answers.
pub(crate) async fn answers() -> bool {
    docker(&["info", "--format", "{{.ServerVersion}}"], ANSWER_TIMEOUT).await.is_ok_and(|version| !version.is_empty())
}

/// Runs `image`, and answers the address on this machine at which its `port` is. It is removed when this process ends.
pub(crate) async fn run(image: &str, port: u16, environment: &[&str]) -> anyhow::Result<String> {
    let publish = format!("127.0.0.1::{port}");
    let mut arguments = vec!["run", "--rm", "--detach", "--publish", &publish];
    for setting in environment {
        arguments.extend(["--env", setting]);
    }
    arguments.push(image);
    let id = docker(&arguments, RUN_TIMEOUT).await?;
    ensure!(!id.is_empty() && id.chars().all(|digit| digit.is_ascii_hexdigit()), "docker run answered {id:?}");
    // The answer is dropped without being waited for only when this process ends, so it is kept for good.
    std::mem::forget(leash::at_end(&format!("docker rm --force --volumes {id}"))?);
    let port = docker(&["port", &id, &format!("{port}/tcp")], ANSWER_TIMEOUT).await?;
    Ok(port.lines().next().context("The container publishes no port")?.to_owned())
}

/// Waits until `probe` succeeds, as a container's server takes its time.
pub(crate) async fn ready<T, F: Future<Output = anyhow::Result<T>>>(
    probe: impl Fn() -> F,
    limit: Duration,
) -> anyhow::Result<T> {
    let since = Instant::now();
    loop {
        match tokio::time::timeout(ANSWER_TIMEOUT, probe()).await.map_err(Into::into).flatten() {
            Err(_) if since.elapsed() < limit => tokio::time::sleep(leash::LOOK_EVERY * 10).await,
            answer => return answer,
        }
    }
}

/// What the docker program prints.
async fn docker(arguments: &[&str], limit: Duration) -> anyhow::Result<String> {
    let folder = tempfile::tempdir().context("A temporary folder")?;
    let (log, mut command) = (folder.path().join("log"), leash::command(Path::new("docker")));
    command.args(arguments).stderr(Stdio::null());
    let mut docker = leash::Leashed::spawn(command, &log, None)?;
    let status = docker.wait(limit).await?;
    let printed = std::fs::read_to_string(&log).unwrap_or_default().trim().to_owned();
    ensure!(status.is_some_and(|status| status.success()), "docker {} failed: {printed}", arguments[0]);
    Ok(printed)
}
