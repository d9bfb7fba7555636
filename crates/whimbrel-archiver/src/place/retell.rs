//! Rows that were found instead of placed: they may never have been announced, so they are read and told again.
//!
//! The row is read, not made from the draft: a repeat carries the same body, but need not be what stands there in
//! every other field.

use hashbrown::{HashMap, HashSet};
use tracing::error;
use whimbrel_core::{ConversationId, MessageId, PlacedRow, Seq};
use whimbrel_store::StoreError;

use super::slots::Fate;
use super::{Job, Placer};

/// Consecutive places of one conversation.
struct Run {
    conversation: ConversationId,
    first: u64,
    rows: usize,
}

impl Placer {
    /// Adds the rows that the job's found slots stand for.
    pub(super) async fn retell(&mut self, job: &mut Job) -> Result<(), StoreError> {
        let mut found: Vec<(ConversationId, Seq)> = Vec::new();
        let mut slots: HashMap<(ConversationId, MessageId, Seq), usize> = HashMap::new();
        for (index, slot) in job.slots.iter().enumerate() {
            if let Fate::Found(row) = slot.fate {
                found.push((slot.conversation, row.seq));
                slots.insert((slot.conversation, slot.draft.message_id, row.seq), index);
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let conversations = found.iter().map(|(conversation, _)| *conversation);
        let ends = match self.heads.ends(conversations, &mut HashSet::new()).await {
            Err(StoreError::Corrupt(reason)) => {
                untold(&reason, found.len());
                return Ok(());
            }
            ends => ends?,
        };
        for run in runs(found) {
            let Some(Some(head)) = ends.get(&run.conversation) else { continue };
            let messages = match self.timeline.read(run.conversation, Seq(run.first - 1), run.rows).await {
                Err(StoreError::Corrupt(reason)) => {
                    untold(&reason, run.rows);
                    continue;
                }
                messages => messages?,
            };
            for message in messages {
                if let Some(&slot) = slots.get(&(run.conversation, message.message_id, message.seq)) {
                    job.rows.push((slot, PlacedRow { message, audience: head.members.audience(), change: None }));
                }
            }
        }
        Ok(())
    }
}

fn untold(reason: &str, rows: usize) {
    error!(reason, rows, "messages that stand in the timeline cannot be read to be told again");
}

/// The places, put together where they are consecutive.
fn runs(mut places: Vec<(ConversationId, Seq)>) -> Vec<Run> {
    places.sort_unstable();
    places.dedup();
    let mut runs: Vec<Run> = Vec::new();
    for (conversation, seq) in places {
        match runs.last_mut() {
            Some(run) if run.conversation == conversation && run.first + run.rows as u64 == seq.0 => run.rows += 1,
            _ => runs.push(Run { conversation, first: seq.0, rows: 1 }),
        }
    }
    runs
}
