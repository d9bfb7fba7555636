//! One connection of a load client: frames in, frames out, numbers and acknowledgements.
//!
//! Nothing is allocated for reading: a thread's sessions share one buffer, and between frames a session holds none.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use whimbrel_core::limits::HELLO_FRAME_MAX;
use whimbrel_core::{GoodbyeCode, SyncQuestion};
use whimbrel_wire::codec::{Frames, Splitter};
use whimbrel_wire::convert::{self, Welcome};
use whimbrel_wire::frame::{decode_server, put_frame};
use whimbrel_wire::window::{Accept, Receive, Transmit};
use whimbrel_wire::{ClientPayload, Encoded, ServerPayload, proto};

use crate::prove::accounts::Account;

/// Bytes of one read.
const READ_MAX: usize = 64 * 1024;
/// From connecting to Welcome.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_MAX].into_boxed_slice());
}

/// An open session.
pub(super) struct Session {
    stream: TcpStream,
    splitter: Splitter,
    transmit: Transmit,
    receive: Receive,
    out: Vec<u8>,
    opened: Instant,
    last_sent: Instant,
    /// What the server announced.
    pub(super) welcome: Welcome,
}

impl Session {
    /// Connects (from this address of the machine, if one is given), says Hello and waits for Welcome.
    ///
    /// # Errors
    /// When the server does not answer, or answers with a goodbye.
    pub(super) async fn open(server: SocketAddr, from: Option<IpAddr>, account: &Account) -> anyhow::Result<Self> {
        let open = Self::try_open(server, from, account);
        tokio::time::timeout(OPEN_TIMEOUT, open).await.context("The server does not welcome a session in time")?
    }

    async fn try_open(server: SocketAddr, from: Option<IpAddr>, account: &Account) -> anyhow::Result<Self> {
        let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.context("No socket is to be had")?;
        if let Some(from) = from {
            socket.bind((from, 0).into()).with_context(|| format!("No port of {from} is to be had"))?;
        }
        let mut stream = socket.connect(server).await.with_context(|| format!("{server} cannot be connected to"))?;
        stream.set_nodelay(true)?;
        let hello = proto::Hello::from(convert::Hello {
            protocol: convert::PROTOCOL,
            access_token: account.token.clone(),
            device: account.device,
            platform: "load".to_owned(),
            sdk_version: concat!("whimbrel-bench/", env!("CARGO_PKG_VERSION")).to_owned(),
        });
        let mut out = Vec::new();
        put_frame(&mut out, 0, 0, Some(&Encoded::client(&ClientPayload::Hello(hello))));
        stream.write_all(&out).await.context("Hello")?;
        out = Vec::new();
        let mut splitter = Splitter::new();
        let welcome = loop {
            let mut frames = read(&mut stream, &mut splitter, HELLO_FRAME_MAX).await?;
            if let Some(frame) = frames.next() {
                match decode_server(frame?)?.payload {
                    Some(ServerPayload::Welcome(welcome)) => break convert::welcome(welcome)?,
                    Some(ServerPayload::Goodbye(goodbye)) => bail!(said(&goodbye)),
                    _ => bail!("The server did not begin with Welcome"),
                }
            }
        };
        let now = Instant::now();
        Ok(Self {
            stream,
            splitter,
            transmit: Transmit::new(welcome.window),
            receive: Receive::new(welcome.window),
            out,
            opened: now,
            last_sent: now,
            welcome,
        })
    }

    /// Whether the window has room for a numbered frame.
    pub(super) fn has_room(&self) -> bool {
        self.transmit.can_send()
    }

    /// Adds a numbered frame to what [`Session::flush`] writes.
    pub(super) fn put(&mut self, payload: &ClientPayload) {
        let number = self.transmit.next_number(self.now_ms());
        put_frame(&mut self.out, number, self.receive.take_ack(), Some(&Encoded::client(payload)));
    }

    /// Adds a Sync.
    pub(super) fn put_sync(&mut self, question: SyncQuestion) {
        self.put(&ClientPayload::Sync(question.into()));
    }

    /// Adds what is due without a payload: an urgent acknowledgement.
    pub(super) fn put_urgent_ack(&mut self) {
        if self.receive.is_ack_urgent() {
            put_frame(&mut self.out, 0, self.receive.take_ack(), None);
        }
    }

    /// Adds the acknowledgement that is owed, or else a heartbeat if nothing was sent for most of the announced time.
    pub(super) fn put_idle(&mut self) {
        if self.receive.owed_ack().is_some() {
            put_frame(&mut self.out, 0, self.receive.take_ack(), None);
        } else if self.last_sent.elapsed() * 10 >= Duration::from_millis(self.welcome.heartbeat_ms.into()) * 9 {
            put_frame(&mut self.out, 0, 0, Some(&Encoded::heartbeat()));
        }
    }

    /// How often [`Session::put_idle`] has to be called.
    pub(super) fn idle_every(&self) -> Duration {
        Duration::from_millis(u64::from(self.welcome.ack_timeout_ms.min(self.welcome.heartbeat_ms)) / 2)
    }

    /// Writes everything that was put.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await.context("The session broke while writing")?;
            self.out.clear();
            self.last_sent = Instant::now();
        }
        Ok(())
    }

    /// Says goodbye.
    pub(super) async fn leave(mut self) {
        let goodbye = convert::goodbye(GoodbyeCode::CLIENT_LEAVES, "done", 0);
        put_frame(&mut self.out, 0, 0, Some(&Encoded::client(&ClientPayload::Goodbye(goodbye))));
        // The measurement is over: a session that breaks now has left as well.
        let _ = self.flush().await;
    }

    /// Waits for the next bytes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the session broke, or the server closed it.
    pub(super) async fn frames(&mut self) -> anyhow::Result<Frames> {
        read(&mut self.stream, &mut self.splitter, self.welcome.max_frame as usize).await
    }

    /// Takes note of frames, and gives each new payload to `take`.
    ///
    /// # Errors
    /// When the server breaks the protocol, says goodbye, or what `take` fails with.
    pub(super) fn hear(
        &mut self,
        frames: Frames,
        mut take: impl FnMut(ServerPayload) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let now = self.now_ms();
        for frame in frames {
            let frame = decode_server(frame?)?;
            self.transmit.acknowledged(frame.ack, now)?;
            if frame.number > 0 {
                match self.receive.accept(frame.number) {
                    Accept::Process => {}
                    Accept::Repeat => continue,
                    Accept::OutOfTurn => bail!("The server's frame {} is out of turn", frame.number),
                    Accept::BeyondWindow => bail!("The server's frame {} is beyond its window", frame.number),
                }
            }
            match frame.payload {
                None | Some(ServerPayload::Heartbeat(_)) => {}
                Some(ServerPayload::Goodbye(goodbye)) => bail!(said(&goodbye)),
                Some(payload) => take(payload)?,
            }
        }
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }
}

fn said(goodbye: &proto::Goodbye) -> String {
    format!("The server said goodbye: {}: {}", GoodbyeCode(goodbye.code), goodbye.reason)
}

async fn read(stream: &mut TcpStream, splitter: &mut Splitter, max_frame: usize) -> anyhow::Result<Frames> {
    poll_fn(|cx| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf)).context("The session broke while reading")?;
            if buf.filled().is_empty() {
                return Poll::Ready(Err(anyhow!("The server closed a session without a goodbye")));
            }
            Poll::Ready(Ok(splitter.push(buf.filled(), max_frame)))
        })
    })
    .await
}
