//! A stream of announcements, at the transfer.
//!
//! They begin in the order in which they came and end each in its own time: a connector that takes slowly holds up those
//! announcements only that have something for it. A caller that awaits one before it gives the next has them in order.
//!
//! What has begun is finished also when the stream breaks: the sessions that waited for it were taken off their list by
//! then, and whoever tells it again finds nobody to answer.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tonic::{Status, Streaming};
use tracing::{debug, warn};

use super::connects::malformed;
use super::figures::Up;
use super::hello::Role;
use super::outbox::{Gather, Outbox};
use super::peer::Streams;
use crate::Announce;
use crate::convert::pb::telling::What;
use crate::convert::{self, pb};

/// What gathers for an announcer.
pub(super) struct Down {
    first: Option<pb::Announced>,
    told: Vec<pb::Told>,
    leaving: bool,
    over: bool,
}

impl Down {
    pub(super) fn new(hello: pb::Hello) -> Self {
        let first = pb::Announced { hello: Some(hello), ..Default::default() };
        Self { first: Some(first), told: Vec::new(), leaving: false, over: false }
    }
}

impl Gather for Down {
    type Message = pb::Announced;

    fn gather(&mut self) -> Option<pb::Announced> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.told.is_empty() && !self.leaving {
            return None;
        }
        let (of, leaving) = (std::mem::take(&mut self.told), std::mem::take(&mut self.leaving));
        Some(pb::Announced { hello: None, refused: None, of, leaving })
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

/// Announcements under way.
type Under = FuturesUnordered<BoxFuture<'static, pb::Told>>;

/// One stream's reader.
pub(super) struct Announcements {
    pub(super) role: Role,
    pub(super) outbox: Arc<Outbox<Down>>,
    pub(super) streams: Arc<Streams>,
    pub(super) announce: Arc<dyn Announce>,
}

impl Announcements {
    /// Until the stream ends.
    pub(super) async fn run(self, inbound: Streaming<pb::Announcement>) {
        let _up = Up::new(self.role.name());
        let mut telling = Under::new();
        match self.read(inbound, &mut telling).await {
            Ok(()) => {
                self.outbox.with(|down| down.over = true);
            }
            Err(status) => {
                if status.code() == tonic::Code::InvalidArgument {
                    warn!(
                        role = self.role.name(),
                        status = status.message(),
                        "a stream of announcements made no sense and was ended"
                    );
                } else {
                    debug!(role = self.role.name(), %status, "a stream of announcements broke");
                }
                // At once: the announcer asks another transfer meanwhile.
                self.outbox.end(Some(status));
                let finish = async { while telling.next().await.is_some() {} };
                if tokio::time::timeout(self.streams.limits.drain, finish).await.is_err() {
                    warn!(role = self.role.name(), "what was being told when the stream broke is given up");
                }
            }
        }
    }

    async fn read(&self, mut inbound: Streaming<pb::Announcement>, telling: &mut Under) -> Result<(), Status> {
        let (mut open, mut said) = (true, false);
        while open || !telling.is_empty() {
            tokio::select! {
                message = inbound.message(), if open && telling.len() <= self.streams.limits.announcements => match message? {
                    Some(message) => {
                        for news in message.of {
                            telling.push(self.tell(news).map_err(malformed)?);
                        }
                    }
                    None => open = false,
                },
                Some(told) = telling.next(), if !telling.is_empty() => {
                    self.outbox.with(|down| down.told.push(told));
                }
                () = self.streams.leaving.cancelled(), if !said => {
                    said = true;
                    self.outbox.with(|down| down.leaving = true);
                }
                () = self.streams.closing.cancelled(), if open => open = false,
            }
        }
        Ok(())
    }

    fn tell(&self, news: pb::Telling) -> convert::Result<BoxFuture<'static, pb::Told>> {
        let (id, announce) = (news.id, self.announce.clone());
        Ok(match convert::part("Telling.what", news.what)? {
            What::Placed(placed) => {
                let through = convert::through(placed.through)?;
                let batches = convert::all(placed.batches, convert::placed_batch)?;
                Box::pin(async move { pb::Told { id, ..(&announce.placed(batches, through).await).into() } })
            }
            What::Advanced(advanced) => {
                let through = convert::through(advanced.through)?;
                let moved = convert::all(advanced.moved, TryInto::try_into)?;
                Box::pin(async move { pb::Told { id, ..(&announce.advanced(moved, through).await).into() } })
            }
            What::Expel(ids) => {
                let connectors = ids.of.into_iter().map(convert::id).collect();
                Box::pin(
                    async move { pb::Told { id, expelled: announce.expel(connectors).await, ..Default::default() } },
                )
            }
            What::Revoked(list) => {
                let revoked = list.of.into_iter().map(Into::into).collect();
                Box::pin(async move {
                    announce.revoked(revoked).await;
                    pb::Told { id, ..Default::default() }
                })
            }
        })
    }
}
