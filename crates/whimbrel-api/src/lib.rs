//! The API role: REST for accounts, devices, relations, groups, settings, presence, history, search, files and administration.
//!
//! Owns the way from an HTTP request to a change in the [`Directory`], in [`Groups`], in [`Settings`] or in [`Files`] with
//! their content ([`Blobs`]), and to those who must hear of it ([`Announce`]).
//! A change is announced before it is answered, and runs to its end whatever becomes of the request. Access tokens are
//! checked without the database; whether their device is still logged in is remembered for two seconds.
//!
//! What is not here: no message passes through, no SQL, no socket protocol, no state that a second API would need to
//! know. No password, token or key is logged, and none is kept: passwords rest as argon2id, refresh tokens as SHA-256.
//! Nothing answers an unauthenticated request beyond registering, logging in, refreshing, health and the OpenAPI
//! document; metrics answer this machine.

mod accounts;
mod admin;
mod auth;
mod config;
mod devices;
mod error;
mod extract;
mod files;
mod groups;
mod health;
mod history;
mod limits;
mod logins;
mod net;
mod observe;
mod openapi;
mod passwords;
mod personal;
mod presence;
mod relations;
mod router;
mod search;
mod serve;
mod settings;
mod shared;
mod turns;
mod users;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use secrecy::SecretSlice;
use whimbrel_rpc::Announce;
use whimbrel_rpc::token::TokenKey;
use whimbrel_store::{Blobs, Directory, Files, Groups, History, Keeping, Presences, Search, Settings, UserStatus};

pub use config::{ADMIN_KEY_MIN, Config, ConfigError, Hashing, MetricsAccess, Registration};
pub use error::Code;
pub use files::FilesConfig;
pub use limits::DelayPolicy;
pub use net::{AddressRange, ParseRangeError, Peer};
pub use openapi::document;
pub use serve::TlsSource;

/// What the rest of the process has to say about its readiness: an error names what is missing.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Renders the process's metrics in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Where what the API changes rests.
#[derive(Clone)]
pub struct Stores {
    /// Accounts, devices, relations; also whom placed rows were told to.
    pub directory: Arc<dyn Directory>,
    /// Groups.
    pub groups: Arc<dyn Groups>,
    /// How conversations are shown.
    pub settings: Arc<dyn Settings>,
    /// What was said in them.
    pub history: Arc<dyn History>,
    /// The same, by what it says.
    pub search: Arc<dyn Search>,
    /// What is noted to be erased.
    pub keeping: Arc<dyn Keeping>,
    /// What users show of their coming and going.
    pub presences: Arc<dyn Presences>,
    /// Who is online. It is asked, and never told anything.
    pub status: Arc<dyn UserStatus>,
    /// What is known of files.
    pub files: Arc<dyn Files>,
    /// Their content.
    pub blobs: Arc<dyn Blobs>,
}

impl Stores {
    /// One engine that holds everything that rests but the content of files; who is online; that content.
    pub fn one<S>(store: Arc<S>, status: Arc<dyn UserStatus>, blobs: Arc<dyn Blobs>) -> Self
    where
        S: Directory + Groups + Settings + History + Search + Keeping + Presences + Files,
    {
        Self {
            directory: store.clone(),
            groups: store.clone(),
            settings: store.clone(),
            history: store.clone(),
            search: store.clone(),
            keeping: store.clone(),
            presences: store.clone(),
            status,
            files: store,
            blobs,
        }
    }
}

/// The API. A handle: clones are the same role.
#[derive(Clone)]
pub struct ApiRole {
    shared: Arc<shared::Shared>,
}

impl ApiRole {
    /// Builds the role; nothing listens yet.
    ///
    /// `refresh_secret` needs at least 32 bytes and must be the same on all APIs of a deployment, as must the token
    /// key.
    pub fn new(
        config: Config,
        stores: Stores,
        announce: Arc<dyn Announce>,
        tokens: Arc<TokenKey>,
        refresh_secret: SecretSlice<u8>,
        ready: Ready,
        metrics: RenderMetrics,
    ) -> Result<Self, ConfigError> {
        let outside = shared::Outside { stores, announce, ready, metrics };
        Ok(Self { shared: Arc::new(shared::Shared::new(config, outside, tokens, refresh_secret)?) })
    }

    /// All routes, for tests or for a server of one's own, which puts a [`Peer`] into each request's extensions.
    pub fn router(&self) -> axum::Router {
        router::router(self.shared.clone())
    }

    /// Collects the files that nothing needs any more, now; [`ApiRole::serve`] does it now and then. How many these were.
    ///
    /// # Errors
    /// [`StoreError`](whimbrel_store::StoreError) when the database is away.
    pub async fn collect_files(&self) -> Result<usize, whimbrel_store::StoreError> {
        files::collect(&self.shared).await
    }

    /// From now on `/readyz` says that this server is leaving, while everything else still answers: a load balancer
    /// gets to know before the listener closes.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }
}
