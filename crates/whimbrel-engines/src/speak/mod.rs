//! As much of each server's protocol as tells whether it really answers, and which version it is.

pub(crate) mod amqp;
pub(crate) mod mysql;
pub(crate) mod resp;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A connection of whatever kind.
pub(crate) trait Stream: AsyncReadExt + AsyncWriteExt + Unpin + Send {}
impl<S: AsyncReadExt + AsyncWriteExt + Unpin + Send> Stream for S {}

/// No answer to a probe is longer.
const ANSWER_MAX: usize = 1 << 20;

/// `length` bytes, which the other side said would come.
async fn read_bytes(stream: &mut impl Stream, length: usize) -> anyhow::Result<Vec<u8>> {
    if length > ANSWER_MAX {
        bail!("An answer of {length} bytes is not what was asked for");
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.context("The connection ended within an answer")?;
    Ok(bytes)
}
