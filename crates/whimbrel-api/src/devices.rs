//! The devices of an account: which there are, and logging one out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::DeviceId;
use whimbrel_store::directory::Device;

use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::PathOf;
use crate::shared::{App, now_ms};
use crate::turns::Kind;

/// An installation that is logged in.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
pub(crate) struct DeviceView {
    id: Uuid,
    /// Such as "linux".
    platform: String,
    /// For people.
    name: String,
    /// The one that asks.
    current: bool,
    /// Milliseconds since 1970.
    created_at: u64,
    /// The last log-in or refresh, milliseconds since 1970.
    seen_at: u64,
}

/// The devices of the caller.
#[derive(Serialize, ToSchema)]
pub(crate) struct Devices {
    devices: Vec<DeviceView>,
}

/// A device id, as JSON carries it.
pub(crate) fn uuid_of(device: DeviceId) -> Uuid {
    Uuid::from_bytes(*device.as_bytes())
}

/// The device that somebody names; the nil UUID is nobody's.
pub(crate) fn named(id: Uuid) -> Result<DeviceId, ApiError> {
    match id.is_nil() {
        false => Ok(DeviceId::from_bytes(*id.as_bytes())),
        true => Err(ApiError::invalid("device_id", "the nil UUID names no device")),
    }
}

/// Your devices
#[utoipa::path(get, path = "/v1/devices", operation_id = "list_devices", tag = "devices", security(("access_token" = [])),
    responses((status = 200, description = "The devices that are logged in.", body = Devices, example = json!(
        {"devices": [{"id": "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77", "platform": "linux", "name": "desk",
          "current": true, "created_at": 1790000000000_u64, "seen_at": 1790000500000_u64}]}))))]
pub(crate) async fn list(caller: Caller, State(app): State<App>) -> Result<Json<Devices>, ApiError> {
    let view = |device: Device| {
        let Device { id, platform, name, created_at, seen_at } = device;
        DeviceView { id: uuid_of(id), platform, name, current: id == caller.device, created_at, seen_at }
    };
    let devices = app.directory().devices(caller.user).await?;
    Ok(Json(Devices { devices: devices.into_iter().map(view).collect() }))
}

/// Log one of your devices out
///
/// Its session ends at once, its refresh token is worth nothing, and its access token at most two seconds more.
#[utoipa::path(delete, path = "/v1/devices/{id}", tag = "devices", security(("access_token" = [])),
    params(("id" = String, Path, description = "The device.", example = "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77")),
    responses((status = 204, description = "It is logged out.")),
    extensions(("x-error-codes" = json!(["no_such_device"]))))]
pub(crate) async fn log_out_one(
    caller: Caller,
    State(app): State<App>,
    PathOf(id): PathOf<Uuid>,
) -> Result<StatusCode, ApiError> {
    let device = DeviceId::from_bytes(*id.as_bytes());
    match log_out(&app, &caller, Some(device)).await? {
        0 => Err(Code::NoSuchDevice.into()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Logs out one device or all of the caller's, tells everyone, and says how many were logged in.
pub(crate) async fn log_out(app: &App, caller: &Caller, device: Option<DeviceId>) -> Result<usize, ApiError> {
    let (shared, user) = (app.clone(), caller.user);
    app.change_by(caller, Kind::LogOut, async move {
        let (devices, rows) = shared.directory().log_out(user, device, now_ms()).await?;
        shared.logged_out(user, &devices).await;
        shared.placed(rows).await;
        Ok(devices.len())
    })
    .await
}
