//! The transfer role: decides what happens to a message. The other roles connect to it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use whimbrel_core::TransferId;
use whimbrel_rpc::grpc::{self, Limits, Streams};
use whimbrel_store::rabbit::RabbitLog;
use whimbrel_store::redis::{RedisUserStatus, RoleName};
use whimbrel_transfer::{Stores, TransferRole};

use super::base::{Base, advertised, redis};
use super::{PARTITIONS, rabbit};
use crate::config::flags::ConfigFlags;

/// `whimbrel transfer`: runs until a signal.
pub(crate) async fn run(flags: &ConfigFlags) -> anyhow::Result<ExitCode> {
    let base = Base::begin(RoleName::Transfer, flags)?;
    let config = &base.config;
    let listener = TcpListener::bind(config.places.transfer_listen)
        .await
        .with_context(|| format!("transfer.listen: {} cannot be listened on", config.places.transfer_listen))?;
    let here = listener.local_addr()?;
    let address = advertised(config, here)?;

    let serving = Arc::new(AtomicBool::new(false));
    let is_serving = serving.clone();
    let ready = Arc::new(move || match is_serving.load(Ordering::Relaxed) {
        true => Ok(()),
        false => Err("it is starting or stopping".to_owned()),
    });
    let health = base.health("transfer.health", config.places.transfer_health, ready).await?;

    let id = TransferId::generate();
    let log = Arc::new(RabbitLog::open(rabbit(config, &format!("transfer {id}"))).await.context("rabbitmq.url")?);
    let store = Arc::new(base.database().await?);
    let status = Arc::new(RedisUserStatus::new(redis(config)).context("redis.url cannot be used")?);
    let streams = Streams::new(id, Limits::default());
    let stores = Stores {
        log: log.clone(),
        timeline: store.clone(),
        directory: store.clone(),
        groups: store.clone(),
        presences: store.clone(),
        status,
    };
    let role = TransferRole::new(config.transfer.clone(), id, stores, streams.clone());
    let stop_serving = CancellationToken::new();
    let serve = grpc::serve(listener, base.security.clone(), streams, role.clone(), role.clone(), stop_serving.clone());
    let serve = tokio::spawn(serve);
    let mut member = base.member(Uuid::from_bytes(*id.as_bytes()), address.clone());
    member.detail.insert(PARTITIONS.to_owned(), config.engines.rabbit_partitions.to_string());
    let membership = base.roster.join(member);
    serving.store(true, Ordering::Relaxed);
    base.ready(&[("roles", address), ("health", health.to_string()), ("id", id.to_string())]);

    base.stop.cancelled().await;
    let deadline = tokio::time::Instant::now() + config.process.stop_within;
    serving.store(false, Ordering::Relaxed);
    // Others stop choosing this transfer; what it has let in is placed and answered while its streams still stand.
    membership.leave().await;
    role.begin_stop();
    stop_serving.cancel();
    super::in_time("the streams of other roles", deadline, serve).await;
    super::in_time("messages under way", deadline, role.stop()).await;
    whimbrel_store::Log::close(&*log);
    store.close().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
