//! Why sessions end, and how that is told.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use whimbrel_core::{GoodbyeCode, SessionId};
use whimbrel_wire::convert;
use whimbrel_wire::frame::put_frame;
use whimbrel_wire::{Encoded, FrameError, ServerPayload};

use crate::config::{Config, wire_ms};
use crate::mailbox::Close;

/// Bytes that are read and thrown away while a client takes note of its goodbye. Closing with unread bytes would reset
/// the connection, and the goodbye might be lost with it.
pub(crate) const DISCARD_MAX: usize = 1024 * 1024;

/// Why a session ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// This side says goodbye.
    Say {
        code: GoodbyeCode,
        /// 0: no hint.
        retry_after_ms: u32,
        /// What exactly was wrong with the client's bytes.
        fault: Option<FrameError>,
    },
    /// The client said goodbye.
    Left,
    /// The connection ended without one.
    Broken,
}

impl End {
    pub(crate) const fn say(code: GoodbyeCode) -> Self {
        Self::Say { code, retry_after_ms: 0, fault: None }
    }

    /// What a server says that cannot serve this client now.
    pub(crate) fn away(config: &Config, code: GoodbyeCode) -> Self {
        Self::Say { code, retry_after_ms: retry_hint(config), fault: None }
    }

    /// The reason's name, for logs and figures.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Say { code, .. } => code.name(),
            Self::Left => GoodbyeCode::CLIENT_LEAVES.name(),
            Self::Broken => "broken",
        }
    }

    /// What is told to the client, if anything is.
    pub(crate) fn frame(&self) -> Option<Encoded> {
        let Self::Say { code, retry_after_ms, fault } = self else { return None };
        let reason = fault.map_or_else(|| sentence(*code).to_owned(), |fault| fault.to_string());
        Some(Encoded::server(&ServerPayload::Goodbye(convert::goodbye(*code, reason, *retry_after_ms))))
    }
}

impl From<FrameError> for End {
    fn from(fault: FrameError) -> Self {
        Self::Say { code: fault.goodbye(), retry_after_ms: 0, fault: Some(fault) }
    }
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Say { code: close.code, retry_after_ms: close.retry_after_ms, fault: None }
    }
}

/// Between once and twice the configured time, at random, so that those who are sent away do not return as one.
fn retry_hint(config: &Config) -> u32 {
    let base = wire_ms(config.busy_retry).clamp(1, u32::MAX / 2);
    let [a, b, c, d, ..] = *SessionId::generate().as_bytes();
    base + u32::from_ne_bytes([a, b, c, d]) % base
}

const fn sentence(code: GoodbyeCode) -> &'static str {
    match code {
        GoodbyeCode::MOVING => "this server is stopping; connect again",
        GoodbyeCode::SILENT => "nothing was heard for the announced time",
        GoodbyeCode::UNACKNOWLEDGED => "acknowledgements stayed away for the announced time",
        GoodbyeCode::TOO_SLOW => "what was sent was not read in time",
        GoodbyeCode::BUSY => "this server has as many connections as it takes",
        GoodbyeCode::UNAVAILABLE => "something that this server needs is away",
        GoodbyeCode::TOKEN_EXPIRED => "the access token has expired",
        GoodbyeCode::TOKEN_INVALID => "the access token is not for this server and device",
        GoodbyeCode::LOGGED_OUT => "this device was logged out",
        GoodbyeCode::REPLACED => "another session of this device took over",
        GoodbyeCode::UNEXPECTED_FRAME => "this frame does not belong here",
        GoodbyeCode::OUT_OF_TURN => "a frame's number is ahead of its turn",
        GoodbyeCode::WINDOW_VIOLATED => "more than the window allows, or an acknowledgement of what was never sent",
        GoodbyeCode::HELLO_TIMEOUT => "no Hello came within the announced time",
        GoodbyeCode::FRAME_TIMEOUT => "the rest of a frame did not come in time",
        GoodbyeCode::VERSION_UNSUPPORTED => "this protocol version is not served here",
        GoodbyeCode::ACCOUNT_GONE => "this account was deleted",
        code => code.name(),
    }
}

/// Says goodbye on a connection that never became a session, and closes it; all within `linger`.
pub(crate) async fn refuse(mut io: impl AsyncRead + AsyncWrite + Unpin, end: &End, linger: Duration) {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, 0, 0, end.frame().as_ref());
    let goodbye = async {
        io.write_all(&bytes).await?;
        io.shutdown().await?;
        let mut waste = [0; 512];
        for _ in 0..DISCARD_MAX / waste.len() {
            if io.read(&mut waste).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    // Whether the client still listens is its own affair.
    let _ = tokio::time::timeout(linger, goodbye).await;
}
