//! One piece of a batch: heads → plan → commit, and again after every collision.

use hashbrown::HashSet;
use metrics::{counter, histogram};
use tokio::time::sleep;
use tracing::{error, warn};
use whimbrel_core::{ConversationId, FileId, MessageKind, PlacedRow, Refusal, Seq, UserId};
use whimbrel_store::{CommitError, PlaceBatch, StoreError};

use super::plan::{Ends, Plan, plan};
use super::rights::{Files, Sight, Targets};
use super::slots::{Fate, Name, Slot};
use super::{Job, Placer, now_ms};
use whimbrel_store::DeadLetter;

/// Collisions of a piece after which it is halved; what cannot be halved makes pauses. It never gives up: that would
/// lose.
const COLLISIONS_QUIET: u32 = 3;
/// Times that an id may be said to be taken while nothing is found under it.
const CONTRADICTIONS_MAX: u32 = 5;

/// Why a piece was not settled.
pub(super) enum Trouble {
    /// The engine is away: all of it again, later.
    Away(StoreError),
    /// The engine refuses something of the piece and cannot say what.
    Unclear(String),
    /// Somebody else keeps placing in the conversations of the piece.
    Crowded,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Trouble::Away(error),
            StoreError::Corrupt(reason) => Trouble::Unclear(reason),
        }
    }
}

/// What a piece has gone through so far.
#[derive(Default)]
struct Tries {
    collisions: u32,
    contradictions: u32,
    /// Conversations whose heads were read for this piece.
    fresh: HashSet<ConversationId>,
    /// Slots that were looked up after their heads were read.
    looked_up: HashSet<usize>,
}

impl Placer {
    /// Decides every slot of the piece.
    pub(super) async fn settle(&mut self, job: &mut Job, piece: &[usize]) -> Result<(), Trouble> {
        let mut tries = Tries::default();
        loop {
            let open = piece.iter().map(|&index| &job.slots[index]).filter(|slot| slot.fate == Fate::Open);
            let mut ends = self.heads.ends(open.map(|slot| slot.conversation), &mut tries.fresh).await?;
            let mut sight = self.sight(job, piece, &ends).await?;
            let mut plan = plan(&job.slots, piece, &mut ends, &mut sight);
            if !self.refuse(job, &plan, &mut tries).await? {
                continue;
            }
            let batch = PlaceBatch { rows: std::mem::take(&mut plan.rows), cursors: std::mem::take(&mut job.cursors) };
            if batch.rows.is_empty() && batch.cursors.is_empty() {
                return Ok(());
            }
            match self.timeline.commit_since(batch, self.heads.since()).await {
                Ok((batch, moved)) => {
                    job.placed(&plan.slots, batch, &ends);
                    job.moved.extend(moved);
                    self.heads.remember(ends);
                    return Ok(());
                }
                Err((batch, error)) => {
                    job.cursors = batch.cursors;
                    self.heads.forget(ends.keys());
                    self.after_rollback(job, &plan, error, &mut tries).await?;
                }
            }
        }
    }

    /// Reads what the rights of the piece's senders depend on besides heads: nothing, unless there are groups or
    /// follow-ups.
    async fn sight(&mut self, job: &Job, piece: &[usize], ends: &Ends) -> Result<Sight, Trouble> {
        let open = || piece.iter().map(|&index| &job.slots[index]).filter(|slot| slot.fate == Fate::Open);
        let named = open().filter_map(|slot| Some((slot.conversation, slot.draft.kind.target(&slot.draft.body)?)));
        let mut named: Vec<(ConversationId, Seq)> = named.collect();
        let mut targets = Targets::new();
        if !named.is_empty() {
            named.sort_unstable();
            named.dedup();
            let read = self.timeline.targets(&named).await?;
            targets = named.into_iter().zip(read).collect();
        }
        let senders = open().map(|slot| (slot.conversation, slot.sender));
        // Of what is placed with the same piece the sender is one of these.
        let taken_back = open().filter(|slot| slot.draft.kind == MessageKind::RECALL).filter_map(|slot| {
            let place = (slot.conversation, slot.draft.kind.target(&slot.draft.body)?);
            Some((slot.conversation, targets.get(&place).copied().flatten()?.sender))
        });
        let standings = self.heads.standings(ends, senders.chain(taken_back)).await?;
        let files = self.files(open()).await?;
        Ok(Sight { standings, targets, files, recall_within: self.recall_within, now: now_ms() })
    }

    /// Which of the files that these come with may be said by them.
    async fn files(&self, slots: impl Iterator<Item = &Slot>) -> Result<Files, Trouble> {
        let named = slots.filter_map(|slot| Some((slot.draft.kind.file(&slot.draft.body)?, slot.sender)));
        let mut named: Vec<(FileId, UserId)> = named.collect();
        if named.is_empty() {
            return Ok(Files::new());
        }
        named.sort_unstable();
        named.dedup();
        let there = self.timeline.files(&named).await?;
        Ok(named.into_iter().zip(there).filter_map(|(file, is_there)| is_there.then_some(file)).collect())
    }

    /// Refuses whom the plan refuses, if that is sure. `false`: something was read, plan again.
    async fn refuse(&mut self, job: &mut Job, plan: &Plan, tries: &mut Tries) -> Result<bool, Trouble> {
        let stale: HashSet<ConversationId> = (plan.refused.iter())
            .map(|(index, _)| job.slots[*index].conversation)
            .filter(|conversation| !tries.fresh.contains(conversation))
            .collect();
        if !stale.is_empty() {
            self.heads.forget(stale.iter());
            counter!("whimbrel_archiver_retries_total", "reason" => "remembered_refusal").increment(1);
            return Ok(false);
        }
        let unsure: Vec<usize> =
            plan.refused.iter().map(|(index, _)| *index).filter(|index| !tries.looked_up.contains(index)).collect();
        if !unsure.is_empty() {
            self.look_up(job, &unsure).await?;
            tries.looked_up.extend(unsure);
            return Ok(false);
        }
        for (index, why) in &plan.refused {
            job.slots[*index].fate = Fate::Refused(*why);
            counter!("whimbrel_archiver_refused_total", "reason" => why.name()).increment(1);
        }
        Ok(true)
    }

    /// What to do before the next try.
    async fn after_rollback(
        &mut self,
        job: &mut Job,
        plan: &Plan,
        error: CommitError,
        tries: &mut Tries,
    ) -> Result<(), Trouble> {
        match error {
            CommitError::SeqTaken => {
                counter!("whimbrel_archiver_retries_total", "reason" => "seq_taken").increment(1);
                self.collided(plan, tries).await?;
            }
            CommitError::IdTaken => {
                counter!("whimbrel_archiver_retries_total", "reason" => "id_taken").increment(1);
                self.look_up(job, &plan.slots).await?;
                if plan.slots.iter().all(|&index| job.slots[index].fate == Fate::Open) {
                    tries.contradictions += 1;
                    if tries.contradictions >= CONTRADICTIONS_MAX {
                        return Err(Trouble::Unclear("an id is taken, and nothing stands under it".into()));
                    }
                    self.collided(plan, tries).await?;
                }
            }
            CommitError::NoFile => {
                // It was there when it was asked for; the next question says which one is not any more.
                counter!("whimbrel_archiver_retries_total", "reason" => "no_file").increment(1);
                tries.contradictions += 1;
                if tries.contradictions >= CONTRADICTIONS_MAX {
                    return Err(Trouble::Unclear("a file is missing, and all of them are there".into()));
                }
            }
            CommitError::RowRefused { index, reason } => match plan.slots.get(index) {
                Some(&slot) => self.park(job, slot, reason).await?,
                None => return Err(Trouble::Unclear(reason)),
            },
            CommitError::Anew => {
                counter!("whimbrel_archiver_retries_total", "reason" => "anew").increment(1);
            }
            CommitError::Store(error) => return Err(error.into()),
        }
        // What was read before the rollback is not fresh any more.
        tries.fresh.clear();
        tries.looked_up.clear();
        Ok(())
    }

    async fn collided(&mut self, plan: &Plan, tries: &mut Tries) -> Result<(), Trouble> {
        tries.collisions += 1;
        if tries.collisions < COLLISIONS_QUIET {
            return Ok(());
        }
        let pause = self.backoff.apart();
        if tries.collisions == COLLISIONS_QUIET {
            let rows = plan.slots.len();
            warn!(rows, ?pause, "somebody else places in the same conversations; trying again, with less");
        }
        sleep(pause).await;
        if plan.slots.len() > 1 { Err(Trouble::Crowded) } else { Ok(()) }
    }

    /// Halves a piece that collides again and again, in its order.
    pub(super) fn make_way(
        &mut self,
        job: &Job,
        mut piece: Vec<usize>,
        pieces: &mut std::collections::VecDeque<Vec<usize>>,
    ) {
        counter!("whimbrel_archiver_retries_total", "reason" => "crowded").increment(1);
        piece.retain(|&index| job.slots[index].fate == Fate::Open);
        self.piece_max = (piece.len() / 2).max(1);
        let second = piece.split_off(piece.len() / 2);
        pieces.push_front(second);
        pieces.push_front(piece);
    }

    /// Looks up these slots, all in one query.
    pub(super) async fn look_up(&mut self, job: &mut Job, indexes: &[usize]) -> Result<(), Trouble> {
        let open: Vec<usize> = indexes.iter().copied().filter(|&index| job.slots[index].fate == Fate::Open).collect();
        if open.is_empty() {
            return Ok(());
        }
        let names: Vec<Name> = open.iter().map(|&index| job.slots[index].name()).collect();
        let found = self.timeline.find(&names).await?;
        for (index, row) in open.into_iter().zip(found) {
            if let Some(row) = row {
                job.slots[index].fate = Fate::Found(row);
            }
        }
        Ok(())
    }

    /// Keeps a draft that the engine refuses, and refuses it.
    async fn park(&mut self, job: &mut Job, index: usize, reason: String) -> Result<(), Trouble> {
        let slot = &mut job.slots[index];
        error!(
            conversation = %slot.conversation, sender = %slot.sender, message_id = %slot.draft.message_id, reason,
            "the database refuses a message for good; it was parked"
        );
        let letter = DeadLetter {
            conversation: slot.conversation,
            sender: slot.sender,
            device: slot.device,
            draft: slot.draft.clone(),
            reason,
        };
        // An error here means the same as a database that is away: nothing is answered before the letter is kept.
        self.park.park(letter).await.map_err(|error| Trouble::Away(StoreError::Unavailable(error.to_string())))?;
        slot.fate = Fate::Refused(Refusal::Unplaceable);
        counter!("whimbrel_archiver_parked_total").increment(1);
        Ok(())
    }

    /// Halves a piece that the engine refuses, or parks what stands alone.
    pub(super) async fn divide(
        &mut self,
        job: &mut Job,
        mut piece: Vec<usize>,
        reason: String,
        pieces: &mut std::collections::VecDeque<Vec<usize>>,
    ) -> Result<(), StoreError> {
        counter!("whimbrel_archiver_retries_total", "reason" => "divided").increment(1);
        job.late_cursors.append(&mut job.cursors);
        piece.retain(|&index| job.slots[index].fate == Fate::Open);
        if let [index] = piece[..] {
            return match self.park(job, index, reason).await {
                Ok(()) => Ok(()),
                Err(Trouble::Away(error)) => Err(error),
                Err(Trouble::Unclear(reason)) => Err(StoreError::Unavailable(reason)),
                Err(Trouble::Crowded) => Ok(()),
            };
        }
        if !piece.is_empty() {
            let second = piece.split_off(piece.len() / 2);
            pieces.push_front(second);
            pieces.push_front(piece);
        }
        Ok(())
    }

    /// Cursors that were held back, in a transaction of their own. They are repeated by their owners until they are
    /// answered, so those that the engine refuses are dropped.
    pub(super) async fn settle_late_cursors(&mut self, job: &mut Job) -> Result<(), StoreError> {
        if job.late_cursors.is_empty() {
            return Ok(());
        }
        let cursors = std::mem::take(&mut job.late_cursors);
        match self.timeline.commit(PlaceBatch { rows: Vec::new(), cursors }).await {
            Ok((_, moved)) => job.moved.extend(moved),
            Err((_, CommitError::Store(error @ StoreError::Unavailable(_)))) => return Err(error),
            Err((batch, error)) => error!(%error, dropped = batch.cursors.len(), "the database refuses cursors"),
        }
        Ok(())
    }
}

impl Job {
    /// These rows were committed.
    fn placed(&mut self, slots: &[usize], batch: PlaceBatch, ends: &Ends) {
        counter!("whimbrel_archiver_placed_rows_total").increment(batch.rows.len() as u64);
        histogram!("whimbrel_archiver_batch_rows").record(batch.rows.len() as f64);
        for (&index, row) in slots.iter().zip(batch.rows) {
            self.slots[index].fate = Fate::Placed { seq: row.message.seq, at: row.message.at };
            if let Some(Some(head)) = ends.get(&row.message.conversation) {
                let audience = head.members.audience();
                self.rows.push((index, PlacedRow { message: row.message, audience, change: None }));
            }
        }
    }
}
