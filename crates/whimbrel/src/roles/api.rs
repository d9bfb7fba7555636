//! The API role: REST for accounts, devices, relations, groups, settings and files.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use whimbrel_api::{ApiRole, Stores, TlsSource};
use whimbrel_rpc::grpc::Announcer;
use whimbrel_store::redis::{RedisUserStatus, RoleName};

use super::base::{Base, redis};
use crate::config::flags::ConfigFlags;
use crate::house::{descriptors, tls};

/// `whimbrel api`: runs until a signal.
pub(crate) async fn run(flags: &ConfigFlags) -> anyhow::Result<ExitCode> {
    let base = Base::begin(RoleName::Api, flags)?;
    let config = &base.config;
    let certificate = tls::open(&config.tls)?;
    let api_config = super::api_config(config)?;
    descriptors::make_room_up_to(config.api.connections_max as u64);
    let listener: TcpListener = super::bind("http.listen", config.http.address)?;
    let http_addr = listener.local_addr()?;

    let store = Arc::new(base.database().await?);
    let announcer = Announcer::of_api(base.security.clone());
    let list = announcer.clone();
    let following = base.follow_transfers(move |transfers| list.set(transfers));
    let status = Arc::new(RedisUserStatus::new(redis(config)).context("redis.url cannot be used")?);
    let figures = base.metrics.clone();
    let render = Arc::new(move || figures.render());
    let api = ApiRole::new(
        api_config,
        Stores::one(store.clone(), status, super::blobs(config).await?),
        announcer,
        base.tokens(),
        base.refresh_secret(),
        Arc::new(|| Ok(())),
        render,
    )?;
    let membership = base.roster.join(base.member(Uuid::new_v4(), http_addr.to_string()));
    let tls = certificate.filter(|_| config.http.tls);
    let tls = tls.map(|certificate| -> TlsSource { Arc::new(move || certificate.current()) });
    let (serving, stop_serving) = (api.clone(), CancellationToken::new());
    let stopping = stop_serving.clone();
    let serve = tokio::spawn(async move { serving.serve(listener, tls, stopping).await });
    base.ready(&[("REST", http_addr.to_string())]);

    base.stop.cancelled().await;
    let deadline = tokio::time::Instant::now() + config.process.stop_within;
    api.drain();
    membership.leave().await;
    stop_serving.cancel();
    super::in_time("requests under way", deadline, serve).await;
    following.abort();
    store.close().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
