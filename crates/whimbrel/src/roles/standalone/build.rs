//! The roles of one process and the engines under them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use whimbrel_api::ApiRole;
use whimbrel_archiver::{Archiver, Retention};
use whimbrel_connector::Connector;
use whimbrel_core::{ConnectorId, TransferId};
use whimbrel_rpc::peers::OnlyConnector;
use whimbrel_rpc::token::TokenKey;
use whimbrel_store::keyring::Keyring;
use whimbrel_store::memory::{MemoryLog, MemoryLogConfig, MemoryUserStatus};
use whimbrel_store::sqlite::SqliteStore;
use whimbrel_transfer::TransferRole;

use crate::config::Config;
use crate::house::master_key;
use crate::roles::{REFRESH, TOKENS};

/// The roles that others hold on to, and what is closed after them.
pub(super) struct Roles {
    pub(super) connector: Connector,
    pub(super) transfer: Arc<TransferRole>,
    pub(super) api: ApiRole,
    pub(super) log: MemoryLog,
    pub(super) store: SqliteStore,
}

/// Everything but the doors. `ended` is cancelled when the server is no longer whole.
pub(super) async fn build(
    config: &Config,
    api: whimbrel_api::Config,
    metrics_handle: PrometheusHandle,
    ended: CancellationToken,
) -> anyhow::Result<(Roles, Archiver, Retention)> {
    let keyring = Arc::new(master_key::keyring(&config.master_key, &config.data.folder)?);
    let store = open_store(config, keyring.clone()).await?;
    let engine = Arc::new(store.clone());
    let log = MemoryLog::new(MemoryLogConfig::default());
    let tokens = Arc::new(TokenKey::new(&keyring.derive(TOKENS)));

    let id = ConnectorId::generate();
    let connector = Connector::new(config.connector.clone(), id, tokens.clone());
    let status = Arc::new(MemoryUserStatus::new());
    let stores = whimbrel_transfer::Stores {
        log: Arc::new(log.clone()),
        timeline: engine.clone(),
        directory: engine.clone(),
        groups: engine.clone(),
        presences: engine.clone(),
        status: status.clone(),
    };
    let peers = Arc::new(OnlyConnector::new(id, connector.push()));
    let transfer = TransferRole::new(config.transfer.clone(), TransferId::generate(), stores, peers);
    let archiver = Archiver::new(config.archiver.clone(), Arc::new(log.clone()), engine.clone(), transfer.clone());
    let mut retention = Retention::new(
        config.archiver.retention.clone(),
        engine.clone(),
        engine.clone(),
        engine.clone(),
        transfer.clone(),
    );
    if config.transfer.bodies_readable {
        retention = retention.taking_up(engine.clone());
    }
    let ready = Arc::new(move || match ended.is_cancelled() {
        true => Err("a role has ended".to_owned()),
        false => Ok(()),
    });
    let levels = log.clone();
    let render = Arc::new(move || {
        metrics::gauge!("whimbrel_log_records").set(levels.len() as f64);
        metrics_handle.render()
    });
    let refresh = keyring.derive(REFRESH);
    let blobs = super::super::blobs(config).await?;
    let stores = whimbrel_api::Stores::one(engine, status, blobs);
    let api = ApiRole::new(api, stores, transfer.clone(), tokens, refresh, ready, render)?;
    Ok((Roles { connector, transfer, api, log, store }, archiver, retention))
}

/// Opening may migrate, which blocks.
async fn open_store(config: &Config, keyring: Arc<Keyring>) -> anyhow::Result<SqliteStore> {
    let (folder, sqlite) = (config.data.folder.clone(), config.database.clone());
    let open = move || SqliteStore::open(Path::new(&folder), keyring, sqlite);
    tokio::task::spawn_blocking(open).await?.context("The database cannot be opened")
}
