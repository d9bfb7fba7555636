//! The small door of a role that has no REST of its own: /healthz, /readyz and /metrics.
//!
//! Meant for probes and for Prometheus: few connections, short requests, nothing that changes anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whimbrel_api::MetricsAccess;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// How long a request's head may take, and how long a connection lasts altogether.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the loop rests when a connection cannot be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether the role can do its work; an error says what is missing.
pub(crate) type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Who may read what.
#[derive(Clone)]
pub(crate) struct Admin {
    /// Asked by /readyz.
    pub(crate) ready: Ready,
    /// Renders the figures.
    pub(crate) metrics: PrometheusHandle,
    /// Who may read them.
    pub(crate) access: MetricsAccess,
}

/// Listens there. `key`: the configuration's name for the address.
pub(crate) async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key}: {address} cannot be listened on; choose another, or stop what uses it"))
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, admin: Admin) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = places.clone().acquire_owned().await.expect("never closed");
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(connection(stream, peer, admin.clone(), place))),
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, admin: Admin, _place: OwnedSemaphorePermit) {
    let service = TowerToHyperService::new(router(admin, peer));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(16 * 1024);
    // Whoever is too slow, or speaks something else, is not worth a line.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, server.serve_connection(TokioIo::new(stream), service)).await;
}

fn router(admin: Admin, peer: SocketAddr) -> Router {
    let Admin { ready, metrics, access } = admin;
    let shown = access == MetricsAccess::Everyone || peer.ip().to_canonical().is_loopback();
    Router::new()
        .route("/healthz", get(|| async { say(StatusCode::OK, "alive") }))
        .route(
            "/readyz",
            get(|| async move {
                match ready() {
                    Ok(()) => say(StatusCode::OK, "ready"),
                    Err(missing) => say(StatusCode::SERVICE_UNAVAILABLE, &missing),
                }
            }),
        )
        .route(
            "/metrics",
            get(move || async move {
                match shown {
                    true => ([("content-type", "text/plain; version=0.0.4")], metrics.render()).into_response(),
                    false => say(StatusCode::FORBIDDEN, "metrics are for this machine; see http.metrics"),
                }
            }),
        )
}

fn say(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(json!({ "status": text }))).into_response()
}
