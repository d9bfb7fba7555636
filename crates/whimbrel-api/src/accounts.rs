//! An account's password and its end. Both need the password once more: a stolen access token does neither.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::UserId;

use crate::auth::Caller;
use crate::devices::uuid_of;
use crate::error::ApiError;
use crate::extract::{Body, Client};
use crate::logins::prove;
use crate::passwords::{Patience, check_new};
use crate::shared::{App, now_ms};
use crate::turns::Kind;
use crate::users::existing;

/// The password that is, and the one to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    #[schema(value_type = String, format = Password)]
    old: SecretString,
    /// 8 to 256 characters.
    #[schema(value_type = String, format = Password)]
    new: SecretString,
}

/// Who was logged out by the change.
#[derive(Serialize, ToSchema)]
pub(crate) struct PasswordChanged {
    logged_out: Vec<Uuid>,
}

/// Change the password
///
/// Every other device is logged out.
#[utoipa::path(post, path = "/v1/password", tag = "accounts", security(("access_token" = [])),
    request_body(content = PasswordChange, example = json!({"old": "correct horse", "new": "battery staple"})),
    responses((status = 200, description = "The new one counts.", body = PasswordChanged,
        example = json!({"logged_out": ["6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77"]}))),
    extensions(("x-error-codes" = json!(
        ["invalid", "bad_credentials", "no_such_user", "no_such_device", "too_many_attempts"]))))]
pub(crate) async fn change_password(
    caller: Caller,
    Client(address): Client,
    State(app): State<App>,
    Body(form): Body<PasswordChange>,
) -> Result<Json<PasswordChanged>, ApiError> {
    check_new(&form.new, "new")?;
    let user = existing(&app, caller.user).await?;
    prove(&app, address, &user.handle, Some(user.id), form.old).await?;
    let hash = app.passwords.hash(form.new, Patience::None).await?;
    let (shared, device) = (app.clone(), caller.device);
    let devices = app
        .change_by(&caller, Kind::Proven, async move {
            let (devices, rows) = shared.directory().set_password(user.id, hash, device, now_ms()).await?;
            shared.logged_out(user.id, &devices).await;
            shared.placed(rows).await;
            Ok(devices)
        })
        .await?;
    Ok(Json(PasswordChanged { logged_out: devices.into_iter().map(uuid_of).collect() }))
}

/// The account's password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteAccount {
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// What you said is emptied, too.
    #[serde(default)]
    erase: bool,
}

/// Delete the account
///
/// All devices are logged out and all friendships end. The handle stays taken; what was said stays with those to whom
/// it was said, unless `erase` says otherwise: then it is emptied on the server, soon, and other people's devices are told to do
/// the same.
#[utoipa::path(delete, path = "/v1/account", tag = "accounts", security(("access_token" = [])),
    request_body(content = DeleteAccount, example = json!({"password": "correct horse"})),
    responses((status = 204, description = "The account is gone.")),
    extensions(("x-error-codes" = json!(["bad_credentials", "no_such_user", "too_many_attempts"]))))]
pub(crate) async fn delete_account(
    caller: Caller,
    Client(address): Client,
    State(app): State<App>,
    Body(form): Body<DeleteAccount>,
) -> Result<StatusCode, ApiError> {
    let user = existing(&app, caller.user).await?;
    prove(&app, address, &user.handle, Some(user.id), form.password).await?;
    app.change_by(&caller, Kind::Proven, delete(app.clone(), caller.user, form.erase)).await
}

/// Deletes an account, ends its sessions and tells those who knew it. Part of a change.
pub(crate) async fn delete(app: App, user: UserId, erase: bool) -> Result<StatusCode, ApiError> {
    let rows = app.directory().delete_user(user, now_ms()).await?;
    if erase {
        app.keeping().erase(user).await?;
    }
    app.account_gone(user).await;
    app.placed(rows).await;
    Ok(StatusCode::NO_CONTENT)
}
