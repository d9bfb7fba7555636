//! Writing: what waits in the mailbox goes into one buffer, which all sessions of a thread share, and into one write.
//!
//! Only what the socket did not take is kept, at most [`WRITE_MAX`] or one frame. Numbers are given out here, so a frame
//! for which the window has no room stays in the mailbox. Every frame carries the acknowledgement that is owed.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use whimbrel_wire::Encoded;
use whimbrel_wire::frame::put_frame;

use super::{Io, Session, Stage};
use crate::config::ms;
use crate::mailbox::Kind;

/// Bytes of one write; a longer frame goes alone.
const WRITE_MAX: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<IO: Io> Session<IO> {
    /// Writes until nothing is left that may go now (ready), or the socket takes no more.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, now: u64) -> Poll<io::Result<()>> {
        let written = self.poll_write_all(cx, now);
        match &written {
            Poll::Pending if self.times.blocked == 0 => self.times.blocked = now,
            Poll::Ready(_) => self.times.blocked = 0,
            Poll::Pending => {}
        }
        written
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>, now: u64) -> Poll<io::Result<()>> {
        loop {
            while !self.out.is_empty() {
                match ready!(Pin::new(&mut self.io).poll_write(cx, &self.out))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    n => self.out.advance(n),
                }
                self.flush = true;
                self.times.blocked = 0;
            }
            self.out = Bytes::new();
            if self.flush {
                ready!(Pin::new(&mut self.io).poll_flush(cx))?;
                self.flush = false;
            }
            if !self.write_waiting(cx, now)? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Fills the shared buffer and tries to write it; what is not taken goes to `out`. False: nothing was waiting.
    fn write_waiting(&mut self, cx: &mut Context<'_>, now: u64) -> io::Result<bool> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            self.fill(scratch, now);
            if scratch.is_empty() {
                return Ok(false);
            }
            let taken = match Pin::new(&mut self.io).poll_write(cx, scratch) {
                Poll::Ready(taken) => taken?,
                Poll::Pending => 0,
            };
            self.flush = taken > 0;
            if taken < scratch.len() {
                self.out = Bytes::copy_from_slice(&scratch[taken..]);
            }
            scratch.shrink_to(WRITE_MAX);
            Ok(true)
        })
    }

    /// What may go now: from the mailbox, or else an acknowledgement, a heartbeat, the goodbye.
    fn fill(&mut self, buf: &mut Vec<u8>, now: u64) {
        let mut frames = 0;
        let talk = &mut self.talk;
        self.handle.mailbox.take(talk.transmit.room(), WRITE_MAX, |kind, frame| {
            if kind == Kind::Synced {
                talk.sync_open = false;
            }
            put_frame(buf, talk.transmit.next_number(now), talk.receive.take_ack(), Some(frame));
            frames += 1;
        });
        if frames == 0 {
            self.put_unnumbered(buf, now);
            frames = u64::from(!buf.is_empty());
        }
        if frames > 0 {
            self.talk.ack_now = false;
            self.times.owed = 0;
            self.times.sent = now;
            self.gate.house.figures.frames_out.increment(frames);
            self.gate.house.figures.bytes_out.increment(buf.len() as u64);
        }
    }

    fn put_unnumbered(&mut self, buf: &mut Vec<u8>, now: u64) {
        let payload = if let Stage::Leaving(leaving) = &mut self.stage {
            match leaving.goodbye.take() {
                Some(goodbye) => Some(goodbye),
                None => return,
            }
        } else if self.talk.is_ack_urgent() || (self.times.owed != 0 && self.ack_due() <= now) {
            None
        } else if self.times.sent + ms(self.gate.house.config.heartbeat) <= now {
            Some(Encoded::heartbeat())
        } else {
            return;
        };
        put_frame(buf, 0, self.talk.receive.take_ack(), payload.as_ref());
    }
}
