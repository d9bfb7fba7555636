//! What a transfer can be told.

use std::time::Duration;

use whimbrel_core::limits;

/// A transfer's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bodies are readable: drafts must name key version 0. Otherwise they must name another.
    pub bodies_readable: bool,
    /// Drafts whose id is older are refused: repeats of them may not be recognised any more.
    pub oldest_draft: Duration,
    /// How far a draft's id may be ahead of this machine's clock. Drafts beyond it are told to come again: it may be
    /// this clock that is wrong.
    pub newest_draft: Duration,
    /// The hint to those.
    pub retry_clock: Duration,
    /// How long a draft waits for its place before its sender is told to send it again.
    pub place_timeout: Duration,
    /// The hint to those who come while a batch of the same device and conversation is under way.
    pub retry_soon: Duration,
    /// The hint to those who come when a bound is reached or something is away.
    pub retry_later: Duration,
    /// Drafts (and cursors) that gather for one partition while its records are under way.
    pub gathered_max: usize,
    /// Bytes of bodies that gather for one partition, and that wait for members to be read.
    pub gathered_bytes_max: usize,
    /// Bytes of bodies in one record; one Send always fits.
    pub record_bytes_max: usize,
    /// Sends that wait for a conversation's members to be read.
    pub strangers_max: usize,
    /// How long durable cursors may gather, one for each user and conversation, before they go to the log.
    pub cursor_delay: Duration,
    /// Cursors that gather; more are dropped, and their owners repeat them.
    pub cursors_max: usize,
    /// Conversations whose members and heads are remembered, and (user, conversation) pairs whose cursors are.
    pub conversations_cached: usize,
    /// Members in the rosters that are remembered.
    pub roster_members_cached: u64,
    /// How long it is tried to read the rosters that rows need; then their connectors count as not reached.
    pub roster_timeout: Duration,
    /// Signals that wait to be told; more are dropped.
    pub signals_max: usize,
    /// Syncs that read at the same time.
    pub syncs_at_once: usize,
    /// Syncs that wait or read, altogether; more are closed with a hint.
    pub syncs_max: usize,
    /// Syncs that wait or read for one session; more are closed with a hint.
    pub syncs_per_session: u8,
    /// How long UserStatus may take to answer.
    pub status_timeout: Duration,
    /// How long UserStatus is not asked where users are after it could not say; everything goes to every connector.
    pub blind_for: Duration,
    /// How often log-outs and rows that nobody was told of are looked for.
    pub watch_every: Duration,
    /// How far back log-outs are looked for: beyond any difference of the clocks of those who write them.
    pub watch_back: Duration,
    /// How long whoever changed something has to announce it; then the transfers do.
    pub untold_after: Duration,
    /// Rows that nobody was told of, by one look.
    pub untold_max: usize,
    /// Sessions that must be closed on connectors out of reach; more are forgotten.
    pub closings_max: usize,
    /// How often it is tried to close them, each time things are looked for. Longer than a lease lasts.
    pub closing_tries: u8,
    /// How long those who leave gather before "last seen" is written.
    pub last_seen_delay: Duration,
    /// It is written for one user at most so often, and of who stays about so often.
    pub last_seen_every: Duration,
    /// Users whose "last seen" waits; of more it is lost.
    pub last_seen_gathered: usize,
    /// Users who are here, of whom it is written now and then; of more when they came.
    pub last_seen_lasting: usize,
    /// How long [`stop`](crate::TransferRole::stop) waits for places.
    pub stop_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bodies_readable: false,
            oldest_draft: Duration::from_secs(30 * 24 * 3600),
            newest_draft: Duration::from_secs(24 * 3600),
            retry_clock: Duration::from_secs(60),
            place_timeout: Duration::from_secs(5),
            retry_soon: Duration::from_millis(100),
            retry_later: Duration::from_secs(1),
            gathered_max: 16 * limits::RECORD_DRAFTS_MAX,
            gathered_bytes_max: 32 * 1024 * 1024,
            record_bytes_max: 4 * 1024 * 1024,
            strangers_max: 4096,
            cursor_delay: Duration::from_secs(1),
            cursors_max: limits::CONVERSATIONS_CACHED,
            conversations_cached: limits::CONVERSATIONS_CACHED,
            roster_members_cached: limits::ROSTER_MEMBERS_CACHED,
            roster_timeout: Duration::from_secs(5),
            signals_max: 4096,
            syncs_at_once: 2,
            syncs_max: 16 * 1024,
            syncs_per_session: 4,
            status_timeout: Duration::from_millis(500),
            blind_for: Duration::from_millis(500),
            watch_every: Duration::from_secs(2),
            watch_back: Duration::from_secs(10),
            untold_after: Duration::from_secs(5),
            untold_max: 256,
            closings_max: 4096,
            closing_tries: 5,
            last_seen_delay: Duration::from_secs(1),
            last_seen_every: limits::LAST_SEEN_EVERY,
            last_seen_gathered: limits::LAST_SEEN_GATHERED,
            last_seen_lasting: limits::LAST_SEEN_LASTING,
            stop_timeout: Duration::from_secs(10),
        }
    }
}

/// A hint as it is sent.
pub(crate) fn hint_ms(hint: Duration) -> u32 {
    u32::try_from(hint.as_millis()).unwrap_or(u32::MAX)
}
