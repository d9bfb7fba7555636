//! A private cluster to doubt: engines and two processes of each role that are this run's own.

use std::path::Path;
use std::time::Duration;

use super::Doors;
use super::cluster::Doubted;
use super::trouble::{CUT, FROZEN, Trouble};
use crate::local::cluster::{PrivateCluster, Shape};
use crate::local::process::Process;

/// How long an older snapshot of Redis gets to become old.
const SNAPSHOT_AGE: Duration = Duration::from_secs(3);
/// How often an archiver is looked for that stands in a transaction.
const CATCHES: usize = 50;

/// Starts a cluster with two processes of each role.
pub(super) async fn start(folder: &Path) -> anyhow::Result<PrivateCluster> {
    let shape = Shape { connectors: 2, transfers: 2, archivers: 2, apis: 2, relays: true, settings: Vec::new() };
    PrivateCluster::start(folder, &shape).await
}

/// Where its clients and its REST are.
pub(super) fn doors(cluster: &PrivateCluster) -> Doors {
    Doors { clients: cluster.clients().to_string(), api: cluster.api(), admin_key: cluster.admin_key().to_owned() }
}

impl Doubted for PrivateCluster {
    async fn cause(&mut self, trouble: Trouble, which: usize, down: Duration) -> anyhow::Result<()> {
        cause(self, trouble, which, down).await
    }

    async fn revive(&mut self) -> anyhow::Result<Vec<String>> {
        PrivateCluster::revive(self).await
    }
}

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
        Trouble::KillRabbitmq => {
            cluster.rabbit.kill();
            tokio::time::sleep(down).await;
            cluster.rabbit.restart().await
        }
        Trouble::KillDatabase => {
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
        // Not the same moment of its work each time.
        tokio::time::sleep(Duration::from_millis(2 + 7 * (catch as u64 % 10))).await;
    }
    Ok(())
}
