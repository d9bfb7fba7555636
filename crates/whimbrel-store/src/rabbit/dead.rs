//! What an operator does with dead letters: count them, look at them, send them again, drop them.
//!
//! Looking loses nothing: letters are taken without an acknowledgement, and closing the channel puts them back. They are
//! invisible to others meanwhile.

use bytes::Bytes;
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::{AMQPValue, FieldTable};
use uuid::Uuid;
use whimbrel_core::{BatchId, TransferId};

use super::config::RabbitConfig;
use super::connect::{RabbitError, confirming, connect};
use super::publisher::publish_one;
use super::{record, topology};
use crate::log::{DraftsEntry, Entry, Record, partition_of};
use crate::park::DeadLetter;

const KIND: &str = "whimbrel-kind";
const PARTITION: &str = "whimbrel-partition";
const REASON: &str = "whimbrel-reason";

/// Headers of a parked draft.
pub(super) fn headers_of_draft() -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(KIND.into(), AMQPValue::LongString("draft".into()));
    headers
}

/// Headers of a record that could not be read.
pub(super) fn headers_of_record(partition: u32, reason: &str) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(KIND.into(), AMQPValue::LongString("record".into()));
    headers.insert(PARTITION.into(), AMQPValue::LongLongInt(partition.into()));
    headers.insert(REASON.into(), AMQPValue::LongString(reason.into()));
    headers
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadEntry {
    /// Names it; all zeros when it was put there by something else.
    pub id: Uuid,
    /// When it was put there, seconds since 1970; 0 when unknown.
    pub at: u64,
    /// What it is.
    pub what: DeadWhat,
}

/// What a dead letter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadWhat {
    /// A draft that the database refused for good.
    Draft(DeadLetter),
    /// A record that could not be read.
    Record {
        /// Where it came from.
        partition: u32,
        /// Why it could not be read.
        reason: String,
        /// As it was.
        body: Bytes,
    },
    /// Something that is neither.
    Unknown {
        /// As it was.
        body: Bytes,
    },
}

/// Which dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Every one.
    All,
    /// The one with this id.
    One(Uuid),
}

impl Which {
    fn is(self, entry: &DeadEntry) -> bool {
        self == Self::All || self == Self::One(entry.id)
    }
}

/// The dead letters of a log.
pub struct DeadLetters {
    config: RabbitConfig,
    connection: lapin::Connection,
}

impl DeadLetters {
    /// Connects to the broker of this log; it must be there.
    pub async fn open(config: RabbitConfig) -> Result<Self, RabbitError> {
        let uri = config.target().map_err(RabbitError::Config)?;
        let connection = connect(&config, &uri, "dead letters").await?;
        topology::declare_dead(&config, &connection).await?;
        Ok(Self { config, connection })
    }

    /// How many there are.
    pub async fn count(&self) -> Result<u32, RabbitError> {
        let queue = topology::look(&self.connection, self.config.dead_queue()).await?;
        Ok(queue.map_or(0, |queue| queue.message_count()))
    }

    /// The oldest ones.
    pub async fn list(&self, limit: usize) -> Result<Vec<DeadEntry>, RabbitError> {
        let channel = self.connection.create_channel().await?;
        let mut entries = Vec::new();
        while entries.len() < limit {
            let Some(message) = self.get(&channel).await? else { break };
            entries.push(entry(message));
        }
        channel.close(200, "OK".into()).await?;
        Ok(entries)
    }

    /// Sends them again, under their ids: a draft to its conversation's partition, a record to its own. Returns how
    /// many. Each leaves the dead letters once it is safe in the log; interrupted, one may be in both, which is harmless,
    /// because a message id is placed once.
    pub async fn replay(&self, which: Which) -> Result<usize, RabbitError> {
        let publishing = confirming(&self.connection).await?;
        self.walk(which, async |what| {
            let (partition, body) = match what {
                DeadWhat::Unknown { .. } => return Ok(false),
                DeadWhat::Record { partition, body, .. } => (partition, body),
                DeadWhat::Draft(letter) => {
                    let partition = partition_of(letter.conversation, self.config.partitions);
                    (partition, record::encode(record_of(letter)).into())
                }
            };
            publish_one(&publishing, &self.config, partition, &body).await?;
            Ok(true)
        })
        .await
    }

    /// Drops them for good. Returns how many.
    pub async fn drop(&self, which: Which) -> Result<usize, RabbitError> {
        self.walk(which, async |_| Ok(true)).await
    }

    /// Shows each chosen letter to `deed`, and forgets those for which it says so.
    async fn walk(
        &self,
        which: Which,
        deed: impl AsyncFn(DeadWhat) -> Result<bool, RabbitError>,
    ) -> Result<usize, RabbitError> {
        let channel = self.connection.create_channel().await?;
        let mut done = 0;
        while let Some(message) = self.get(&channel).await? {
            let tag = message.delivery.delivery_tag;
            let entry = entry(message);
            if which.is(&entry) && deed(entry.what).await? {
                channel.basic_ack(tag, BasicAckOptions::default()).await?;
                done += 1;
                if matches!(which, Which::One(_)) {
                    break;
                }
            }
        }
        channel.close(200, "OK".into()).await?;
        Ok(done)
    }

    async fn get(&self, channel: &Channel) -> Result<Option<BasicGetMessage>, RabbitError> {
        Ok(channel.basic_get(self.config.dead_queue().into(), BasicGetOptions::default()).await?)
    }
}

fn record_of(letter: DeadLetter) -> Record {
    let DeadLetter { conversation, sender, device, draft, .. } = letter;
    let entry = DraftsEntry { conversation, sender, device, drafts: vec![draft] };
    // Nobody waits for its place: it is announced through any transfer.
    Record { batch: BatchId::generate(), transfer: TransferId::generate(), entries: vec![Entry::Drafts(entry)] }
}

fn entry(message: BasicGetMessage) -> DeadEntry {
    let (properties, body) = (&message.delivery.properties, Bytes::from(message.delivery.data.clone()));
    let id = properties.message_id().as_ref().and_then(|id| Uuid::parse_str(id.as_str()).ok());
    let text = |name: &str| {
        let header = properties.headers().as_ref().and_then(|headers| headers.inner().get(name).cloned());
        if let Some(AMQPValue::LongString(text)) = header { Some(text.to_string()) } else { None }
    };
    let partition = properties.headers().as_ref().and_then(|headers| headers.inner().get(PARTITION).cloned());
    let partition = partition.and_then(|value| value.as_long_long_int()).and_then(|value| u32::try_from(value).ok());
    let what = match (text(KIND).as_deref(), partition) {
        (Some("draft"), _) => record::decode_dead(body.clone()).map(DeadWhat::Draft).ok(),
        (Some("record"), Some(partition)) => {
            Some(DeadWhat::Record { partition, reason: text(REASON).unwrap_or_default(), body: body.clone() })
        }
        _ => None,
    };
    let at = properties.timestamp().unwrap_or_default();
    DeadEntry { id: id.unwrap_or_default(), at, what: what.unwrap_or(DeadWhat::Unknown { body }) }
}
