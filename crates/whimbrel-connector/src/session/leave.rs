//! The end of a connection: what is queued, the goodbye, our side closed, the client's side closed; in a bounded time.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Sleep;
use whimbrel_wire::Encoded;

use super::{Io, Session, Stage};
use crate::arrivals::Answer;
use crate::goodbye::{DISCARD_MAX, End};

/// A session that nobody reaches any more.
pub(super) struct Leaving {
    step: Step,
    /// What is said last, until it is written.
    pub(super) goodbye: Option<Encoded>,
    /// When patience ends.
    deadline: Pin<Box<Sleep>>,
    discarded: usize,
    /// The transfer did not say in time whether the session was attached. It is waited for, connection or not, since
    /// only then can the session be detached.
    pub(super) attach: Option<Answer>,
}

#[derive(Clone, Copy)]
enum Step {
    Write,
    Shutdown,
    /// Reads what the client still sends: closing with unread bytes would reset the connection, goodbye and all.
    Discard,
    Closed,
}

impl<IO: Io> Session<IO> {
    /// Begins to end the session: from here on it is unknown to all others.
    pub(super) fn leave(&mut self, end: End) {
        self.end();
        let house = &self.gate.house;
        house.figures.goodbye(end.name());
        let who = self.handle.who();
        let from = self.handle.slot.from();
        tracing::debug!(session = %who.session, user = %who.user, %from, reason = end.name(), ?end, "a connection ended");
        let step = match end {
            End::Say { .. } => Step::Write,
            End::Left => Step::Shutdown,
            End::Broken => Step::Closed,
        };
        let deadline = Box::pin(tokio::time::sleep(house.config.goodbye_linger));
        let attach = match mem::replace(&mut self.stage, Stage::Hello) {
            Stage::Attaching(attaching) => {
                // Pushes came for it, and nobody has said that it may have them.
                self.handle.mailbox.forget();
                attaching.answer
            }
            _ => None,
        };
        let leaving = Leaving { step, goodbye: end.frame(), deadline, discarded: 0, attach };
        self.stage = Stage::Leaving(Box::new(leaving));
    }

    pub(super) fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Stage::Leaving(leaving) = &mut self.stage else { return Poll::Ready(()) };
            if !matches!(leaving.step, Step::Closed) && leaving.deadline.as_mut().poll(cx).is_ready() {
                leaving.step = Step::Closed;
            }
            let next = match leaving.step {
                Step::Write => {
                    let now = self.gate.house.clock.ms();
                    if ready!(self.poll_write(cx, now)).is_ok() { Step::Shutdown } else { Step::Closed }
                }
                Step::Shutdown => {
                    if ready!(Pin::new(&mut self.io).poll_shutdown(cx)).is_ok() {
                        Step::Discard
                    } else {
                        Step::Closed
                    }
                }
                Step::Discard => ready!(self.poll_discard(cx)),
                Step::Closed => return self.poll_late_attach(cx),
            };
            if let Stage::Leaving(leaving) = &mut self.stage {
                leaving.step = next;
            }
        }
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let read = ready!(self.poll_bytes(cx, usize::MAX, |_, bytes| bytes.len()));
        let Stage::Leaving(leaving) = &mut self.stage else { return Poll::Ready(Step::Closed) };
        match read {
            Ok(n) if n > 0 && leaving.discarded < DISCARD_MAX => {
                leaving.discarded += n;
                Poll::Ready(Step::Discard)
            }
            _ => Poll::Ready(Step::Closed),
        }
    }

    fn poll_late_attach(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Leaving(leaving) = &mut self.stage else { return Poll::Ready(()) };
        if let Some(attach) = &mut leaving.attach {
            let attached = matches!(ready!(Pin::new(attach).poll(cx)), Ok(Ok(())));
            leaving.attach = None;
            if attached {
                self.gate.departures.add(self.handle.who(), self.handle.clone());
            }
        }
        Poll::Ready(())
    }
}
