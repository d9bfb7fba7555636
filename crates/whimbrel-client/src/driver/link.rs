//! An open session's connection: numbers, acknowledgements, heartbeats, and the way there.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};
use whimbrel_core::GoodbyeCode;
use whimbrel_wire::convert::{self, PROTOCOL, Welcome};
use whimbrel_wire::window::{Accept, Receive, Transmit};
use whimbrel_wire::{ClientPayload, Encoded, ServerFrame, ServerPayload};

use super::{End, end_of};
use crate::builder::Settings;
use crate::connection::{self, Reader, Writer};
use crate::engine::Fault;
use crate::rest::Auth;

/// A connection that takes longer to make, TLS included, has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A Welcome that takes longer does not come.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest `Hello.platform`, bytes.
const PLATFORM_MAX: usize = 32;

/// An open session.
pub(super) struct Link {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) welcome: Welcome,
    /// The token that opened it.
    pub(super) token: SecretString,
    /// Frames that came together with the Welcome.
    pub(super) early: Vec<ServerFrame>,
    receive: Receive,
    transmit: Transmit,
    began: Instant,
    last_sent: Instant,
    last_heard: Instant,
    ack_at: Option<Instant>,
}

/// Why there is no session; with a token that is no longer good.
pub(super) struct Failed {
    pub(super) end: End,
    pub(super) token: Option<SecretString>,
}

impl From<End> for Failed {
    fn from(end: End) -> Self {
        Failed { end, token: None }
    }
}

/// Gets a token, connects and says hello. `rejected`: a token that the server did not take.
pub(super) async fn open(settings: Settings, auth: Arc<Auth>, rejected: Option<SecretString>) -> Result<Link, Failed> {
    let credentials = match &rejected {
        Some(token) => auth.renew(token).await,
        None => auth.fresh().await,
    };
    let credentials = credentials.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "no token to log in with");
        // Unless it is over for good, the same token is still the one that was not taken.
        Failed { end: end_of(&error), token: rejected }
    })?;
    let broken = |error: &dyn std::fmt::Display| {
        tracing::debug!(%error, server = settings.server, "no connection");
        End::Broken { retry_after: None }
    };
    let connecting = timeout(CONNECT_TIMEOUT, connection::connect(&settings.server, settings.tls.clone()));
    let (mut reader, mut writer) = match connecting.await {
        Ok(Ok(halves)) => halves,
        Ok(Err(error)) => return Err(broken(&error).into()),
        Err(elapsed) => return Err(broken(&elapsed).into()),
    };
    let token = credentials.access_token.clone();
    let hello = convert::Hello {
        protocol: PROTOCOL,
        access_token: token.expose_secret().into(),
        device: credentials.device,
        platform: truncated(auth.platform(), PLATFORM_MAX).into(),
        sdk_version: crate::SDK_VERSION.into(),
    };
    writer.put(0, 0, Some(&Encoded::client(&ClientPayload::Hello(hello.into()))));
    let greeted = timeout(WELCOME_TIMEOUT, greet(&mut reader, &mut writer)).await;
    let (welcome, early) = match greeted {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(end)) => {
            let log_in = matches!(&end, End::Goodbye { code, .. } if code.next() == whimbrel_core::Next::LogIn);
            return Err(Failed { end, token: log_in.then_some(token) });
        }
        Err(elapsed) => return Err(broken(&elapsed).into()),
    };
    Ok(Link::new(reader, writer, welcome, token, early))
}

fn truncated(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

async fn greet(reader: &mut Reader, writer: &mut Writer) -> Result<(Welcome, Vec<ServerFrame>), End> {
    let broken = |error: &dyn std::fmt::Display| {
        tracing::debug!(%error, "no welcome");
        End::Broken { retry_after: None }
    };
    writer.write().await.map_err(|error| broken(&error))?;
    loop {
        let mut frames = reader.frames().await.map_err(|error| broken(&error))?.into_iter();
        match frames.next().map(|frame| frame.payload) {
            Some(Some(ServerPayload::Welcome(welcome))) => {
                let welcome = convert::welcome(welcome).map_err(|error| broken(&error))?;
                return Ok((welcome, frames.collect()));
            }
            Some(Some(ServerPayload::Goodbye(goodbye))) => {
                let retry_after = hint(goodbye.retry_after_ms);
                tracing::debug!(code = goodbye.code, reason = goodbye.reason, "goodbye instead of a welcome");
                return Err(End::Goodbye { code: GoodbyeCode(goodbye.code), retry_after });
            }
            Some(_) => return Err(broken(&"another frame came first")),
            None => {}
        }
    }
}

/// A goodbye's hint: 0 is none.
pub(super) fn hint(retry_after_ms: u32) -> Option<Duration> {
    (retry_after_ms > 0).then(|| Duration::from_millis(retry_after_ms.into()))
}

impl Link {
    fn new(mut reader: Reader, writer: Writer, welcome: Welcome, token: SecretString, early: Vec<ServerFrame>) -> Self {
        reader.set_max_frame(welcome.max_frame as usize);
        let now = Instant::now();
        Self {
            reader,
            writer,
            token,
            early,
            receive: Receive::new(welcome.window),
            transmit: Transmit::new(welcome.window),
            began: now,
            last_sent: now,
            last_heard: now,
            ack_at: None,
            welcome,
        }
    }

    /// Something came in.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    /// Takes note of a frame's numbers. Gives its payload if it is to be processed.
    pub(super) fn accept(&mut self, frame: ServerFrame, now: Instant) -> Result<Option<ServerPayload>, Fault> {
        let elapsed = self.ms(now);
        self.transmit.acknowledged(frame.ack, elapsed).map_err(|error| Fault::Broken(error.goodbye()))?;
        if frame.number == 0 {
            return Ok(frame.payload);
        }
        let accepted = self.receive.accept(frame.number);
        if self.ack_at.is_none() {
            self.ack_at = Some(now + Duration::from_millis(u64::from(self.welcome.ack_timeout_ms) / 2));
        }
        match accepted {
            Accept::Process => Ok(frame.payload),
            Accept::Repeat => Ok(None),
            Accept::OutOfTurn => Err(Fault::Broken(GoodbyeCode::OUT_OF_TURN)),
            Accept::BeyondWindow => Err(Fault::Broken(GoodbyeCode::WINDOW_VIOLATED)),
        }
    }

    /// Whether another numbered frame may be queued: the window has room, and the socket takes what was queued before.
    pub(super) fn has_room(&self) -> bool {
        self.transmit.can_send() && self.writer.waiting() < self.welcome.max_frame as usize
    }

    /// Queues a numbered frame, with the acknowledgement that is owed.
    pub(super) fn put(&mut self, payload: &Encoded, now: Instant) {
        let number = self.transmit.next_number(self.ms(now));
        self.put_frame(number, Some(payload), now);
    }

    /// Queues what nothing else carried: an acknowledgement that is due, a heartbeat.
    pub(super) fn put_dues(&mut self, now: Instant) {
        let due = self.ack_at.is_some_and(|at| at <= now) || self.receive.is_ack_urgent();
        if due && self.receive.owed_ack().is_some() {
            self.put_frame(0, None, now);
        }
        if now >= self.last_sent + self.heartbeat() {
            self.put_frame(0, Some(&Encoded::heartbeat()), now);
        }
    }

    pub(super) fn put_goodbye(&mut self, code: GoodbyeCode, now: Instant) {
        let goodbye = convert::goodbye(code, code.name(), 0);
        self.put_frame(0, Some(&Encoded::client(&ClientPayload::Goodbye(goodbye))), now);
    }

    fn put_frame(&mut self, number: u64, payload: Option<&Encoded>, now: Instant) {
        let ack = if self.receive.owed_ack().is_some() { self.receive.take_ack() } else { 0 };
        self.writer.put(number, ack, payload);
        self.ack_at = None;
        self.last_sent = now;
    }

    /// Why the session is to end by itself, if it is.
    pub(super) fn dead(&self, now: Instant) -> Option<GoodbyeCode> {
        let Welcome { ack_timeout_ms, ack_timeouts, .. } = self.welcome;
        if now >= self.last_heard + self.silence() {
            Some(GoodbyeCode::SILENT)
        } else if self.transmit.overdue(self.ms(now), ack_timeout_ms, ack_timeouts) {
            Some(GoodbyeCode::UNACKNOWLEDGED)
        } else {
            None
        }
    }

    /// When something of all this is due.
    pub(super) fn deadline(&self) -> Instant {
        let Welcome { ack_timeout_ms, ack_timeouts, .. } = self.welcome;
        let patience = Duration::from_millis(u64::from(ack_timeout_ms) * u64::from(ack_timeouts));
        let overdue = self.transmit.waiting_since().map(|since| self.began + Duration::from_millis(since) + patience);
        let beats = (self.last_sent + self.heartbeat()).min(self.last_heard + self.silence());
        [overdue, self.ack_at].into_iter().flatten().fold(beats, Instant::min)
    }

    fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.welcome.heartbeat_ms.into())
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.welcome.silence_ms.into())
    }

    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_millis() as u64
    }
}
