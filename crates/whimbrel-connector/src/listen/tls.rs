//! TLS handshakes: a bounded number at a time, each in a bounded time.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::Reloading;

pub(super) struct Handshakes {
    tls: Arc<Reloading>,
    turns: Semaphore,
    within: Duration,
}

impl Handshakes {
    pub(super) fn new(tls: Arc<Reloading>, at_a_time: usize, within: Duration) -> Self {
        Self { tls, turns: Semaphore::new(at_a_time), within }
    }

    /// The secured connection; `None` when the handshake failed or took too long, its turn included.
    pub(super) async fn shake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let shake = async {
            let _turn = self.turns.acquire().await.map_err(std::io::Error::other)?;
            TlsAcceptor::from(self.tls.current()).accept(stream).await
        };
        match timeout(self.within, shake).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        }
    }
}
