//! TLS, for the socket and for REST alike: rustls with the ring provider, named explicitly, so that nothing depends on
//! what else is in the process.

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::Error;

/// Trusts the certificates in `root` (PEM) and no others; without it, the operating system's roots.
pub(crate) fn config(root: Option<&[u8]>) -> Result<ClientConfig, Error> {
    match root {
        Some(pem) => trusting(pem),
        None => platform(),
    }
}

/// Trusts nobody: for plain HTTP, so that no roots are read for it.
pub(crate) fn nothing() -> ClientConfig {
    builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
}

fn trusting(pem: &[u8]) -> Result<ClientConfig, Error> {
    let bad = |_| Error::Config("the root certificate is not PEM".into());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(bad)?;
        roots
            .add(certificate)
            .map_err(|error| Error::Config(format!("the root certificate is not usable: {error}")))?;
    }
    if roots.is_empty() {
        return Err(Error::Config("the root certificate file holds no certificate".into()));
    }
    Ok(builder().with_root_certificates(roots).with_no_client_auth())
}

/// Read once: the operating system's roots are a few hundred certificates, and a process may hold many clients.
fn platform() -> Result<ClientConfig, Error> {
    static PLATFORM: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(config) = PLATFORM.get() {
        return Ok(config.clone());
    }
    let builder = builder()
        .with_platform_verifier()
        .map_err(|error| Error::Config(format!("the operating system's root certificates: {error}")))?;
    Ok(PLATFORM.get_or_init(|| builder.with_no_client_auth()).clone())
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| Arc::new(ring::default_provider())).clone();
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring serves TLS 1.2 and 1.3")
}
