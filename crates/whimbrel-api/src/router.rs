//! Which path leads where, and what every request passes on its way.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, Code};
use crate::observe::{limit_time, observe, panicked};
use crate::shared::App;
use crate::{
    accounts, admin, devices, files, groups, health, history, logins, openapi, personal, presence, relations, search,
    settings, users,
};

/// What people's devices use.
pub(crate) fn people() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(logins::register))
        .routes(routes!(logins::login))
        .routes(routes!(logins::refresh))
        .routes(routes!(logins::logout))
        .routes(routes!(devices::list))
        .routes(routes!(devices::log_out_one))
        .routes(routes!(accounts::change_password))
        .routes(routes!(accounts::delete_account))
        .routes(routes!(users::me, users::change_me))
        .routes(routes!(users::by_handle))
        .routes(routes!(users::by_id))
        .routes(routes!(relations::list))
        .routes(routes!(relations::one))
        .routes(routes!(relations::request))
        .routes(routes!(relations::act))
        .merge(groups::routes())
        .merge(files::routes())
        .routes(routes!(settings::list_settings))
        .routes(routes!(settings::change_settings))
        .routes(routes!(presence::presence))
        .routes(routes!(presence::privacy, presence::change_privacy))
        .routes(routes!(history::list_messages))
        .routes(routes!(history::list_follow_ups))
        .routes(routes!(search::search))
        .routes(routes!(personal::export_account))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::serve_document))
}

/// What takes as long as bytes need, and bounds them itself.
pub(crate) fn transfers() -> OpenApiRouter<App> {
    files::transfers()
}

/// What the administrator uses.
pub(crate) fn administration() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(admin::create_users))
        .routes(routes!(admin::delete_user))
        .routes(routes!(admin::issue_tokens))
        .routes(routes!(admin::befriend_users))
        .routes(routes!(personal::export_user))
        .routes(routes!(personal::erase_user))
        .merge(groups::administration())
}

async fn not_found() -> ApiError {
    Code::NotFound.into()
}

async fn method_not_allowed() -> ApiError {
    Code::MethodNotAllowed.into()
}

/// Pages of other origins may call the API only if the deployment names them; nobody's cookies are involved.
fn cors(app: &App) -> CorsLayer {
    let origins = app.config.origins().unwrap_or_default();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::RANGE,
            header::IF_RANGE,
            HeaderName::from_static("x-request-id"),
        ])
        .expose_headers([
            header::RETRY_AFTER,
            header::CONTENT_RANGE,
            header::ETAG,
            header::CONTENT_DISPOSITION,
            HeaderName::from_static("x-request-id"),
        ])
}

/// All routes with all layers.
pub(crate) fn router(app: App) -> Router {
    let config = &app.config;
    let limited = |router: Router<App>, time, bytes| {
        router.layer(from_fn_with_state(time, limit_time)).layer(DefaultBodyLimit::max(bytes))
    };
    let people = limited(people().into(), config.request_timeout, config.body_max);
    let administration = limited(administration().into(), config.admin_timeout, config.admin_body_max);
    let transfers = limited(transfers().into(), config.files.transfer_timeout, config.body_max);
    let mut router = people
        .merge(administration)
        .merge(transfers)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked));
    if !config.allowed_origins.is_empty() {
        router = router.layer(cors(&app));
    }
    router.layer(from_fn(observe)).with_state(app)
}
