//! The accept loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whimbrel_core::GoodbyeCode;

use super::tls::Handshakes;
use crate::Gate;
use crate::figures::Slot;
use crate::goodbye::{End, refuse};
use crate::session::Session;
use crate::tls::Reloading;

/// Refusals under way at a time; beyond that connections are closed without a word.
const REFUSALS: usize = 64;
/// The first and the longest pause after an accept that failed for want of something.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Connections that the kernel keeps until they are accepted (it may lower this: `net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// A listener that keeps enough connections waiting for the return of many clients at once. With the usual 128 some of
/// them would find no room, and try again only after a second.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until the house stops.
pub(crate) async fn accept(listener: TcpListener, tls: Option<Arc<Reloading>>, gate: Arc<Gate>) {
    let config = &gate.house.config;
    let tls = tls.map(|tls| Arc::new(Handshakes::new(tls, config.handshakes, config.handshake_timeout)));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let mut pause = PAUSE.0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = gate.house.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                pause = PAUSE.0;
                admit(stream, &tls, &gate, &refusals);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, ?pause, "connections cannot be accepted for now");
                tokio::select! {
                    () = gate.house.stopping.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

/// Errors of a connection that broke before it was accepted, rather than of this process.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn admit(stream: TcpStream, tls: &Option<Arc<Handshakes>>, gate: &Arc<Gate>, refusals: &Arc<Semaphore>) {
    // Writes are gathered here already; holding them back would only delay.
    let _ = stream.set_nodelay(true);
    let tls = tls.clone();
    let Some(slot) = Slot::take(&gate.house.figures, gate.house.config.max_connections) else {
        if let Ok(permit) = refusals.clone().try_acquire_owned() {
            tokio::spawn(busy(stream, tls, gate.clone(), permit));
        }
        return;
    };
    match tls {
        None => drop(tokio::spawn(Session::new(stream, gate.clone(), slot))),
        Some(tls) => drop(tokio::spawn(secured(stream, tls, gate.clone(), slot))),
    }
}

async fn secured(stream: TcpStream, tls: Arc<Handshakes>, gate: Arc<Gate>, slot: Slot) {
    // Boxed, so that the handshake's state is gone when the session begins.
    let stream = Box::pin(async {
        tokio::select! {
            () = gate.house.stopping.cancelled() => None,
            stream = tls.shake(stream) => stream,
        }
    });
    if let Some(stream) = stream.await {
        Session::new(Box::new(stream), gate, slot).await;
    }
}

async fn busy(stream: TcpStream, tls: Option<Arc<Handshakes>>, gate: Arc<Gate>, _permit: OwnedSemaphorePermit) {
    let config = &gate.house.config;
    let end = End::away(config, GoodbyeCode::BUSY);
    gate.house.figures.goodbye(end.name());
    match tls {
        None => refuse(stream, &end, config.goodbye_linger).await,
        Some(tls) => {
            // Boxed: refusals without TLS do not pay for its state.
            if let Some(stream) = Box::pin(tls.shake(stream)).await {
                refuse(stream, &end, config.goodbye_linger).await;
            }
        }
    }
}
