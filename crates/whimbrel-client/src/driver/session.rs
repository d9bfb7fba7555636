//! One session, from its Welcome to its end.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use whimbrel_core::GoodbyeCode;
use whimbrel_wire::ServerFrame;

use super::link::{Link, hint};
use super::{Driver, End};
use crate::engine::Fault;
use crate::event::ConnectionState;

/// How long the last words may take.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

impl Driver {
    /// Holds a session until it ends. Says why it ended, and whether it was online.
    pub(super) async fn session(&mut self, mut link: Link) -> (End, bool) {
        let mut online = false;
        self.engine.session_started(&link.welcome);
        let end = match self.converse(&mut link, &mut online).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        tracing::debug!(?end, session = %link.welcome.session, "the session is over");
        self.last_words(&mut link, &end).await;
        // A request of this session may go on for long; the next session makes it again.
        self.job = None;
        (end, online)
    }

    async fn converse(&mut self, link: &mut Link, online: &mut bool) -> Result<std::convert::Infallible, End> {
        let mut alarm = pin!(sleep_until(link.deadline()));
        let early = std::mem::take(&mut link.early);
        self.frames(link, early).await?;
        self.unpark();
        loop {
            self.drain_commands()?;
            self.settle().await?;
            self.put_older().await?;
            self.look_up().await;
            self.pump(link)?;
            if !*online && self.engine.is_in_step() {
                *online = true;
                self.set_state(ConnectionState::Online);
            }
            let deadline = self.engine.deadline().map_or(link.deadline(), |at| at.min(link.deadline()));
            if deadline < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(deadline);
            }
            tokio::select! {
                written = link.writer.write(), if link.writer.is_behind() => written.map_err(|error| broken(&error))?,
                frames = link.reader.frames() => {
                    let frames = frames.map_err(|error| broken(&error))?;
                    self.frames(link, frames).await?;
                }
                command = self.commands.recv(), if !self.calls.deserted => self.command(command)?,
                done = poll_fn(|cx| self.job.as_mut().map_or(std::task::Poll::Pending, |job| job.as_mut().poll(cx))),
                    if self.job.is_some() => self.fetched(done).await?,
                () = &mut alarm => self.tick().await?,
            }
        }
    }

    /// Takes what one read brought. A fault ends the session after what came before it was taken.
    async fn frames(&mut self, link: &mut Link, frames: Vec<ServerFrame>) -> Result<(), End> {
        let now = Instant::now();
        link.heard(now);
        for frame in frames {
            let taken = match link.accept(frame, now) {
                Ok(None) => Ok(()),
                Ok(Some(payload)) => self.engine.receive(payload, now),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = taken {
                self.settle().await?;
                return Err(self.faulted(link, fault, now));
            }
        }
        Ok(())
    }

    fn faulted(&mut self, link: &mut Link, fault: Fault, now: Instant) -> End {
        match fault {
            Fault::Goodbye { code, reason, retry_after_ms } => {
                tracing::debug!(%code, reason, "the server said goodbye");
                End::Goodbye { code, retry_after: hint(retry_after_ms) }
            }
            Fault::Broken(code) => {
                tracing::warn!(%code, "the server broke the protocol");
                link.put_goodbye(code, now);
                End::Broken { retry_after: None }
            }
        }
    }

    /// Queues what is to be said, as far as window and socket take it.
    fn pump(&mut self, link: &mut Link) -> Result<(), End> {
        let now = Instant::now();
        while link.has_room() {
            let Some(payload) = self.engine.next_frame(now) else { break };
            link.put(&payload, now);
        }
        link.put_dues(now);
        self.start_fetch(now);
        if let Some(code) = link.dead(now) {
            link.put_goodbye(code, now);
            return Err(broken(&code));
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), End> {
        if self.calls.deserted && self.emitter.is_unheard() {
            return Err(End::Application);
        }
        if self.engine.tick(Instant::now()) {
            return Err(broken(&"answers stay away"));
        }
        Ok(())
    }

    /// Says what can still be said.
    async fn last_words(&mut self, link: &mut Link, end: &End) {
        if matches!(end, End::Application) {
            // What is not stored is not told.
            if self.settle().await.is_ok() {
                let _ = self.pump(link);
            }
            link.put_goodbye(GoodbyeCode::CLIENT_LEAVES, Instant::now());
        }
        let _ = timeout(GOODBYE_TIMEOUT, link.writer.finish()).await;
    }
}

fn broken(why: &dyn std::fmt::Display) -> End {
    tracing::debug!(%why, "the session broke");
    End::Broken { retry_after: None }
}
