//! From settings to a running client.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::{Credentials, DeviceInfo};
use crate::client::Client;
use crate::error::Error;
use crate::event::{self, Events};
use crate::rest::{Auth, Password, Rest};
use crate::store::{MemoryStore, SqliteStore, Store};

/// Events that wait for the application, if the builder is not told otherwise.
pub const EVENT_CAPACITY: usize = 4096;

/// How much of a conversation a device takes that does not know it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSync {
    /// All that the server keeps.
    Everything,
    /// The last so many messages, but always all that no device of the user has received yet.
    Recent(u64),
}

impl Default for FirstSync {
    fn default() -> Self {
        FirstSync::Recent(200)
    }
}

enum Place {
    Memory,
    File(PathBuf),
    Given(Arc<dyn Store>),
}

/// What the driver is told once.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) server: String,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) first_sync: FirstSync,
    pub(crate) read_receipts: bool,
    pub(crate) auto_deliver: bool,
}

/// Settings of a [`Client`]; made by [`Client::builder`].
#[must_use]
pub struct ClientBuilder {
    api_url: String,
    server: String,
    credentials: Option<Credentials>,
    password: Option<Password>,
    device: DeviceInfo,
    place: Place,
    root: Option<Vec<u8>>,
    tls: Option<bool>,
    first_sync: FirstSync,
    read_receipts: bool,
    auto_deliver: bool,
    event_capacity: usize,
}

impl ClientBuilder {
    pub(crate) fn new(api_url: &str, server: &str) -> Self {
        Self {
            api_url: api_url.into(),
            server: server.into(),
            credentials: None,
            password: None,
            device: DeviceInfo::default(),
            place: Place::Memory,
            root: None,
            tls: None,
            first_sync: FirstSync::default(),
            read_receipts: true,
            auto_deliver: true,
            event_capacity: EVENT_CAPACITY,
        }
    }

    /// Tokens from registering or logging in. When the store has newer ones of the same device, those are used.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Logs in with these when there are no credentials, and again when the refresh token is no longer good.
    pub fn password(mut self, handle: &str, password: &str) -> Self {
        self.password = Some(Password { handle: handle.into(), password: password.into() });
        self
    }

    /// What logs in.
    pub fn device(mut self, device: DeviceInfo) -> Self {
        self.device = device;
        self
    }

    /// Keeps everything in an SQLite file, which is made when it is not there.
    pub fn store_file(mut self, path: impl AsRef<Path>) -> Self {
        self.place = Place::File(path.as_ref().into());
        self
    }

    /// Keeps everything in memory (the default): the device starts anew with each client, and of each conversation
    /// only the last messages stay ([`MEMORY_MESSAGES`](crate::store::MEMORY_MESSAGES)).
    pub fn store_memory(mut self) -> Self {
        self.place = Place::Memory;
        self
    }

    /// Keeps everything in a store of one's own.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.place = Place::Given(store);
        self
    }

    /// Trusts these certificates (PEM) and no others, for REST and for the socket, and speaks TLS on the socket.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root = Some(pem.into());
        self
    }

    /// Whether the socket speaks TLS. By default it does when REST does or a root certificate is given.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How much of a conversation is taken that this device does not know yet.
    pub fn first_sync(mut self, first_sync: FirstSync) -> Self {
        self.first_sync = first_sync;
        self
    }

    /// Whether the server, and with it the other user and one's own other devices, is told what was read. Without,
    /// [`Client::mark_read`] counts on this device only.
    pub fn read_receipts(mut self, read_receipts: bool) -> Self {
        self.read_receipts = read_receipts;
        self
    }

    /// Whether the server is told what is stored here as soon as it is (the default). Without, it is told together
    /// with what was read.
    pub fn auto_deliver(mut self, auto_deliver: bool) -> Self {
        self.auto_deliver = auto_deliver;
        self
    }

    /// How many events may wait for the application ([`EVENT_CAPACITY`](crate::EVENT_CAPACITY) if not set).
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.event_capacity = events;
        self
    }

    /// Logs in if that is needed, opens the store and starts the client. It connects from now on and is not online yet
    /// when this returns: [`Client::wait_online`].
    ///
    /// # Errors
    /// [`Error::Config`] for settings that cannot work, [`Error::Store`] when the store cannot be opened or belongs
    /// to somebody else, [`Error::NoCredentials`] when nothing says who this is, and what logging in fails with.
    pub async fn connect(self) -> Result<(Client, Events), Error> {
        let root = self.root.as_deref();
        let rest = Rest::build(&self.api_url, root)?;
        let tls = self.tls.unwrap_or(root.is_some() || self.api_url.starts_with("https://"));
        let settings = Settings {
            tls: tls.then(|| crate::tls::config(root)).transpose()?.map(Arc::new),
            server: self.server,
            first_sync: self.first_sync,
            read_receipts: self.read_receipts,
            auto_deliver: self.auto_deliver,
        };
        let store: Arc<dyn Store> = match self.place {
            Place::Memory => Arc::new(MemoryStore::new()),
            Place::File(path) => Arc::new(SqliteStore::open(&path).await?),
            Place::Given(store) => store,
        };
        let credentials = who(&*store, &rest, self.credentials, self.password.as_ref(), &self.device).await?;
        store.save_credentials(&credentials).await?;
        let auth = Arc::new(Auth::new(rest, store.clone(), self.password, self.device, credentials));
        let (emitter, events) = event::channel(self.event_capacity);
        let client = Client::start(settings, auth, store, emitter).await?;
        Ok((client, events))
    }
}

/// The newest credentials that there are, or new ones by logging in.
async fn who(
    store: &dyn Store,
    rest: &Rest,
    given: Option<Credentials>,
    password: Option<&Password>,
    device: &DeviceInfo,
) -> Result<Credentials, Error> {
    let saved = store.credentials().await?;
    match (given, saved, password) {
        (Some(given), Some(saved), _) if (saved.user, saved.device) == (given.user, given.device) => {
            Ok(if saved.access_expires_at > given.access_expires_at { saved } else { given })
        }
        (Some(given), _, _) => Ok(given),
        (None, Some(saved), _) => Ok(saved),
        (None, None, Some(password)) => password.log_in(rest, device).await,
        (None, None, None) => Err(Error::NoCredentials),
    }
}
