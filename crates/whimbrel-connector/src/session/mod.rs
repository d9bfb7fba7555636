//! The task of one connection: login, then reading and writing in one future, then goodbye.
//!
//! The future is the connection: polled when its socket, its mailbox or the sweep has something for it. It holds no
//! buffer between polls besides what is unfinished: the beginning of a frame that is coming in, the rest of a write
//! that the socket did not take. All of its state is its own; others reach it only through its [`Handle`].
//!
//! No wake is lost: the waker is registered before anything is looked at.

mod deadlines;
mod leave;
mod reader;
mod writer;

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use whimbrel_core::GoodbyeCode;
use whimbrel_core::limits::HELLO_FRAME_MAX;
use whimbrel_wire::codec::Splitter;

use crate::Gate;
use crate::arrivals::{self, Answer};
use crate::config::ms;
use crate::figures::Slot;
use crate::goodbye::End;
use crate::hub::Handle;
use crate::inbound::Talk;
use crate::login;
use crate::rate::Rates;

use deadlines::Times;
use leave::Leaving;

/// What a connection can be on.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// A connection, from its first byte to its last.
pub(crate) struct Session<IO> {
    io: IO,
    gate: Arc<Gate>,
    handle: Arc<Handle>,
    stage: Stage,
    splitter: Splitter,
    talk: Talk,
    /// What the socket did not take yet of the last write.
    out: Bytes,
    /// A write was taken by a layer that may hold it back (TLS).
    flush: bool,
    /// The transfer knows this session and has not been told that it ended.
    attached: bool,
    times: Times,
    rates: Rates,
    /// Nothing is read until then: the session came faster than its rate.
    throttle: Option<Pin<Box<Sleep>>>,
}

enum Stage {
    Hello,
    Attaching(Box<Attaching>),
    Open,
    Leaving(Box<Leaving>),
}

struct Attaching {
    /// `None` once it was answered.
    answer: Option<Answer>,
    /// Whole frames that came in one read with Hello.
    early: Vec<Result<Bytes, whimbrel_wire::FrameError>>,
}

impl<IO: Io> Session<IO> {
    /// A connection that was just accepted, with its hub entry made.
    pub(crate) fn new(io: IO, gate: Arc<Gate>, slot: Slot) -> Self {
        let config = &gate.house.config;
        let now = gate.house.clock.ms();
        let handle = Arc::new(Handle::new(slot, now + ms(config.hello_timeout)));
        gate.house.hub.insert(handle.clone());
        if gate.house.stopping.is_cancelled() {
            let close = crate::mailbox::Close { code: GoodbyeCode::MOVING, retry_after_ms: 1 };
            handle.mailbox.close(close);
        }
        Self {
            io,
            talk: Talk::new(config.window),
            gate,
            handle,
            stage: Stage::Hello,
            splitter: Splitter::new(),
            out: Bytes::new(),
            flush: false,
            attached: false,
            times: Times::at(now),
            rates: Rates::default(),
            throttle: None,
        }
    }

    fn poll_hello(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let now = self.gate.house.clock.ms();
        if let Some(close) = self.handle.mailbox.closing() {
            return Poll::Ready(Err(close.into()));
        }
        while let Poll::Ready(frames) = self.poll_frames(cx, HELLO_FRAME_MAX, now) {
            let (mut frames, _) = frames?;
            if let Some(first) = frames.next() {
                let attach = login::hello(first?, self.handle.id, &self.gate.house)?;
                // Before the transfer is asked: it may push, by session or by user, before it answers.
                self.gate.house.hub.introduce(&self.handle, attach.session, attach.since);
                let answer = Some(arrivals::ask(&self.gate, attach, self.handle.clone()));
                self.stage = Stage::Attaching(Box::new(Attaching { answer, early: frames.collect() }));
                self.times.stage = now;
                return Poll::Ready(Ok(()));
            }
        }
        self.check_hello(now)?;
        Poll::Pending
    }

    fn poll_attach(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let Stage::Attaching(attaching) = &mut self.stage else { return Poll::Ready(Ok(())) };
        let Some(answer) = &mut attaching.answer else { return Poll::Ready(Ok(())) };
        let config = &self.gate.house.config;
        let now = self.gate.house.clock.ms();
        let Poll::Ready(answer) = Pin::new(answer).poll(cx) else {
            let until = self.times.stage + ms(config.hello_timeout);
            self.handle.due.store(until, Ordering::Relaxed);
            if now < until {
                return Poll::Pending;
            }
            return Poll::Ready(Err(End::away(config, GoodbyeCode::UNAVAILABLE)));
        };
        attaching.answer = None;
        match answer {
            Ok(answer) => answer.map_err(|refused| login::refused(config, refused))?,
            // The call fell over: whether the session is attached nobody knows.
            Err(_) => {
                self.gate.departures.add(self.handle.who(), self.handle.clone());
                return Poll::Ready(Err(End::away(config, GoodbyeCode::UNAVAILABLE)));
            }
        }
        self.out = login::welcome(config, self.handle.who());
        let early = mem::take(&mut attaching.early);
        self.stage = Stage::Open;
        self.attached = true;
        self.gate.house.figures.session_opened();
        self.times = Times { partial: self.times.partial, ..Times::at(now) };
        Poll::Ready(self.hear(early.into_iter(), 0, now))
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let now = self.gate.house.clock.ms();
        if let Some(close) = self.handle.mailbox.closing() {
            return Poll::Ready(close.into());
        }
        // Reading first: it opens the window, and what is owed for it goes out with the write.
        if let Poll::Ready(end) = self.poll_requests(cx, now) {
            return Poll::Ready(end);
        }
        if let Poll::Ready(Err(_)) = self.poll_write(cx, now) {
            return Poll::Ready(End::Broken);
        }
        match self.check_open(now) {
            Ok(()) => Poll::Pending,
            Err(end) => Poll::Ready(end),
        }
    }

    /// Nobody reaches the session any more; the transfer is told if it knew it.
    fn end(&mut self) {
        self.handle.mailbox.shut();
        self.gate.house.hub.remove(&self.handle);
        if mem::take(&mut self.attached) {
            self.gate.house.figures.session_ended();
            self.gate.departures.add(self.handle.who(), self.handle.clone());
        }
    }
}

impl<IO: Io> Future for Session<IO> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.handle.waker.register(cx.waker());
        loop {
            let step = match this.stage {
                Stage::Hello => ready!(this.poll_hello(cx)),
                Stage::Attaching(_) => ready!(this.poll_attach(cx)),
                Stage::Open => Err(ready!(this.poll_open(cx))),
                Stage::Leaving(_) => return this.poll_leave(cx),
            };
            if let Err(end) = step {
                this.leave(end);
            }
        }
    }
}

/// Also when the task is thrown away, or something it called panicked.
impl<IO> Drop for Session<IO> {
    fn drop(&mut self) {
        self.handle.mailbox.shut();
        self.gate.house.hub.remove(&self.handle);
        let unanswered = match &self.stage {
            Stage::Attaching(attaching) => attaching.answer.is_some(),
            Stage::Leaving(leaving) => leaving.attach.is_some(),
            Stage::Hello | Stage::Open => false,
        };
        if self.attached {
            self.gate.house.figures.session_ended();
        }
        // One whose attaching was not answered may have got in.
        if self.attached || unanswered {
            self.gate.departures.add(self.handle.who(), self.handle.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The task is allocated in steps of 128 bytes, tokio's own 96 included: one more byte here costs a session 128.
    /// The handle, with 16 bytes of its `Arc`, fills a step of the allocator too.
    #[test]
    fn an_idle_session_is_small() {
        assert!(size_of::<Session<tokio::net::TcpStream>>() <= 280, "{}", size_of::<Session<tokio::net::TcpStream>>());
        assert!(size_of::<Handle>() <= 176, "{}", size_of::<Handle>());
    }
}
