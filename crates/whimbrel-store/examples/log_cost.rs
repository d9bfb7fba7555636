//! What a record costs on its way through the broker: append → confirm → consume → acknowledge.
//!
//! `cargo run --release -p whimbrel-store --example log_cost -- [records] [url]`. CPU is this process's; the broker's is
//! its own.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use uuid::Uuid;
use whimbrel_core::{BatchId, ConversationId, DeviceId, Draft, MessageId, MessageKind, TransferId, UserId};
use whimbrel_store::rabbit::{RabbitConfig, RabbitLog};
use whimbrel_store::{DraftsEntry, Entry, Log, LogError, Record};

const PARTITIONS: u32 = 8;
const BODY: usize = 100;

fn record(drafts: usize) -> Record {
    let entry = |_| {
        let (message_id, body) = (MessageId::generate(), Bytes::from(vec![7; BODY]));
        let draft = Draft { message_id, kind: MessageKind::TEXT, key_version: 1, body };
        let (conversation, device) = (ConversationId::generate(), DeviceId::generate());
        Entry::Drafts(DraftsEntry { conversation, sender: UserId(1), device, drafts: vec![draft] })
    };
    let entries = (0..drafts).map(entry).collect();
    Record { batch: BatchId::generate(), transfer: TransferId::generate(), entries }
}

/// Seconds of CPU that this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or_default().split(' ').filter_map(|f| f.parse().ok()).collect();
    // After the state letter: utime and stime are the 11th and 12th numbers, in hundredths of a second.
    (fields.get(10).copied().unwrap_or(0.0) + fields.get(11).copied().unwrap_or(0.0)) / 100.0
}

async fn append(log: RabbitLog, partition: u32, records: usize, drafts: usize) -> Result<(), LogError> {
    let mut under_way = VecDeque::new();
    for _ in 0..records {
        under_way.push_back(log.append(partition, record(drafts))?);
        if under_way.len() >= log.records_in_flight()
            && let Some(first) = under_way.pop_front()
        {
            first.await?;
        }
    }
    for confirm in under_way {
        confirm.await?;
    }
    Ok(())
}

async fn run(log: &RabbitLog, records: usize, drafts: usize) -> Result<(), LogError> {
    let (started, cpu_before) = (Instant::now(), cpu());
    let each = records / PARTITIONS as usize;
    let appending: Vec<_> =
        (0..PARTITIONS).map(|partition| tokio::spawn(append(log.clone(), partition, each, drafts))).collect();
    let mut consumer = log.consume().await?;
    let (mut taken, mut batches) = (0, 0);
    while taken < each * PARTITIONS as usize {
        let next = consumer.next(2048).await?;
        let marks: Vec<_> = next.iter().map(|one| (one.partition, one.tag)).collect();
        (taken, batches) = (taken + next.len(), batches + 1);
        consumer.acknowledge(&marks).await?;
    }
    for one in appending {
        one.await.map_err(|error| LogError::Unavailable(error.to_string()))??;
    }
    let (seconds, used, count) = (started.elapsed().as_secs_f64(), cpu() - cpu_before, taken as f64);
    println!(
        "{drafts:3} drafts a record: {:7.0} records/s {:8.0} drafts/s, {:5.1} µs CPU a record here, {:4.1} records a batch",
        count / seconds,
        count * drafts as f64 / seconds,
        used / count * 1e6,
        count / f64::from(batches),
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let records = arguments.next().map_or(Ok(20_000), |records| records.parse())?;
    let url = arguments.next().unwrap_or_else(|| "amqp://guest:guest@127.0.0.1:5672".into());
    for drafts in [1, 16] {
        let prefix = format!("cost.{}.", Uuid::new_v4().simple());
        let config = RabbitConfig {
            prefix: prefix.clone(),
            partitions: PARTITIONS,
            ..RabbitConfig::new(url.as_str().into(), "cost")
        };
        let log = RabbitLog::open(config).await?;
        let ran = run(&log, records, drafts).await;
        let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        for queue in (0..PARTITIONS).map(|number| format!("{prefix}log.{number}")).chain([format!("{prefix}log.dead")])
        {
            channel.queue_delete(queue.into(), lapin::options::QueueDeleteOptions::default()).await?;
        }
        ran?;
    }
    Ok(())
}
