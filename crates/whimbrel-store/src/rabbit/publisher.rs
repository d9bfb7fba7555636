//! The publishing connection: a supervisor that connects, declares, opens a lane for each queue, and starts over.
//!
//! Nothing is published twice by this room: what was not confirmed when a connection ended is told to be in doubt, and
//! whoever appended it decides. So records reach a partition in the order of their appending, with gaps at worst.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use lapin::options::BasicPublishOptions;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, Event};
use metrics::counter;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::config::{PAUSE_MAX, PAUSE_MIN, QUEUED_MAX, RabbitConfig, SETUP_TIMEOUT, UNCONFIRMED_MAX, shown};
use super::connect::{RabbitError, confirming, connect, within};
use super::in_flight::{Done, InFlight};
use super::shared::{Link, Shared};
use super::{record, topology};
use crate::log::Record;

/// Written to disk before it is confirmed.
const PERSISTENT: u8 = 2;

/// What a lane is given.
pub(super) struct Publish {
    pub(super) what: What,
    pub(super) done: Done,
}

/// What a message says.
pub(super) enum What {
    /// A record; encoded by the lane, not under the locks of whoever appends.
    Record(Record),
    /// A dead letter.
    Dead { body: Bytes, headers: FieldTable, id: uuid::Uuid },
}

impl What {
    fn into_message(self) -> (Bytes, BasicProperties) {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        match self {
            Self::Record(record) => (record::encode(record).into(), properties),
            Self::Dead { body, headers, id } => {
                let properties = properties.with_headers(headers).with_message_id(id.to_string().into());
                (body, properties.with_timestamp(unix_seconds()))
            }
        }
    }
}

pub(super) fn unix_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A connection with everything declared and a channel for each lane, the last one for dead letters.
pub(super) struct Session {
    connection: Connection,
    channels: Vec<(String, Channel)>,
}

impl Session {
    pub(super) async fn open(shared: &Shared) -> Result<Self, RabbitError> {
        let config = &shared.config;
        let connection = connect(config, &shared.uri, "publishing").await?;
        let channels = within(SETUP_TIMEOUT, async {
            topology::declare(config, &connection).await?;
            let mut channels = Vec::new();
            for queue in (0..config.partitions).map(|number| config.log_queue(number)).chain([config.dead_queue()]) {
                channels.push((queue, confirming(&connection).await?));
            }
            Ok(channels)
        })
        .await?;
        Ok(Self { connection, channels })
    }

    /// Starts the lanes: from here on appends are taken.
    pub(super) fn start(self, shared: &Shared) -> Running {
        let Self { connection, channels } = self;
        let (mut lanes, mut senders) = (JoinSet::new(), Vec::new());
        for (queue, channel) in channels {
            let (sender, receiver) = mpsc::channel(QUEUED_MAX);
            senders.push(sender);
            lanes.spawn(lane(channel, queue, receiver));
        }
        shared.set_link(Link::Up(senders));
        Running { connection, lanes }
    }
}

/// A session that takes appends.
pub(super) struct Running {
    connection: Connection,
    lanes: JoinSet<Result<(), String>>,
}

impl Running {
    /// Publishes until the log was closed and everything is confirmed, or until something fails.
    async fn run(self, shared: &Shared) -> Result<(), String> {
        let Self { connection, mut lanes } = self;
        let mut events = connection.events_listener();
        let ended = loop {
            tokio::select! {
                ended = lanes.join_next() => match ended {
                    None => break Ok(()),
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(reason))) => break Err(reason),
                    Some(Err(panicked)) => break Err(panicked.to_string()),
                },
                event = events.next() => match event {
                    Some(Event::Error(error)) => break Err(error.to_string()),
                    Some(Event::ConnectionBlocked(reason)) => shared.set_blocked(Some(reason.to_string())),
                    Some(Event::ConnectionUnblocked) => shared.set_blocked(None),
                    Some(_) => {}
                    None => break Err("the connection ended".into()),
                },
            }
        };
        // First nothing more comes in, then what is in the lanes is told that it is in doubt.
        if let Err(reason) = &ended {
            shared.set_link(Link::Away(reason.clone()));
        }
        shared.set_blocked(None);
        lanes.abort_all();
        while lanes.join_next().await.is_some() {}
        if connection.status().connected() {
            let _ = connection.close(200, "OK".into()).await;
        }
        ended
    }
}

/// One queue's publishing: in order, with several under way.
async fn lane(channel: Channel, queue: String, mut publishes: mpsc::Receiver<Publish>) -> Result<(), String> {
    let mut in_flight = InFlight::default();
    let mut open = true;
    while open || !in_flight.is_empty() {
        let room = open && in_flight.len() < UNCONFIRMED_MAX;
        tokio::select! {
            biased;
            told = in_flight.progress(&channel), if !in_flight.is_empty() => {
                if let Err(reason) = told {
                    publishes.close();
                    in_flight.fail(&reason);
                    return Err(reason);
                }
            }
            publish = publishes.recv(), if room => match publish {
                Some(publish) => begin(&channel, &queue, publish, &mut in_flight),
                None => open = false,
            },
        }
    }
    Ok(())
}

/// Puts a message in the channel's order, by polling its publish once, and leaves the rest to [`InFlight`].
fn begin(channel: &Channel, queue: &str, publish: Publish, in_flight: &mut InFlight) {
    let Publish { what, done } = publish;
    let (channel, queue, (body, properties)) = (channel.clone(), queue.to_owned(), what.into_message());
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let mut confirming = Box::pin(async move {
        let confirm = channel.basic_publish("".into(), queue.into(), mandatory, &body, properties).await?;
        drop(body);
        confirm.await
    });
    let begun = confirming.as_mut().now_or_never();
    match begun {
        None => in_flight.push(confirming, done),
        Some(ended) => in_flight.push(Box::pin(std::future::ready(ended)), done),
    }
}

/// Keeps a session, from `first` on, until the log is closed or dropped.
pub(super) async fn supervise(shared: Arc<Shared>, first: Option<Running>, dropped: CancellationToken) {
    tokio::select! {
        () = dropped.cancelled() => shared.set_link(Link::Away("the log was dropped".into())),
        () = keep(&shared, first) => {}
    }
}

async fn keep(shared: &Shared, mut next: Option<Running>) {
    let mut pause = PAUSE_MIN;
    let mut told = next.is_none();
    loop {
        let session = match next.take() {
            Some(running) => Ok(running),
            None if shared.closed.is_cancelled() => return,
            None => Session::open(shared).await.map(|session| session.start(shared)),
        };
        match session {
            Ok(running) => {
                if told {
                    info!(broker = %shown(&shared.uri), "the broker is there: records are taken");
                }
                (pause, told) = (PAUSE_MIN, false);
                match running.run(shared).await {
                    Ok(()) => return,
                    Err(reason) => away(shared, &mut told, &RabbitError::Away(reason)),
                }
            }
            Err(error) => away(shared, &mut told, &error),
        }
        counter!("whimbrel_rabbit_reconnects_total").increment(1);
        tokio::select! {
            () = sleep(pause) => {}
            () = shared.closed.cancelled() => return,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Says once in each outage that there is one.
fn away(shared: &Shared, told: &mut bool, reason: &RabbitError) {
    shared.set_link(Link::Away(reason.to_string()));
    if std::mem::replace(told, true) {
        return;
    }
    let broker = shown(&shared.uri);
    if reason.is_permanent() {
        error!(%broker, error = %reason, "no record is taken until an operator mends this; senders keep their drafts");
    } else {
        warn!(%broker, error = %reason, "no record is taken until the broker is back; senders keep their drafts");
    }
}

/// Publishes one message on a confirming channel and waits until it is safe: for operators, not for the way of a
/// message. With one under way at a time, the library gives a return to the right confirm.
pub(super) async fn publish_one(
    channel: &Channel,
    config: &RabbitConfig,
    partition: u32,
    body: &[u8],
) -> Result<(), RabbitError> {
    let (mandatory, properties) = (
        BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
        BasicProperties::default().with_delivery_mode(PERSISTENT),
    );
    let queue = config.log_queue(partition);
    let confirm = channel.basic_publish("".into(), queue.as_str().into(), mandatory, body, properties).await?.await?;
    match confirm {
        lapin::Confirmation::Ack(None) => Ok(()),
        lapin::Confirmation::Nack(None) => Err(RabbitError::Away(format!("queue {queue} is full"))),
        _ => Err(RabbitError::Queue(format!("queue {queue} is not there: start a transfer or an archiver first"))),
    }
}
