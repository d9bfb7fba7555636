//! The way from other roles to a transfer, which can be cut for one process.
//!
//! Who a connection comes from is read from `/proc` (Linux): the process that holds the socket at the connection's other
//! end. Both ends' addresses name it: the kernel gives one port to several connections, as long as they go to different
//! places, and one that is over keeps its row for a minute.

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
    let inode = caller.local_addr().ok().and_then(|here| inode_of(peer, here));
    let is_cut = |pid: &Option<u32>| pid.is_some_and(|pid| inode.is_some_and(|inode| holds(pid, inode)));
    let Ok(mut server) = TcpStream::connect(behind).await else { return };
    let _ = (caller.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = cut.wait_for(is_cut) => {}
        _ = copy_bidirectional(&mut caller, &mut server) => {}
    }
}

/// The inode of the socket whose own end is at `local`, and the other at `remote`.
fn inode_of(local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    inode_in(&std::fs::read_to_string("/proc/net/tcp").ok()?, local, remote)
}

fn inode_in(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let ends = [end(local)?, end(remote)?];
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.get(1..3).is_some_and(|found| *found == ends))?;
    row.get(9)?.parse().ok()
}

/// An address as the table has it.
fn end(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port()))
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

    /// The caller's port served another connection before, to elsewhere; that is over, and stands first. Its row named
    /// nobody, and so nobody was cut off.
    #[test]
    fn a_connection_is_named_by_both_of_its_ends() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:93A1 0100007F:0CEA 06 00000000:00000000 03:000011F9 00000000     0        0 0 3 0000\n   \
             1: 0100007F:93A1 0100007F:A2B4 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0000\n   \
             2: 0100007F:A2B4 0100007F:93A1 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0000\n";
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(inode_in(table, at(0x93A1), at(0xA2B4)), Some(77));
        assert_eq!(inode_in(table, at(0xA2B4), at(0x93A1)), Some(78));
        assert_eq!(inode_in(table, at(0x93A1), at(0xA2B5)), None);
    }

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
