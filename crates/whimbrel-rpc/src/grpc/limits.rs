//! Every bound of the streams, by name. Tests make them small; deployments keep them.

use std::time::Duration;

/// The bounds of streams.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Not a bound: the protocol number that this process says it speaks, for tests of how others are met.
    #[doc(hidden)]
    pub protocol: u32,
    /// How often a quiet peer is asked whether it lives. With [`Limits::alive_within`]: a frozen one is known after
    /// the sum of both.
    pub alive_every: Duration,
    /// How long it may take to say so.
    pub alive_within: Duration,
    /// From the first packet to the end of Hello.
    pub open_within: Duration,
    /// The first pause before a stream is opened again; doubled each time, jittered.
    pub pause_min: Duration,
    /// The longest such pause.
    pub pause_max: Duration,
    /// A batch is cut into several messages above this many bytes.
    pub cut: usize,
    /// No message is longer, in either direction; the largest single thing that is legal fits many times.
    pub message_max: usize,
    /// Pushes to one connector that it has not acknowledged. More: it does not take them, and its stream ends.
    pub push_items: usize,
    /// The same in bytes.
    pub push_bytes: usize,
    /// Requests that wait to be sent to one transfer. More: it does not take them, and they are answered as if it were
    /// not there.
    pub requests: usize,
    /// The same in bytes.
    pub request_bytes: usize,
    /// Sends and syncs under way at one transfer. More: as above.
    pub under_way: usize,
    /// Questions of a connector under way at one transfer (attaches, detaches, assertions). More: attaches are refused,
    /// the others wait.
    pub asks: usize,
    /// Announcements under way from one archiver or API process. More wait.
    pub announcements: usize,
    /// Batches whose outcomes are kept for the transfers that published them and could not be told. More: the oldest are
    /// left out, and their senders send again.
    pub missed: usize,
    /// Syncs that wait for a transfer, of one connector. More are refused.
    pub syncs_waiting: usize,
    /// How long a sync waits for a transfer before its session ends.
    pub sync_wait: Duration,
    /// Answers that the connector gives itself and that wait for its mailboxes. More are left out: their senders ask
    /// again.
    pub own_answers: usize,
    /// How long a detach waits for a transfer. A route too many is found when it is used.
    pub detach_wait: Duration,
    /// A Send or Sync that a transfer has not answered for so long is answered "retry" here.
    pub answer_within: Duration,
    /// How long a transfer that leaves, or was taken from the list, may still answer what is under way.
    pub drain: Duration,
    /// Around when senders try again whose stream broke.
    pub retry_hint: Duration,
    /// Around when clients come again that found no transfer.
    pub away_hint: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            protocol: super::PROTOCOL,
            alive_every: Duration::from_secs(2),
            alive_within: Duration::from_secs(3),
            open_within: Duration::from_secs(2),
            pause_min: Duration::from_millis(20),
            pause_max: Duration::from_secs(1),
            cut: 1024 * 1024,
            message_max: 16 * 1024 * 1024,
            push_items: 65_536,
            push_bytes: 64 * 1024 * 1024,
            requests: 65_536,
            request_bytes: 64 * 1024 * 1024,
            under_way: 262_144,
            asks: 16_384,
            announcements: 256,
            missed: 1024,
            syncs_waiting: 16_384,
            sync_wait: Duration::from_secs(5),
            own_answers: 65_536,
            detach_wait: Duration::from_secs(10),
            answer_within: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            retry_hint: Duration::from_millis(200),
            away_hint: Duration::from_secs(3),
        }
    }
}

/// Somewhere between half of it and one and a half, in milliseconds: those who got it at once do not come at once.
pub(crate) fn spread_ms(around: Duration) -> u32 {
    let around = u32::try_from(around.as_millis()).unwrap_or(u32::MAX / 2).min(u32::MAX / 2);
    around / 2 + rand::random_range(0..=around)
}
