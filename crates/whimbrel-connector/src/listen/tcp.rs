//! The accept loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

use super::door::Door;
use crate::Gate;
use crate::tls::Reloading;

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
    let stopping = gate.house.stopping.clone();
    let door = Arc::new(Door::new(gate, tls));
    let mut pause = PAUSE.0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSE.0;
                door.admit(stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, ?pause, "connections cannot be accepted for now");
                tokio::select! {
                    () = stopping.cancelled() => return,
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
