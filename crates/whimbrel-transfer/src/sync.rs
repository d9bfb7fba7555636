//! Sync: a bounded number of readers, and a bounded line before them.
//!
//! A sync that cannot be answered ends its session with a hint to come again: silence would leave the device waiting.

use std::sync::Arc;

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
            let body = if fits { syncs.read(from, question).await } else { syncs.close("too many syncs", from) };
            if fits {
                syncs.leave(from.session);
            }
            syncs.reach.tell(from.user, Waiter { session: from.session, connector }, body).await;
        });
    }

    async fn read(&self, from: SessionRef, question: SyncQuestion) -> PushBody {
        let _reader = self.readers.acquire().await;
        let began = std::time::Instant::now();
        let answer = self.timeline.sync(from.user, question).await;
        histogram!("whimbrel_transfer_sync_seconds").record(began.elapsed().as_secs_f64());
        match answer {
            Ok(answer) => PushBody::Synced(Box::new(answer)),
            Err(error) => {
                warn!(%error, user = %from.user, "a sync cannot be read; the session is told to come again");
                self.close("the timeline is away", from)
            }
        }
    }

    fn close(&self, why: &'static str, from: SessionRef) -> PushBody {
        counter!("whimbrel_transfer_syncs_refused_total", "reason" => why).increment(1);
        debug!(why, session = %from.session, "a session is closed instead of synced");
        PushBody::Close { code: GoodbyeCode::UNAVAILABLE, retry_after_ms: hint_ms(self.config.retry_later) }
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
