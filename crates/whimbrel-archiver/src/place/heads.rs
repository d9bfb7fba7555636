//! The heads that an archiver remembers. They may be stale: then the rows that are placed on them collide. What must not
//! be is that they are *ahead* of the database, because then nothing collides and a hole stays for good. So everything is
//! forgotten when the database was reached anew ([`Timeline::connections`]) or failed; and what was planned on heads is
//! committed only where they were read ([`Heads::since`]).
//!
//! In groups the standings of senders are remembered with the head after which they were read, and go with it: whatever
//! changes one of them is a row, so the head is stale then, too.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use tracing::info;
use whimbrel_core::limits::STANDINGS_CACHED;
use whimbrel_core::{ConversationId, Members, Standing, UserId};
use whimbrel_store::{Head, StoreError, Timeline};

use super::plan::Ends;
use super::rights::Standings;

/// A head, and who of the group's senders was what after it was read.
#[derive(Clone)]
struct Known {
    head: Head,
    /// At most [`STANDINGS_CACHED`].
    standings: HashMap<UserId, Standing>,
}

impl From<Head> for Known {
    fn from(head: Head) -> Self {
        Self { head, standings: HashMap::new() }
    }
}

/// What a head costs, in standings.
const HEAD_WEIGHT: u64 = 16;

/// Groups with many senders take the room of other conversations, not more of it.
#[derive(Clone)]
struct ByLength;

impl Weighter<ConversationId, Known> for ByLength {
    fn weight(&self, _: &ConversationId, known: &Known) -> u64 {
        HEAD_WEIGHT + known.standings.len() as u64
    }
}

pub(super) struct Heads {
    timeline: Arc<dyn Timeline>,
    cache: Cache<ConversationId, Known, ByLength>,
    /// [`Timeline::connections`] before the first of them was read.
    since: u64,
}

impl Heads {
    pub(super) fn new(timeline: Arc<dyn Timeline>, capacity: usize) -> Self {
        let since = timeline.connections();
        let cache = Cache::with_weighter(capacity, HEAD_WEIGHT * capacity as u64, ByLength);
        Self { timeline, cache, since }
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
            let head = self.cache.get(&conversation).map(|known| known.head.clone());
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
                    self.cache.insert(conversation, head.clone().into());
                }
                ends.insert(conversation, head);
            }
        }
        Ok(ends)
    }

    /// What these senders are in the groups among these ends, what is not remembered by one call.
    pub(super) async fn standings(
        &mut self,
        ends: &Ends,
        senders: impl Iterator<Item = (ConversationId, UserId)>,
    ) -> Result<Standings, StoreError> {
        let (mut standings, mut missing) = (Standings::new(), Vec::new());
        for (conversation, sender) in senders {
            let of = (conversation, sender);
            let is_group = ends.get(&conversation).and_then(Option::as_ref).is_some_and(is_group);
            if !is_group || standings.contains_key(&of) {
                continue;
            }
            let known = self.cache.peek(&conversation).and_then(|known| known.standings.get(&sender)).copied();
            if known.is_none() {
                missing.push(of);
            }
            standings.insert(of, known);
        }
        if !missing.is_empty() {
            let read = self.timeline.standings(&missing).await?;
            for (of, standing) in missing.into_iter().zip(read) {
                standings.insert(of, standing);
                self.remember_standing(of, standing);
            }
        }
        Ok(standings)
    }

    /// That somebody is not in a group is not remembered: strangers take no room.
    fn remember_standing(&mut self, (conversation, user): (ConversationId, UserId), standing: Option<Standing>) {
        if let (Some(standing), Some(mut known)) = (standing, self.cache.peek_mut(&conversation)) {
            if known.standings.len() >= STANDINGS_CACHED {
                known.standings.clear();
            }
            known.standings.insert(user, standing);
        }
    }

    /// These are committed now. Nobody else changed anything meanwhile, so that standings stay.
    pub(super) fn remember(&mut self, ends: Ends) {
        for (conversation, head) in ends {
            let Some(head) = head else { continue };
            if let Some(mut known) = self.cache.peek_mut(&conversation) {
                known.head = head;
                continue;
            }
            self.cache.insert(conversation, head.into());
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

fn is_group(head: &Head) -> bool {
    matches!(head.members, Members::Group(_))
}
