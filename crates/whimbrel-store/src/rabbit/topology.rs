//! The queues: what they are called and what they are told. Declared again and again, always with the same words.
//!
//! A quorum queue confirms when the record is on disk. It delivers to a single consumer at a time, so that order holds
//! over takeovers. Its delivery limit is so high that it never deletes a record of which consumers die (an absent limit
//! deletes on 4.x, and −1 deletes on 3.10). It rejects what it has no room for instead of forgetting the oldest. Its
//! consumers may keep a record for a day before they are taken for dead (30 minutes by default): a record may well
//! wait as long for a database or for a transfer.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, Queue};

use super::config::{PARTITIONS_MAX, RabbitConfig};
use super::connect::{RabbitError, reply_code};

const DELIVERY_LIMIT: i32 = 1_000_000;
/// Milliseconds.
const CONSUMER_TIMEOUT: i32 = 24 * 60 * 60 * 1000;

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn number(value: u32) -> AMQPValue {
    AMQPValue::LongLongInt(value.into())
}

fn log_arguments(config: &RabbitConfig) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-single-active-consumer".into(), true.into());
    arguments.insert("x-delivery-limit".into(), DELIVERY_LIMIT.into());
    arguments.insert("x-consumer-timeout".into(), CONSUMER_TIMEOUT.into());
    arguments.insert("x-max-length".into(), number(config.queue_max_length));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

/// Looking at dead letters delivers them and gives them back, so these have the high delivery limit too.
fn dead_arguments(config: &RabbitConfig) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), DELIVERY_LIMIT.into());
    arguments.insert("x-max-length".into(), number(config.dead_letters_max));
    arguments
}

/// Makes the queues that are written: the partitions and the dead letters.
pub(super) async fn declare(config: &RabbitConfig, connection: &Connection) -> Result<(), RabbitError> {
    declare_dead(config, connection).await?;
    for partition in 0..config.partitions {
        declare_partition(config, connection, partition).await?;
    }
    Ok(())
}

/// Makes the queue of dead letters.
pub(super) async fn declare_dead(config: &RabbitConfig, connection: &Connection) -> Result<(), RabbitError> {
    declare_one(connection, config.dead_queue(), dead_arguments(config)).await
}

/// Makes one partition's queue.
pub(super) async fn declare_partition(
    config: &RabbitConfig,
    connection: &Connection,
    partition: u32,
) -> Result<(), RabbitError> {
    declare_one(connection, config.log_queue(partition), log_arguments(config)).await
}

/// On a channel of its own, because a refusal closes the channel.
async fn declare_one(connection: &Connection, name: String, arguments: FieldTable) -> Result<(), RabbitError> {
    let channel = connection.create_channel().await?;
    let declared = channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), arguments).await;
    match declared {
        Ok(_) => Ok(channel.close(200, "OK".into()).await?),
        Err(error) if reply_code(&error) == 406 => Err(RabbitError::Queue(format!(
            "queue {name} is there with other arguments than the configuration asks for ({error}): set the \
             configuration back, or stop all roles, let the archivers empty the queue, and delete it"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// What the broker says of a queue; `None` when it is not there.
pub(super) async fn look(connection: &Connection, name: String) -> Result<Option<Queue>, RabbitError> {
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    match channel.queue_declare(name.into(), passive, FieldTable::default()).await {
        Ok(queue) => {
            channel.close(200, "OK".into()).await?;
            Ok(Some(queue))
        }
        Err(error) if reply_code(&error) == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How many partitions there are, written or left over from a time when more were.
pub(super) async fn count(config: &RabbitConfig, connection: &Connection) -> Result<u32, RabbitError> {
    let mut count = config.partitions;
    while count < PARTITIONS_MAX && look(connection, config.log_queue(count)).await?.is_some() {
        count += 1;
    }
    Ok(count)
}
