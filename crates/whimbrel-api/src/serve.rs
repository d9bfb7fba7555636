//! The listener: connections in bounded number, TLS, and leaving politely.
//!
//! The accept loop only accepts: handshakes and requests run in the connection's own task. No connection outlives its
//! age limit, none stays without a complete head for longer than the head's, so a slow peer holds one of the bounded
//! places for a bounded time.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ApiRole;
use crate::config::Config;
use crate::files::keep_collecting;
use crate::net::Peer;

/// Gives the TLS settings for a new connection, so that renewed certificates count at once.
pub type TlsSource = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// How long the loop rests when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection that has reached its age has to finish the request under way.
const AGED_GRACE: Duration = Duration::from_secs(30);

/// Longest head of a request, bytes: an access token and a few fields.
const HEAD_MAX: usize = 16 * 1024;

/// Connections by address; an entry goes with its last connection, so it is as bounded as the connections are.
#[derive(Default)]
struct PerAddress(Mutex<HashMap<IpAddr, usize>>);

struct Place {
    of: Arc<PerAddress>,
    address: IpAddr,
}

impl PerAddress {
    fn take(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Place> {
        let mut counts = self.0.lock();
        let count = counts.entry(address).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Place { of: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.of.0.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

impl ApiRole {
    /// Serves until `stop`; returns once requests under way are answered and every change that was begun is done and
    /// told. Each of the two takes at most [`Config::drain_timeout`].
    pub async fn serve(&self, listener: TcpListener, tls: Option<TlsSource>, stop: CancellationToken) {
        let server = Arc::new(Server { config: self.shared.config.clone(), router: self.router(), tls, stop });
        let connections = TaskTracker::new();
        let collecting = {
            let (shared, stop) = (self.shared.clone(), server.stop.clone());
            tokio::spawn(async move { keep_collecting(&shared, stop).await })
        };
        server.accept(listener, &connections).await;
        self.drain();
        connections.close();
        // Each connection has the same limit, and cuts itself off.
        connections.wait().await;
        // It was told to stop with the others, and stops at once.
        drop(collecting.await);
        self.shared.changes.close();
        if tokio::time::timeout(server.config.drain_timeout, self.shared.changes.wait()).await.is_err() {
            tracing::warn!(left = self.shared.changes.len(), "some changes were not told in time");
        }
    }
}

struct Server {
    config: Config,
    router: Router,
    tls: Option<TlsSource>,
    stop: CancellationToken,
}

impl Server {
    /// Accepts until told to stop. The listener is closed when this returns.
    async fn accept(self: &Arc<Self>, listener: TcpListener, connections: &TaskTracker) {
        let places = Arc::new(Semaphore::new(self.config.connections_max));
        let per_address = Arc::new(PerAddress::default());
        let accept = async {
            loop {
                // The semaphore is never closed; without a place, peers wait in the listener's queue.
                let Ok(place) = places.clone().acquire_owned().await else { return };
                let (stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        pause_after(&error).await;
                        continue;
                    }
                };
                let address = peer.ip().to_canonical();
                let is_proxy = self.config.trusted_proxies.iter().any(|range| range.contains(address));
                let max = if is_proxy { usize::MAX } else { self.config.connections_per_address };
                let Some(own_place) = per_address.take(address, max) else { continue };
                let server = self.clone();
                connections.spawn(async move {
                    server.connection(stream, peer).await;
                    drop((place, own_place));
                });
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = accept => {}
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        // A socket without the option only answers later.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.http(stream, peer).await };
        let handshake = TlsAcceptor::from(tls()).accept(stream);
        let handshake = tokio::time::timeout(self.config.handshake_timeout, handshake);
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = self.stop.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.http(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
        }
    }

    async fn http(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr) {
        let router = TowerToHyperService::new(self.router.clone());
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            router.call(request)
        });
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.config.head_timeout)
                .max_buf_size(HEAD_MAX)
                .serve_connection(TokioIo::new(stream), service)
        );
        let grace = tokio::select! {
            ended = connection.as_mut() => return log_end(peer, ended),
            () = self.stop.cancelled() => self.config.drain_timeout,
            () = tokio::time::sleep(self.config.connection_age_max) => AGED_GRACE,
        };
        connection.as_mut().graceful_shutdown();
        match tokio::time::timeout(grace, connection).await {
            Ok(ended) => log_end(peer, ended),
            Err(_) => tracing::debug!(%peer, "a connection did not end in time and was cut"),
        }
    }
}

fn log_end(peer: SocketAddr, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// A peer that gave up costs nothing; a process without descriptors must not spin.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "accepting failed");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
