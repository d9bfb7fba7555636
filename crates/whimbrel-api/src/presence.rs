//! Who of one's friends is here, and how one lets oneself be seen.
//!
//! The answer is what a session that watches them is told. While nobody knows who is where, everybody is unknown; that is
//! no error, and takes nobody's time.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::limits::WATCHED_MAX;
use whimbrel_core::{Presence, PresenceState, Privacy, UserId};
use whimbrel_store::presence::PrivacyChange;

use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::extract::{Body, QueryOf};
use crate::shared::{App, now_ms};
use crate::turns::Kind;

/// How long it may take to find out where users are.
const LOCATE_TIMEOUT: Duration = Duration::from_millis(500);

/// Whether somebody is here.
#[derive(Serialize, ToSchema)]
#[schema(as = PresenceState)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateView {
    /// Nobody knows at the moment, or you may not.
    Unknown,
    /// Also of who wants to look so.
    Offline,
    /// On at least one device.
    Online,
}

/// What you are shown of somebody.
#[derive(Serialize, ToSchema)]
#[schema(as = Presence)]
pub(crate) struct PresenceView {
    user: u64,
    state: StateView,
    /// With `offline`: when the last of their sessions ended, give or take a minute; 0: it is not known, or not shown.
    last_seen: u64,
}

impl From<Presence> for PresenceView {
    fn from(presence: Presence) -> Self {
        let state = match presence.state {
            PresenceState::Unknown => StateView::Unknown,
            PresenceState::Offline => StateView::Offline,
            PresenceState::Online => StateView::Online,
        };
        Self { user: presence.user.0, state, last_seen: presence.last_seen }
    }
}

/// What you are shown, in the order asked.
#[derive(Serialize, ToSchema)]
pub(crate) struct Presences {
    presences: Vec<PresenceView>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    users: String,
}

impl Of {
    fn checked(&self) -> Result<Vec<UserId>, ApiError> {
        let read = |number: &str| number.trim().parse().ok().filter(|number| *number > 0).map(UserId);
        let users: Option<Vec<UserId>> = self.users.split(',').map(read).collect();
        let users = users.ok_or_else(|| ApiError::invalid("users", "users are numbers above 0 with commas between"))?;
        match users.len() <= WATCHED_MAX {
            true => Ok(users),
            false => Err(ApiError::invalid("users", "at most 200 users at once")),
        }
    }
}

/// Who of your friends is here
///
/// As it is now; a session of the socket protocol can watch them instead. Who is no friend, blocks or is blocked, or does
/// not exist, is `unknown`.
#[utoipa::path(get, path = "/v1/presence", tag = "presence", security(("access_token" = [])),
    params(("users" = String, Query, description = "Numbers of at most 200 users, with commas between.",
        example = "12,13")),
    responses((status = 200, description = "What you are shown, in the order asked.", body = Presences,
        example = json!({"presences": [{"user": 12, "state": "online", "last_seen": 0},
            {"user": 13, "state": "offline", "last_seen": 1790000000000_u64}]}))),
    extensions(("x-error-codes" = json!(["invalid"]))))]
pub(crate) async fn presence(
    caller: Caller,
    State(app): State<App>,
    QueryOf(of): QueryOf<Of>,
) -> Result<Json<Presences>, ApiError> {
    let users = of.checked()?;
    let pairs: Vec<_> = users.iter().map(|user| (caller.user, *user)).collect();
    let stores = &app.outside.stores;
    let sights = stores.presences.sights(&pairs).await?;
    let routes = match tokio::time::timeout(LOCATE_TIMEOUT, stores.status.locate(&users)).await {
        Ok(Ok(routes)) => Some(routes),
        Ok(Err(error)) => {
            tracing::debug!(%error, "nobody knows who is where");
            None
        }
        Err(_) => None,
    };
    let is_here = |at: usize| routes.as_ref().map(|routes| !routes[at].is_empty());
    let shown = users.iter().zip(&sights).enumerate();
    let shown = shown.map(|(at, (user, sight))| Presence::shown(*user, sight.as_ref(), is_here(at), 0).into());
    Ok(Json(Presences { presences: shown.collect() }))
}

/// How you let yourself be seen.
#[derive(Serialize, ToSchema)]
#[schema(as = Privacy)]
pub(crate) struct PrivacyView {
    /// Friends see you offline, last seen when this began. Messages come as ever; what you write, read and type shows
    /// that you are here.
    invisible: bool,
    /// Friends do not see when you were here last.
    last_seen_hidden: bool,
}

impl From<Privacy> for PrivacyView {
    fn from(Privacy { invisible, last_seen_hidden }: Privacy) -> Self {
        Self { invisible, last_seen_hidden }
    }
}

/// How you let yourself be seen
#[utoipa::path(get, path = "/v1/me/presence", tag = "presence", security(("access_token" = [])),
    responses((status = 200, description = "How it is.", body = PrivacyView,
        example = json!({"invisible": false, "last_seen_hidden": false}))))]
pub(crate) async fn privacy(caller: Caller, State(app): State<App>) -> Result<Json<PrivacyView>, ApiError> {
    Ok(Json(app.outside.stores.presences.privacy(caller.user).await?.into()))
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrivacyForm {
    /// To look offline.
    invisible: Option<bool>,
    /// Not to show when you were here.
    last_seen_hidden: Option<bool>,
}

/// Change how you let yourself be seen
///
/// Friends who watch you see it within a few seconds; your other devices are told.
#[utoipa::path(put, path = "/v1/me/presence", tag = "presence", security(("access_token" = [])),
    request_body(content = PrivacyForm, example = json!({"invisible": true})),
    responses((status = 200, description = "How it is now.", body = PrivacyView,
        example = json!({"invisible": true, "last_seen_hidden": false}))),
    extensions(("x-error-codes" = json!(["invalid", "no_such_user"]))))]
pub(crate) async fn change_privacy(
    caller: Caller,
    State(app): State<App>,
    Body(form): Body<PrivacyForm>,
) -> Result<Json<PrivacyView>, ApiError> {
    let change = PrivacyChange { invisible: form.invisible, last_seen_hidden: form.last_seen_hidden };
    if change == PrivacyChange::default() {
        return Err(ApiError::new(Code::Invalid).says("nothing is named that is to change"));
    }
    let (shared, user) = (app.clone(), caller.user);
    let privacy = app
        .change_by(&caller, Kind::Setting, async move {
            let (privacy, rows) = shared.outside.stores.presences.set_privacy(user, change, now_ms()).await?;
            shared.placed(rows).await;
            Ok(privacy)
        })
        .await?;
    Ok(Json(privacy.into()))
}
