//! Sync: a bounded number of readers, and a bounded line before them.
//!
//! A sync that cannot be answered ends its session with a hint to come again: silence would leave the device waiting.
//! When many cannot, they are told to come at different times. One whose session has ended meanwhile is not read.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use metrics::{counter, histogram};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use whimbrel_core::{ConnectorId, GoodbyeCode, SessionId, SyncQuestion, limits};
use whimbrel_rpc::{PushBody, SessionRef};
use whimbrel_store::Timeline;

use crate::Config;
use crate::config::hint_ms;
use crate::outgoing::Waiter;
use crate::reach::Reach;

/// Hints are between one and so many times [`Config::retry_later`].
const HINTS_SPREAD: f64 = 10.0;

#[derive(Default)]
struct Line {
    all: usize,
    sessions: HashMap<SessionId, u8>,
}

pub(crate) struct Syncs {
    config: Arc<Config>,
    timeline: Arc<dyn Timeline>,
    reach: Arc<Reach>,
    readers: Semaphore,
    line: Mutex<Line>,
    tasks: TaskTracker,
}

impl Syncs {
    pub(crate) fn new(config: Arc<Config>, timeline: Arc<dyn Timeline>, reach: Arc<Reach>, tasks: TaskTracker) -> Self {
        let readers = Semaphore::new(config.syncs_at_once.max(1));
        Self { config, timeline, reach, readers, line: Mutex::default(), tasks }
    }

    /// Takes a question; it is answered in a task of its own.
    pub(crate) fn ask(self: &Arc<Self>, from: SessionRef, connector: ConnectorId, mut question: SyncQuestion) {
        question.max_messages = question.max_messages.min(limits::SYNC_MESSAGES_MAX);
        let syncs = self.clone();
        let fits = self.enter(from.session);
        self.tasks.spawn(async move {
            let body = if fits { syncs.read(from, question).await } else { Some(syncs.close("too many syncs", from)) };
            if fits {
                syncs.leave(from.session);
            }
            let Some(body) = body else { return };
            syncs.reach.tell(from.user, Waiter { session: from.session, connector }, body).await;
        });
    }

    /// These sessions have ended: what they asked for is not read any more.
    pub(crate) fn gone(&self, sessions: &[SessionRef]) {
        let mut line = self.line.lock();
        for session in sessions {
            line.sessions.remove(&session.session);
        }
    }

    /// The answer, in its turn; `None` if nobody waits for it any more.
    async fn read(&self, from: SessionRef, question: SyncQuestion) -> Option<PushBody> {
        let _reader = self.readers.acquire().await;
        if !self.line.lock().sessions.contains_key(&from.session) {
            return None;
        }
        let began = std::time::Instant::now();
        let answer = self.timeline.sync(from.user, question).await;
        histogram!("whimbrel_transfer_sync_seconds").record(began.elapsed().as_secs_f64());
        Some(match answer {
            Ok(answer) => PushBody::Synced(Box::new(answer)),
            Err(error) => {
                warn!(%error, user = %from.user, "a sync cannot be read; the session is told to come again");
                self.close("the timeline is away", from)
            }
        })
    }

    fn close(&self, why: &'static str, from: SessionRef) -> PushBody {
        counter!("whimbrel_transfer_syncs_refused_total", "reason" => why).increment(1);
        debug!(why, session = %from.session, "a session is closed instead of synced");
        PushBody::Close { code: GoodbyeCode::UNAVAILABLE, retry_after_ms: hint_ms(self.hint(from.session)) }
    }

    /// A whole line of sessions may be sent away at once: their hints are spread, by their ids, which are random.
    fn hint(&self, session: SessionId) -> Duration {
        let [.., one, two] = *session.as_bytes();
        let part = f64::from(u16::from_be_bytes([one, two])) / f64::from(u16::MAX);
        self.config.retry_later.mul_f64(1.0 + part * (HINTS_SPREAD - 1.0))
    }

    fn enter(&self, session: SessionId) -> bool {
        let mut line = self.line.lock();
        let Line { all, sessions } = &mut *line;
        let mine = sessions.get(&session).copied().unwrap_or(0);
        let fits = *all < self.config.syncs_max && mine < self.config.syncs_per_session;
        if fits {
            *all += 1;
            sessions.insert(session, mine + 1);
        }
        fits
    }

    fn leave(&self, session: SessionId) {
        let mut line = self.line.lock();
        line.all -= 1;
        match line.sessions.get_mut(&session) {
            Some(mine) if *mine > 1 => *mine -= 1,
            _ => drop(line.sessions.remove(&session)),
        }
    }
}
