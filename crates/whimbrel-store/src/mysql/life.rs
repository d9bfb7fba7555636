//! Whether the server that answers is the one that answered before, and has not gone back.
//!
//! Every new connection asks who the server is, since when it runs, and for its own number, in the round trip that sets
//! the session. Connections are of a new generation when the server is another one, was started again, counts its
//! sessions from an earlier number, or when a connection was lost, or could not be made, since the last new one. That a
//! pool makes more connections because there is more to do is none of that.
//!
//! Absences: a database that is changed by hand under a server that goes on running is not noticed, and neither is a
//! server that a proxy puts in another one's place without ending the connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use sqlx::Row;
use sqlx::mysql::MySqlRow;

/// Rows of names and values, whatever else precedes them.
pub(super) const ASK: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
     ('hostname', 'port', 'server_id', 'server_uuid', 'server_uid'); \
     SHOW GLOBAL STATUS LIKE 'Uptime'; SELECT 'connection', CONVERT(CONNECTION_ID(), CHAR)";

/// Servers tell their age in whole seconds, and the answer takes its time, at most that of making a connection.
const AGE_FUZZ: u64 = 5;
/// So far the numbers of sessions may be apart that were made at the same time.
const NUMBERS_ASTRAY: u64 = 64;

/// What one new connection was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life {
    /// The names of the server, in the order in which it gave them.
    server: String,
    /// Whole seconds that it has been running, if it says so.
    age: Option<i64>,
    /// The number of this session.
    session: u64,
}

impl Life {
    /// From the rows of [`ASK`].
    pub(super) fn read(rows: &[MySqlRow]) -> Result<Self, sqlx::Error> {
        let mut life = Self { server: String::new(), age: None, session: 0 };
        for row in rows {
            let (name, value): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            let value = value.unwrap_or_default();
            match name.as_str() {
                "Uptime" => life.age = value.parse().ok(),
                "connection" => life.session = value.parse().unwrap_or(0),
                _ => life.server.extend([name.as_str(), "=", value.as_str(), ";"]),
            }
        }
        Ok(life)
    }
}

/// The generations of a pool's connections.
#[derive(Debug)]
pub(super) struct Lives {
    generation: AtomicU64,
    known: Mutex<Known>,
    began: Instant,
}

#[derive(Debug, Default)]
struct Known {
    server: String,
    /// When it was started, in seconds since `began`.
    started: Option<i64>,
    /// The highest number of a session.
    session: u64,
    /// A connection was lost since the last one was made.
    lost: bool,
}

impl Default for Lives {
    fn default() -> Self {
        Self { generation: AtomicU64::new(0), known: Mutex::default(), began: Instant::now() }
    }
}

impl Lives {
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A connection ended that nobody here ended, or could not be made.
    pub(super) fn lost(&self) {
        self.known.lock().lost = true;
    }

    /// The generation of a connection that was told this.
    pub(super) fn reached(&self, life: Life) -> u64 {
        let now = i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX);
        let started = life.age.map(|age| now.saturating_sub(age));
        let mut known = self.known.lock();
        let is_same = !known.lost
            && known.server == life.server
            && known.started.zip(started).is_none_or(|(one, other)| one.abs_diff(other) <= AGE_FUZZ)
            // Two that were made at the same time may come here the other way round.
            && life.session.saturating_add(NUMBERS_ASTRAY) > known.session;
        if is_same {
            known.session = known.session.max(life.session);
            return self.generation();
        }
        *known = Known { server: life.server, started, session: life.session, lost: false };
        self.generation.fetch_add(1, Ordering::AcqRel) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(server: &str, age: i64, session: u64) -> Life {
        Life { server: server.into(), age: Some(age), session }
    }

    /// A pool that grows stays one generation; each sign of another life alone begins a new one, once.
    #[test]
    fn another_life_of_the_server_begins_a_generation() {
        let lives = Lives::default();
        let first = lives.reached(life("a", 1000, 100));
        assert_eq!(first, 1);
        for same in [life("a", 1001, 101), life("a", 999, 90), life("a", 1000, 5000)] {
            assert_eq!(lives.reached(same), first, "more connections to the same server");
        }
        let others = [life("b", 1000, 5001), life("b", 3, 5002), life("b", 3, 7)];
        for (other, expected) in others.into_iter().zip(2..) {
            assert_eq!(lives.reached(other.clone()), expected, "{other:?}");
            assert_eq!(lives.reached(other), expected);
        }
        lives.lost();
        assert_eq!(lives.generation(), 4, "nothing is known of the next one yet");
        assert_eq!((lives.reached(life("b", 3, 8)), lives.reached(life("b", 3, 9))), (5, 5));
    }
}
