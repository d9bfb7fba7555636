//! Is it alive, is it ready, what does it count.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::MetricsAccess;
use crate::error::{ApiError, Code};
use crate::net::is_local;
use crate::shared::App;

/// A store that answers later than this is not ready.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    status: &'static str,
}

/// Is the process alive?
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, description = "It is.", body = Health, example = json!({"status": "alive"}))))]
pub(crate) async fn alive() -> Json<Health> {
    Json(Health { status: "alive" })
}

/// Is the server ready for requests?
///
/// Not while the store does not answer, and not once the server is about to stop.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, description = "It is.", body = Health, example = json!({"status": "ready"}))),
    extensions(("x-error-codes" = json!(["unavailable"]))))]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    // Whoever asks is told what is missing in the server's own words only.
    let missing = |what: String| ApiError::new(Code::Unavailable).says(what);
    if app.draining.load(Ordering::Relaxed) {
        return Err(missing("the server is stopping".to_owned()));
    }
    (app.outside.ready)().map_err(missing)?;
    match tokio::time::timeout(PING_TIMEOUT, app.directory().ping()).await {
        Ok(Ok(())) => Ok(Json(Health { status: "ready" })),
        Ok(Err(error)) => Err(ApiError::from(error).says("the store is away")),
        Err(_) => Err(missing("the store does not answer".to_owned())),
    }
}

/// The figures, in Prometheus' text format
///
/// For this machine, unless the deployment shows them to everyone.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "The figures.", body = String, content_type = "text/plain",
        example = "whimbrel_api_requests_total{method=\"GET\",path=\"/v1/me\",status=\"200\"} 17")),
    extensions(("x-error-codes" = json!(["forbidden"]))))]
pub(crate) async fn metrics(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let local = is_local(request.extensions(), request.headers());
    match local || app.config.metrics == MetricsAccess::Everyone {
        true => Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (app.outside.metrics)()).into_response()),
        false => Err(Code::Forbidden.into()),
    }
}
