//! TLS handshakes: each in a bounded time, and a bounded number of them computed at a time.
//!
//! A handshake is a ClientHello to wait for, a signature and a key to compute, and a client's last word to wait for.
//! Only the computation takes a turn: clients that say nothing, or stop halfway, hold up nobody. How many of those there
//! are the connections' number bounds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
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
        match timeout(self.within, self.accept(stream)).await {
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

    async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        // The acceptor allocates when it is polled: not for a client that says nothing.
        stream.readable().await?;
        let hello = LazyConfigAcceptor::new(Default::default(), stream).await?;
        let turn = self.turns.acquire().await.map_err(io::Error::other)?;
        // The computation does not pause, so that turns mean nothing unless they are held in the scheduler's queue:
        // with this no more computations are ever in it than there are turns, and sessions run in between.
        tokio::task::yield_now().await;
        let rest = hello.into_stream(self.tls.current());
        // What a usual client makes us compute after this is little. Who has to finish does not queue again: what was
        // computed for it would be lost if its time ended there.
        drop(turn);
        rest.await
    }
}
