//! Which rows a piece of a batch becomes: pure arithmetic on heads.

use hashbrown::HashMap;
use whimbrel_core::{ConversationId, Members, Message, Refusal};
use whimbrel_store::{Head, NewRow};

use super::rights::Sight;
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
pub(super) fn plan(slots: &[Slot], piece: &[usize], ends: &mut Ends, sight: &mut Sight) -> Plan {
    let mut plan = Plan::default();
    for &index in piece {
        let slot = &slots[index];
        if slot.fate != Fate::Open {
            continue;
        }
        let head = ends.get_mut(&slot.conversation).and_then(Option::as_mut);
        match head.map_or(Err(Refusal::NotMember), |head| sight.judge(slot, &head.members).map(|()| head)) {
            Ok(head) => {
                let row = next_row(slot, head, sight.now);
                sight.placed(&row.message);
                plan.rows.push(row);
                plan.slots.push(index);
            }
            Err(why) => plan.refused.push((index, why)),
        }
    }
    plan
}

/// The row after `head`, which becomes the new head.
fn next_row(slot: &Slot, head: &mut Head, now: u64) -> NewRow {
    let is_first = matches!(&head.members, Members::Direct { first, .. } if *first == slot.sender);
    let in_group = matches!(&head.members, Members::Group(_));
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
        // Who has said how much in a group stands with each member.
        own: match in_group {
            true => 0,
            false if is_first => head.first_own,
            false => head.n - head.first_own,
        },
        in_group,
    }
}
