//! Reading: one read at a time into a buffer that all sessions of a thread share.
//!
//! What one read gave is decoded as a whole and submitted as one batch. Whoever comes faster than the rate is not read
//! from for a while; nothing that came is dropped.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;
use whimbrel_core::limits::HELLO_FRAME_MAX;
use whimbrel_rpc::Request;
use whimbrel_wire::FrameError;
use whimbrel_wire::codec::Frames;
use whimbrel_wire::frame::PREFIX;

use super::{Io, Session, Stage};
use crate::goodbye::End;
use crate::inbound::{Heard, units, units_of_watch};
use crate::watching;

/// Most bytes of one read.
const READ_MAX: usize = 64 * 1024;
/// Reads of one session before others of its thread have their turn.
const READS_PER_POLL: usize = 4;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_MAX].into_boxed_slice());
}

impl<IO: Io> Session<IO> {
    /// Reads bytes and gives them to `take`, which must not read in turn. 0: the client closed its side.
    pub(super) fn poll_bytes<T>(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
        take: impl FnOnce(&mut Self, &[u8]) -> T,
    ) -> Poll<std::io::Result<T>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(&mut scratch[..most.min(READ_MAX)]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            Poll::Ready(Ok(take(self, buf.filled())))
        })
    }

    /// One read, cut into frames, and its bytes.
    pub(super) fn poll_frames(
        &mut self,
        cx: &mut Context<'_>,
        max_frame: usize,
        now: u64,
    ) -> Poll<Result<(Frames, usize), End>> {
        // Before Welcome no more is taken than a Hello may have, so that nothing large is kept for a stranger.
        let most = if matches!(self.stage, Stage::Hello) { HELLO_FRAME_MAX + PREFIX } else { READ_MAX };
        let read = self.poll_bytes(cx, most, |this, bytes| {
            if bytes.is_empty() {
                return Err(End::Broken);
            }
            let was_partial = this.splitter.buffered();
            let frames = this.splitter.push(bytes, max_frame);
            this.note(bytes.len(), was_partial, now);
            Ok((frames, bytes.len()))
        });
        read.map(|read| read.unwrap_or(Err(End::Broken)))
    }

    /// Takes note of a read: of its time, its length, and of a frame that it began and did not finish.
    fn note(&mut self, len: usize, was_partial: usize, now: u64) {
        self.gate.house.figures.bytes_in.increment(len as u64);
        self.times.heard = now;
        let partial = self.splitter.buffered();
        if partial == 0 {
            self.times.partial = 0;
        } else if partial != was_partial + len || was_partial == 0 {
            self.times.partial = now;
        }
    }

    /// Reads and submits until nothing is there. Ready when that ended the session.
    pub(super) fn poll_requests(&mut self, cx: &mut Context<'_>, now: u64) -> Poll<End> {
        let max_frame = self.gate.house.config.max_frame;
        for _ in 0..READS_PER_POLL {
            ready!(self.poll_throttle(cx, now));
            let heard = match ready!(self.poll_frames(cx, max_frame, now)) {
                Ok((frames, bytes)) => self.hear(frames, bytes, now),
                Err(end) => Err(end),
            };
            if let Err(end) = heard {
                return Poll::Ready(end);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_throttle(&mut self, cx: &mut Context<'_>, now: u64) -> Poll<()> {
        if let Some(pause) = &mut self.throttle {
            ready!(std::future::Future::poll(pause.as_mut(), cx));
            self.throttle = None;
            self.times.heard = now;
            self.times.resumed = now;
            if self.splitter.is_mid_frame() {
                self.times.partial = now;
            }
        }
        Poll::Ready(())
    }

    /// Processes frames in their order and submits what they ask for in one batch, also when one of them is bad: those
    /// before it were good.
    pub(super) fn hear(
        &mut self,
        frames: impl Iterator<Item = Result<Bytes, FrameError>>,
        bytes: usize,
        now: u64,
    ) -> Result<(), End> {
        let (mut requests, mut count, mut cost) = (Vec::new(), 0, 0);
        let mut end = Ok(());
        for frame in frames {
            count += 1;
            match frame.map_err(End::from).and_then(|frame| self.talk.hear(frame, now)) {
                Ok(Heard::Nothing) => {}
                Ok(Heard::Request(body)) => {
                    cost += units(&body);
                    requests.push(Request { from: self.handle.who(), body });
                }
                Ok(Heard::Watch(users)) => {
                    cost += units_of_watch(users.len());
                    watching::wish(&self.gate, self.handle.who(), users);
                }
                Ok(Heard::Goodbye) => end = Err(End::Left),
                Err(error) => end = Err(error),
            }
            if end.is_err() {
                break;
            }
        }
        let house = &self.gate.house;
        house.figures.frames_in.increment(count);
        if self.times.owed == 0 && self.talk.receive.owed_ack().is_some() {
            self.times.owed = now;
        }
        let pause = self.rates.charge(&house.config, cost, bytes as u64, house.clock.us());
        if pause > 0 {
            house.figures.throttled.increment(1);
            self.throttle = Some(Box::pin(tokio::time::sleep(Duration::from_micros(pause))));
        }
        if !requests.is_empty() {
            self.gate.transfer.submit(self.gate.house.id, requests);
        }
        end
    }
}
