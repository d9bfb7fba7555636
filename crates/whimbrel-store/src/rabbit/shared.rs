//! What a log, its supervisor and its consumers share.

use bytes::Bytes;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use metrics::counter;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::config::RabbitConfig;
use super::publisher::{Publish, What};
use crate::log::{Confirm, LogError};

/// Where appends go.
pub(super) enum Link {
    /// To the lanes: one for each partition, then the one of the dead letters.
    Up(Vec<mpsc::Sender<Publish>>),
    /// Nowhere, for this reason.
    Away(String),
}

/// Which partitions an archiver owns: those with `number % of == rank`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) rank: u32,
    pub(super) of: u32,
}

impl Share {
    pub(super) fn owns(self, partition: u32) -> bool {
        partition % self.of.max(1) == self.rank
    }
}

pub(super) struct Shared {
    pub(super) config: RabbitConfig,
    pub(super) uri: AMQPUri,
    pub(super) closed: CancellationToken,
    pub(super) share: watch::Sender<Share>,
    /// How many partitions anybody is known to write.
    pub(super) seen: watch::Sender<u32>,
    link: RwLock<Link>,
    /// Why the broker takes nothing at present although it is there: it is short of memory or of disk.
    blocked: RwLock<Option<String>>,
}

impl Shared {
    pub(super) fn new(config: RabbitConfig, uri: AMQPUri) -> Self {
        let seen = watch::Sender::new(config.partitions);
        Self {
            config,
            uri,
            closed: CancellationToken::new(),
            share: watch::Sender::new(Share { rank: 0, of: 1 }),
            seen,
            link: RwLock::new(Link::Away("the broker was not reached yet".into())),
            blocked: RwLock::new(None),
        }
    }

    /// A closed log stays closed.
    pub(super) fn set_link(&self, link: Link) {
        let mut place = self.link.write();
        if !self.closed.is_cancelled() {
            *place = link;
        }
    }

    pub(super) fn set_blocked(&self, reason: Option<String>) {
        if let Some(reason) = &reason {
            tracing::warn!(%reason, "the broker takes nothing until it has room; senders keep their drafts");
        }
        *self.blocked.write() = reason;
    }

    /// Takes no more; the lanes end once they are empty.
    pub(super) fn close(&self) {
        let mut link = self.link.write();
        self.closed.cancel();
        *link = Link::Away("the log is closed".into());
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.link.read(), Link::Up(_))
    }

    /// Gives a lane something to publish, at once.
    pub(super) fn publish(&self, lane: u32, what: What) -> Result<Confirm, LogError> {
        if let Some(reason) = &*self.blocked.read() {
            return Err(LogError::Unavailable(format!("the broker takes nothing at present: {reason}")));
        }
        let (done, confirmed) = oneshot::channel();
        match &*self.link.read() {
            Link::Away(reason) => return Err(LogError::Unavailable(reason.clone())),
            Link::Up(lanes) => {
                let lane = lanes.get(lane as usize);
                let lane = lane.ok_or_else(|| LogError::Unavailable("there is no such partition".into()))?;
                lane.try_send(Publish { what, done }).map_err(|refused| match refused {
                    mpsc::error::TrySendError::Full(_) => LogError::Full,
                    mpsc::error::TrySendError::Closed(_) => LogError::Unavailable("the connection just ended".into()),
                })?;
            }
        }
        Ok(Box::pin(async move {
            let in_doubt = |_| Err(LogError::Unavailable("the connection ended before the confirm".into()));
            confirmed.await.unwrap_or_else(in_doubt)
        }))
    }

    /// Publishes a dead letter, and waits until it is safe.
    pub(super) async fn bury(&self, body: Bytes, headers: FieldTable) -> Result<(), LogError> {
        let id = uuid::Uuid::now_v7();
        self.publish(self.config.partitions, What::Dead { body, headers, id })?.await?;
        counter!("whimbrel_rabbit_dead_letters_total").increment(1);
        Ok(())
    }
}
