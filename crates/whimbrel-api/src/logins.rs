//! Becoming somebody and ceasing to be: register, log in, refresh, log out.

use std::net::IpAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_core::{DeviceId, UserId};
use whimbrel_store::directory::{LogIn, NewUser, Refreshed, User, handle_error};

use crate::auth::{Caller, access_token, first_refresh_token, next_refresh_token};
use crate::config::Registration;
use crate::devices::{log_out, named, uuid_of};
use crate::error::{ApiError, Code};
use crate::extract::{Body, Client, OptionalBody};
use crate::passwords::{Patience, check_new};
use crate::shared::{App, Shared, now_ms, sha256};
use crate::users::{UserView, check_display_name};

/// Characters of a platform's name.
const PLATFORM_MAX: usize = 32;

/// Characters of a device's name.
const DEVICE_NAME_MAX: usize = 64;

/// A new account, and the device that makes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Register {
    /// 2 to 32 of `a-z 0-9 _ . -`, beginning with a letter or a digit.
    handle: String,
    /// 8 to 256 characters.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// 1 to 64 characters; the handle if left out.
    display_name: Option<String>,
    /// The installation's own id; the server gives one if left out.
    device_id: Option<Uuid>,
    /// Such as "linux", at most 32 characters.
    platform: Option<String>,
    /// For people, at most 64 characters.
    device_name: Option<String>,
}

/// An account's proof, and the device that logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    handle: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// The installation's own id; the server gives one if left out.
    device_id: Option<Uuid>,
    /// Such as "linux", at most 32 characters.
    platform: Option<String>,
    /// For people, at most 64 characters.
    device_name: Option<String>,
}

/// Who one is now, and the tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoggedIn {
    user: UserView,
    device_id: Uuid,
    access_token: String,
    /// Milliseconds since 1970.
    access_expires_at: u64,
    refresh_token: String,
}

/// A device as a client describes it.
pub(crate) struct DeviceForm {
    pub(crate) id: DeviceId,
    pub(crate) platform: String,
    pub(crate) name: String,
}

impl DeviceForm {
    pub(crate) fn new(id: Option<Uuid>, platform: Option<String>, name: Option<String>) -> Result<Self, ApiError> {
        let id = id.map_or_else(|| Ok(DeviceId::generate()), named)?;
        let (platform, name) = (platform.unwrap_or_default(), name.unwrap_or_default());
        let fits = |text: &str, max| text.chars().count() <= max && !text.chars().any(char::is_control);
        if !fits(&platform, PLATFORM_MAX) {
            return Err(ApiError::invalid("platform", "a platform has at most 32 characters, no control characters"));
        }
        if !fits(&name, DEVICE_NAME_MAX) {
            return Err(ApiError::invalid("device_name", "a name has at most 64 characters, no control characters"));
        }
        Ok(Self { id, platform, name })
    }
}

/// Whether a text may become a handle.
pub(crate) fn check_handle(handle: &str) -> Result<(), ApiError> {
    handle_error(handle).map_or(Ok(()), |why| Err(ApiError::invalid("handle", why)))
}

/// Logs a device in with a new family of refresh tokens, and tells the user's other devices. Part of a change.
async fn log_in(app: &Shared, user: User, device: DeviceForm) -> Result<LoggedIn, ApiError> {
    let refresh_token = first_refresh_token();
    let log_in = LogIn {
        user: user.id,
        device: device.id,
        platform: device.platform,
        name: device.name,
        refresh_hash: Some(sha256(refresh_token.expose_secret().as_bytes())),
        now: now_ms(),
    };
    let mut answers = app.directory().log_in(vec![log_in]).await?;
    let rows = answers.pop().ok_or_else(|| ApiError::internal("a log-in was not answered"))??;
    app.placed(rows).await;
    let (access_token, access_expires_at) =
        access_token(app, user.id, device.id, app.config.access_token_ttl.as_secs());
    Ok(LoggedIn {
        user: user.into(),
        device_id: uuid_of(device.id),
        access_token,
        access_expires_at,
        refresh_token: refresh_token.expose_secret().to_owned(),
    })
}

/// Create an account
///
/// The device that creates it is logged in with it.
#[utoipa::path(post, path = "/v1/register", tag = "tokens",
    request_body(content = Register, example = json!(
        {"handle": "anna", "password": "correct horse battery", "display_name": "Anna", "platform": "linux"})),
    responses((status = 201, description = "The account exists, and the device is logged in.", body = LoggedIn,
        example = json!({
          "user": {"id": 12, "handle": "anna", "display_name": "Anna", "avatar": "", "created_at": 1790000000000_u64},
          "device_id": "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77", "access_token": "eyJ0eXAiOiJKV1Qi…",
          "access_expires_at": 1790000900000_u64, "refresh_token": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}))),
    extensions(("x-error-codes" = json!(
        ["invalid", "registration_closed", "handle_taken", "too_many_attempts"]))))]
pub(crate) async fn register(
    Client(address): Client,
    State(app): State<App>,
    Body(form): Body<Register>,
) -> Result<(StatusCode, Json<LoggedIn>), ApiError> {
    if app.config.registration == Registration::Closed {
        return Err(Code::RegistrationClosed.into());
    }
    check_handle(&form.handle)?;
    check_new(&form.password, "password")?;
    form.display_name.as_deref().map_or(Ok(()), check_display_name)?;
    let device = DeviceForm::new(form.device_id, form.platform, form.device_name)?;
    app.limits.registration(address, Instant::now()).map_err(ApiError::delayed)?;
    let password_hash = Some(app.passwords.hash(form.password, Patience::None).await?);
    let display_name = form.display_name.unwrap_or_else(|| form.handle.clone());
    let new = NewUser { handle: form.handle, display_name, password_hash };
    let shared = app.clone();
    let logged_in = app
        .change(async move {
            let mut answers = shared.directory().create_users(vec![new], now_ms()).await?;
            let user = answers.pop().ok_or_else(|| ApiError::internal("an account was not answered"))??;
            log_in(&shared, user, device).await
        })
        .await?;
    Ok((StatusCode::CREATED, Json(logged_in)))
}

/// Whether the password is the account's. Unknown handles, accounts without a password and wrong passwords cost the
/// same and are answered the same; all attempts are delayed the same.
pub(crate) async fn prove(
    app: &Shared,
    address: IpAddr,
    handle: &str,
    user: Option<UserId>,
    password: SecretString,
) -> Result<(), ApiError> {
    let attempt = app.limits.attempt(handle, address, Instant::now()).map_err(|wait| {
        metrics::counter!("whimbrel_api_attempts_delayed_total").increment(1);
        ApiError::delayed(wait)
    })?;
    let verified = async {
        // Nobody's hash is asked for as well, so that both ways have the same length.
        let hash = app.directory().password_hash(user.unwrap_or(UserId(0))).await?.flatten();
        app.passwords.verify(password, hash).await
    };
    match verified.await {
        Ok(true) => {
            app.limits.succeeded(attempt, Instant::now());
            Ok(())
        }
        Ok(false) => Err(Code::BadCredentials.into()),
        Err(error) => {
            app.limits.abandoned(attempt, Instant::now());
            Err(error)
        }
    }
}

/// Log in
///
/// Logging in again on the same device ends its former refresh token. Too many wrong passwords delay further attempts
/// for the account and for the address; they never lock an account.
#[utoipa::path(post, path = "/v1/login", tag = "tokens",
    request_body(content = Login, example = json!(
        {"handle": "anna", "password": "correct horse battery", "device_id": "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77"})),
    responses((status = 200, description = "The device is logged in.", body = LoggedIn, example = json!({
          "user": {"id": 12, "handle": "anna", "display_name": "Anna", "avatar": "", "created_at": 1790000000000_u64},
          "device_id": "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77", "access_token": "eyJ0eXAiOiJKV1Qi…",
          "access_expires_at": 1790000900000_u64, "refresh_token": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}))),
    extensions(("x-error-codes" = json!(
        ["invalid", "bad_credentials", "too_many_devices", "too_many_attempts"]))))]
pub(crate) async fn login(
    Client(address): Client,
    State(app): State<App>,
    Body(form): Body<Login>,
) -> Result<Json<LoggedIn>, ApiError> {
    let device = DeviceForm::new(form.device_id, form.platform, form.device_name)?;
    let user = app.directory().user_by_handle(&form.handle).await?;
    prove(&app, address, &form.handle, user.as_ref().map(|user| user.id), form.password).await?;
    let user = user.ok_or(Code::BadCredentials)?;
    let shared = app.clone();
    let logged_in = app.change(async move { log_in(&shared, user, device).await }).await;
    // Deleted since the password was looked up.
    let gone = |error: ApiError| if error.code == Code::NoSuchUser { Code::BadCredentials.into() } else { error };
    logged_in.map(Json).map_err(gone)
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    #[schema(value_type = String)]
    refresh_token: SecretString,
}

/// New tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    user_id: u64,
    device_id: Uuid,
    access_token: String,
    /// Milliseconds since 1970.
    access_expires_at: u64,
    /// To be used next time, instead of the one that was sent.
    refresh_token: String,
}

/// Refresh the tokens
///
/// A refresh token is used once. If the answer got lost, the same token may be sent again within a minute and leads
/// to the same successor. A token that comes back later was copied: its device is logged out (`refresh_reused`).
#[utoipa::path(post, path = "/v1/refresh", tag = "tokens",
    request_body(content = Refresh, example = json!({"refresh_token": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"})),
    responses((status = 200, description = "New tokens.", body = Tokens, example = json!({
          "user_id": 12, "device_id": "6f1f2f5c-8b0e-4c53-9a3f-0d6f8c1b2a77", "access_token": "eyJ0eXAiOiJKV1Qi…",
          "access_expires_at": 1790000900000_u64, "refresh_token": "EjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8"}))),
    extensions(("x-error-codes" = json!(["refresh_invalid", "refresh_reused"]))))]
pub(crate) async fn refresh(State(app): State<App>, Body(form): Body<Refresh>) -> Result<Json<Tokens>, ApiError> {
    let next = next_refresh_token(&app.refresh_secret, &form.refresh_token);
    let (token, successor) =
        (sha256(form.refresh_token.expose_secret().as_bytes()), sha256(next.expose_secret().as_bytes()));
    let grace_ms = u64::try_from(app.config.refresh_grace.as_millis()).unwrap_or(u64::MAX);
    let shared = app.clone();
    let (user, device) = app
        .change(async move {
            match shared.directory().refresh(token, successor, now_ms(), grace_ms).await? {
                Refreshed::Rotated { user, device } | Refreshed::Repeated { user, device } => Ok((user, device)),
                Refreshed::Stolen { user, device, rows } => {
                    tracing::warn!(%user, %device, "a used refresh token came back: its device is logged out");
                    shared.logged_out(user, &[device]).await;
                    shared.placed(rows).await;
                    Err(Code::RefreshReused.into())
                }
                Refreshed::Unknown => Err(Code::RefreshInvalid.into()),
            }
        })
        .await?;
    let (access_token, access_expires_at) = access_token(&app, user, device, app.config.access_token_ttl.as_secs());
    let refresh_token = next.expose_secret().to_owned();
    Ok(Json(Tokens { user_id: user.0, device_id: uuid_of(device), access_token, access_expires_at, refresh_token }))
}

/// Which devices to log out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogOut {
    /// All of the account's devices; otherwise this one.
    #[serde(default)]
    all: bool,
}

/// Log out
///
/// This device, or all of the account's. The body may be left out.
#[utoipa::path(post, path = "/v1/logout", tag = "tokens", security(("access_token" = [])),
    request_body(content = Option<LogOut>, example = json!({"all": true})),
    responses((status = 204, description = "Logged out.")),
    extensions(("x-error-codes" = json!(["no_such_user", "no_such_device"]))))]
pub(crate) async fn logout(
    caller: Caller,
    State(app): State<App>,
    OptionalBody(which): OptionalBody<LogOut>,
) -> Result<StatusCode, ApiError> {
    log_out(&app, &caller, (!which.all).then_some(caller.device)).await?;
    Ok(StatusCode::NO_CONTENT)
}
