//! A session without the SDK: sends exactly the frames that a test wants, and shows exactly what comes back.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use whimbrel_core::DeviceId;
use whimbrel_core::limits::FRAME_MAX;
use whimbrel_wire::codec::Splitter;
use whimbrel_wire::frame::{ClientPayload, Encoded, ServerPayload, decode_server, put_frame};
use whimbrel_wire::proto::Hello;

use crate::wait::within;

/// One connection.
pub struct Raw {
    stream: TcpStream,
    splitter: Splitter,
    waiting: std::collections::VecDeque<Bytes>,
    sent: u64,
    received: u64,
}

impl Raw {
    /// Connects and says nothing.
    pub async fn connect(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await.context("connect")?;
        Ok(Self { stream, splitter: Splitter::new(), waiting: Default::default(), sent: 0, received: 0 })
    }

    /// Connects and says Hello; the Welcome is read.
    pub async fn attach(server: SocketAddr, token: &str, device: DeviceId) -> anyhow::Result<Self> {
        let mut raw = Self::connect(server).await?;
        raw.hello(token, device).await?;
        match raw.next().await? {
            Some(ServerPayload::Welcome(_)) => Ok(raw),
            other => bail!("instead of Welcome: {other:?}"),
        }
    }

    /// Says Hello.
    pub async fn hello(&mut self, token: &str, device: DeviceId) -> anyhow::Result<()> {
        let hello = Hello {
            protocol: 1,
            access_token: token.to_owned(),
            device_id: Bytes::copy_from_slice(device.as_bytes()),
            platform: "test".to_owned(),
            sdk_version: "raw/1".to_owned(),
        };
        self.send(ClientPayload::Hello(hello)).await
    }

    /// Sends one frame with the next number (or none, where the kind has none), acknowledging what was read.
    pub async fn send(&mut self, payload: ClientPayload) -> anyhow::Result<()> {
        let encoded = Encoded::client(&payload);
        let number = if encoded.is_numbered() {
            self.sent += 1;
            self.sent
        } else {
            0
        };
        let mut out = Vec::new();
        put_frame(&mut out, number, self.received, Some(&encoded));
        self.bytes(&out).await
    }

    /// Acknowledges what was read.
    pub async fn acknowledge(&mut self) -> anyhow::Result<()> {
        let mut out = Vec::new();
        put_frame(&mut out, 0, self.received, None);
        self.bytes(&out).await
    }

    /// Sends these bytes.
    pub async fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).await.context("write")
    }

    /// The next payload; `None` when the server closed. Acknowledgements without payload are passed over.
    pub async fn next(&mut self) -> anyhow::Result<Option<ServerPayload>> {
        loop {
            while let Some(frame) = self.waiting.pop_front() {
                let frame = decode_server(frame)?;
                self.received = self.received.max(frame.number);
                if let Some(payload) = frame.payload {
                    return Ok(Some(payload));
                }
            }
            let mut buffer = vec![0; 64 * 1024];
            let count = within("the server's next bytes", self.stream.read(&mut buffer)).await.unwrap_or(0);
            if count == 0 {
                return Ok(None);
            }
            for frame in self.splitter.push(&buffer[..count], FRAME_MAX) {
                self.waiting.push_back(frame?);
            }
        }
    }

    /// The next payload that `pick` wants; others are passed over.
    pub async fn find<T>(&mut self, mut pick: impl FnMut(ServerPayload) -> Option<T>) -> anyhow::Result<T> {
        while let Some(payload) = self.next().await? {
            if let Some(found) = pick(payload) {
                return Ok(found);
            }
        }
        bail!("the server closed before that came")
    }

    /// The goodbye with which the server ends this session.
    pub async fn goodbye(&mut self) -> anyhow::Result<u32> {
        self.find(|payload| match payload {
            ServerPayload::Goodbye(goodbye) => Some(goodbye.code),
            _ => None,
        })
        .await
    }
}
