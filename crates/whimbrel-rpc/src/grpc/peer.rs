//! The connectors that stream to this transfer, and the pushes on their way to them.
//!
//! Pushes are numbered in the order in which they were given, and stay on a list until the connector has acknowledged
//! their numbers. Whatever ends a stream drops the list, which tells everybody on it that their pushes are lost: so
//! nobody can wait for a connector that is gone. What is not acknowledged is bounded, in number and in time; a connector
//! that lets it grow beyond that does not take, and its stream ends.
//!
//! A connector whose stream ended without its goodbye is remembered as lost for as long as its lease may last: it is off
//! the one list only when it is on the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hashbrown::HashMap;
use metrics::Histogram;
use parking_lot::RwLock;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tracing::{info, warn};
use whimbrel_core::limits::LEASE;
use whimbrel_core::{ConnectorId, ConversationId, SessionId, TransferId};

use super::hello::{Role, hello};
use super::outbox::{Gather, Outbox, Queue};
use super::{Limits, figures, older};
use crate::convert::{id, out, pb};
use crate::{Peers, Push, PushItem, Taken};

/// The connectors that stream to this transfer.
pub struct Streams {
    pub(super) limits: Arc<Limits>,
    pub(super) id: pb::Id,
    pub(super) hello: pb::Hello,
    known: RwLock<Known>,
    /// The transfer stops: peers are told.
    pub(super) leaving: CancellationToken,
    /// It waits no longer.
    pub(super) closing: CancellationToken,
    /// One for each stream of a connector.
    pub(super) tasks: TaskTracker,
}

#[derive(Default)]
struct Known {
    connected: HashMap<ConnectorId, Arc<Peer>>,
    /// When each was lost.
    lost: HashMap<ConnectorId, Instant>,
}

impl Streams {
    /// None yet: [`serve`](super::serve) lets them in. `id` is the transfer's in the list that its callers have; those
    /// who mean another are refused.
    pub fn new(id: TransferId, limits: Limits) -> Arc<Self> {
        let id = out(id);
        Arc::new(Self {
            hello: hello(limits.protocol, Role::Transfer, id),
            limits: Arc::new(limits),
            id,
            known: RwLock::default(),
            leaving: CancellationToken::new(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// A connector's stream. An older one of the same connector ends: its end was not noticed here yet.
    pub(super) fn add(&self, connector: ConnectorId, protocol: u32) -> Arc<Peer> {
        let peer = Arc::new(Peer::new(connector, protocol, self.limits.clone(), self.hello.clone()));
        let older = self.known.write().connected.insert(connector, peer.clone());
        if let Some(older) = older {
            older.end(Some(Status::aborted("the connector opened another stream")));
        }
        peer
    }

    /// Pushes for this connector find another way from now on.
    pub(super) fn remove(&self, peer: &Arc<Peer>) {
        let is_done = peer.outbox.with(|down| down.done).unwrap_or(false);
        let mut known = self.known.write();
        if known.connected.get(&peer.connector).is_some_and(|known| Arc::ptr_eq(known, peer)) {
            known.connected.remove(&peer.connector);
            if !is_done {
                known.lose(peer.connector, Instant::now(), self.limits.lost);
            }
        }
    }
}

impl Known {
    fn lose(&mut self, connector: ConnectorId, now: Instant, most: usize) {
        self.lost.retain(|_, since| now.duration_since(*since) < LEASE);
        self.lost.insert(connector, now);
        if self.lost.len() > most
            && let Some(first) = self.lost.iter().min_by_key(|(_, since)| **since).map(|(id, _)| *id)
        {
            self.lost.remove(&first);
        }
    }

    fn lost(&self, now: Instant) -> Vec<ConnectorId> {
        let lately = self.lost.iter().filter(|(_, since)| now.duration_since(**since) < LEASE);
        lately.map(|(connector, _)| *connector).collect()
    }
}

impl Peers for Streams {
    fn connector(&self, id: ConnectorId) -> Option<Arc<dyn Push>> {
        self.known.read().connected.get(&id).map(|peer| Arc::clone(peer) as Arc<dyn Push>)
    }

    fn connectors(&self) -> Vec<(ConnectorId, Arc<dyn Push>)> {
        self.known.read().connected.iter().map(|(id, peer)| (*id, Arc::clone(peer) as Arc<dyn Push>)).collect()
    }

    fn lost(&self) -> Vec<ConnectorId> {
        self.known.read().lost(Instant::now())
    }
}

/// One connector's stream.
pub(super) struct Peer {
    pub(super) connector: ConnectorId,
    /// What it speaks.
    protocol: u32,
    pub(super) outbox: Arc<Outbox<Down>>,
    /// The stream has ended on this side.
    pub(super) gone: CancellationToken,
    limits: Arc<Limits>,
}

impl Peer {
    fn new(connector: ConnectorId, protocol: u32, limits: Arc<Limits>, hello: pb::Hello) -> Self {
        let first = pb::ToConnector { hello: Some(hello), ..Default::default() };
        let outbox = Outbox::new(Down::new(first, limits.cut));
        Self { connector, protocol, outbox, gone: CancellationToken::new(), limits }
    }

    /// Ends the stream; what it has not taken is lost.
    pub(super) fn end(&self, last: Option<Status>) {
        drop(self.outbox.end(last));
        self.gone.cancel();
    }

    /// Ends the stream if a push has waited for too long.
    pub(super) fn sweep(&self) {
        let within = self.limits.taken_within;
        if self.outbox.with(|down| down.is_late(within, Instant::now())) == Some(true) {
            warn!(connector = %self.connector, ?within, "a connector has not taken a push in time; its stream ends, and pushes go another way");
            self.end(Some(Status::deadline_exceeded("the connector did not take a push in time")));
        }
    }

    /// Puts a call's items on the stream. `None`: they are lost.
    fn give(&self, items: Vec<(pb::PushItem, usize)>) -> Option<oneshot::Receiver<Taken>> {
        let (done, taken) = oneshot::channel();
        let fits = self.outbox.with(|down| down.give(items, done, &self.limits))?;
        if !fits {
            figures::full("push");
            warn!(connector = %self.connector, "a connector does not take its pushes; its stream ends, and they go another way");
            self.end(Some(Status::resource_exhausted("the connector does not take its pushes")));
        }
        fits.then_some(taken)
    }
}

#[async_trait]
impl Push for Peer {
    async fn push(&self, mut items: Vec<PushItem>) -> Taken {
        let mut unrostered = Vec::new();
        if older::is_older(self.protocol) {
            (items, unrostered) = older::pushes(items);
        }
        let items = super::placing::pushes(&items, &self.limits);
        if items.is_empty() {
            return Taken { unrostered, ..Taken::default() };
        }
        let lost = Taken { lost: true, ..Taken::default() };
        let mut taken = match self.give(items) {
            Some(taken) => taken.await.unwrap_or(lost),
            None => lost,
        };
        taken.unrostered.append(&mut unrostered);
        taken
    }
}

/// What gathers for a connector.
pub(super) struct Down {
    /// The opening, alone.
    first: Option<pb::ToConnector>,
    waiting: Queue<pb::PushItem>,
    answers: Vec<pb::Answer>,
    leaving: bool,
    /// The connector has said that it is done: nothing new is taken.
    done: bool,
    calls: VecDeque<Call>,
    /// The number of the last push that was given, that was written, and that was acknowledged.
    given: u64,
    written: u64,
    taken: u64,
    /// Of all calls.
    bytes: usize,
    cut: usize,
    batches: Histogram,
}

/// A `push` that waits.
struct Call {
    last: u64,
    bytes: usize,
    since: Instant,
    /// What was acknowledged of it so far.
    taken: Taken,
    done: oneshot::Sender<Taken>,
}

impl Down {
    fn new(first: pb::ToConnector, cut: usize) -> Self {
        Self {
            first: Some(first),
            waiting: Queue::default(),
            answers: Vec::new(),
            leaving: false,
            done: false,
            calls: VecDeque::new(),
            given: 0,
            written: 0,
            taken: 0,
            bytes: 0,
            cut,
            batches: figures::batch_items("pushes"),
        }
    }

    /// False: there is no room.
    fn give(&mut self, items: Vec<(pb::PushItem, usize)>, done: oneshot::Sender<Taken>, limits: &Limits) -> bool {
        if self.done {
            // `done` is dropped, which is "lost".
            return true;
        }
        let bytes: usize = items.iter().map(|(_, bytes)| bytes).sum();
        let open = (self.given - self.taken) as usize;
        // One call is taken whatever its length, so that none can be too long for ever.
        if open > 0 && (open + items.len() > limits.push_items || self.bytes + bytes > limits.push_bytes) {
            return false;
        }
        self.given += items.len() as u64;
        self.bytes += bytes;
        self.calls.push_back(Call { last: self.given, bytes, since: Instant::now(), taken: Taken::default(), done });
        for (item, bytes) in items {
            self.waiting.push(item, bytes);
        }
        true
    }

    /// The connector has taken pushes. Unknown sessions are told to every call that the acknowledgement is about:
    /// what is unknown is unknown to all of them. So are groups without a roster: a call whose own pushes found one may
    /// bring them a second time, which their devices pass over.
    pub(super) fn acknowledge(&mut self, taken: pb::Taken) -> Result<(), Status> {
        if taken.up_to > self.written || taken.up_to < self.taken {
            return Err(Status::invalid_argument("Taken.up_to is not the number of a push under way"));
        }
        let unknown: Vec<SessionId> = taken.unknown.into_iter().map(id).collect();
        let unrostered: Vec<ConversationId> = taken.unrostered.into_iter().map(id).collect();
        self.taken = taken.up_to;
        while let Some(call) = self.calls.pop_front_if(|call| call.last <= taken.up_to) {
            self.bytes -= call.bytes;
            let mut all = call.taken;
            all.unknown.extend_from_slice(&unknown);
            all.unrostered.extend_from_slice(&unrostered);
            let _ = call.done.send(all);
        }
        if let Some(call) = self.calls.front_mut() {
            call.taken.unknown.extend(unknown);
            call.taken.unrostered.extend(unrostered);
        }
        Ok(())
    }

    /// The oldest call has waited for longer than this.
    fn is_late(&self, within: Duration, now: Instant) -> bool {
        self.calls.front().is_some_and(|call| now.duration_since(call.since) > within)
    }

    pub(super) fn answer(&mut self, answers: Vec<pb::Answer>) {
        self.answers.extend(answers);
    }

    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    /// Nothing new is given; when all was taken, the stream ends well.
    pub(super) fn finish(&mut self) {
        self.done = true;
    }
}

impl Gather for Down {
    type Message = pb::ToConnector;

    fn gather(&mut self) -> Option<pb::ToConnector> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.waiting.is_empty() && self.answers.is_empty() && !self.leaving {
            return None;
        }
        let mut room = self.cut;
        let pushes = self.waiting.take(&mut room, true);
        let first = self.written + 1;
        self.written += pushes.len() as u64;
        if !pushes.is_empty() {
            self.batches.record(pushes.len() as f64);
        }
        let (answers, leaving) = (std::mem::take(&mut self.answers), std::mem::take(&mut self.leaving));
        Some(pb::ToConnector { hello: None, refused: None, first, pushes, answers, leaving })
    }

    fn is_over(&self) -> bool {
        self.done && self.calls.is_empty()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        info!(connector = %self.connector, "a connector's stream has ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> (pb::PushItem, usize) {
        (pb::PushItem::default(), 10)
    }

    /// The idea: messages of one push each, so that an acknowledgement can stand between and within calls.
    #[test]
    fn an_acknowledgement_ends_the_calls_that_are_whole_and_no_others() {
        let mut down = Down::new(pb::ToConnector::default(), 10);
        let give = |down: &mut Down, count| {
            let (done, taken) = oneshot::channel();
            assert!(down.give((0..count).map(|_| item()).collect(), done, &Limits::default()));
            taken
        };
        let (mut first, mut second) = (give(&mut down, 1), give(&mut down, 2));
        let gone = SessionId::generate();
        let group = ConversationId::from_bytes([7; 16]);
        let up_to = |up_to| pb::Taken { up_to, unknown: vec![out(gone)], unrostered: vec![out(group)] };
        assert!(down.acknowledge(up_to(1)).is_err(), "nothing was written yet");
        for _ in 0..3 {
            assert!(down.gather().is_some());
        }
        down.acknowledge(up_to(2)).expect("it was written");
        assert_eq!(first.try_recv(), Ok(Taken { unknown: vec![gone], unrostered: vec![group], lost: false }));
        assert!(second.try_recv().is_err(), "half of it was taken");
        assert!(down.gather().is_some());
        assert!(down.acknowledge(up_to(1)).is_err(), "it goes back");
        down.acknowledge(up_to(3)).expect("it was written");
        let both = Taken { unknown: vec![gone, gone], unrostered: vec![group, group], lost: false };
        assert_eq!(second.try_recv(), Ok(both), "of both halves");
        assert_eq!(down.bytes, 0);
        let mut third = give(&mut down, 1);
        drop(down);
        assert_eq!(third.try_recv(), Err(oneshot::error::TryRecvError::Closed), "which is lost");
    }
}
