//! The connector role: holds the clients' connections. It reaches transfers and no database; the list of transfers is
//! read here, for it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use whimbrel_connector::Connector;
use whimbrel_core::ConnectorId;
use whimbrel_rpc::grpc::Transfers;
use whimbrel_store::redis::RoleName;

use super::base::Base;
use crate::config;
use crate::config::flags::ConfigFlags;
use crate::house::{descriptors, tls};

/// So long the first renewal of the lease waits for a stream to a transfer.
const FIRST_STREAM_WITHIN: Duration = Duration::from_secs(3);

/// `whimbrel connector`: runs until a signal.
pub(crate) async fn run(flags: &ConfigFlags) -> anyhow::Result<ExitCode> {
    let chosen = config::load(flags)?.is_set("clients.max_connections");
    let base = Base::begin(RoleName::Connector, flags)?;
    let config = &base.config;
    let certificate = tls::open(&config.tls)?;
    let connections = config.connector.max_connections as u64;
    match chosen {
        true => descriptors::make_room(connections),
        false => descriptors::make_room_up_to(connections),
    }
    let clients = super::bind("clients.listen", config.clients.address)?;
    let client_addr = clients.local_addr()?;

    let id = ConnectorId::generate();
    let connector = Connector::new(config.connector.clone(), id, base.tokens());
    let transfers = Transfers::new(id, connector.push(), base.security.clone());
    let (reach, leaving) = (transfers.clone(), Arc::new(AtomicBool::new(false)));
    let is_leaving = leaving.clone();
    let ready = Arc::new(move || match (is_leaving.load(Ordering::Relaxed), reach.reachable()) {
        (true, _) => Err("it is stopping".to_owned()),
        (false, 0) => Err("no transfer is in reach".to_owned()),
        (false, _) => Ok(()),
    });
    let health = base.health("connector.health", config.places.connector_health, ready).await?;
    let list = transfers.clone();
    let following = base.follow_transfers(move |transfers| list.set(transfers));
    let membership = base.roster.join(base.member(Uuid::from_bytes(*id.as_bytes()), client_addr.to_string()));
    first_stream(&transfers, &base.stop).await;
    connector.start(clients, certificate.filter(|_| config.clients.tls), transfers.clone());
    base.ready(&[("clients", client_addr.to_string()), ("health", health.to_string())]);

    base.stop.cancelled().await;
    let deadline = tokio::time::Instant::now() + config.process.stop_within;
    // Load balancers look elsewhere, clients are told to move and leave.
    leaving.store(true, Ordering::Relaxed);
    connector.drain(config.process.stop_within / 2).await;
    super::in_time("the roster", deadline, membership.leave()).await;
    following.abort();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Waits for the first stream, so that nobody is accepted before there is a lease: until then a device's older session
/// elsewhere would count as the one that lives.
async fn first_stream(transfers: &Transfers, stop: &CancellationToken) {
    let open = async {
        while transfers.reachable() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = tokio::time::timeout(FIRST_STREAM_WITHIN, open) => {}
    }
}
