//! One partition as one consumer sees it: a channel of its own, what arrived on it, what was handed out.
//!
//! Invariant: a subscription ends by closing its channel, never by cancelling, rejecting or requeueing: after a cancel
//! with deliveries outstanding newer records overtake them. The library cancels when its consumer is dropped, so the
//! channel's close is always put on its way before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};

use super::config::{PREFETCH, RabbitConfig};
use super::connect::RabbitError;
use super::topology;

/// How long a partition of somebody else's share is kept when nobody took it over at first; doubled each time.
const KEEP_MIN: Duration = Duration::from_secs(1);
const KEEP_MAX: Duration = Duration::from_secs(30);
/// Delivery tags below the number of the subscription: tags grow over subscriptions too.
const TAG_BITS: u32 = 44;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;

/// A channel that consumes.
pub(super) struct Subscription {
    pub(super) channel: Channel,
    consumer: Option<lapin::Consumer>,
}

impl Subscription {
    /// Subscribes, after making the queue if it is not there.
    pub(super) async fn open(
        config: &RabbitConfig,
        connection: &Connection,
        partition: u32,
    ) -> Result<Self, RabbitError> {
        topology::declare_partition(config, connection, partition).await?;
        // From here on, whoever gives up in between closes the channel. The library would leave one whose consumer
        // nobody has got yet open for ever, and the broker would hand its records to it.
        let mut subscription = Self { channel: connection.create_channel().await?, consumer: None };
        let channel = &subscription.channel;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (queue, options) = (config.log_queue(partition), BasicConsumeOptions::default());
        let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
        subscription.consumer = Some(consumer);
        Ok(subscription)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // The first poll sends it; the answer is nobody's concern.
        let _ = self.channel.close(200, "OK".into()).now_or_never();
        let consumer = self.consumer.take();
        if self.channel.status().connected() {
            // It could not be closed: then rather lose a little memory than cancel.
            std::mem::forget(consumer);
        }
    }
}

/// One partition.
#[derive(Default)]
pub(super) struct Partition {
    subscription: Option<Subscription>,
    /// Which subscription this is; part of the tags.
    number: u64,
    arrived: VecDeque<Delivery>,
    handed_out: u64,
    acknowledged: u64,
    leaving: bool,
    /// When it may be given up, if it is another's; and how long it is kept after that.
    keep: Option<(Instant, Duration)>,
}

impl Partition {
    pub(super) fn install(&mut self, subscription: Subscription) {
        self.end();
        self.subscription = Some(subscription);
    }

    /// Closes the channel: the broker gives what is unacknowledged to whoever is next.
    fn end(&mut self) {
        self.subscription = None;
        self.arrived.clear();
        self.number += 1;
        (self.handed_out, self.acknowledged, self.leaving) = (0, 0, false);
    }

    pub(super) fn channel(&self) -> Option<&Channel> {
        self.subscription.as_ref().map(|subscription| &subscription.channel)
    }

    /// Takes what has come from the broker; whether anything has. At most the prefetch is ever here.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Result<bool, RabbitError> {
        let Some(consumer) = self.subscription.as_mut().and_then(|subscription| subscription.consumer.as_mut()) else {
            return Ok(false);
        };
        let before = self.arrived.len();
        loop {
            match consumer.poll_next_unpin(context) {
                Poll::Pending => return Ok(self.arrived.len() > before),
                // What arrives while it is given up is the next one's.
                Poll::Ready(Some(Ok(_))) if self.leaving => {}
                Poll::Ready(Some(Ok(delivery))) => self.arrived.push_back(delivery),
                Poll::Ready(Some(Err(error))) => return Err(error.into()),
                Poll::Ready(None) => {
                    return Err(RabbitError::Away("the broker ended a subscription (was its queue deleted?)".into()));
                }
            }
        }
    }

    /// The next delivery, with its tag.
    pub(super) fn take(&mut self) -> Option<(u64, Delivery)> {
        let delivery = self.arrived.pop_front()?;
        Some((self.number << TAG_BITS | delivery.delivery_tag, delivery))
    }

    /// This one went to whoever acknowledges.
    pub(super) fn hand_out(&mut self, tag: u64) {
        self.handed_out = tag & TAG_MASK;
    }

    pub(super) fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// What to tell the broker when everything up to this tag may be forgotten. A tag of a former subscription says
    /// nothing: those records come again.
    pub(super) fn acknowledge(&mut self, tag: u64) -> Option<(Channel, u64)> {
        let upto = (tag & TAG_MASK).min(self.handed_out);
        if tag >> TAG_BITS != self.number || upto <= self.acknowledged {
            return None;
        }
        self.acknowledged = upto;
        self.channel().cloned().map(|channel| (channel, upto))
    }

    /// Somebody else's partition is given up: nothing more is taken, and it ends once what was handed out is
    /// acknowledged. Only one on which something was delivered: without, this is a stand-by already, or nobody is
    /// hurt if it is not.
    pub(super) fn give_up_if_due(&mut self, owned: bool, news: bool, now: Instant) {
        if news {
            self.keep = None;
        }
        let serves = self.handed_out > 0 || self.has_arrived();
        if owned || self.leaving || !serves {
            return;
        }
        let (due, keep) = self.keep.unwrap_or((now, KEEP_MIN));
        if now >= due {
            (self.leaving, self.keep) = (true, Some((now + keep, (keep * 2).min(KEEP_MAX))));
            self.arrived.clear();
        }
    }

    /// Ends a partition that is given up once everything was acknowledged; whether it did.
    pub(super) fn left(&mut self) -> bool {
        let over = self.leaving && self.handed_out == self.acknowledged;
        if over {
            self.end();
        }
        over
    }

    /// How many records wait in the broker to be delivered to anybody.
    pub(super) async fn waiting(&self, queue: String) -> Result<u32, RabbitError> {
        let Some(channel) = self.channel().cloned() else { return Ok(0) };
        let passive =
            lapin::options::QueueDeclareOptions { passive: true, ..lapin::options::QueueDeclareOptions::durable() };
        Ok(channel.queue_declare(queue.into(), passive, FieldTable::default()).await?.message_count())
    }
}

/// Lets the broker forget everything up to a tag (`all`), or that one alone.
pub(super) async fn forget(channel: Channel, tag: u64, all: bool) -> Result<(), RabbitError> {
    Ok(channel.basic_ack(tag, BasicAckOptions { multiple: all }).await?)
}

/// Subscribes again, later than those who wait already.
pub(super) type Opening = futures_util::future::BoxFuture<'static, (u32, Result<Subscription, RabbitError>)>;

pub(super) fn opening(config: RabbitConfig, connection: Arc<Connection>, partition: u32) -> Opening {
    Box::pin(async move { (partition, Subscription::open(&config, &connection, partition).await) })
}
