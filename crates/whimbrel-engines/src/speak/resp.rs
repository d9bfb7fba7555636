//! Redis: commands with answers that are one line or one string (RESP 2).

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::read_bytes;

/// A connection to a Redis server.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("Nothing listens at {address}"))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// One command. An error answer is an error.
    pub(crate) async fn command(&mut self, words: &[&str]) -> anyhow::Result<String> {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.0.write_all(text.as_bytes()).await.context("The command cannot be sent")?;
        let mut line = String::new();
        (&mut self.0).take(4096).read_line(&mut line).await.context("No answer")?;
        let line = line.trim_end();
        match line.split_at_checked(1) {
            Some(("+" | ":", text)) => Ok(text.to_owned()),
            Some(("-", error)) => bail!("{} is answered {error}", words[0]),
            Some(("$", "-1")) => bail!("{} is answered with nothing", words.join(" ")),
            Some(("$", length)) => {
                let length: usize = length.parse().with_context(|| format!("The answer {line:?}"))?;
                let mut text = read_bytes(&mut self.0, length + 2).await?;
                text.truncate(length);
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
            _ => bail!("{} is answered {line:?}", words[0]),
        }
    }
}

/// The version of the server that answers there, after PING.
pub(crate) async fn probe(address: &str, login: Option<(&str, &str)>) -> anyhow::Result<String> {
    let mut connection = Connection::open(address).await?;
    match login {
        Some(("", password)) => drop(connection.command(&["AUTH", password]).await?),
        Some((user, password)) => drop(connection.command(&["AUTH", user, password]).await?),
        None => {}
    }
    let answer = connection.command(&["PING"]).await?;
    anyhow::ensure!(answer == "PONG", "PING is answered {answer:?}");
    let info = connection.command(&["INFO", "server"]).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(version.context("INFO names no version")?.trim().to_owned())
}
