//! Ports on 127.0.0.1 that nobody else takes, and random names.
//!
//! Who holds a [`Port`] holds a lock on a file of its number, in one folder for each user of the machine. So instances of
//! concurrent test processes never meet, not even at the port of one that is down just now. Against everybody else there is
//! only the look whether the port is free; a start that clashes all the same is repeated on other ports.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, bail};

/// Ports are chosen below the range from which systems take the client side's, or a client's own end of a connection
/// could sit on the server's port while that is down.
const PORTS: std::ops::Range<u16> = 15_000..30_000;
/// So many are tried before giving up.
const ATTEMPTS: usize = 1000;

/// A reserved port of 127.0.0.1. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves one.
    pub(crate) fn reserve() -> anyhow::Result<Self> {
        let folder = locks()?;
        for _ in 0..ATTEMPTS {
            let [high, low] = random()?;
            let number = PORTS.start + u16::from_be_bytes([high, low]) % (PORTS.end - PORTS.start);
            let file = folder.join(number.to_string());
            let lock = File::options().create(true).append(true).open(&file).with_context(|| format!("{file:?}"))?;
            if lock.try_lock().is_ok() && is_free(number) {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("No free port was found on 127.0.0.1")
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// True if nobody listens there.
    pub(crate) fn is_free(&self) -> bool {
        is_free(self.number)
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The folder of the locks. The files stay, empty; removing one would part those who hold it from those who open it anew.
fn locks() -> anyhow::Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("engines-ports-{user}"));
    std::fs::create_dir_all(&folder).with_context(|| format!("The folder {folder:?}"))?;
    Ok(folder)
}

/// Random bytes, good enough for a password.
fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).context("/dev/urandom")?;
    Ok(bytes)
}

/// Random lower-case hexadecimal digits: two for each of `N` bytes.
pub(crate) fn random_hex<const N: usize>() -> anyhow::Result<String> {
    Ok(random::<N>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A held port is free to look at, so only its lock can keep it; the same file is asked for directly.
    #[test]
    fn a_reserved_port_is_nobody_elses_until_it_is_given_back() {
        let port = Port::reserve().unwrap();
        assert!(port.is_free() && PORTS.contains(&port.number()));
        let file = File::options().append(true).open(locks().unwrap().join(port.number().to_string())).unwrap();
        assert!(file.try_lock().is_err(), "two hold one port");
        drop(port);
        assert!(file.try_lock().is_ok(), "a port that was given back stays reserved");
    }

    #[test]
    fn a_port_that_is_listened_at_is_not_free() {
        let port = Port::reserve().unwrap();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        assert!(!port.is_free());
    }
}
