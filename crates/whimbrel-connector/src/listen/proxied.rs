//! Reading a trusted proxy's header off a connection: in a bounded time, and not a byte of what follows it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::proxy::{Fault, HEADER_MAX, Header, judge};

/// What it is counted as among the goodbyes.
pub(super) const NAME: &str = "proxy_header";

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// A proxy that only looks whether somebody listens, as a rule.
    #[error("it was closed before its PROXY protocol header was whole")]
    Closed,
    #[error("its PROXY protocol header did not come in time")]
    Late,
    #[error(transparent)]
    Bad(#[from] Fault),
}

/// The address of the client for whom the proxy speaks, if it does.
pub(super) async fn client(stream: &mut TcpStream, within: Duration) -> Result<Option<IpAddr>, Failed> {
    timeout(within, read(stream)).await.unwrap_or(Err(Failed::Late))
}

async fn read(stream: &mut TcpStream) -> Result<Option<IpAddr>, Failed> {
    let mut header = [0; HEADER_MAX];
    let mut have = 0;
    loop {
        match judge(&header[..have])? {
            Header::Whole(client) => return Ok(client),
            Header::Needs(more) => match stream.read(&mut header[have..have + more]).await {
                Ok(0) | Err(_) => return Err(Failed::Closed),
                Ok(read) => have += read,
            },
        }
    }
}

/// Lets one line in so many milliseconds through: what goes wrong for every connection is said now and then.
#[derive(Default)]
pub(super) struct Seldom(AtomicU64);

const SELDOM_MS: u64 = 10_000;

impl Seldom {
    /// Whether it is time again; `now`: milliseconds of the house's clock.
    pub(super) fn is_due(&self, now: u64) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        (last == 0 || now >= last + SELDOM_MS)
            && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
