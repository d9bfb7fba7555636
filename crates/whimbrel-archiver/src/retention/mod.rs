//! Retention: what is older, or further back, than a deployment or the owner of a group keeps goes; in steps so small that
//! nobody waits for them, with pauses between.
//!
//! For each conversation: read cursors up to the new floor, then the floor, then the rows below it. Each of these is a
//! transaction of its own that can be made again, so whoever is killed in between leaves something that is right, and that
//! the next pass finishes.
//!
//! Invariants
//! - Nothing younger than [`Config::young`] goes, whatever the bounds say: a repeat of it may still come, and would be
//!   placed a second time.
//! - A row goes only when it lies below the floor, and a floor rises only when no member's read cursor lies below it.
//!
//! Absent: leases. Several archivers walk through the conversations on their own, from different beginnings; what one has
//! done the other finds done.

mod goal;
#[cfg(test)]
mod tests;
mod texts;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, histogram};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use whimbrel_core::{ConversationId, ConversationKind, Cursors, Seq, UserId};
use whimbrel_rpc::{Announce, PlacedBatch, Through};
use whimbrel_store::directory::Rows;
use whimbrel_store::keeping::{Erased, Keep, Keeping, Kept, Which};
use whimbrel_store::{CommitError, CursorWrite, Directory, PlaceBatch, Search, StoreError, Timeline};

use crate::place::now_ms;

/// Conversations that are read at once.
const PAGE: usize = 200;
/// Members whose cursors are raised at once.
const MEMBERS: usize = 200;
/// Steps in one conversation before the others have their turn.
const STEPS: usize = 20;
/// Telling is given up after so long: the next sync tells of cursors, and rows are noted as untold.
const TELL_MAX: Duration = Duration::from_secs(5);

/// How long what is kept, and how quickly the rest goes.
#[derive(Debug, Clone)]
pub struct Config {
    /// In all conversations. Where several bounds apply the strictest counts.
    pub all: Keep,
    /// In conversations of two.
    pub direct: Keep,
    /// In users' private conversations, by which their devices hear of changes.
    pub private: Keep,
    /// In groups; their owners may want less.
    pub group: Keep,
    /// Nothing younger goes. Longer than drafts are accepted.
    pub young: Duration,
    /// How often all conversations are looked at.
    pub every: Duration,
    /// Rows that one transaction deletes.
    pub step: usize,
    /// The pause after each of them.
    pub pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            all: Keep::default(),
            direct: Keep::default(),
            private: Keep::default(),
            group: Keep::default(),
            young: Duration::from_secs(32 * 24 * 3600),
            every: Duration::from_secs(600),
            step: 500,
            pause: Duration::from_millis(50),
        }
    }
}

impl Config {
    /// What counts in conversations of this kind.
    fn keep(&self, kind: ConversationKind) -> Keep {
        self.all.and(match kind {
            ConversationKind::Direct => self.direct,
            ConversationKind::Private => self.private,
            ConversationKind::Group => self.group,
        })
    }

    /// Whether the deployment itself keeps everything.
    fn keeps_all(&self) -> bool {
        [self.all, self.direct, self.private, self.group].into_iter().all(Keep::is_all)
    }
}

/// The walk; see the module's page.
pub struct Retention {
    config: Config,
    timeline: Arc<dyn Timeline>,
    keeping: Arc<dyn Keeping>,
    /// Who remembers which rows are told.
    directory: Arc<dyn Directory>,
    announce: Arc<dyn Announce>,
    /// Texts that are taken up besides.
    search: Option<Arc<dyn Search>>,
}

impl Retention {
    /// Nothing happens before it [runs](Retention::run).
    pub fn new(
        config: Config,
        timeline: Arc<dyn Timeline>,
        keeping: Arc<dyn Keeping>,
        directory: Arc<dyn Directory>,
        announce: Arc<dyn Announce>,
    ) -> Self {
        Self { config, timeline, keeping, directory, announce, search: None }
    }

    /// The same, which besides takes up what messages say that were placed before there was searching.
    #[must_use]
    pub fn taking_up(self, search: Arc<dyn Search>) -> Self {
        Self { search: Some(search), ..self }
    }

    /// Walks through all conversations again and again, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.walk() => {}
            () = self.take_up() => {}
        }
    }

    /// Never returns: what is taken up once is done, and retention is not.
    async fn take_up(&self) {
        if let Some(search) = &self.search {
            texts::take_up(search.clone(), self.config.pause).await;
        }
        std::future::pending().await
    }

    async fn walk(&self) {
        // The first time everything: what was begun under other settings is finished.
        let mut which = Which::All;
        loop {
            let began = Instant::now();
            let passed = match self.erase().await {
                Ok(()) => self.pass(which).await,
                Err(error) => Err(error),
            };
            match passed {
                Ok(more) => {
                    counter!("whimbrel_retention_passes_total").increment(1);
                    histogram!("whimbrel_retention_pass_seconds").record(began.elapsed().as_secs_f64());
                    which = if self.config.keeps_all() && !more { Which::Set } else { Which::All };
                    sleep(if more { self.config.pause } else { self.config.every }).await;
                }
                Err(error) => {
                    // It says so each time: passes are far apart.
                    warn!(%error, "retention stands still; it goes on with the next pass");
                    sleep(self.config.every.min(Duration::from_secs(60))).await;
                }
            }
        }
    }

    /// Empties what is to be erased, to its end, and tells of each conversation when it is done.
    pub(crate) async fn erase(&self) -> Result<(), StoreError> {
        for user in self.keeping.erasures(PAGE).await? {
            loop {
                let Erased { rows, more } = self.keeping.erase_some(user, self.config.step).await?;
                self.tell(rows).await;
                if !more {
                    break;
                }
                sleep(self.config.pause).await;
            }
            counter!("whimbrel_retention_erased_users_total").increment(1);
        }
        Ok(())
    }

    /// Tells rows that were placed. Who is killed before, or finds nobody to tell, leaves them noted as untold: a transfer
    /// tells them. A server that runs alone ends with its clients, which sync.
    async fn tell(&self, rows: Rows) {
        if rows.is_empty() {
            return;
        }
        let places: Vec<_> = rows.iter().map(|row| (row.message.conversation, row.message.seq)).collect();
        let batch = PlacedBatch { rows, ..PlacedBatch::default() };
        if timeout(TELL_MAX, self.announce.placed(vec![batch], Through::All)).await.is_err() {
            return debug!(rows = places.len(), "nobody could be told in time what was erased; it will be told again");
        }
        if let Err(error) = self.directory.told(&places).await {
            debug!(%error, rows = places.len(), "what was erased will be told again");
        }
    }

    /// Looks at each conversation once; whether there is more to be done than was done.
    pub(crate) async fn pass(&self, which: Which) -> Result<bool, StoreError> {
        // From anywhere on: several archivers do not go hand in hand.
        let start = somewhere();
        Ok(self.part(which, Some(start), None).await? | self.part(which, None, Some(start)).await?)
    }

    async fn part(
        &self,
        which: Which,
        mut after: Option<ConversationId>,
        until: Option<ConversationId>,
    ) -> Result<bool, StoreError> {
        let mut more = false;
        loop {
            let (page, next) = self.keeping.kept(which, after, PAGE).await?;
            for kept in page {
                if until.is_some_and(|until| kept.id > until) {
                    return Ok(more);
                }
                match self.visit(kept).await {
                    Ok(is_more) => more |= is_more,
                    Err(StoreError::Corrupt(reason)) => {
                        warn!(conversation = %kept.id, reason, "retention passes over a conversation");
                    }
                    Err(error) => return Err(error),
                }
            }
            let Some(next) = next else { return Ok(more) };
            after = Some(next);
            sleep(self.config.pause).await;
        }
    }

    /// Some steps in one conversation; whether there is more to be done.
    async fn visit(&self, kept: Kept) -> Result<bool, StoreError> {
        let goal = self.goal(&kept, now_ms()).await?;
        let (mut floor, mut below) = (kept.floor, kept.first < kept.floor);
        for _ in 0..STEPS {
            if below {
                let gone = self.keeping.sweep(kept.id, self.config.step).await?;
                counter!("whimbrel_retention_rows_total").increment(gone as u64);
                below = gone > 0;
            } else if floor < goal {
                let next = goal.min(Seq(floor.0 + self.config.step as u64));
                floor = self.raise(kept.id, next).await?;
                below = true;
            } else {
                return Ok(false);
            }
            sleep(self.config.pause).await;
        }
        Ok(true)
    }

    /// Cursors, then the floor; the floor as it is then.
    async fn raise(&self, conversation: ConversationId, floor: Seq) -> Result<Seq, StoreError> {
        let mut after = UserId(0);
        loop {
            let behind = self.keeping.behind(conversation, floor, after, MEMBERS).await?;
            let Some(last) = behind.last() else { break };
            after = *last;
            let cursors = Cursors { delivered: floor, read: floor };
            let cursors = behind.into_iter().map(|user| CursorWrite { conversation, user, cursors }).collect();
            let batch = PlaceBatch { rows: Vec::new(), cursors };
            let moved = match self.timeline.commit(batch).await {
                Ok((_, moved)) => moved,
                Err((_, CommitError::Store(error))) => return Err(error),
                Err((_, error)) => return Err(StoreError::Corrupt(error.to_string())),
            };
            // Their devices count anew. Who is not told now hears of it with the next sync.
            if timeout(TELL_MAX, self.announce.advanced(moved, Through::All)).await.is_err() {
                debug!(%conversation, "cursors that retention raised could not be told in time");
            }
        }
        let raised = self.keeping.raise_floor(conversation, floor).await?;
        counter!("whimbrel_retention_floors_total").increment(1);
        Ok(raised.max(floor))
    }
}

/// An id that nothing has.
fn somewhere() -> ConversationId {
    let chance = RandomState::new();
    let halves = [chance.hash_one(0).to_be_bytes(), chance.hash_one(1).to_be_bytes()];
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(halves.as_flattened()).for_each(|(byte, chance)| *byte = *chance);
    ConversationId::from_bytes(bytes)
}
