//! Single sessions that have to end. Those on connectors out of reach are tried again a few times; then the end of the
//! connector's lease has made an end of them, or its assertions will.
//!
//! Bounded: [`Config::closings_max`](crate::Config) sessions wait, each for
//! [`Config::closing_tries`](crate::Config) tries.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::debug;
use whimbrel_core::GoodbyeCode;
use whimbrel_rpc::PushBody;

use crate::Config;
use crate::outgoing::{Outgoing, Waiter};
use crate::reach::Reach;

/// A session that has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) at: Waiter,
    pub(crate) code: GoodbyeCode,
    pub(crate) retry_after_ms: u32,
}

pub(crate) struct Closings {
    config: Arc<Config>,
    reach: Arc<Reach>,
    /// Each with the tries that it has left.
    waiting: Mutex<Vec<(Closing, u8)>>,
}

impl Closings {
    pub(crate) fn new(config: Arc<Config>, reach: Arc<Reach>) -> Self {
        Self { config, reach, waiting: Mutex::default() }
    }

    /// Ends these sessions now, or later what cannot be reached.
    pub(crate) async fn close(&self, closings: Vec<Closing>) {
        let tries = self.config.closing_tries;
        self.try_all(closings.into_iter().map(|closing| (closing, tries)).collect()).await;
    }

    /// Tries again what could not be reached.
    pub(crate) async fn again(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        self.try_all(waiting).await;
    }

    async fn try_all(&self, closings: Vec<(Closing, u8)>) {
        if closings.is_empty() {
            return;
        }
        let mut outgoing = Outgoing::default();
        for (Closing { at, code, retry_after_ms }, _) in &closings {
            debug!(session = %at.session, %code, "a session is closed");
            outgoing.answer(*at, PushBody::Close { code: *code, retry_after_ms: *retry_after_ms }, true);
        }
        let unreached = self.reach.push(outgoing).await.unreached;
        let left =
            closings.into_iter().filter(|(closing, tries)| *tries > 1 && unreached.contains(&closing.at.connector));
        let left = left.map(|(closing, tries)| (closing, tries - 1));
        let mut waiting = self.waiting.lock();
        let room = self.config.closings_max.saturating_sub(waiting.len());
        waiting.extend(left.take(room));
    }
}
