//! The end of a server. Each step waits for the one before it, and all together for no longer than
//! `process.stop_within`: what was answered "sent" is on disk already, and clients send the rest again.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use super::Standalone;
use crate::roles::in_time;

impl Standalone {
    /// Stops politely. An error says that the database was not closed in order; nothing is lost by it.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let began = Instant::now();
        let deadline = began + self.stop_within;
        let Self { roles, tasks, stop_within, folder, .. } = self;

        // Load balancers look elsewhere, clients are told to move and leave.
        roles.api.drain();
        roles.connector.drain(stop_within / 2).await;
        tasks.stop_retention.cancel();
        in_time("retention", deadline, tasks.retention).await;
        // Requests under way are answered, and what they changed is told.
        tasks.stop_api.cancel();
        in_time("requests under way", deadline, tasks.api).await;
        // What was let in is placed and answered.
        in_time("messages under way", deadline, roles.transfer.stop()).await;
        // The log runs dry, and its consumer ends by itself.
        whimbrel_store::Log::close(&roles.log);
        if !in_time("the log", deadline, tasks.archiver).await {
            tasks.stop_archiver.cancel();
        }
        // Never in the middle of a commit, however late it is: the write-ahead log is moved into the database.
        let closed = tokio::time::timeout(stop_within.max(Duration::from_secs(5)), roles.store.close()).await;
        closed.context("The database did not close in time")?.context("The database was not closed in order")?;
        folder.release();
        tracing::info!(ms = began.elapsed().as_millis() as u64, "stopped");
        Ok(())
    }
}
