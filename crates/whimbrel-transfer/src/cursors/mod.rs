//! Cursors: what users have stored and read.
//!
//! Invariants
//! - Nobody hears of a cursor that is beyond the committed head, or of one of somebody who is not a member.
//! - In groups nobody is told but the user's own devices: others ask who has read a message. So one who is not in a
//!   group, and says something of it, tells nobody but themselves; the store drops it.
//! - Receipts are pushed at once, and once; they are pushed again when they are durable, for those who came between.
//! - What is durable gathers, one cursor for each user and conversation, for at most [`Config::cursor_delay`]; then it
//!   goes to the log like everything else, those of many spread over that time. The owner is answered when it has been
//!   committed.
//! - Whoever asks again for what is durable is answered where it asked, whatever UserStatus knows.
//! - Nothing is kept for sure here: a device repeats its cursors until they are answered.
//! - What is remembered is forgotten when the database was reached anew ([`Timeline::connections`]): one that went back
//!   must get the cursors again that it lost.
//!
//! No task runs while there is nothing to tell, to read or to log.

mod gather;
mod sheets;
mod tell;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry as MapEntry;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use whimbrel_core::{Audience, ConversationId, CursorMoved, Cursors, Seq, UserId};
use whimbrel_rpc::{Through, Told};
use whimbrel_store::Timeline;

use crate::Config;
use crate::append::Lanes;
use crate::audience::Audiences;
use crate::outgoing::Waiter;
use crate::reach::Reach;
use gather::{Gathered, Whose};

/// Heads that are read by one call.
const HEADS_AT_ONCE: usize = 512;

/// Who is told how far this user has got.
fn readers(user: UserId, audience: Audience) -> impl Iterator<Item = UserId> {
    let own = matches!(audience, Audience::Group { .. }).then_some(user);
    audience.named().chain(own)
}

/// How far a user has got in a conversation, as far as this transfer knows.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// The audience has been told.
    told: Cursors,
    /// It is committed.
    durable: Cursors,
}

pub(crate) struct CursorDesk {
    config: Arc<Config>,
    timeline: Arc<dyn Timeline>,
    audiences: Arc<Audiences>,
    reach: Arc<Reach>,
    lanes: Arc<Lanes>,
    progress: Cache<Whose, Progress>,
    /// [`Timeline::connections`] before the first of what is remembered was read or told.
    connections: AtomicU64,
    gathered: Mutex<Gathered>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The rooms that cursors need.
pub(crate) struct Rooms {
    pub(crate) timeline: Arc<dyn Timeline>,
    pub(crate) audiences: Arc<Audiences>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl CursorDesk {
    pub(crate) fn new(config: Arc<Config>, rooms: Rooms) -> Self {
        let Rooms { timeline, audiences, reach, lanes, tasks, stop } = rooms;
        let progress = Cache::new(config.conversations_cached);
        let (connections, gathered) = (AtomicU64::new(timeline.connections()), Mutex::default());
        Self { config, timeline, audiences, reach, lanes, progress, connections, gathered, tasks, stop }
    }

    /// Takes cursors of a session's user. Synchronous, unless a head has to be read first.
    pub(crate) fn advance(self: &Arc<Self>, user: UserId, from: Waiter, asked: Vec<(ConversationId, Cursors)>) {
        self.notice_another_life();
        let mut unknown = Vec::new();
        for (conversation, cursors) in asked {
            let cursors = cursors.normalized();
            let members = self.audiences.members(conversation);
            if cursors == Cursors::default() || members.as_ref().is_some_and(|members| !members.may_contain(user)) {
                continue;
            }
            match (members, self.audiences.head(conversation)) {
                (Some(members), Some(head)) if cursors.delivered <= head => {
                    self.accept(user, Some(from), conversation, cursors, members.audience());
                }
                _ => unknown.push((conversation, cursors)),
            }
        }
        if !unknown.is_empty() {
            self.ask_heads(user, from, unknown);
        }
    }

    /// Forgets what is remembered if the database was reached anew.
    fn notice_another_life(&self) {
        let connections = self.timeline.connections();
        if self.connections.swap(connections, Ordering::AcqRel) != connections {
            info!("the database was reached anew: remembered heads and cursors are forgotten");
            self.audiences.clear();
            self.progress.clear();
        }
    }

    /// Takes a cursor of a member that is not beyond the head. `by`: the session that knows already.
    fn accept(
        self: &Arc<Self>,
        user: UserId,
        by: Option<Waiter>,
        conversation: ConversationId,
        cursors: Cursors,
        audience: Audience,
    ) {
        let whose = (user, conversation);
        let known = self.progress.get(&whose).unwrap_or_default();
        if known.durable.max(cursors) == known.durable {
            return self.tell_advanced(user, by, conversation, known.durable);
        }
        let told = known.told.max(cursors);
        if told != known.told {
            self.progress.insert(whose, Progress { told, ..known });
            self.tell_receipt(whose, by.map(|by| by.session), told, audience);
        }
        self.log_later(whose, cursors);
    }

    /// Cursors are durable now: their owners are answered, and the audience is told again. Returns when it was pushed,
    /// so that the log keeps them until then.
    pub(crate) async fn advanced(&self, moved: Vec<CursorMoved>, through: Through) -> Told {
        for CursorMoved { conversation, user, cursors, .. } in &moved {
            let whose = (*user, *conversation);
            let known = self.progress.get(&whose).unwrap_or_default();
            let progress = Progress { told: known.told.max(*cursors), durable: known.durable.max(*cursors) };
            self.progress.insert(whose, progress);
        }
        self.push_durable(moved, through).await
    }

    /// Has heads read for cursors that may be beyond them.
    fn ask_heads(self: &Arc<Self>, user: UserId, from: Waiter, cursors: Vec<(ConversationId, Cursors)>) {
        let mut gathered = self.gathered.lock();
        for (conversation, cursors) in cursors {
            if gathered.unknown.len() >= self.config.cursors_max {
                break;
            }
            match gathered.unknown.entry((user, conversation)) {
                MapEntry::Occupied(mut entry) => {
                    let (known, by) = *entry.get();
                    entry.insert((known.max(cursors), by.filter(|by| *by == from)));
                }
                MapEntry::Vacant(entry) => drop(entry.insert((cursors, Some(from)))),
            }
        }
        if !std::mem::replace(&mut gathered.reading, true) {
            let desk = self.clone();
            self.tasks.spawn(async move { desk.read_heads().await });
        }
    }

    /// Reads the heads (and members) of everything that waits, by one call for what gathered, up to
    /// [`HEADS_AT_ONCE`]: whoever names thousands of conversations must not hold a reader that others wait for.
    async fn read_heads(self: Arc<Self>) {
        loop {
            let unknown: HashMap<_, _> = {
                let mut gathered = self.gathered.lock();
                gathered.reading = !gathered.unknown.is_empty();
                let next: Vec<_> = gathered.unknown.keys().take(HEADS_AT_ONCE).copied().collect();
                next.into_iter().filter_map(|whose| gathered.unknown.remove_entry(&whose)).collect()
            };
            if unknown.is_empty() {
                return;
            }
            let mut conversations: Vec<ConversationId> =
                unknown.keys().map(|(_, conversation)| *conversation).collect();
            conversations.sort_unstable();
            conversations.dedup();
            self.notice_another_life();
            let (changes, connections) = (self.audiences.changes(), self.timeline.connections());
            let heads = match self.timeline.heads(&conversations).await {
                Ok(heads) => heads,
                Err(error) => {
                    warn!(%error, cursors = unknown.len(), "heads cannot be read; devices repeat their cursors");
                    continue;
                }
            };
            let heads: HashMap<_, _> = conversations.into_iter().zip(heads).collect();
            for ((user, conversation), (cursors, by)) in unknown {
                let Some(Some(head)) = heads.get(&conversation) else { continue };
                self.audiences.remember(conversation, &head.members, changes);
                if self.timeline.connections() == connections {
                    self.audiences.committed(conversation, head.seq);
                }
                let cursors = cursors.clamped(head.seq);
                if head.members.may_contain(user) && cursors.delivered > Seq::ZERO {
                    self.accept(user, by, conversation, cursors, head.members.audience());
                }
            }
        }
    }
}
