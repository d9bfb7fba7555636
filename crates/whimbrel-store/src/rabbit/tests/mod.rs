//! What holds on a real broker. Queues have random names and are deleted at the end.

mod consuming;
mod dead;
mod faults;
mod giving_up;
mod publishing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lapin::uri::AMQPUri;
use uuid::Uuid;
use whimbrel_core::{BatchId, ConversationId, DeviceId, Draft, MessageId, MessageKind, TransferId, UserId};

use super::{RabbitConfig, RabbitLog};
use crate::log::{Confirm, Consumer, Delivered, DraftsEntry, Entry, Log, LogError, Record};

/// Only failures wait for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

fn url() -> String {
    crate::testing::url(whimbrel_engines::Kind::Rabbit)
}

/// The shared broker's address with a change.
fn url_with(change: impl FnOnce(&mut AMQPUri)) -> String {
    let mut uri: AMQPUri = url().parse().expect("an URL");
    change(&mut uri);
    uri.to_string()
}

/// A configuration with a prefix of its own on the broker that all tests share.
fn config(partitions: u32) -> RabbitConfig {
    let prefix = format!("test.{}.", Uuid::new_v4().simple());
    RabbitConfig { prefix, partitions, ..RabbitConfig::new(url().into(), "test") }
}

/// Deletes the queues of a configuration, at the end of its test.
struct Cleanup(RabbitConfig, u32);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let (config, partitions) = (self.0.clone(), self.1);
        let deleting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                for queue in (0..partitions).map(|number| config.log_queue(number)).chain([config.dead_queue()]) {
                    delete(&config, &queue).await;
                }
            });
        });
        deleting.join().expect("deleted");
    }
}

async fn raw(config: &RabbitConfig) -> lapin::Connection {
    super::connect::connect(config, &config.target().expect("an URL"), "test").await.expect("a broker")
}

async fn delete(config: &RabbitConfig, queue: &str) {
    let connection = raw(config).await;
    let channel = connection.create_channel().await.expect("a channel");
    channel.queue_delete(queue.into(), Default::default()).await.expect("deleted");
}

/// Puts bytes that are no record into a partition.
async fn publish_raw(config: &RabbitConfig, partition: u32, body: &[u8]) {
    let connection = raw(config).await;
    let channel = super::connect::confirming(&connection).await.expect("a channel");
    super::publisher::publish_one(&channel, config, partition, body).await.expect("confirmed");
}

/// How many records of a partition wait in the broker.
async fn waiting(config: &RabbitConfig, queue: String) -> u32 {
    let connection = raw(config).await;
    super::topology::look(&connection, queue).await.expect("answers").expect("is there").message_count()
}

/// Asks again until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let asking = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A record of one draft that says this number.
fn numbered(number: u64) -> Record {
    let body = Bytes::from(number.to_string().into_bytes());
    let draft = Draft { message_id: MessageId::generate(), kind: MessageKind::TEXT, key_version: 1, body };
    let (conversation, device) = (ConversationId::generate(), DeviceId::generate());
    let entry = DraftsEntry { conversation, sender: UserId(1), device, drafts: vec![draft] };
    Record { batch: BatchId::generate(), transfer: TransferId::generate(), entries: vec![Entry::Drafts(entry)] }
}

fn number(record: &Record) -> u64 {
    let Entry::Drafts(entry) = &record.entries[0] else { panic!("drafts") };
    String::from_utf8_lossy(&entry.drafts[0].body).parse().expect("a number")
}

fn numbers(delivered: &[Delivered]) -> Vec<u64> {
    delivered.iter().map(|one| number(&one.record)).collect()
}

/// Appends these numbers and waits until all are safe.
async fn append_all(log: &RabbitLog, partition: u32, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        log.append(partition, numbered(number)).expect("taken").await.expect("confirmed");
    }
}

async fn take(consumer: &mut dyn Consumer, count: usize) -> Vec<Delivered> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = tokio::time::timeout(PATIENCE, consumer.next(1000)).await.expect("in time").expect("answers");
        taken.extend(next);
    }
    taken
}

/// A log that deletes its queues when it is dropped.
struct Temporary {
    log: RabbitLog,
    _cleanup: Cleanup,
}

#[async_trait]
impl Log for Temporary {
    fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    fn records_in_flight(&self) -> usize {
        self.log.records_in_flight()
    }

    fn append(&self, partition: u32, record: Record) -> Result<Confirm, LogError> {
        self.log.append(partition, record)
    }

    async fn consume(&self) -> Result<Box<dyn Consumer>, LogError> {
        self.log.consume().await
    }

    fn close(&self) {
        self.log.close();
    }
}

async fn open() -> Arc<dyn Log> {
    let config = config(2);
    let log = RabbitLog::open(config.clone()).await.expect("a broker");
    Arc::new(Temporary { log, _cleanup: Cleanup(config, 2) })
}

mod suite {
    use super::open;

    crate::log_conformance!(open);
}
