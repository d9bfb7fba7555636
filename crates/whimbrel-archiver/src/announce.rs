//! The announcement that is under way, at most one, and the log's marks that it sets free.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use whimbrel_rpc::{Announce, PlacedBatch, Through};
use whimbrel_store::{Consumer, LogError};

use crate::place::Placed;

/// Up to which tag each partition may be acknowledged.
pub(crate) type Marks = Vec<(u32, u64)>;

/// At most one announcement, driven by whoever awaits [`Telling::told`].
///
/// Refusals are told apart, after the acknowledgement: a record that comes again may be placed after all (somebody was
/// unblocked meanwhile), and then nobody may have heard that it will not be. Everything else is told before it. Both
/// are announcements under way: an archiver that is told to stop waits for neither longer than it may.
#[derive(Default)]
pub(crate) struct Telling {
    under_way: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    marks: Marks,
    refusals: Vec<PlacedBatch>,
}

impl Telling {
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins to tell. It makes no progress before [`Telling::told`] is awaited, so that the next commit can be
    /// started first.
    pub(crate) fn begin(&mut self, announce: Arc<dyn Announce>, placed: Placed, marks: Marks) {
        debug_assert!(self.under_way.is_none(), "announcements keep their order: one at a time");
        let Placed { batches, refusals, moved } = placed;
        (self.marks, self.refusals) = (marks, refusals);
        self.under_way = Some(Box::pin(async move {
            let told = announce.placed(batches, Through::All).await;
            metrics::counter!("whimbrel_archiver_offline_users_total").increment(told.offline.len() as u64);
            if !moved.is_empty() {
                announce.advanced(moved, Through::All).await;
            }
        }));
    }

    /// Waits until everybody was told; pending for ever when nothing is under way. Dropping the future loses nothing.
    /// [`Telling::acknowledge`] follows.
    pub(crate) async fn told(&mut self) {
        match self.under_way.as_mut() {
            Some(under_way) => under_way.await,
            None => std::future::pending().await,
        }
        self.under_way = None;
    }

    /// Lets the log forget what was told, and then begins to tell who was refused. If that does not come to pass,
    /// their drafts are told to be sent again, and are refused again.
    pub(crate) async fn acknowledge(
        &mut self,
        consumer: &mut dyn Consumer,
        announce: &Arc<dyn Announce>,
    ) -> Result<(), LogError> {
        if !self.marks.is_empty() {
            consumer.acknowledge(&std::mem::take(&mut self.marks)).await?;
        }
        if !self.refusals.is_empty() {
            let (announce, refusals) = (announce.clone(), std::mem::take(&mut self.refusals));
            self.under_way = Some(Box::pin(async move {
                announce.placed(refusals, Through::All).await;
            }));
        }
        Ok(())
    }
}
