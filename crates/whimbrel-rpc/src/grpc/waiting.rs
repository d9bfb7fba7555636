//! What a connector holds while it has no transfer for it: syncs, for a while. And the answers that it gives itself.
//!
//! Both are bounded. A sync that waited in vain ends its session, which the client opens again later; an answer that
//! does not fit is left out, and its sender asks again.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use whimbrel_core::{GoodbyeCode, SessionId};

use super::limits::spread_ms;
use super::underway::retry;
use super::{Limits, figures};
use crate::{Push, PushBody, PushItem, Request, RequestBody};

/// Pushes that the connector makes itself, handed over by a task of their own because whoever submits does not wait.
pub(super) struct OwnAnswers {
    desk: mpsc::Sender<PushItem>,
    limits: Arc<Limits>,
}

/// Most of them in one hand-over.
const TOGETHER: usize = 1024;

impl OwnAnswers {
    pub(super) fn start(push: Arc<dyn Push>, limits: Arc<Limits>, stop: CancellationToken) -> Self {
        let (desk, mut waiting) = mpsc::channel(limits.own_answers);
        tokio::spawn(async move {
            let mut items = Vec::new();
            while 0 < tokio::select! {
                count = waiting.recv_many(&mut items, TOGETHER) => count,
                () = stop.cancelled() => 0,
            } {
                push.push(std::mem::take(&mut items)).await;
            }
        });
        Self { desk, limits }
    }

    /// "Send it again": for a Send that no transfer took.
    pub(super) fn retry(&self, request: &Request, why: &'static str) {
        let RequestBody::Send { conversation, drafts } = &request.body else { return };
        let ids = drafts.iter().map(|draft| draft.message_id);
        self.give(retry(request.from.session, *conversation, ids, spread_ms(self.limits.retry_hint)));
        figures::retries(why, 1);
    }

    /// The session ends; its client comes again later.
    pub(super) fn close(&self, session: SessionId) {
        let retry_after_ms = spread_ms(self.limits.away_hint);
        let body = PushBody::Close { code: GoodbyeCode::UNAVAILABLE, retry_after_ms };
        self.give(PushItem { to: session.into(), body });
    }

    fn give(&self, item: PushItem) {
        if self.desk.try_send(item).is_err() {
            figures::full("own_answers");
        }
    }
}

/// Syncs that wait for a transfer, at most one for each session.
#[derive(Default)]
pub(super) struct Waiting {
    syncs: Mutex<HashMap<SessionId, (Request, Instant)>>,
    pub(super) more: Notify,
}

impl Waiting {
    /// Keeps a sync until then. `tell`: have it looked at. False: too many wait.
    pub(super) fn add(&self, request: Request, until: Instant, most: usize, tell: bool) -> bool {
        let mut syncs = self.syncs.lock();
        if syncs.len() >= most {
            return false;
        }
        syncs.insert(request.from.session, (request, until));
        if tell {
            self.more.notify_one();
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.syncs.lock().is_empty()
    }

    /// Everything.
    pub(super) fn take(&self) -> Vec<(Request, Instant)> {
        self.syncs.lock().drain().map(|(_, waiting)| waiting).collect()
    }

    /// Those whose time is over.
    pub(super) fn expired(&self, now: Instant) -> Vec<SessionId> {
        self.syncs.lock().extract_if(|_, (_, until)| *until <= now).map(|(session, _)| session).collect()
    }

    pub(super) fn gone(&self, sessions: impl IntoIterator<Item = SessionId>) {
        let mut syncs = self.syncs.lock();
        if !syncs.is_empty() {
            for session in sessions {
                syncs.remove(&session);
            }
        }
    }
}
