//! The heads that an archiver remembers. They may be stale: then the rows that are placed on them collide. What must not
//! be is that they are *ahead* of the database, because then nothing collides and a hole stays for good. So everything is
//! forgotten when the database was reached anew ([`Timeline::connections`]) or failed; and what was planned on heads is
//! committed only where they were read ([`Heads::since`]).

use std::sync::Arc;

use hashbrown::HashSet;
use quick_cache::unsync::Cache;
use tracing::info;
use whimbrel_core::ConversationId;
use whimbrel_store::{Head, StoreError, Timeline};

use super::plan::Ends;

pub(super) struct Heads {
    timeline: Arc<dyn Timeline>,
    cache: Cache<ConversationId, Head>,
    /// [`Timeline::connections`] before the first of them was read.
    since: u64,
}

impl Heads {
    pub(super) fn new(timeline: Arc<dyn Timeline>, capacity: usize) -> Self {
        let since = timeline.connections();
        Self { timeline, cache: Cache::new(capacity), since }
    }

    /// The ends of these conversations, what is not remembered by one call; that is noted in `fresh`.
    pub(super) async fn ends(
        &mut self,
        conversations: impl Iterator<Item = ConversationId>,
        fresh: &mut HashSet<ConversationId>,
    ) -> Result<Ends, StoreError> {
        let connections = self.timeline.connections();
        if connections != self.since {
            info!(heads = self.cache.len(), "the database was reached anew: the remembered heads are forgotten");
            self.cache.clear();
            // Those that were read for this piece, too.
            fresh.clear();
            self.since = connections;
        }
        let mut ends = Ends::new();
        let mut missing = Vec::new();
        for conversation in conversations {
            if ends.contains_key(&conversation) {
                continue;
            }
            let head = self.cache.get(&conversation).cloned();
            if head.is_none() {
                missing.push(conversation);
            }
            ends.insert(conversation, head);
        }
        if !missing.is_empty() {
            let heads = self.timeline.heads(&missing).await?;
            for (conversation, head) in missing.into_iter().zip(heads) {
                fresh.insert(conversation);
                // That a conversation does not exist is not remembered: it may soon.
                if let Some(head) = &head {
                    self.cache.insert(conversation, head.clone());
                }
                ends.insert(conversation, head);
            }
        }
        Ok(ends)
    }

    /// These are committed now.
    pub(super) fn remember(&mut self, ends: Ends) {
        for (conversation, head) in ends {
            if let Some(head) = head {
                self.cache.insert(conversation, head);
            }
        }
    }

    /// All heads that were given so far were read since the timeline's connections had this number.
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// The database failed: it may be another one that answers next.
    pub(super) fn clear(&mut self) {
        self.cache.clear();
    }

    /// To be read again when next needed.
    pub(super) fn forget<'a>(&mut self, conversations: impl Iterator<Item = &'a ConversationId>) {
        for conversation in conversations {
            self.cache.remove(conversation);
        }
    }
}
