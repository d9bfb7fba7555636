//! RabbitMQ: the login of AMQP 0-9-1, up to an open virtual host.

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Stream, read_bytes};

const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
const METHOD: u8 = 1;
const FRAME_END: u8 = 0xCE;
/// Class `connection`, and its methods.
const CONNECTION: u16 = 10;
const START: u16 = 10;
const START_OK: u16 = 11;
const TUNE: u16 = 30;
const TUNE_OK: u16 = 31;
const OPEN: u16 = 40;
const OPEN_OK: u16 = 41;
const CLOSE: u16 = 50;
const CLOSE_OK: u16 = 51;

/// The version of the server that lets this user open `vhost` there.
pub(crate) async fn probe(address: &str, user: &str, password: &str, vhost: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("Nothing listens at {address}"))?;
    stream.write_all(HEADER).await.context("The greeting cannot be sent")?;
    let start = expect(&mut stream, START).await?;
    let version = version(&start).unwrap_or_else(|| "of no told version".to_owned());

    let mut answer = Vec::from(0_u32.to_be_bytes()); // no properties
    short(&mut answer, "PLAIN");
    let login = format!("\0{user}\0{password}");
    answer.extend(u32::try_from(login.len())?.to_be_bytes());
    answer.extend(login.as_bytes());
    short(&mut answer, "en_US");
    send(&mut stream, START_OK, &answer).await?;

    // What the server offers is taken as it is: channels, frame size, heartbeat.
    let tune = expect(&mut stream, TUNE).await.context("The login failed")?;
    send(&mut stream, TUNE_OK, tune.get(..8).context("A short frame")?).await?;
    let mut open = Vec::new();
    short(&mut open, vhost);
    open.extend([0, 0]);
    send(&mut stream, OPEN, &open).await?;
    expect(&mut stream, OPEN_OK).await.with_context(|| format!("The virtual host {vhost:?} cannot be opened"))?;

    let mut close = Vec::from(200_u16.to_be_bytes());
    short(&mut close, "");
    close.extend([0; 4]);
    send(&mut stream, CLOSE, &close).await?;
    expect(&mut stream, CLOSE_OK).await?;
    Ok(version)
}

async fn send(stream: &mut impl Stream, method: u16, arguments: &[u8]) -> anyhow::Result<()> {
    let mut frame = vec![METHOD, 0, 0];
    frame.extend(u32::try_from(arguments.len() + 4)?.to_be_bytes());
    frame.extend(CONNECTION.to_be_bytes());
    frame.extend(method.to_be_bytes());
    frame.extend(arguments);
    frame.push(FRAME_END);
    stream.write_all(&frame).await.context("The connection ended")
}

/// The arguments of the next frame, which must be this method of the connection.
async fn expect(stream: &mut impl Stream, method: u16) -> anyhow::Result<Vec<u8>> {
    let head = read_bytes(stream, 7).await?;
    if head[0] != METHOD {
        bail!("It does not speak AMQP 0-9-1");
    }
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let payload = read_bytes(stream, length as usize).await?;
    let end = stream.read_u8().await.context("The connection ended within a frame")?;
    let (ids, arguments) = payload.split_at_checked(4).context("A short frame")?;
    let (class, got) = (u16::from_be_bytes([ids[0], ids[1]]), u16::from_be_bytes([ids[2], ids[3]]));
    if (class, got) == (CONNECTION, CLOSE) {
        let text = arguments.get(3..).unwrap_or_default();
        let length = usize::from(arguments.get(2).copied().unwrap_or_default()).min(text.len());
        bail!("The server closed: {}", String::from_utf8_lossy(&text[..length]));
    }
    if (class, got, end) != (CONNECTION, method, FRAME_END) {
        bail!("Method {class}.{got} came instead of {CONNECTION}.{method}");
    }
    Ok(arguments.to_vec())
}

/// A string with its length in one byte; a longer one is cut.
fn short(to: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    to.push(bytes.len() as u8);
    to.extend(bytes);
}

/// The server's version, from the table of its properties: a key, the type `S`, a length, a text.
fn version(start: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\x07versionS";
    let at = start.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let length = u32::from_be_bytes(start.get(at..at + 4)?.try_into().ok()?) as usize;
    Some(String::from_utf8_lossy(start.get(at + 4..(at + 4).checked_add(length)?)?).into_owned())
}
