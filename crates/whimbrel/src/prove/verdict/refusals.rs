//! Whether a refusal follows from what happened: somebody left, was muted, or took a message back.
//!
//! A draft is judged at the moment at which it would have got its place, and that is somewhere between its being written
//! and its answer. Rows have the time at which they were placed, by the same machine's clock; a moment of room is left for
//! the order in which two processes look at it.

use whimbrel_client::{MessageKind, NotPlaced, Refusal, Seq, UserId};

use super::super::ledger::{Drafted, Refused};
use super::{Reference, Timeline};

/// Milliseconds.
const ROOM: u64 = 1000;

/// Whether this draft of this user had to be refused, or at least might be, as far as the reference tells.
pub(super) fn had_to_be(user: UserId, draft: &Drafted, refused: &Refused, reference: &Reference) -> bool {
    let NotPlaced::Refused(refusal) = refused.why else { return false };
    let (from, until) = (draft.at.saturating_sub(ROOM), refused.at + ROOM);
    let timeline = reference.timelines.get(&draft.conversation);
    let chronicle = reference.chronicles.get(&draft.conversation);
    match refusal {
        Refusal::NotMember => chronicle.is_some_and(|chronicle| chronicle.was_outside(user, from, until)),
        Refusal::Muted => chronicle.is_some_and(|chronicle| chronicle.was_muted(user, from, until)),
        Refusal::Recalled => {
            draft.target.zip(timeline).is_some_and(|(target, timeline)| was_taken_back(timeline, target, until))
        }
        Refusal::NoTarget => draft.target.zip(timeline).is_some_and(|(target, timeline)| {
            timeline.at(target).is_none_or(|row| !row.kind.is_countable())
                || chronicle.is_some_and(|chronicle| chronicle.may_not_see(user, target, until))
        }),
        _ => false,
    }
}

/// Whether a message had been taken back by then.
fn was_taken_back(timeline: &Timeline, target: Seq, until: u64) -> bool {
    let mut rows = timeline.rows();
    rows.any(|row| row.kind == MessageKind::RECALL && row.target == Some(target) && row.at <= until)
}
