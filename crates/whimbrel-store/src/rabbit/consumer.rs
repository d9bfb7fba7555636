//! [`Consumer`] over all partitions, on a connection of its own: the broker holds back publishers when it is short of
//! room, and acknowledgements are what makes room.
//!
//! Every failure is the consumer's end: [`next`](Consumer::next) says so, and whoever holds it drops it and consumes
//! again. Dropping closes the channels, and the broker gives what is unacknowledged to the next consumer, in order.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream::FuturesUnordered;
use lapin::Connection;
use tokio::sync::watch;
use tracing::error;

use super::config::SETUP_TIMEOUT;
use super::connect::{RabbitError, connect, within};
use super::partition::{Opening, Partition, Subscription, forget, opening};
use super::shared::{Share, Shared};
use super::{dead, record, topology};
use crate::log::{Consumer, Delivered, Entry, LogError, Record};

/// How often a closed log's emptiness is asked for.
const DRAIN_EVERY: Duration = Duration::from_millis(50);

pub(super) struct RabbitConsumer {
    // Before the connection: fields are dropped in this order, and channels close before it.
    partitions: Vec<Partition>,
    opening: FuturesUnordered<Opening>,
    /// A record that could not be read, on its way to the dead letters. Nothing is handed out meanwhile, so nothing
    /// after it can be acknowledged before it is safe there.
    burying: Option<BoxFuture<'static, Result<(), LogError>>>,
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    share: watch::Receiver<Share>,
    seen: watch::Receiver<u32>,
    /// The partition that is asked first next time, so that none starves behind another.
    first: usize,
}

impl From<RabbitError> for LogError {
    fn from(error: RabbitError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl RabbitConsumer {
    pub(super) async fn open(shared: Arc<Shared>) -> Result<Self, RabbitError> {
        let config = &shared.config;
        let connection = Arc::new(connect(config, &shared.uri, "consuming").await?);
        let subscriptions = within(SETUP_TIMEOUT, async {
            topology::declare_dead(config, &connection).await?;
            // Each subscription makes its own queue, all at once.
            let count = topology::count(config, &connection).await?.max(*shared.seen.borrow());
            try_join_all((0..count).map(|partition| Subscription::open(config, &connection, partition))).await
        })
        .await?;
        let mut partitions: Vec<Partition> = Vec::new();
        for subscription in subscriptions {
            let mut partition = Partition::default();
            partition.install(subscription);
            partitions.push(partition);
        }
        let (mut share, seen) = (shared.share.subscribe(), shared.seen.subscribe());
        share.mark_changed();
        let opening = FuturesUnordered::new();
        Ok(Self { partitions, opening, burying: None, connection, shared, share, seen, first: 0 })
    }

    /// What changed without a record: other shares, more partitions, partitions that are done with.
    fn tend(&mut self) {
        let news = self.share.has_changed().unwrap_or(false);
        let (share, now) = (*self.share.borrow_and_update(), Instant::now());
        let seen = *self.seen.borrow_and_update() as usize;
        let mut again: Vec<u32> = Vec::new();
        for (number, partition) in (0..).zip(&mut self.partitions) {
            partition.give_up_if_due(share.owns(number), news, now);
            if partition.left() {
                again.push(number);
            }
        }
        for number in self.partitions.len()..seen {
            self.partitions.push(Partition::default());
            again.push(u32::try_from(number).unwrap_or(u32::MAX));
        }
        for number in again {
            self.opening.push(opening(self.shared.config.clone(), self.connection.clone(), number));
        }
    }

    /// Takes in what has come; ready once anything has.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LogError>> {
        let mut news = false;
        while let Poll::Ready(Some((number, opened))) = self.opening.poll_next_unpin(context) {
            if let Some(partition) = self.partitions.get_mut(number as usize) {
                partition.install(opened?);
            }
            news = true;
        }
        for partition in &mut self.partitions {
            news |= partition.poll(context)?;
        }
        if news { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// What arrived, while there is room for drafts; the last record may go beyond it.
    fn take(&mut self, max_drafts: usize) -> Vec<Delivered> {
        let (mut room, mut taken) = (max_drafts.max(1), Vec::new());
        let count = self.partitions.len();
        for turn in 0..count {
            let number = (self.first + turn) % count;
            while room > 0 && self.burying.is_none() {
                let Some((tag, delivery)) = self.partitions[number].take() else { break };
                let partition = u32::try_from(number).unwrap_or(u32::MAX);
                let (redelivered, data) = (delivery.redelivered, Bytes::from(delivery.data));
                match record::decode(data.clone()) {
                    Ok(record) => {
                        self.partitions[number].hand_out(tag);
                        room = room.saturating_sub(weight(&record));
                        taken.push(Delivered { partition, tag, redelivered, record });
                    }
                    Err(reason) => self.bury(partition, delivery.delivery_tag, data, &reason.to_string()),
                }
            }
        }
        self.first = (self.first + 1) % count.max(1);
        taken
    }

    /// Puts what cannot be read with the dead letters, and lets the broker forget it.
    fn bury(&mut self, partition: u32, tag: u64, data: Bytes, reason: &str) {
        error!(partition, bytes = data.len(), reason, "a record cannot be read; it goes to the dead letters");
        metrics::counter!("whimbrel_rabbit_undecodable_total").increment(1);
        let headers = dead::headers_of_record(partition, reason);
        let shared = self.shared.clone();
        let channel = self.partitions[partition as usize].channel().cloned();
        self.burying = Some(Box::pin(async move {
            shared.bury(data, headers).await?;
            if let Some(channel) = channel {
                forget(channel, tag, false).await?;
            }
            Ok(())
        }));
    }

    /// Whether nothing is on its way. The second question is answered after whatever was delivered before the first
    /// answer, so then that has arrived.
    async fn is_drained(&mut self) -> Result<bool, LogError> {
        for _ in 0..2 {
            for (number, partition) in (0..).zip(&self.partitions) {
                if partition.waiting(self.shared.config.log_queue(number)).await? > 0 {
                    return Ok(false);
                }
            }
        }
        poll_fn(|context| Poll::Ready(self.poll(context).is_ready())).await;
        Ok(self.opening.is_empty() && !self.partitions.iter().any(Partition::has_arrived))
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next(&mut self, max_drafts: usize) -> Result<Vec<Delivered>, LogError> {
        loop {
            if let Some(burying) = &mut self.burying {
                let buried = burying.as_mut().await;
                self.burying = None;
                buried?;
            }
            if let Poll::Ready(failed) = poll_fn(|context| Poll::Ready(self.poll(context))).await {
                failed?;
            }
            self.tend();
            let taken = self.take(max_drafts);
            if !taken.is_empty() {
                return Ok(taken);
            }
            if self.burying.is_some() {
                continue;
            }
            let closed = self.shared.closed.clone();
            if closed.is_cancelled() && self.is_drained().await? {
                return Ok(Vec::new());
            }
            let (mut share, mut seen) = (self.share.clone(), self.seen.clone());
            tokio::select! {
                come = poll_fn(|context| self.poll(context)) => come?,
                _ = share.changed() => {}
                _ = seen.changed() => {}
                () = closed.cancelled(), if !closed.is_cancelled() => {}
                () = tokio::time::sleep(DRAIN_EVERY), if closed.is_cancelled() => {}
            }
        }
    }

    async fn acknowledge(&mut self, upto: &[(u32, u64)]) -> Result<(), LogError> {
        let mut forgetting = Vec::new();
        for (number, tag) in upto {
            let known = self.partitions.get_mut(*number as usize);
            if let Some((channel, tag)) = known.and_then(|partition| partition.acknowledge(*tag)) {
                forgetting.push(forget(channel, tag, true));
            }
        }
        try_join_all(forgetting).await?;
        self.tend();
        Ok(())
    }
}

/// Drafts in a record; a cursor counts as one, and nothing as one too.
fn weight(record: &Record) -> usize {
    let entries = record.entries.iter().map(|entry| match entry {
        Entry::Drafts(entry) => entry.drafts.len(),
        Entry::Cursor { .. } => 1,
    });
    entries.sum::<usize>().max(1)
}
