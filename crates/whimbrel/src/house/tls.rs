//! TLS: one cryptography provider for the process, and the certificate of its sockets.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use whimbrel_connector::tls::Reloading;

use crate::config::sections::Tls;

/// How often the certificate's files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// For the parts that take the process's provider instead of naming one (REST clients).
pub(crate) fn install_provider() {
    // Fails only if there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The certificate that the configuration names, followed from now on; `None` if it names none.
pub(crate) fn open(tls: &Tls) -> anyhow::Result<Option<Arc<Reloading>>> {
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.private_key) else { return Ok(None) };
    let reloading = Reloading::open(certificate, key, LOOK_EVERY).context("tls.certificate, tls.private_key")?;
    Ok(Some(reloading))
}
