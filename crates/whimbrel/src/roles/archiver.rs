//! The archiver role: gives messages their places.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use whimbrel_archiver::{Archiver, Retention};
use whimbrel_rpc::grpc::Announcer;
use whimbrel_store::rabbit::{RabbitLog, RabbitPark};
use whimbrel_store::redis::RoleName;

use super::base::{Base, follow};
use super::{PARTITIONS, rabbit};
use crate::config::flags::ConfigFlags;

/// `whimbrel archiver`: runs until a signal.
pub(crate) async fn run(flags: &ConfigFlags) -> anyhow::Result<ExitCode> {
    let base = Base::begin(RoleName::Archiver, flags)?;
    let config = &base.config;
    let working = Arc::new(AtomicBool::new(false));
    let is_working = working.clone();
    let ready = Arc::new(move || match is_working.load(Ordering::Relaxed) {
        true => Ok(()),
        false => Err("it is starting or stopping".to_owned()),
    });
    let health = base.health("archiver.health", config.places.archiver_health, ready).await?;

    let id = Uuid::new_v4();
    let log = Arc::new(RabbitLog::open(rabbit(config, &format!("archiver {id}"))).await.context("rabbitmq.url")?);
    let store = Arc::new(base.database().await?);
    let announcer = Announcer::new(base.security.clone());
    let list = announcer.clone();
    let following = base.follow_transfers(move |transfers| list.set(transfers));
    let membership = base.roster.join(base.member(id, String::new()));
    let sharing = share(&base, id, log.clone());
    let park = Arc::new(RabbitPark::new(&log));
    let archiver =
        Archiver::new(config.archiver.clone(), log.clone(), store.clone(), announcer.clone()).with_park(park);
    let stop_archiver = CancellationToken::new();
    let mut retention = Retention::new(
        config.archiver.retention.clone(),
        store.clone(),
        store.clone(),
        store.clone(),
        announcer.clone(),
    );
    if config.transfer.bodies_readable {
        retention = retention.taking_up(store.clone());
    }
    let retaining = tokio::spawn(retention.run(stop_archiver.clone()));
    let archiving = tokio::spawn(archiver.run(stop_archiver.clone()));
    working.store(true, Ordering::Relaxed);
    base.ready(&[("health", health.to_string())]);

    tokio::select! {
        () = base.stop.cancelled() => {}
        () = stopped(&archiving) => {}
    }
    let ended_early = !base.stop.is_cancelled();
    let deadline = tokio::time::Instant::now() + config.process.stop_within;
    working.store(false, Ordering::Relaxed);
    membership.leave().await;
    stop_archiver.cancel();
    super::in_time("the batch under way", deadline, archiving).await;
    super::in_time("retention", deadline, retaining).await;
    sharing.abort();
    following.abort();
    whimbrel_store::Log::close(&*log);
    store.close().await;
    anyhow::ensure!(!ended_early, "The archiver ended by itself, which is a bug");
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Returns when the task has ended.
async fn stopped(task: &tokio::task::JoinHandle<()>) {
    while !task.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// Follows who else archives, and how many partitions the transfers use.
fn share(base: &Base, id: Uuid, log: Arc<RabbitLog>) -> tokio::task::JoinHandle<()> {
    let (archivers, transfers) = (base.roster.watch(RoleName::Archiver), base.roster.watch(RoleName::Transfer));
    tokio::spawn(async move {
        let by_archivers = follow(archivers, |members| {
            let mut ids: Vec<_> = members.iter().map(|member| member.id).collect();
            ids.sort_unstable();
            if let Some(rank) = ids.iter().position(|other| *other == id) {
                log.set_share(rank, ids.len());
            }
        });
        let by_transfers = follow(transfers, |members| {
            let named = members.iter().filter_map(|member| member.detail.get(PARTITIONS)?.parse().ok());
            if let Some(most) = named.max() {
                log.set_partitions_seen(most);
            }
        });
        tokio::join!(by_archivers, by_transfers);
    })
}
