//! TLS server configurations from certificate and key files, re-read when these change.
//!
//! The cryptography is *ring*'s, named here and not taken from a process-wide default. A new file that is broken, or
//! does not belong to the other, changes nothing but the log: what was good before stays.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why there is no TLS with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file cannot be read, or is not PEM.
    #[error("the certificate file {path} cannot be used")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The certificate file holds no certificate.
    #[error("the certificate file {path} holds no certificate")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key file cannot be read, or holds no private key in PEM.
    #[error("the key file {path} cannot be used")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The two do not belong together, or are of a kind that is not supported.
    #[error("the certificate and the key cannot be used together")]
    Pair(#[from] rustls::Error),
}

/// A server configuration (TLS 1.2 and 1.3, no client certificates) from a chain of certificates and their key, in PEM.
///
/// # Errors
/// When a file cannot be read or used, or the two do not belong together.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let bad = |source| TlsError::Certificate { path: certificate.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(bad)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(bad)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate.to_owned() });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Key { path: key.to_owned(), source })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// A configuration that follows its files.
pub struct Reloading {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl Reloading {
    /// Loads the files and looks after them from now on, once in `every`, as long as this is held. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// As [`load`]; later errors are logged, and what was loaded before stays.
    pub fn open(certificate: &Path, key: &Path, every: Duration) -> Result<Arc<Self>, TlsError> {
        // Before the files are read: a change in between is seen as one.
        let seen = stamp(certificate, key);
        let current = RwLock::new(load(certificate, key)?);
        let this = Arc::new(Self { certificate: certificate.to_owned(), key: key.to_owned(), current });
        tokio::spawn(watch(Arc::downgrade(&this), seen, every));
        Ok(this)
    }

    /// What new connections use.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.read().clone()
    }

    fn reload(&self) {
        match load(&self.certificate, &self.key) {
            Ok(config) => {
                *self.current.write() = config;
                tracing::info!(certificate = %self.certificate.display(), "a new certificate is in use");
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, cause, "a new certificate cannot be used; the old one stays");
            }
        }
    }
}

/// When the files were changed and how long they are; errors count as a state like any other.
type Stamp = [Result<(SystemTime, u64), io::ErrorKind>; 2];

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let of = |meta: fs::Metadata| Ok((meta.modified()?, meta.len()));
        fs::metadata(path).and_then(of).map_err(|error| error.kind())
    })
}

async fn watch(reloading: Weak<Reloading>, mut seen: Stamp, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(reloading) = reloading.upgrade() else { return };
        let looked = tokio::task::spawn_blocking(move || {
            let now = stamp(&reloading.certificate, &reloading.key);
            if now != seen {
                reloading.reload();
            }
            now
        });
        match looked.await {
            Ok(now) => seen = now,
            Err(_) => return,
        }
    }
}
