//! Every bound and every time of a connector.

use std::time::Duration;

use whimbrel_core::{AddressRange, limits};

/// Every bound and every time of a connector. `Default` holds the documented values.
///
/// Times are noticed by a sweep, so that what they say happens up to [`Config::sweep_every`] later.
#[derive(Debug, Clone)]
pub struct Config {
    /// Connections at a time, whatever their state; one more gets BUSY. 100,000.
    pub max_connections: usize,
    /// Connections at a time from one IPv4 address, or one IPv6 network of 64 bits; one more gets BUSY. 0 for no limit.
    /// Those of this machine, and what trusted proxies ask for themselves, do not count. 1,000.
    pub max_connections_per_address: usize,
    /// Proxies that name the client with a PROXY protocol header, and have to. None.
    pub trusted_proxies: Vec<AddressRange>,
    /// Not before this (and not later than twice this) is a client to come back that got BUSY or UNAVAILABLE. 5 s.
    pub busy_retry: Duration,
    /// TLS handshakes that are computed at a time; more wait within [`Config::handshake_timeout`]. Connections whose
    /// client has said nothing yet do not count. 128.
    pub handshakes: usize,
    /// A TLS handshake, waiting for its turn included; and a proxy's header before it. 10 s.
    pub handshake_timeout: Duration,
    /// From the connection to the end of Hello, and again for the transfer to attach the session. 10 s.
    pub hello_timeout: Duration,
    /// From the first byte of a frame to its last, after Welcome. Clients are told that this is [`Config::silence`],
    /// so it is not to be shorter. 60 s.
    pub frame_timeout: Duration,
    /// A side that has sent nothing for so long sends a heartbeat (announced). 25 s.
    pub heartbeat: Duration,
    /// A side that has heard nothing for so long says SILENT (announced); a client whose mailbox overflowed, or whose
    /// socket takes nothing, for so long is TOO_SLOW. 60 s.
    pub silence: Duration,
    /// Acknowledgements come within (announced). 10 s.
    pub ack_timeout: Duration,
    /// How many of these a sender waits before it says UNACKNOWLEDGED (announced). 3.
    pub ack_timeouts: u32,
    /// Numbered frames that may be unacknowledged in one direction (announced), frames.
    /// [`limits::WINDOW`].
    pub window: u32,
    /// Longest frame in either direction after Hello (announced), bytes. [`limits::FRAME_MAX`].
    pub max_frame: usize,
    /// Frames that wait for one session. [`limits::MAILBOX_FRAMES`].
    pub mailbox_frames: usize,
    /// Bytes that wait for one session; one answer always fits. [`limits::MAILBOX_BYTES`].
    pub mailbox_bytes: usize,
    /// Members in the rosters that are remembered. [`limits::ROSTER_MEMBERS_CACHED`].
    pub roster_members_cached: u64,
    /// Requests of one session per second; 0 for no limit. A draft counts as one, a signal too, an Advance as one and one more for
    /// every ten conversations, a Watch as one and one more for every ten users, a Sync as 25. Whoever sends faster is read
    /// from more slowly. 500.
    pub requests_per_second: u32,
    /// Requests that may come at once after a pause. 2,000.
    pub requests_burst: u32,
    /// Bytes of one session per second; 0 for no limit. 1 MiB.
    pub bytes_per_second: u32,
    /// Bytes that may come at once after a pause. 4 MiB.
    pub bytes_burst: u32,
    /// How long a goodbye may take: what is queued, the goodbye, and the client's closing. 1 s.
    pub goodbye_linger: Duration,
    /// Bodies are kept readable in this deployment (announced). false.
    pub bodies_readable: bool,
    /// The time over which a drain spreads the return of its clients. 10 s.
    pub drain_spread: Duration,
    /// Users whom all sessions watch together, each counted for each session; of more, whoever asks is told that they are
    /// unknown. [`limits::WATCHES_MAX`].
    pub watches_max: usize,
    /// How often it is asked who of those that sessions watch has come or gone. [`limits::PRESENCE_EVERY`].
    pub presence_every: Duration,
    /// How often the lease is renewed. [`limits::LEASE_EVERY`].
    pub lease_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            max_connections_per_address: 1000,
            trusted_proxies: Vec::new(),
            busy_retry: Duration::from_secs(5),
            handshakes: 128,
            handshake_timeout: Duration::from_secs(10),
            hello_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(60),
            heartbeat: Duration::from_secs(25),
            silence: Duration::from_secs(60),
            ack_timeout: Duration::from_secs(10),
            ack_timeouts: 3,
            window: limits::WINDOW,
            max_frame: limits::FRAME_MAX,
            mailbox_frames: limits::MAILBOX_FRAMES,
            mailbox_bytes: limits::MAILBOX_BYTES,
            roster_members_cached: limits::ROSTER_MEMBERS_CACHED,
            requests_per_second: 500,
            requests_burst: 2000,
            bytes_per_second: 1024 * 1024,
            bytes_burst: 4 * 1024 * 1024,
            goodbye_linger: Duration::from_secs(1),
            bodies_readable: false,
            drain_spread: Duration::from_secs(10),
            watches_max: limits::WATCHES_MAX,
            presence_every: limits::PRESENCE_EVERY,
            lease_every: limits::LEASE_EVERY,
        }
    }
}

impl Config {
    /// How often the sweep looks: a quarter of the shortest time, between 10 and 500 ms.
    pub fn sweep_every(&self) -> Duration {
        let times = [self.hello_timeout, self.frame_timeout, self.heartbeat, self.silence, self.ack_timeout];
        let shortest = times.into_iter().min().unwrap_or_default();
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_millis(500))
    }
}

/// Milliseconds, as frames and the clock have them.
pub(crate) fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// Milliseconds for a field of a frame; what does not fit is "very long".
pub(crate) fn wire_ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
