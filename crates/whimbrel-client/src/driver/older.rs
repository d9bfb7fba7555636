//! Putting what the server gave before a run. With the run committed, so that the store knows everything that was said of
//! these messages since: the answer may be older than a recall, or an erasure, that has come meanwhile.

use tokio::time::Instant;
use whimbrel_core::{ConversationId, Message, Seq};

use super::Driver;
use crate::engine::erasure;
use crate::error::StoreError;
use crate::store::Store;

impl Driver {
    /// Commits what waits, and answers.
    pub(super) async fn put_older(&mut self) -> Result<(), StoreError> {
        for (conversation, messages, reply) in std::mem::take(&mut self.calls.older) {
            let gone = gone(&*self.store, conversation, &messages).await?;
            let erased: Vec<_> = self.store.erasures(conversation).await?.iter().filter_map(erasure).collect();
            if self.engine.older(conversation, messages, &gone, &erased, Instant::now()) {
                self.settle().await?;
            }
            // What was not taken is not there when it is looked for.
            let _ = reply.send(Ok(()));
        }
        Ok(())
    }
}

/// Of these messages and of what they are about: which were taken back, as far as the run says.
async fn gone(store: &dyn Store, conversation: ConversationId, messages: &[Message]) -> Result<Vec<Seq>, StoreError> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(Vec::new()) };
    let mut about = store.follow_ups(conversation, first.seq, last.seq).await?;
    let targets = messages.iter().filter_map(|message| message.kind.target(&message.body));
    let mut before: Vec<Seq> = targets.filter(|target| *target < first.seq).collect();
    before.sort_unstable();
    before.dedup();
    for target in before {
        about.extend(store.follow_ups(conversation, target, target).await?);
    }
    let taking = about.iter().chain(messages).filter(|row| row.kind.takes_back());
    Ok(taking.filter_map(|row| row.kind.target(&row.body)).collect())
}
