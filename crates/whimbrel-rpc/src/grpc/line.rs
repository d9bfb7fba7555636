//! A connector's stream to one transfer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hashbrown::HashMap;
use metrics::Histogram;
use tokio::sync::oneshot;

use super::fleet::Line;
use super::outbox::{Gather, Outbox, Queue};
use super::underway::UnderWay;
use super::{Limits, figures, older};
use crate::convert::pb::{answer::What as Answered, ask::What as Asked};
use crate::convert::{out, pb, weight};
use crate::{PushItem, Request, SessionRef, Taken};

pub(super) struct ConnectLine {
    pub(super) outbox: Arc<Outbox<Up>>,
    limits: Arc<Limits>,
    /// What the transfer speaks; known before the stream is on the list of members.
    pub(super) protocol: u32,
    leaving: AtomicBool,
}

/// Why a question was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unasked {
    /// The stream has ended: another transfer can be asked.
    Ended,
    /// Too much is under way.
    Full,
}

impl ConnectLine {
    pub(super) fn new(hello: pb::Hello, limits: Arc<Limits>) -> Self {
        let (protocol, leaving) = (limits.protocol, AtomicBool::new(false));
        Self { outbox: Outbox::new(Up::new(hello, limits.cut)), limits, protocol, leaving }
    }

    /// Gives requests. Those that do not fit come back in `Ok`; all of them come back in `Err` when the stream has
    /// ended.
    pub(super) fn submit(&self, mut requests: Vec<Request>) -> Result<Vec<Request>, Vec<Request>> {
        if older::is_older(self.protocol) {
            requests.retain(older::knows);
        }
        // Made outside the lock.
        let made: Vec<_> = requests.iter().map(|request| (request.into(), weight::request(request))).collect();
        let now = Instant::now();
        let mut given = Some(requests);
        let left = self.outbox.with(|up| {
            let both = made.into_iter().zip(given.take().unwrap_or_default());
            let full = both.filter_map(|((made, bytes), request)| up.give(made, bytes, request, &self.limits, now));
            full.collect()
        });
        left.ok_or_else(|| given.unwrap_or_default())
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, what: Asked, bytes: usize) -> Result<Answered, Unasked> {
        let most = self.limits.asks;
        match self.outbox.with(|up| up.ask(what, bytes, most)) {
            None => Err(Unasked::Ended),
            Some(None) => Err(Unasked::Full),
            Some(Some(answer)) => answer.await.map_err(|_| Unasked::Ended),
        }
    }
}

impl Line for ConnectLine {
    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.outbox.with(|up| up.leaving = true);
    }
}

/// What gathers for a transfer.
pub(super) struct Up {
    first: Option<pb::Hello>,
    requests: Queue<pb::Request>,
    asks: Queue<pb::Ask>,
    asked: u64,
    waiting: HashMap<u64, oneshot::Sender<Answered>>,
    pub(super) under_way: UnderWay,
    taken: Option<pb::Taken>,
    /// The number of the last push that came.
    came: u64,
    leaving: bool,
    done: bool,
    cut: usize,
    batches: Histogram,
}

impl Up {
    fn new(hello: pb::Hello, cut: usize) -> Self {
        Self {
            first: Some(hello),
            requests: Queue::default(),
            asks: Queue::default(),
            asked: 0,
            waiting: HashMap::new(),
            under_way: UnderWay::default(),
            taken: None,
            came: 0,
            leaving: false,
            done: false,
            cut,
            batches: figures::batch_items("requests"),
        }
    }

    /// Gives the request back if there is no room.
    fn give(
        &mut self,
        made: pb::Request,
        bytes: usize,
        request: Request,
        limits: &Limits,
        now: Instant,
    ) -> Option<Request> {
        let is_full = self.requests.len() >= limits.requests
            || self.requests.bytes() + bytes > limits.request_bytes
            || self.under_way.len() >= limits.under_way;
        if is_full {
            return Some(request);
        }
        self.requests.push(made, bytes);
        self.under_way.add(request, now);
        None
    }

    fn ask(&mut self, what: Asked, bytes: usize, most: usize) -> Option<oneshot::Receiver<Answered>> {
        if self.waiting.len() >= most {
            return None;
        }
        self.asked += 1;
        let (answer, answered) = oneshot::channel();
        self.waiting.insert(self.asked, answer);
        self.asks.push(pb::Ask { id: self.asked, what: Some(what) }, bytes);
        Some(answered)
    }

    /// Answers came. One that nobody waits for says nothing.
    pub(super) fn answered(&mut self, answers: Vec<pb::Answer>) {
        for pb::Answer { id, what } in answers {
            if let (Some(waiting), Some(what)) = (self.waiting.remove(&id), what) {
                let _ = waiting.send(what);
            }
        }
    }

    /// Pushes came. False: their numbers do not follow on the last ones.
    pub(super) fn pushed(&mut self, first: u64, pushes: &[PushItem]) -> bool {
        let follows = first == self.came + 1;
        self.came += pushes.len() as u64;
        for push in pushes {
            self.under_way.settle(push);
        }
        follows
    }

    /// Everything that came was taken.
    pub(super) fn took(&mut self, taken: Taken) {
        let all = self.taken.get_or_insert_default();
        all.up_to = self.came;
        all.unknown.extend(taken.unknown.into_iter().map(out));
        all.unrostered.extend(taken.unrostered.into_iter().map(out));
    }

    pub(super) fn gone(&mut self, sessions: &[SessionRef]) {
        self.under_way.gone(sessions);
    }
}

impl Gather for Up {
    type Message = pb::FromConnector;

    fn gather(&mut self) -> Option<pb::FromConnector> {
        if let Some(hello) = self.first.take() {
            return Some(pb::FromConnector { hello: Some(hello), ..Default::default() });
        }
        let mut room = self.cut;
        let asks = self.asks.take(&mut room, true);
        let requests = self.requests.take(&mut room, asks.is_empty());
        let taken = self.taken.take();
        if !requests.is_empty() {
            self.batches.record(requests.len() as f64);
        }
        let is_idle = asks.is_empty() && requests.is_empty() && self.waiting.is_empty() && self.under_way.len() == 0;
        let done = self.leaving && is_idle && !std::mem::replace(&mut self.done, self.leaving && is_idle);
        if asks.is_empty() && requests.is_empty() && taken.is_none() && !done {
            return None;
        }
        Some(pb::FromConnector { hello: None, taken, requests, asks, done })
    }

    /// The transfer ends it, when it has said everything.
    fn is_over(&self) -> bool {
        false
    }
}
