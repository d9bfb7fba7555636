//! Attach, assert, detach, revoke: which sessions are reachable, and who has to go.
//!
//! Invariants
//! - Attaching registers the route first and reads the device's row after it; revoking happens after the row was
//!   changed, and closes the device's sessions on every connector in reach. So a log-out either finds the session or is
//!   seen by the attach.
//! - A session may begin while UserStatus is away; its connector asserts it later. None begins while the devices' rows
//!   cannot be read.
//! - Of two sessions of one device the older one ends, whichever came first here. One that only now attaches and turns out
//!   to be the older one is not told that it was replaced, which would be for good: the clock that says so is its
//!   connector's, and may be behind. It comes again, and is the newer one then if it is still wanted.

use std::sync::Arc;

use tracing::{debug, warn};
use whimbrel_core::{ConnectorId, GoodbyeCode, SessionId, UserId};
use whimbrel_rpc::{Attach, AttachRefused, Attached, PushBody, Revoked, SessionRef, Standing, To};
use whimbrel_store::{Directory, Route};

use crate::Config;
use crate::closings::{Closing, Closings};
use crate::config::hint_ms;
use crate::lasting::Lasting;
use crate::outgoing::Outgoing;
use crate::reach::{Reach, Whereabouts};
use crate::seen::Seen;

pub(crate) struct Attaching {
    pub(crate) config: Arc<Config>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) closings: Arc<Closings>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) lasting: Arc<Lasting>,
}

impl Attaching {
    /// Attaches sessions: one call to register them, one to read their devices.
    pub(crate) async fn attach(&self, attaches: Vec<Attach>) -> Vec<Result<Attached, AttachRefused>> {
        let sessions: Vec<(UserId, Route)> = attaches.iter().map(|a| route(a.connector, a.session, a.since)).collect();
        let devices: Vec<_> = attaches.iter().map(|attach| (attach.session.user, attach.session.device)).collect();
        let replaced = self.reach.online(&sessions).await;
        let standing = match self.directory.logged_in(&devices).await {
            Ok(logged_in) => Some(logged_in),
            Err(error) => {
                warn!(%error, sessions = devices.len(), "devices' rows cannot be read; sessions come again");
                None
            }
        };
        let registered = replaced.is_some();
        let mut replaced = replaced.unwrap_or_default().into_iter();
        let (mut answers, mut closings, mut gone) = (Vec::with_capacity(sessions.len()), Vec::new(), Vec::new());
        for (at, (user, own)) in sessions.into_iter().enumerate() {
            let others = replaced.next().unwrap_or_default();
            let barred = match standing.as_ref().map(|standing| standing.get(at).copied().unwrap_or(false)) {
                None => Some(GoodbyeCode::UNAVAILABLE),
                Some(false) => Some(GoodbyeCode::LOGGED_OUT),
                Some(true) => None,
            };
            let refused = barred.or(others.contains(&own).then_some(GoodbyeCode::UNAVAILABLE));
            // The others of the device have lost their routes: whatever happens here, they must not stay open.
            let code = barred.unwrap_or(GoodbyeCode::REPLACED);
            closings.extend(others.into_iter().filter(|other| *other != own).map(|other| self.closing(other, code)));
            if refused.is_some() && registered {
                gone.push((user, own.session));
            }
            answers.push(match refused {
                None => Ok(Attached { registered }),
                Some(code) => Err(AttachRefused { code, retry_after_ms: self.hint(code) }),
            });
        }
        let let_in = || attaches.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
        self.seen.came(let_in().map(|(attach, _)| attach.session.user));
        self.lasting.came(let_in().map(|(attach, _)| attach.session.user));
        self.closings.close(closings).await;
        self.reach.offline(&gone).await;
        answers
    }

    /// Registers sessions again that a connector holds; `false`: UserStatus did not take them. A connector that asserts
    /// may have been out of everybody's reach when a device was logged out: that is looked up, if it can be.
    pub(crate) async fn assert(&self, connector: ConnectorId, sessions: Vec<Standing>) -> bool {
        let sessions: Vec<(UserId, Route)> =
            sessions.iter().map(|standing| route(connector, standing.session, standing.since)).collect();
        if sessions.is_empty() {
            return true;
        }
        let Some(replaced) = self.reach.online(&sessions).await else { return false };
        let closings = replaced.into_iter().flatten().map(|other| self.closing(other, GoodbyeCode::REPLACED));
        let mut closings: Vec<Closing> = closings.collect();
        let devices: Vec<_> = sessions.iter().map(|(user, route)| (*user, route.device)).collect();
        let mut gone = Vec::new();
        match self.directory.logged_in(&devices).await {
            Ok(logged_in) => {
                for ((user, route), _) in sessions.iter().zip(logged_in).filter(|(_, logged_in)| !logged_in) {
                    closings.push(self.closing(*route, GoodbyeCode::LOGGED_OUT));
                    gone.push((*user, route.session));
                }
            }
            Err(error) => {
                debug!(%error, sessions = devices.len(), "asserted sessions stand without their devices' rows")
            }
        }
        self.closings.close(closings).await;
        self.reach.offline(&gone).await;
        true
    }

    pub(crate) async fn detach(&self, sessions: Vec<SessionRef>) {
        let sessions: Vec<(UserId, SessionId)> =
            sessions.into_iter().map(|session| (session.user, session.session)).collect();
        self.reach.offline(&sessions).await;
        self.lasting.left(sessions.iter().map(|(user, _)| *user));
        self.seen.left(sessions.into_iter().map(|(user, _)| user));
    }

    /// Closes sessions on every connector in reach, whoever is thought to be where; then takes off their routes, as
    /// far as they are known.
    pub(crate) async fn revoke(&self, revoked: Vec<Revoked>) {
        let connectors = self.reach.connectors();
        let mut outgoing = Outgoing::default();
        for Revoked { user, device, code } in &revoked {
            let to = match device {
                Some(device) => To::Device(*user, *device),
                None => To::Users { users: [*user].into_iter().collect(), except: Default::default() },
            };
            let body = PushBody::Close { code: *code, retry_after_ms: self.hint(*code) };
            outgoing.each(&connectors, &to, &body);
        }
        debug!(devices = revoked.len(), connectors = connectors.len(), "sessions are revoked");
        self.reach.push(outgoing).await;
        let users = revoked.iter().map(|revoked| revoked.user).collect();
        // Not known: the connectors detach what they closed.
        let Whereabouts::Known(routes) = self.reach.locate(users).await else { return };
        let gone = revoked.iter().flat_map(|Revoked { user, device, .. }| {
            let meant = routes.of(*user).iter().filter(|route| device.is_none_or(|device| device == route.device));
            meant.map(|route| (*user, route.session))
        });
        self.reach.offline(&gone.collect::<Vec<_>>()).await;
    }

    fn closing(&self, route: Route, code: GoodbyeCode) -> Closing {
        Closing { at: (&route).into(), code, retry_after_ms: self.hint(code) }
    }

    fn hint(&self, code: GoodbyeCode) -> u32 {
        if code == GoodbyeCode::UNAVAILABLE { hint_ms(self.config.retry_later) } else { 0 }
    }
}

fn route(connector: ConnectorId, from: SessionRef, since: u64) -> (UserId, Route) {
    (from.user, Route { session: from.session, device: from.device, connector, since })
}
