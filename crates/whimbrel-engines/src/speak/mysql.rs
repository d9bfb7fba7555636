//! MySQL and MariaDB: the greeting, and the login of a user whose password is empty.
//!
//! With a password, logging in takes hashes and RSA; a driver does that. Here the greeting must do then.

use anyhow::{Context, bail};
use tokio::net::TcpStream;

use super::{Stream, read_bytes};

/// CLIENT_LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH.
const CAPABILITIES: u32 = 0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
const UTF8MB4: u8 = 45;
const OK: u8 = 0x00;
const ERROR: u8 = 0xFF;
const SWITCH: u8 = 0xFE;
/// Plugins that take an empty answer for an empty password.
const PLUGINS: [&[u8]; 2] = [b"mysql_native_password", b"caching_sha2_password"];

/// The name and version of the server that greets there; with a `user`, only if it can log in with an empty password.
pub(crate) async fn probe(address: &str, user: Option<&str>) -> anyhow::Result<String> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("Nothing listens at {address}"))?;
    talk(stream, user).await
}

/// As [`probe`], through a socket in the file system.
pub(crate) async fn probe_socket(socket: &str, user: &str) -> anyhow::Result<String> {
    let stream =
        tokio::net::UnixStream::connect(socket).await.with_context(|| format!("Nothing listens at {socket}"))?;
    talk(stream, Some(user)).await
}

async fn talk(mut stream: impl Stream, user: Option<&str>) -> anyhow::Result<String> {
    let (_, greeting) = read_packet(&mut stream).await?;
    let server = server(&greeting)?;
    let Some(user) = user else { return Ok(server) };

    let mut login = Vec::from(CAPABILITIES.to_le_bytes());
    login.extend((1_u32 << 24).to_le_bytes()); // the longest packet
    login.push(UTF8MB4);
    login.extend([0; 23]);
    login.extend(user.as_bytes());
    login.extend([0, 0]); // the end of the name, and an answer of no bytes
    login.extend(PLUGINS[0]);
    login.push(0);
    write_packet(&mut stream, 1, &login).await?;
    loop {
        let (number, packet) = read_packet(&mut stream).await?;
        match packet.split_first() {
            Some((&OK, _)) => break,
            Some((&ERROR, error)) => bail!("{user} cannot log in: {}", error_text(error)),
            Some((&SWITCH, rest)) => {
                let plugin = rest.split(|byte| *byte == 0).next().unwrap_or_default();
                if !PLUGINS.contains(&plugin) {
                    bail!("{user} would have to log in by {}", String::from_utf8_lossy(plugin));
                }
                write_packet(&mut stream, number.wrapping_add(1), &[]).await?;
            }
            _ => bail!("The login is answered {packet:02x?}"),
        }
    }
    // COM_QUIT, so that the server does not log a broken connection.
    write_packet(&mut stream, 0, &[1]).await?;
    Ok(server)
}

/// `MySQL 8.4.3` or `MariaDB 10.11.6` from a greeting.
fn server(greeting: &[u8]) -> anyhow::Result<String> {
    let (&protocol, rest) = greeting.split_first().context("An empty greeting")?;
    if protocol == ERROR {
        bail!("The server refuses: {}", error_text(rest));
    }
    let text = rest.split(|byte| *byte == 0).next().map(String::from_utf8_lossy).unwrap_or_default();
    // MariaDB used to prefix its version for old replicas.
    let text = text.strip_prefix("5.5.5-").unwrap_or(&text);
    if protocol != 10 || !text.starts_with(|first: char| first.is_ascii_digit()) {
        bail!("It does not speak MySQL's protocol");
    }
    let name = if text.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    Ok(format!("{name} {}", text.split('-').next().unwrap_or_default()))
}

/// An error's text, without its number; the SQL state stays.
fn error_text(error: &[u8]) -> String {
    String::from_utf8_lossy(error.get(2..).unwrap_or_default()).into_owned()
}

async fn read_packet(stream: &mut impl Stream) -> anyhow::Result<(u8, Vec<u8>)> {
    let head = read_bytes(stream, 4).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    Ok((head[3], read_bytes(stream, length as usize).await?))
}

async fn write_packet(stream: &mut impl Stream, number: u8, payload: &[u8]) -> anyhow::Result<()> {
    let [low, middle, high, _] = u32::try_from(payload.len())?.to_le_bytes();
    let packet = [&[low, middle, high, number], payload].concat();
    stream.write_all(&packet).await.context("The connection ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_names_the_server() {
        assert_eq!(server(b"\x0a8.4.3\0rest").unwrap(), "MySQL 8.4.3");
        assert_eq!(server(b"\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0").unwrap(), "MariaDB 10.11.6");
        assert_eq!(server(b"\x0a11.8.2-MariaDB\0").unwrap(), "MariaDB 11.8.2");
        assert!(server(b"SSH-2.0").is_err() && server(b"").is_err());
        let refused = server(b"\xff\x10\x04Too many connections").unwrap_err();
        assert_eq!(refused.to_string(), "The server refuses: Too many connections");
    }
}
