//! An announcer's stream to one transfer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use hashbrown::HashMap;
use metrics::Histogram;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tonic::transport::Channel;
use tonic::{Request as Call, Status, Streaming};
use whimbrel_core::TransferId;

use super::fleet::{Dial, Line};
use super::outbox::{Drain, Gather, Outbox, Queue};
use super::{Limits, Security, figures, hello, older};
use crate::convert::pb;
use crate::convert::pb::telling::What;
use crate::convert::pb::transfer_client::TransferClient;

/// How announcements' streams are opened and read.
pub(super) struct Announces {
    pub(super) hello: pb::Hello,
    pub(super) security: Security,
    pub(super) limits: Arc<Limits>,
}

pub(super) struct AnnounceLine {
    outbox: Arc<Outbox<Up>>,
    /// What the transfer speaks.
    protocol: u32,
    state: AtomicU8,
}

const OPEN: u8 = 0;
/// The transfer stops: it is told only what it waits for itself.
const STOPS: u8 = 1;
/// This side has taken it from its list.
const REMOVED: u8 = 2;

impl AnnounceLine {
    /// Tells, and waits for the answer. `None`: the stream has ended, and whether it was told is unknown. Its room is
    /// taken until the answer came or the stream ended, whether or not somebody waits for that.
    pub(super) async fn tell(&self, mut what: What, bytes: usize, room: OwnedSemaphorePermit) -> Option<pb::Told> {
        if older::is_older(self.protocol) {
            older::news(&mut what);
        }
        let told = self.outbox.with(|up| up.tell(what, bytes, room))?;
        told.await.ok()
    }

    /// Whether it still waits for places of its own records.
    pub(super) fn takes_its_own(&self) -> bool {
        self.state.load(Ordering::Acquire) != REMOVED
    }
}

impl Line for AnnounceLine {
    fn is_leaving(&self) -> bool {
        self.state.load(Ordering::Acquire) != OPEN
    }

    fn leave(&self) {
        self.state.store(REMOVED, Ordering::Release);
        self.outbox.with(|up| up.leaving = true);
    }
}

impl Dial for Announces {
    type Line = AnnounceLine;
    type Down = pb::Announced;

    async fn open(
        &self,
        to: TransferId,
        channel: Channel,
    ) -> Result<(Arc<AnnounceLine>, Streaming<pb::Announced>), Status> {
        let outbox = Outbox::new(Up::new(hello::addressed(&self.hello, to), self.limits.cut));
        let mut call = Call::new(Drain::of_client(outbox.clone()));
        self.security.sign(&mut call);
        let mut client = TransferClient::new(channel)
            .max_decoding_message_size(self.limits.message_max)
            .max_encoding_message_size(self.limits.message_max);
        let mut inbound = client.announce(call).await?.into_inner();
        let first = hello::first(&mut inbound).await?;
        let protocol = hello::answered(first.hello, first.refused, self.limits.protocol)?;
        Ok((Arc::new(AnnounceLine { outbox, protocol, state: AtomicU8::new(OPEN) }), inbound))
    }

    async fn take(&self, line: &AnnounceLine, message: pb::Announced) -> Result<(), Status> {
        if message.leaving {
            let _ = line.state.compare_exchange(OPEN, STOPS, Ordering::AcqRel, Ordering::Acquire);
        }
        if !message.of.is_empty() {
            line.outbox.with(|up| up.told(message.of));
        }
        Ok(())
    }

    async fn sweep(&self, _: &AnnounceLine) {}

    async fn ended(&self, line: &AnnounceLine) {
        // Those who wait learn by it that no answer comes.
        drop(line.outbox.end(None));
    }
}

/// What gathers for a transfer.
pub(super) struct Up {
    first: Option<pb::Hello>,
    news: Queue<pb::Telling>,
    asked: u64,
    waiting: HashMap<u64, (oneshot::Sender<pb::Told>, OwnedSemaphorePermit)>,
    leaving: bool,
    cut: usize,
    batches: Histogram,
}

impl Up {
    fn new(hello: pb::Hello, cut: usize) -> Self {
        Self {
            first: Some(hello),
            news: Queue::default(),
            asked: 0,
            waiting: HashMap::new(),
            leaving: false,
            cut,
            batches: figures::batch_items("announcements"),
        }
    }

    fn tell(&mut self, what: What, bytes: usize, room: OwnedSemaphorePermit) -> oneshot::Receiver<pb::Told> {
        self.asked += 1;
        let (answer, told) = oneshot::channel();
        self.waiting.insert(self.asked, (answer, room));
        self.news.push(pb::Telling { id: self.asked, what: Some(what) }, bytes);
        told
    }

    fn told(&mut self, told: Vec<pb::Told>) {
        for told in told {
            if let Some((waiting, _room)) = self.waiting.remove(&told.id) {
                let _ = waiting.send(told);
            }
        }
    }
}

impl Gather for Up {
    type Message = pb::Announcement;

    fn gather(&mut self) -> Option<pb::Announcement> {
        if let Some(hello) = self.first.take() {
            return Some(pb::Announcement { hello: Some(hello), of: Vec::new() });
        }
        if self.news.is_empty() {
            return None;
        }
        let of = self.news.take(&mut self.cut.clone(), true);
        self.batches.record(of.len() as f64);
        Some(pb::Announcement { hello: None, of })
    }

    fn is_over(&self) -> bool {
        self.leaving && self.waiting.is_empty()
    }
}
