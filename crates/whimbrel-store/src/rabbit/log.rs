//! [`RabbitLog`]: the handle.

use std::sync::Arc;

use async_trait::async_trait;
use metrics::counter;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::config::{PARTITIONS_MAX, RabbitConfig};
use super::connect::RabbitError;
use super::consumer::RabbitConsumer;
use super::management;
use super::publisher::{Session, What, supervise};
use super::shared::{Share, Shared};
use crate::log::{Confirm, Consumer, Entry, Log, LogError, Record};

/// The log of a cluster. A cheap handle: clones are the same log. When the last one is dropped, its publishing
/// connection ends; consumers live on their own connections.
#[derive(Clone)]
pub struct RabbitLog {
    pub(super) shared: Arc<Shared>,
    _supervised: Arc<DropGuard>,
}

impl RabbitLog {
    /// Opens the log. What only an operator can mend is an error: a wrong URL, a refused user, a queue with other
    /// arguments. A broker that is away is none: it is looked for until it is there.
    pub async fn open(config: RabbitConfig) -> Result<Self, RabbitError> {
        let uri = config.target().map_err(RabbitError::Config)?;
        let shared = Arc::new(Shared::new(config, uri));
        let first = match Session::open(&shared).await {
            Ok(session) => Some(session.start(&shared)),
            Err(error) if error.is_permanent() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "no record is taken until the broker is there; senders keep their drafts");
                None
            }
        };
        let dropped = CancellationToken::new();
        let guard = Arc::new(dropped.clone().drop_guard());
        tokio::spawn(supervise(shared.clone(), first, dropped));
        Ok(Self { shared, _supervised: guard })
    }

    /// Whether appends are taken at present: a level for readiness and for tests to wait on.
    pub fn is_up(&self) -> bool {
        self.shared.is_up()
    }

    /// Says how many partitions a transfer writes. Running consumers take up those that they did not know. Never fewer
    /// than before, and at most [`PARTITIONS_MAX`].
    pub fn set_partitions_seen(&self, partitions: u32) {
        let partitions = partitions.min(PARTITIONS_MAX);
        self.shared.seen.send_if_modified(|seen| {
            let more = partitions > *seen;
            *seen = partitions.max(*seen);
            more
        });
    }

    /// Says which partitions this archiver owns: those with `number % of == rank`. It serves others too while nobody
    /// else does, and hands them over when somebody waits for them.
    pub fn set_share(&self, rank: usize, of: usize) {
        let of = u32::try_from(of.max(1)).unwrap_or(u32::MAX);
        let share = Share { rank: u32::try_from(rank).unwrap_or(u32::MAX) % of, of };
        self.shared.share.send_if_modified(|known| std::mem::replace(known, share) != share);
    }

    /// What an operator should know of the broker: policies that override what the queues were declared with. It
    /// needs [`RabbitConfig::management_url`], because policies cannot be read over AMQP.
    pub async fn check(&self) -> Vec<String> {
        management::check(&self.shared.config, &self.shared.uri.vhost).await
    }
}

#[async_trait]
impl Log for RabbitLog {
    fn partitions(&self) -> u32 {
        self.shared.config.partitions
    }

    fn records_in_flight(&self) -> usize {
        self.shared.config.records_in_flight
    }

    fn append(&self, partition: u32, record: Record) -> Result<Confirm, LogError> {
        if partition >= self.shared.config.partitions {
            return Err(LogError::Unavailable(format!("there is no partition {partition}")));
        }
        let (bytes, limit) = (bytes_of(&record), self.shared.config.record_bytes_max);
        if bytes > limit {
            return Err(LogError::Unavailable(format!("a record of {bytes} bytes is over the limit of {limit}")));
        }
        let confirm = self.shared.publish(partition, What::Record(record))?;
        counter!("whimbrel_rabbit_records_appended_total").increment(1);
        Ok(confirm)
    }

    async fn consume(&self) -> Result<Box<dyn Consumer>, LogError> {
        let consumer = RabbitConsumer::open(self.shared.clone()).await;
        Ok(Box::new(consumer.map_err(|error| LogError::Unavailable(error.to_string()))?))
    }

    fn close(&self) {
        self.shared.close();
    }
}

/// What a record's bodies weigh; what is around them is little beside the broker's limits.
fn bytes_of(record: &Record) -> usize {
    let bodies = record.entries.iter().map(|entry| match entry {
        Entry::Drafts(entry) => entry.drafts.iter().map(|draft| draft.body.len()).sum(),
        Entry::Cursor { .. } => 0,
    });
    bodies.sum()
}
