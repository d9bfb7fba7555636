//! Attach, detach, revoke: which sessions are reachable.
//!
//! Attaching registers the route first and reads the device's row after it; revoking happens after the row was
//! changed, and looks for routes. So a log-out either finds the route or is seen by the attach.

use std::sync::Arc;

use futures_util::future::join_all;
use tracing::{debug, warn};
use whimbrel_core::{GoodbyeCode, SessionId, UserId};
use whimbrel_rpc::{Attach, AttachRefused, Attached, PushBody, Revoked, SessionRef};
use whimbrel_store::{Directory, Route};

use crate::Config;
use crate::config::hint_ms;
use crate::reach::{Outgoing, Reach, Routes};

pub(crate) struct Attaching {
    pub(crate) config: Arc<Config>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) reach: Arc<Reach>,
}

impl Attaching {
    pub(crate) async fn attach(&self, attach: Attach) -> Result<Attached, AttachRefused> {
        let SessionRef { session, user, device } = attach.session;
        let route = Route { session, device, connector: attach.connector, since: attach.since };
        let replaced = match self.reach.online(user, route).await {
            Ok(replaced) => replaced,
            Err(error) => {
                warn!(%error, "a session cannot be registered");
                return Err(self.refused(GoodbyeCode::UNAVAILABLE));
            }
        };
        let refused = match self.directory.is_logged_in(user, device).await {
            Ok(true) => None,
            Ok(false) => Some(GoodbyeCode::LOGGED_OUT),
            Err(error) => {
                warn!(%error, "a device's row cannot be read");
                Some(GoodbyeCode::UNAVAILABLE)
            }
        };
        // The others of the device may have lost their routes by now: whatever happens here, they must not stay open.
        self.close(user, &replaced, refused.unwrap_or(GoodbyeCode::REPLACED)).await;
        match refused {
            None => Ok(Attached { registered: true }),
            Some(code) => {
                self.reach.offline(&[(user, session)]).await;
                Err(self.refused(code))
            }
        }
    }

    fn refused(&self, code: GoodbyeCode) -> AttachRefused {
        AttachRefused { code, retry_after_ms: self.hint(code) }
    }

    fn hint(&self, code: GoodbyeCode) -> u32 {
        if code == GoodbyeCode::UNAVAILABLE { hint_ms(self.config.retry_later) } else { 0 }
    }

    pub(crate) async fn detach(&self, sessions: Vec<SessionRef>) {
        let sessions: Vec<(UserId, SessionId)> =
            sessions.into_iter().map(|session| (session.user, session.session)).collect();
        self.reach.offline(&sessions).await;
    }

    pub(crate) async fn revoke(&self, revoked: Vec<Revoked>) {
        let Some(routes) = self.reach.locate(revoked.iter().map(|revoked| revoked.user).collect()).await else {
            // Their tokens end soon, and no new session of theirs is let in.
            return warn!(users = revoked.len(), "sessions of logged-out devices could not be found to be closed");
        };
        let closings = revoked.into_iter().map(|Revoked { user, device, code }| {
            let is_meant = |route: &&Route| device.is_none_or(|device| device == route.device);
            let meant: Vec<Route> = routes.of(user).iter().filter(is_meant).copied().collect();
            async move { self.close(user, &meant, code).await }
        });
        join_all(closings).await;
    }

    /// Ends these sessions and takes them off.
    async fn close(&self, user: UserId, sessions: &[Route], code: GoodbyeCode) {
        if sessions.is_empty() {
            return;
        }
        debug!(%user, sessions = sessions.len(), %code, "sessions are closed");
        let mut outgoing = Outgoing::default();
        outgoing.many(sessions, &PushBody::Close { code, retry_after_ms: self.hint(code) });
        self.reach.push(outgoing, &Routes::default()).await;
        let sessions: Vec<(UserId, SessionId)> = sessions.iter().map(|route| (user, route.session)).collect();
        self.reach.offline(&sessions).await;
    }
}
