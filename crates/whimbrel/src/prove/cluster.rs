//! Doubting a cluster: private engines and two processes of each role, and one fault after another.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::ProgressBar;

use super::stage::Stage;
use super::trouble::{CUT, FROZEN, History, Planned, Trouble};
use super::{Doors, show};
use crate::local::cluster::{PrivateCluster, Shape};
use crate::local::process::Process;

/// How often the count of answers is looked at, for the longest silence.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long an older snapshot of Redis gets to become old.
const SNAPSHOT_AGE: Duration = Duration::from_secs(3);
/// How often an archiver is looked for that stands in a transaction.
const CATCHES: usize = 200;

/// Starts a cluster with two processes of each role.
pub(super) async fn start(folder: &Path) -> anyhow::Result<PrivateCluster> {
    let shape = Shape { connectors: 2, transfers: 2, archivers: 2, apis: 2, relays: true, settings: Vec::new() };
    PrivateCluster::start(folder, &shape).await
}

/// Where its clients and its REST are.
pub(super) fn doors(cluster: &PrivateCluster) -> Doors {
    Doors { clients: cluster.clients().to_string(), api: cluster.api(), admin_key: cluster.admin_key().to_owned() }
}

/// The load and the faults, until `duration` has passed; what became of them, and what should not have happened.
pub(super) async fn load(
    planned: &[Planned],
    duration: Duration,
    cluster: &mut PrivateCluster,
    stage: &Stage,
    bar: &ProgressBar,
) -> anyhow::Result<(History, Vec<String>)> {
    let world = &stage.world;
    let (mut history, mut wrong) = (History::new(), Vec::new());
    let mut last: Option<(Trouble, Silence<'_>)> = None;
    for Planned { trouble, pause, down, which } in planned {
        let next = Instant::now() + *pause;
        watch(&mut last, next.min(world.began + duration), stage, bar).await;
        note(&mut history, last.take());
        if world.began.elapsed() >= duration {
            break;
        }
        let mut silence = Silence::begin(stage);
        {
            let causing = cause(cluster, *trouble, *which, *down);
            tokio::pin!(causing);
            loop {
                tokio::select! {
                    done = &mut causing => break done.with_context(|| format!("{trouble}"))?,
                    () = tokio::time::sleep(LOOK_EVERY) => {
                        silence.look();
                        show(bar, stage, &format!("fault {}: {trouble}", history.values().map(|p| p.count).sum::<usize>() + 1));
                    }
                }
            }
        }
        wrong.extend(cluster.ended());
        last = Some((*trouble, silence));
    }
    watch(&mut last, world.began + duration, stage, bar).await;
    note(&mut history, last);
    Ok((history, wrong))
}

/// Waits until then, and looks.
async fn watch(last: &mut Option<(Trouble, Silence<'_>)>, until: Instant, stage: &Stage, bar: &ProgressBar) {
    while Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some((_, silence)) = last {
            silence.look();
        }
        show(bar, stage, "no fault");
    }
}

fn note(history: &mut History, last: Option<(Trouble, Silence<'_>)>) {
    if let Some((trouble, silence)) = last {
        let passed = history.entry(trouble).or_default();
        passed.count += 1;
        passed.silence = passed.silence.max(silence.longest);
    }
}

/// The longest time without anybody being answered SENT.
struct Silence<'a> {
    stage: &'a Stage,
    sent: u64,
    since: Instant,
    longest: Duration,
}

impl<'a> Silence<'a> {
    fn begin(stage: &'a Stage) -> Self {
        let sent = stage.world.sent.load(Ordering::Relaxed);
        Self { stage, sent, since: Instant::now(), longest: Duration::ZERO }
    }

    fn look(&mut self) {
        let sent = self.stage.world.sent.load(Ordering::Relaxed);
        self.longest = self.longest.max(self.since.elapsed());
        if sent != self.sent {
            (self.sent, self.since) = (sent, Instant::now());
        }
    }
}

/// Does it, and undoes it.
async fn cause(cluster: &mut PrivateCluster, trouble: Trouble, which: usize, down: Duration) -> anyhow::Result<()> {
    match trouble {
        Trouble::KillConnector => kill(&mut cluster.connectors, which, down).await,
        Trouble::KillTransfer => kill(&mut cluster.transfers, which, down).await,
        Trouble::KillArchiver => kill(&mut cluster.archivers, which, down).await,
        Trouble::KillApi => kill(&mut cluster.apis, which, down).await,
        Trouble::KillRedis => {
            cluster.redis.kill();
            tokio::time::sleep(down).await;
            cluster.redis.restart().await
        }
        Trouble::KillRabbit => {
            cluster.rabbit.kill();
            tokio::time::sleep(down).await;
            cluster.rabbit.restart().await
        }
        Trouble::KillSql => {
            cluster.sql.kill();
            tokio::time::sleep(down).await;
            cluster.sql.restart().await
        }
        Trouble::FlushRedis => cluster.redis.flush_all().await,
        Trouble::RestoreRedis => {
            let snapshot = cluster.redis.save().await?;
            tokio::time::sleep(SNAPSHOT_AGE + down).await;
            cluster.redis.restore_snapshot(&snapshot).await
        }
        Trouble::FreezeTransfer => {
            let process = &cluster.transfers[which % cluster.transfers.len()];
            process.freeze()?;
            tokio::time::sleep(FROZEN).await;
            process.thaw()
        }
        Trouble::FreezeArchiver => freeze_in_transaction(cluster, which).await,
        Trouble::Cut => {
            let pid = cluster.connectors[which % cluster.connectors.len()].pid()?;
            let relay = &cluster.relays[which / 2 % cluster.relays.len()];
            relay.cut(Some(pid));
            tokio::time::sleep(CUT).await;
            relay.cut(None);
            Ok(())
        }
    }
}

async fn kill(role: &mut [Process], which: usize, down: Duration) -> anyhow::Result<()> {
    let count = role.len();
    let process = &mut role[which % count];
    process.kill();
    tokio::time::sleep(down).await;
    process.launch().await
}

/// Freezes archivers for a moment until one is found that has written and not committed; that one stays frozen.
async fn freeze_in_transaction(cluster: &mut PrivateCluster, which: usize) -> anyhow::Result<()> {
    let database = crate::local::look::Database::open(&cluster.database_url()).await?;
    for catch in 0..CATCHES {
        let process = &cluster.archivers[(which + catch) % cluster.archivers.len()];
        process.freeze()?;
        if database.has_open_changes().await? || catch + 1 == CATCHES {
            tokio::time::sleep(FROZEN).await;
            return process.thaw();
        }
        process.thaw()?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
