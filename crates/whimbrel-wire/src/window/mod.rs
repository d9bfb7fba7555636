//! Numbers and acknowledgements of one session, both directions.
//!
//! A few integers each, and no clock: time is the caller's, in milliseconds of any clock that does not go back. No
//! frame is stored for resending: on an ordered transport a missing acknowledgement means a fault, the session ends,
//! and what was under way comes again by outbox and sync.

use whimbrel_core::GoodbyeCode;

/// The other side acknowledged what was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an acknowledgement of {ack}, where {sent} was the last number sent")]
pub struct WindowViolated {
    /// As it came.
    pub ack: u64,
    /// The last number that was given out.
    pub sent: u64,
}

impl WindowViolated {
    /// The code of the goodbye that this deserves.
    pub const fn goodbye(&self) -> GoodbyeCode {
        GoodbyeCode::WINDOW_VIOLATED
    }
}

/// What to do with a numbered frame that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// It is the next one.
    Process,
    /// It came before: acknowledge it again, and that is all.
    Repeat,
    /// It is ahead of its turn: goodbye [`OUT_OF_TURN`](GoodbyeCode::OUT_OF_TURN).
    OutOfTurn,
    /// It is the next one, but more are unacknowledged than the window allows: goodbye
    /// [`WINDOW_VIOLATED`](GoodbyeCode::WINDOW_VIOLATED).
    BeyondWindow,
}

/// The receiving half: which number comes next, and what is owed.
#[derive(Debug, Clone)]
pub struct Receive {
    received: u64,
    told: u64,
    window: u32,
    /// A repeat came: the last acknowledgement may be lost, so it is owed again.
    again: bool,
}

impl Receive {
    /// At the start of a session; `window` is the one that Welcome announces, frames.
    pub const fn new(window: u32) -> Self {
        Self { received: 0, told: 0, window, again: false }
    }

    /// Takes note of a numbered frame; `number` is above 0.
    pub fn accept(&mut self, number: u64) -> Accept {
        if number <= self.received {
            self.again = true;
            return Accept::Repeat;
        }
        if number != self.received + 1 {
            return Accept::OutOfTurn;
        }
        if self.unacknowledged() >= u64::from(self.window) {
            return Accept::BeyondWindow;
        }
        self.received = number;
        Accept::Process
    }

    /// The number to acknowledge, if something is owed. It does not count as sent until [`Receive::take_ack`].
    pub fn owed_ack(&self) -> Option<u64> {
        (self.again || self.received > self.told).then_some(self.received)
    }

    /// Whether half the window is unacknowledged, so that an acknowledgement goes out now.
    pub fn is_ack_urgent(&self) -> bool {
        self.unacknowledged() * 2 >= u64::from(self.window.max(1))
    }

    /// The `ack` of a frame that is being written; 0 before anything was received.
    pub fn take_ack(&mut self) -> u64 {
        self.told = self.received;
        self.again = false;
        self.received
    }

    fn unacknowledged(&self) -> u64 {
        self.received - self.told
    }
}

/// The sending half: numbers given out, and how far the other side acknowledged them.
#[derive(Debug, Clone)]
pub struct Transmit {
    sent: u64,
    acknowledged: u64,
    /// When the oldest unacknowledged frame was sent, or the last acknowledgement came that made progress.
    since_ms: u64,
    window: u32,
}

impl Transmit {
    /// At the start of a session; `window` is the one that Welcome announces, frames.
    pub const fn new(window: u32) -> Self {
        Self { sent: 0, acknowledged: 0, since_ms: 0, window }
    }

    /// The number of the next numbered frame, which is sent now. To be asked for only when [`Transmit::can_send`].
    pub fn next_number(&mut self, now_ms: u64) -> u64 {
        if self.in_flight() == 0 {
            self.since_ms = now_ms;
        }
        self.sent += 1;
        self.sent
    }

    /// Frames that are sent and not acknowledged.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged
    }

    /// Whether the window has room for a numbered frame.
    pub fn can_send(&self) -> bool {
        self.in_flight() < u64::from(self.window)
    }

    /// How many numbered frames the window has room for.
    pub fn room(&self) -> u64 {
        u64::from(self.window).saturating_sub(self.in_flight())
    }

    /// Takes note of the `ack` of any frame that came in. One that says less than an earlier one says nothing.
    ///
    /// # Errors
    /// [`WindowViolated`] when it is for a number that was never given out.
    pub fn acknowledged(&mut self, ack: u64, now_ms: u64) -> Result<(), WindowViolated> {
        if ack > self.sent {
            return Err(WindowViolated { ack, sent: self.sent });
        }
        if ack > self.acknowledged {
            self.acknowledged = ack;
            self.since_ms = now_ms;
        }
        Ok(())
    }

    /// Since when an acknowledgement is waited for, milliseconds of the caller's clock; `None` when nothing is under
    /// way. Counted from the last one that made progress, if that came after the oldest waiting frame was sent.
    pub fn waiting_since(&self) -> Option<u64> {
        (self.in_flight() > 0).then_some(self.since_ms)
    }

    /// Whether acknowledgements stayed away for `timeouts` times `timeout_ms`: goodbye
    /// [`UNACKNOWLEDGED`](GoodbyeCode::UNACKNOWLEDGED).
    pub fn overdue(&self, now_ms: u64, timeout_ms: u32, timeouts: u32) -> bool {
        let patience = u64::from(timeout_ms) * u64::from(timeouts);
        self.waiting_since().is_some_and(|since| now_ms.saturating_sub(since) >= patience)
    }
}

#[cfg(test)]
mod tests;
