//! When a session's time has come, and for what.
//!
//! All times are milliseconds of the house's clock, 0 for "not now". After each look the session leaves the earliest
//! of them where the sweep finds it; no timer is kept.

use std::sync::atomic::Ordering;

use whimbrel_core::GoodbyeCode;

use super::{Io, Session};
use crate::config::ms;
use crate::goodbye::End;

/// What happened when.
pub(super) struct Times {
    /// The stage began.
    pub(super) stage: u64,
    /// Bytes came last.
    pub(super) heard: u64,
    /// A frame was written last.
    pub(super) sent: u64,
    /// An acknowledgement is owed since.
    pub(super) owed: u64,
    /// The first byte of a frame came whose last one did not.
    pub(super) partial: u64,
    /// The socket takes nothing since.
    pub(super) blocked: u64,
    /// Reading went on after a pause that the rate demanded: until then nothing could be heard.
    pub(super) resumed: u64,
}

impl Times {
    pub(super) fn at(now: u64) -> Self {
        Self { stage: now, heard: now, sent: now, owed: 0, partial: 0, blocked: 0, resumed: 0 }
    }
}

/// Collects what must not happen before its time, and the earliest of the times.
struct Watch {
    now: u64,
    due: u64,
    end: Option<GoodbyeCode>,
}

impl Watch {
    fn new(now: u64) -> Self {
        Self { now, due: u64::MAX, end: None }
    }

    /// Something is due at `at`.
    fn wake(&mut self, at: u64) {
        self.due = self.due.min(at);
    }

    /// The session ends at `at`; the first of several reasons stands.
    fn end(&mut self, at: u64, code: GoodbyeCode) {
        self.wake(at);
        if at <= self.now {
            self.end.get_or_insert(code);
        }
    }
}

impl<IO: Io> Session<IO> {
    pub(super) fn check_hello(&mut self, now: u64) -> Result<(), End> {
        let config = &self.gate.house.config;
        let mut watch = Watch::new(now);
        let code = if self.splitter.is_mid_frame() { GoodbyeCode::FRAME_TIMEOUT } else { GoodbyeCode::HELLO_TIMEOUT };
        watch.end(self.times.stage + ms(config.hello_timeout), code);
        self.conclude(&watch)
    }

    pub(super) fn check_open(&mut self, now: u64) -> Result<(), End> {
        let config = &self.gate.house.config;
        let silence = ms(config.silence);
        let times = &self.times;
        let mut watch = Watch::new(now);
        if times.blocked != 0 {
            watch.end(times.blocked + silence, GoodbyeCode::TOO_SLOW);
        } else {
            watch.wake(times.sent + ms(config.heartbeat));
            if times.owed != 0 {
                watch.wake(self.ack_due());
            }
        }
        match self.handle.mailbox.full_since() {
            0 => {}
            full => watch.end(full + silence, GoodbyeCode::TOO_SLOW),
        }
        // Who is not read from cannot be heard: nothing counts against it meanwhile.
        if self.throttle.is_none() {
            if times.partial != 0 {
                watch.end(times.partial + ms(config.frame_timeout), GoodbyeCode::FRAME_TIMEOUT);
            }
            if let Some(since) = self.talk.transmit.waiting_since() {
                let patience = ms(config.ack_timeout) * u64::from(config.ack_timeouts);
                watch.end(since.max(times.resumed) + patience, GoodbyeCode::UNACKNOWLEDGED);
            }
            watch.end(times.heard + silence, GoodbyeCode::SILENT);
        }
        self.conclude(&watch)
    }

    /// When an acknowledgement that is owed goes out by itself: halfway, so that the sweep and the way leave it in time.
    pub(super) fn ack_due(&self) -> u64 {
        self.times.owed + ms(self.gate.house.config.ack_timeout) / 2
    }

    fn conclude(&self, watch: &Watch) -> Result<(), End> {
        self.handle.due.store(watch.due, Ordering::Relaxed);
        watch.end.map_or(Ok(()), |code| Err(End::say(code)))
    }
}
