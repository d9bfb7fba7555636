//! Which rows a piece of a batch becomes: pure arithmetic on heads.

use hashbrown::HashMap;
use whimbrel_core::{ConversationId, Members, Message, Refusal, Speak, UserId};
use whimbrel_store::{Head, NewRow};

use super::slots::{Fate, Slot};

/// The ends of the conversations that a piece touches; `None` for those that do not exist.
pub(super) type Ends = HashMap<ConversationId, Option<Head>>;

/// What to insert, and whom to refuse.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order of the slots.
    pub(super) rows: Vec<NewRow>,
    /// The slot of each row.
    pub(super) slots: Vec<usize>,
    /// Slots whose senders may not speak.
    pub(super) refused: Vec<(usize, Refusal)>,
}

/// Numbers the open slots of `piece`, moving `ends` along.
pub(super) fn plan(slots: &[Slot], piece: &[usize], ends: &mut Ends, now: u64) -> Plan {
    let mut plan = Plan::default();
    for &index in piece {
        let slot = &slots[index];
        if slot.fate != Fate::Open {
            continue;
        }
        let head = ends.get_mut(&slot.conversation).and_then(Option::as_mut);
        match head.map_or(Err(Refusal::NotMember), |head| may_speak(&head.members, slot.sender).map(|()| head)) {
            Ok(head) => {
                plan.rows.push(next_row(slot, head, now));
                plan.slots.push(index);
            }
            Err(why) => plan.refused.push((index, why)),
        }
    }
    plan
}

fn may_speak(members: &Members, sender: UserId) -> Result<(), Refusal> {
    match members.may_speak(sender) {
        Speak::Allowed => Ok(()),
        Speak::NotMember => Err(Refusal::NotMember),
        Speak::NotFriends => Err(Refusal::NotFriends),
        Speak::Blocked => Err(Refusal::Blocked),
        Speak::ReadOnly => Err(Refusal::ReadOnly),
    }
}

/// The row after `head`, which becomes the new head.
fn next_row(slot: &Slot, head: &mut Head, now: u64) -> NewRow {
    let is_first = matches!(&head.members, Members::Direct { first, .. } if *first == slot.sender);
    let counted = u64::from(slot.draft.kind.is_countable());
    head.seq = head.seq.next();
    head.n += counted;
    head.first_own += if is_first { counted } else { 0 };
    head.at = head.at.max(now);
    NewRow {
        message: Message {
            conversation: slot.conversation,
            seq: head.seq,
            sender: slot.sender,
            device: slot.device,
            message_id: slot.draft.message_id,
            kind: slot.draft.kind,
            key_version: slot.draft.key_version,
            body: slot.draft.body.clone(),
            at: head.at,
        },
        hash: slot.hash,
        n: head.n,
        own: if is_first { head.first_own } else { head.n - head.first_own },
    }
}
