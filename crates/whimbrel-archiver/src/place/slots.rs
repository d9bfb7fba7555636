//! The drafts of a batch, in the log's order, and what becomes of each.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry as MapEntry;
use sha2::{Digest, Sha256};
use whimbrel_core::{BodyHash, ConversationId, DeviceId, Draft, MessageId, Outcome, Refusal, Seq, UserId};
use whimbrel_rpc::DraftPlaced;
use whimbrel_store::{CursorWrite, Delivered, Entry, FoundRow};

/// The name under which the timeline keeps a message once.
pub(super) type Name = (ConversationId, UserId, MessageId);

/// One draft.
#[derive(Debug)]
pub(super) struct Slot {
    /// Which of the delivered records it came with.
    pub(super) record: usize,
    pub(super) conversation: ConversationId,
    pub(super) sender: UserId,
    pub(super) device: DeviceId,
    pub(super) draft: Draft,
    pub(super) hash: BodyHash,
    pub(super) fate: Fate,
}

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not decided.
    Open,
    /// An earlier slot of the batch has the same name: what becomes of that decides.
    Repeats(usize),
    /// It has been given its place now.
    Placed { seq: Seq, at: u64 },
    /// A row stood under its name before.
    Found(FoundRow),
    /// It was not placed and will not be.
    Refused(Refusal),
}

impl Slot {
    pub(super) fn name(&self) -> Name {
        (self.conversation, self.sender, self.draft.message_id)
    }
}

/// The drafts of these records; repeats within the batch point to the first of their name. Bodies are hashed here.
pub(super) fn unfold(delivered: &[Delivered]) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    let mut firsts: HashMap<Name, usize> = HashMap::new();
    for (record, delivered) in delivered.iter().enumerate() {
        for entry in &delivered.record.entries {
            let Entry::Drafts(entry) = entry else { continue };
            for draft in &entry.drafts {
                let index = slots.len();
                let fate = match firsts.entry((entry.conversation, entry.sender, draft.message_id)) {
                    MapEntry::Occupied(first) => Fate::Repeats(*first.get()),
                    MapEntry::Vacant(vacant) => {
                        vacant.insert(index);
                        Fate::Open
                    }
                };
                slots.push(Slot {
                    record,
                    conversation: entry.conversation,
                    sender: entry.sender,
                    device: entry.device,
                    hash: Sha256::digest(&draft.body).into(),
                    draft: draft.clone(),
                    fate,
                });
            }
        }
    }
    slots
}

/// The cursors of these records, one for each user and conversation.
pub(super) fn cursors(delivered: &[Delivered]) -> Vec<CursorWrite> {
    let mut writes: Vec<CursorWrite> = Vec::new();
    let mut known: HashMap<(ConversationId, UserId), usize> = HashMap::new();
    for entry in delivered.iter().flat_map(|delivered| &delivered.record.entries) {
        let Entry::Cursor { conversation, user, cursors } = *entry else { continue };
        let cursors = cursors.normalized();
        match known.entry((conversation, user)) {
            MapEntry::Occupied(at) => writes[*at.get()].cursors = writes[*at.get()].cursors.max(cursors),
            MapEntry::Vacant(vacant) => {
                vacant.insert(writes.len());
                writes.push(CursorWrite { conversation, user, cursors });
            }
        }
    }
    writes
}

/// What the sender of this slot is answered. Every slot has been decided.
pub(super) fn outcome(slots: &[Slot], index: usize) -> Outcome {
    let slot = &slots[index];
    let (decided, same) = match slot.fate {
        Fate::Repeats(first) => (slots[first].fate, slots[first].hash == slot.hash),
        fate => (fate, true),
    };
    match decided {
        Fate::Found(row) if row.hash == slot.hash => Outcome::Sent { seq: row.seq, at: row.at },
        Fate::Found(_) => Outcome::Conflict,
        Fate::Placed { seq, at } if same => Outcome::Sent { seq, at },
        Fate::Placed { .. } => Outcome::Conflict,
        Fate::Refused(why) => Outcome::Refused(why),
        // Not reached: placing ends when nothing is open. To answer "again" would be safe.
        Fate::Open | Fate::Repeats(_) => Outcome::Retry { after_ms: 0 },
    }
}

/// The answer for a slot, as it is announced.
pub(super) fn answer(slots: &[Slot], index: usize) -> DraftPlaced {
    let slot = &slots[index];
    DraftPlaced {
        conversation: slot.conversation,
        sender: slot.sender,
        device: slot.device,
        message_id: slot.draft.message_id,
        outcome: outcome(slots, index),
    }
}
