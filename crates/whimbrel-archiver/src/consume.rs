//! The loop: everything delivered → one transaction → announcement → acknowledgement.
//!
//! When the log or the database fails, the consumer is dropped, which gives back what is unacknowledged; after a
//! pause a new one gets it again, marked as redelivered. That is the only recovery there is.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use whimbrel_core::limits;
use whimbrel_rpc::Announce;
use whimbrel_store::{Consumer, Delivered, Log, LogError, StoreError, Timeline};

use crate::Config;
use crate::announce::{Marks, Telling};
use crate::backoff::Backoff;
use crate::place::{Placed, Placer};
use whimbrel_store::{MemoryPark, Park};

/// The archiver; see the crate's page.
pub struct Archiver {
    config: Config,
    log: Arc<dyn Log>,
    announce: Arc<dyn Announce>,
    placer: Placer,
}

/// Why a consumer was given up.
enum End {
    /// The log was closed and is empty.
    Closed,
    /// The archiver was told to stop.
    Stopped,
    /// The log failed.
    Log(LogError),
    /// The database failed.
    Store(StoreError),
}

impl Archiver {
    /// An archiver that keeps its dead letters in memory.
    pub fn new(config: Config, log: Arc<dyn Log>, timeline: Arc<dyn Timeline>, announce: Arc<dyn Announce>) -> Self {
        let placer = Placer::new(&config, timeline, Arc::new(MemoryPark::default()));
        Self { config, log, announce, placer }
    }

    /// The same, with another place for dead letters.
    #[must_use]
    pub fn with_park(mut self, park: Arc<dyn Park>) -> Self {
        self.placer.set_park(park);
        self
    }

    /// Works until the log is closed and empty, or until `stop`. Told to stop, it finishes the batch that is under
    /// way, within [`Config::stop_grace`]; what it does not finish is delivered to the next archiver.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(self.config.pause_min, self.config.pause_max);
        loop {
            let consumer = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                consumer = self.log.consume() => consumer,
            };
            let end = match consumer {
                Ok(consumer) => self.serve(consumer, &stop, &mut backoff).await,
                Err(error) => End::Log(error),
            };
            let is_first = backoff.is_first();
            let pause = backoff.pause();
            let is_away = matches!(end, End::Store(_));
            if is_away {
                self.placer.forget();
            }
            match end {
                End::Closed => return info!("the log is closed and empty: the archiver ends"),
                End::Stopped => return info!("the archiver was told to stop"),
                // Once, and not with every try: this may last.
                End::Log(error) if is_first => warn!(%error, ?pause, "the log failed; consuming again"),
                End::Log(error) => debug!(%error, ?pause, "the log still fails"),
                End::Store(error) => warn!(%error, ?pause, "the database is away; nothing is placed until it answers"),
            }
            let waiting = async {
                sleep(pause).await;
                // Records that are given back and delivered again for nothing cost the broker, and count.
                while is_away && !self.placer.is_answered().await {
                    sleep(backoff.pause()).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = waiting => {}
            }
        }
    }

    /// Serves one consumer until it ends.
    async fn serve(&mut self, mut consumer: Box<dyn Consumer>, stop: &CancellationToken, backoff: &mut Backoff) -> End {
        let mut telling = Telling::default();
        loop {
            let delivered = match self.gather(&mut *consumer, &mut telling, stop).await {
                Ok(delivered) => delivered,
                Err(end) => return self.finish(&mut *consumer, &mut telling, end).await,
            };
            let placed = match self.place(&delivered, &mut *consumer, &mut telling, stop).await {
                Ok(placed) => placed,
                Err(end) => return self.finish(&mut *consumer, &mut telling, end).await,
            };
            backoff.reset();
            while telling.is_under_way() {
                if let Err(end) = self.tell(&mut *consumer, &mut telling, stop).await {
                    return end;
                }
            }
            telling.begin(self.announce.clone(), placed, marks(&delivered));
        }
    }

    /// Waits for records, and meanwhile drives the announcement.
    async fn gather(
        &self,
        consumer: &mut dyn Consumer,
        telling: &mut Telling,
        stop: &CancellationToken,
    ) -> Result<Vec<Delivered>, End> {
        loop {
            // Records that are there already come first: their commit starts before the last one is announced.
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(End::Stopped),
                delivered = consumer.next(self.config.place_rows_max.min(limits::PLACE_ROWS_MAX)) => {
                    let delivered = delivered.map_err(End::Log)?;
                    return if delivered.is_empty() { Err(End::Closed) } else { Ok(delivered) };
                }
                () = telling.told() => telling.acknowledge(consumer, &self.announce).await.map_err(End::Log)?,
            }
        }
    }

    /// Places a batch, and meanwhile drives the announcement of the one before.
    async fn place(
        &mut self,
        delivered: &[Delivered],
        consumer: &mut dyn Consumer,
        telling: &mut Telling,
        stop: &CancellationToken,
    ) -> Result<Placed, End> {
        let (grace, announce) = (self.config.stop_grace, &self.announce);
        let placing = self.placer.place(delivered);
        tokio::pin!(placing);
        let too_late = async {
            stop.cancelled().await;
            sleep(grace).await;
        };
        tokio::pin!(too_late);
        loop {
            tokio::select! {
                biased;
                placed = &mut placing => return placed.map_err(End::Store),
                () = telling.told() => telling.acknowledge(consumer, announce).await.map_err(End::Log)?,
                () = &mut too_late => return Err(End::Stopped),
            }
        }
    }

    /// Waits for the announcement that is under way. What was committed meanwhile has to wait for its turn; told to
    /// stop, it is left to the next archiver when that takes too long: there may be no transfer to tell.
    async fn tell(
        &self,
        consumer: &mut dyn Consumer,
        telling: &mut Telling,
        stop: &CancellationToken,
    ) -> Result<(), End> {
        let too_late = async {
            stop.cancelled().await;
            sleep(self.config.stop_grace).await;
        };
        tokio::select! {
            biased;
            () = telling.told() => telling.acknowledge(consumer, &self.announce).await.map_err(End::Log),
            () = too_late => Err(End::Stopped),
        }
    }

    /// What was committed is still told before the consumer goes: one redelivery less.
    async fn finish(&self, consumer: &mut dyn Consumer, telling: &mut Telling, end: End) -> End {
        let deadline = tokio::time::Instant::now() + self.config.stop_grace;
        while telling.is_under_way() && !matches!(end, End::Log(_)) {
            if tokio::time::timeout_at(deadline, telling.told()).await.is_err() {
                warn!("an announcement did not end in time; its records will be delivered again");
                break;
            }
            if let Err(error) = telling.acknowledge(consumer, &self.announce).await {
                return End::Log(error);
            }
        }
        end
    }
}

/// The highest tag of each partition.
fn marks(delivered: &[Delivered]) -> Marks {
    let mut marks = Marks::new();
    for Delivered { partition, tag, .. } in delivered {
        match marks.iter_mut().find(|(known, _)| known == partition) {
            Some((_, upto)) => *upto = (*upto).max(*tag),
            None => marks.push((*partition, *tag)),
        }
    }
    marks
}
