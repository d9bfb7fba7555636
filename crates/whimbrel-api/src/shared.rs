//! What all handlers share, and the one way in which a change is made.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use quick_cache::sync::Cache;
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use whimbrel_core::{DeviceId, GoodbyeCode, UserId};
use whimbrel_rpc::token::TokenKey;
use whimbrel_rpc::{Announce, PlacedBatch, Revoked, Through};
use whimbrel_store::directory::Rows;
use whimbrel_store::{Blobs, Directory, Files, Groups, History, Keeping, Search, Settings};

use crate::auth::Caller;
use crate::config::{Config, ConfigError};
use crate::error::{ApiError, Code};
use crate::files::Lanes;
use crate::limits::Limits;
use crate::passwords::Passwords;
use crate::turns::{Kind, Turns};
use crate::{Ready, RenderMetrics, Stores};

/// The rooms next door.
pub(crate) struct Outside {
    pub(crate) stores: Stores,
    pub(crate) announce: Arc<dyn Announce>,
    pub(crate) ready: Ready,
    pub(crate) metrics: RenderMetrics,
}

pub(crate) type App = Arc<Shared>;

/// How long a request waits until its change is told. A change whose telling takes longer stays marked as untold, and
/// transfers tell it.
const TELL_TIMEOUT: Duration = Duration::from_secs(3);

/// Devices of which it is remembered that they were logged in a moment ago.
const STANDINGS_REMEMBERED: usize = 16 * 1024;

/// Shortest secret for refresh tokens, bytes.
const REFRESH_SECRET_MIN: usize = 32;

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) outside: Outside,
    pub(crate) tokens: Arc<TokenKey>,
    pub(crate) refresh_secret: SecretSlice<u8>,
    /// SHA-256 of the administrator's key.
    pub(crate) admin_hash: Option<[u8; 32]>,
    pub(crate) passwords: Passwords,
    pub(crate) limits: Limits,
    /// Transfers of files under way.
    pub(crate) lanes: Lanes,
    /// Pictures that are looked at.
    pub(crate) pictures: Arc<Semaphore>,
    turns: Turns,
    pub(crate) draining: AtomicBool,
    /// Changes under way; the server waits for them before it is gone.
    pub(crate) changes: TaskTracker,
    changes_max: Arc<Semaphore>,
    standings: Cache<(UserId, DeviceId), Instant>,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        outside: Outside,
        tokens: Arc<TokenKey>,
        refresh_secret: SecretSlice<u8>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        if refresh_secret.expose_secret().len() < REFRESH_SECRET_MIN {
            return Err(ConfigError { key: "refresh_secret", reason: "it needs at least 32 bytes".to_owned() });
        }
        let passwords = Passwords::new(&config.hashing)
            .map_err(|error| ConfigError { key: "hashing", reason: error.to_string() })?;
        Ok(Self {
            admin_hash: config.admin_key.as_ref().map(|key| sha256(key.expose_secret().as_bytes())),
            limits: Limits::new(&config),
            lanes: Lanes::new(config.files.transfers_max, config.files.transfers_per_user),
            pictures: crate::files::places(),
            turns: Turns::new(config.delays_remembered),
            changes_max: Arc::new(Semaphore::new(config.changes_max)),
            standings: Cache::new(STANDINGS_REMEMBERED),
            changes: TaskTracker::new(),
            draining: AtomicBool::new(false),
            passwords,
            config,
            outside,
            tokens,
            refresh_secret,
        })
    }

    pub(crate) fn directory(&self) -> &dyn Directory {
        &*self.outside.stores.directory
    }

    pub(crate) fn groups(&self) -> &dyn Groups {
        &*self.outside.stores.groups
    }

    pub(crate) fn settings(&self) -> &dyn Settings {
        &*self.outside.stores.settings
    }

    pub(crate) fn keeping(&self) -> &dyn Keeping {
        &*self.outside.stores.keeping
    }

    pub(crate) fn history(&self) -> &dyn History {
        &*self.outside.stores.history
    }

    pub(crate) fn search(&self) -> &dyn Search {
        &*self.outside.stores.search
    }

    pub(crate) fn files(&self) -> &dyn Files {
        &*self.outside.stores.files
    }

    pub(crate) fn blobs(&self) -> &dyn Blobs {
        &*self.outside.stores.blobs
    }

    /// Runs a change with its announcements to their end, also when the request is given up meanwhile: what is
    /// committed must be told.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = self.changes_max.clone().try_acquire_owned().map_err(|_| ApiError::new(Code::Busy))?;
        let task = self.changes.spawn(async move {
            let done = change.await;
            drop(permit);
            done
        });
        task.await.unwrap_or_else(|error| Err(ApiError::internal(error)))
    }

    /// Counts what a user asks for, or refuses it.
    pub(crate) fn admit(&self, caller: &Caller, kind: Kind, now: Instant) -> Result<(), ApiError> {
        self.turns.admit(caller, kind, now).map_err(ApiError::delayed)
    }

    /// Runs a change that a user asks for, after those that the same user asked for before. Who asks for too many is
    /// refused at once, so that few wait; one that waits is no change under way yet, and is not made if its request is
    /// given up.
    pub(crate) async fn change_by<T: Send + 'static>(
        &self,
        caller: &Caller,
        kind: Kind,
        change: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.turns.admit(caller, kind, Instant::now()).map_err(|wait| {
            metrics::counter!("whimbrel_api_changes_delayed_total").increment(1);
            ApiError::delayed(wait).says("Too many changes; try again later.")
        })?;
        let turn = self.turns.wait(caller.user).await;
        let in_turn = async move {
            let done = change.await;
            drop(turn);
            done
        };
        self.change(in_turn).await
    }

    /// Tells the audience of these rows.
    pub(crate) async fn placed(&self, rows: Rows) {
        if rows.is_empty() {
            return;
        }
        let places: Vec<_> = rows.iter().map(|row| (row.message.conversation, row.message.seq)).collect();
        let batch = PlacedBatch { rows, ..PlacedBatch::default() };
        let telling = self.outside.announce.placed(vec![batch], Through::All);
        if tokio::time::timeout(TELL_TIMEOUT, telling).await.is_err() {
            return tracing::warn!(
                rows = places.len(),
                "nobody could be told of a change in time; it will be told again"
            );
        }
        if let Err(error) = self.directory().told(&places).await {
            tracing::debug!(%error, rows = places.len(), "rows will be told again");
        }
    }

    /// Ends the sessions of these devices.
    pub(crate) async fn logged_out(&self, user: UserId, devices: &[DeviceId]) {
        if devices.is_empty() {
            return;
        }
        for device in devices {
            self.standings.remove(&(user, *device));
        }
        let code = GoodbyeCode::LOGGED_OUT;
        self.revoke(devices.iter().map(|device| Revoked { user, device: Some(*device), code }).collect()).await;
    }

    /// Ends all sessions of a deleted account.
    pub(crate) async fn account_gone(&self, user: UserId) {
        self.standings.retain(|(whose, _), _| *whose != user);
        self.revoke(vec![Revoked { user, device: None, code: GoodbyeCode::ACCOUNT_GONE }]).await;
    }

    async fn revoke(&self, revoked: Vec<Revoked>) {
        self.outside.announce.revoked(revoked).await;
    }

    /// Whether the device is logged in, as of at most [`Config::recheck`] ago.
    pub(crate) async fn is_logged_in(&self, user: UserId, device: DeviceId) -> Result<bool, ApiError> {
        let now = Instant::now();
        let known = self.standings.get(&(user, device));
        if known.is_some_and(|seen| now.duration_since(seen) < self.config.recheck) {
            return Ok(true);
        }
        let logged_in = self.directory().is_logged_in(user, device).await?;
        match logged_in {
            true => self.standings.insert((user, device), now),
            false => drop(self.standings.remove(&(user, device))),
        }
        Ok(logged_in)
    }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
