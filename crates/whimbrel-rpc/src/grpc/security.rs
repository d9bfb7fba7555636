//! Who may open a stream: whoever knows the cluster's secret, and, where it is configured, has a certificate.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};
use tonic::{Request, Status};
use tracing::warn;

use super::Limits;
use super::figures;

/// The metadata key of the secret.
const SECRET: &str = "whimbrel-secret-bin";
/// Addresses of which it is remembered that they were written about.
const WARNED_MAX: usize = 1024;

/// What streams are opened and accepted with.
#[derive(Clone)]
pub struct Security {
    /// Every process of the cluster knows it.
    pub secret: SecretString,
    /// Mutual TLS; `None`: plain connections.
    pub tls: Option<Tls>,
}

/// Mutual TLS, in PEM.
#[derive(Clone)]
pub struct Tls {
    identity: Identity,
    authority: Certificate,
    server_name: Option<String>,
}

/// Why certificates were not taken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What is in them does not fit.
    #[error("the certificate, the key and the authority's certificate do not make a TLS configuration")]
    Unusable(#[source] tonic::transport::Error),
}

impl Tls {
    /// From PEM texts: this process's certificate (with what is between it and the authority) and its key, and the
    /// certificate of the authority that signed every peer's. `server_name`: what transfers' certificates are issued
    /// to, if that is not the host in their addresses.
    pub fn new(certificate: &str, key: &str, authority: &str, server_name: Option<String>) -> Result<Self, TlsError> {
        let tls = Self {
            identity: Identity::from_pem(certificate, key),
            authority: Certificate::from_pem(authority),
            server_name,
        };
        // Both sides are tried once, so that a wrong file is known at the start.
        let endpoint = Endpoint::from_static("https://localhost").tls_config(tls.client());
        endpoint.map_err(TlsError::Unusable)?;
        tonic::transport::Server::builder().tls_config(tls.server()).map_err(TlsError::Unusable)?;
        Ok(tls)
    }

    /// From the files of these names.
    pub fn read(certificate: &str, key: &str, authority: &str, server_name: Option<String>) -> Result<Self, TlsError> {
        let read = |path: &str| {
            std::fs::read_to_string(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
        };
        Self::new(&read(certificate)?, &read(key)?, &read(authority)?, server_name)
    }

    fn client(&self) -> ClientTlsConfig {
        let config = ClientTlsConfig::new().identity(self.identity.clone()).ca_certificate(self.authority.clone());
        match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        }
    }

    pub(crate) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new().identity(self.identity.clone()).client_ca_root(self.authority.clone())
    }
}

impl Security {
    /// The way to a transfer. Every stream has a connection of its own, so that both end together.
    pub(crate) fn endpoint(&self, address: &str, limits: &Limits) -> Result<Endpoint, tonic::transport::Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
            .connect_timeout(limits.open_within)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(limits.alive_every)
            .keep_alive_timeout(limits.alive_within)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        match &self.tls {
            Some(tls) => endpoint.tls_config(tls.client()),
            None => Ok(endpoint),
        }
    }

    /// Puts the secret into a call.
    pub(crate) fn sign<T>(&self, request: &mut Request<T>) {
        let mut secret = MetadataValue::from_bytes(self.secret.expose_secret().as_bytes());
        secret.set_sensitive(true);
        request.metadata_mut().insert_bin(SECRET, secret);
    }
}

/// Bytes of one direction that may be on the way before the other side has taken them.
pub(crate) const WINDOW: u32 = 1024 * 1024;

/// The door of a server.
#[derive(Clone)]
pub(crate) struct Door {
    secret: SecretString,
    warned: Arc<Mutex<HashSet<Option<IpAddr>>>>,
}

impl Door {
    pub(crate) fn new(security: &Security) -> Self {
        Self { secret: security.secret.clone(), warned: Arc::default() }
    }

    /// Lets in who knows the secret. Of the others nothing is read.
    pub(crate) fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let came = request.metadata().get_bin(SECRET).and_then(|value| value.to_bytes().ok());
        let expected = self.secret.expose_secret().as_bytes();
        if came.as_deref().is_some_and(|came| bool::from(came.ct_eq(expected))) {
            return Ok(());
        }
        figures::hello_refused("secret");
        self.warn(request.remote_addr().map(|address| address.ip()), came.is_some());
        Err(Status::unauthenticated("the cluster's secret is missing or wrong"))
    }

    fn warn(&self, from: Option<IpAddr>, any: bool) {
        let mut warned = self.warned.lock();
        if warned.len() >= WARNED_MAX {
            warned.clear();
        }
        if warned.insert(from) {
            let from = from.map(|ip| ip.to_string()).unwrap_or_default();
            let what = if any { "a wrong" } else { "no" };
            warn!(%from, "somebody came with {what} cluster secret and was sent away; this is written once for each address");
        }
    }
}
