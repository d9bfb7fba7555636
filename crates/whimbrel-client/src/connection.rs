//! One connection: bytes to frames and back.
//!
//! Between reads a connection holds no read buffer: all of a thread's connections read into one. What is written waits
//! in one buffer and goes out in one write.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;

use bytes::{Buf, BytesMut};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use whimbrel_core::limits::FRAME_MAX;
use whimbrel_wire::codec::Splitter;
use whimbrel_wire::frame::{decode_server, put_frame};
use whimbrel_wire::{Encoded, FrameError, ServerFrame};

/// What one read takes at most, bytes.
const READ_MAX: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_MAX].into_boxed_slice());
}

/// Why a connection gives no more frames.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The other side closed it.
    #[error("the connection was closed")]
    Closed,
    /// It broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// What came is not the protocol.
    #[error("the server sent what is no frame")]
    Frame(#[from] FrameError),
}

/// The incoming half.
pub(crate) struct Reader {
    io: Box<dyn AsyncRead + Send + Unpin>,
    splitter: Splitter,
    max_frame: usize,
}

/// The outgoing half.
pub(crate) struct Writer {
    io: Box<dyn AsyncWrite + Send + Unpin>,
    waiting: BytesMut,
    /// What was written may still rest in TLS.
    unflushed: bool,
}

/// Connects to `server` (`host:port`), with TLS if there is a configuration for it.
pub(crate) async fn connect(server: &str, tls: Option<Arc<rustls::ClientConfig>>) -> io::Result<(Reader, Writer)> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    match tls {
        None => {
            let (read, write) = stream.into_split();
            Ok(halves(read, write))
        }
        Some(config) => {
            let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name =
                ServerName::try_from(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
            let (read, write) = tokio::io::split(stream);
            Ok(halves(read, write))
        }
    }
}

fn halves(
    read: impl AsyncRead + Send + Unpin + 'static,
    write: impl AsyncWrite + Send + Unpin + 'static,
) -> (Reader, Writer) {
    let reader = Reader { io: Box::new(read), splitter: Splitter::new(), max_frame: FRAME_MAX };
    (reader, Writer { io: Box::new(write), waiting: BytesMut::new(), unflushed: false })
}

impl Reader {
    /// The longest frame that is taken from now on, bytes.
    pub(crate) fn set_max_frame(&mut self, max_frame: usize) {
        self.max_frame = max_frame;
    }

    /// All whole frames of the next read; none if it brought only a part of one. Dropping the future loses nothing.
    pub(crate) async fn frames(&mut self) -> Result<Vec<ServerFrame>, ReadError> {
        poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
                if buffer.filled().is_empty() {
                    return Err(ReadError::Closed).into();
                }
                let frames = self.splitter.push(buffer.filled(), self.max_frame);
                frames.map(|frame| Ok(decode_server(frame?)?)).collect::<Result<Vec<_>, ReadError>>().into()
            })
        })
        .await
    }
}

impl Writer {
    /// Queues a frame.
    pub(crate) fn put(&mut self, number: u64, ack: u64, payload: Option<&Encoded>) {
        put_frame(&mut self.waiting, number, ack, payload);
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether [`Writer::write`] has something to do.
    pub(crate) fn is_behind(&self) -> bool {
        self.unflushed || !self.waiting.is_empty()
    }

    /// Writes all that waits. Dropping the future loses nothing.
    pub(crate) async fn write(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let written = self.io.write(&self.waiting).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.waiting.advance(written);
            self.unflushed = true;
        }
        self.io.flush().await?;
        self.unflushed = false;
        // An idle connection holds no buffer.
        self.waiting = BytesMut::new();
        Ok(())
    }

    /// Tells the other side that nothing more comes.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        self.write().await?;
        self.io.shutdown().await
    }
}
