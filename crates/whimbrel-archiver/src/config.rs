//! What an archiver can be told.

use std::time::Duration;

use whimbrel_core::limits;

/// An archiver's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Drafts that one transaction takes; a record is never split, so one record more may come on top.
    pub place_rows_max: usize,
    /// Conversations whose heads are remembered.
    pub conversations_cached: usize,
    /// How long an author may take a message back.
    pub recall_within: Duration,
    /// The first pause after the log or the database failed, or after several collisions in a row; it doubles.
    pub pause_min: Duration,
    /// The longest of these pauses.
    pub pause_max: Duration,
    /// How long what is kept.
    pub retention: crate::retention::Config,
    /// How long a batch that is under way may still take when the archiver is told to stop.
    pub stop_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            place_rows_max: limits::PLACE_ROWS_MAX,
            conversations_cached: limits::CONVERSATIONS_CACHED,
            recall_within: limits::RECALL_WITHIN,
            pause_min: Duration::from_millis(20),
            pause_max: Duration::from_secs(1),
            retention: crate::retention::Config::default(),
            stop_grace: Duration::from_secs(5),
        }
    }
}
