//! The way from other roles to a transfer, which can be cut for one process.
//!
//! Who a connection comes from is read from `/proc` (Linux): the process that holds the socket with the peer's port.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A relay in front of a transfer. Dropping it ends it and every connection through it.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    cut: Arc<watch::Sender<Option<u32>>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens on a free port, and passes on to `behind`.
    ///
    /// # Errors
    /// When there is no free port.
    pub(crate) async fn start(behind: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("No free port was found on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let cut = Arc::new(watch::Sender::new(None));
        let task = tokio::spawn(accept(listener, cut.clone(), behind));
        Ok(Self { address, cut, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks the connections of this process, and lets it make no new ones; `None`: nobody's any more.
    pub(crate) fn cut(&self, pid: Option<u32>) {
        self.cut.send_replace(pid);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, cut: Arc<watch::Sender<Option<u32>>>, behind: SocketAddr) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((caller, peer)) = accepted else { continue };
                connections.spawn(pass(caller, peer, cut.subscribe(), behind));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(mut caller: TcpStream, peer: SocketAddr, mut cut: watch::Receiver<Option<u32>>, behind: SocketAddr) {
    let inode = inode_of(peer);
    let is_cut = |pid: &Option<u32>| pid.is_some_and(|pid| inode.is_some_and(|inode| holds(pid, inode)));
    let Ok(mut server) = TcpStream::connect(behind).await else { return };
    let _ = (caller.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = cut.wait_for(is_cut) => {}
        _ = copy_bidirectional(&mut caller, &mut server) => {}
    }
}

/// The inode of the socket whose own end is at this address.
fn inode_of(local: SocketAddr) -> Option<u64> {
    let SocketAddr::V4(local) = local else { return None };
    let end = format!("{:08X}:{:04X}", u32::from_ne_bytes(local.ip().octets()), local.port());
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let mut fields = table.lines().map(|line| line.split_whitespace());
    fields.find_map(|mut fields| (fields.nth(1)? == end).then(|| fields.nth(7)?.parse().ok()).flatten())
}

/// Whether this process has the socket open.
fn holds(pid: u32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target == Path::new(&wanted)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// This process is cut off: what was open breaks, what is new is closed at once; another process's number cuts
    /// nobody here.
    #[tokio::test]
    async fn a_cut_breaks_the_connections_of_that_process_only() {
        let echo = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let relay = Relay::start(echo.local_addr().expect("bound")).await.expect("a port");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        let echoes = async |stream: &mut TcpStream| {
            let mut byte = [0];
            stream.write_all(b"x").await.is_ok() && matches!(stream.read(&mut byte).await, Ok(1))
        };
        let mut open = TcpStream::connect(relay.address()).await.expect("listening");
        assert!(echoes(&mut open).await);
        relay.cut(Some(1));
        assert!(echoes(&mut open).await);
        relay.cut(Some(std::process::id()));
        assert!(!echoes(&mut open).await);
        let mut new = TcpStream::connect(relay.address()).await.expect("listening");
        assert!(!echoes(&mut new).await);
        relay.cut(None);
        let mut again = TcpStream::connect(relay.address()).await.expect("listening");
        assert!(echoes(&mut again).await);
    }
}
