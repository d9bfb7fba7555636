//! The levels of groups: what each user may see follows from the rows that anybody was shown.

use std::sync::Arc;

use whimbrel_client::{ConversationSummary, Seq, UserId};

use super::super::clients::{Handle, World};
use super::super::groups::Group;
use super::super::groups::chronicle::{Chronicle, News, Stay};
use super::super::ledger::Seen;
use super::super::verdict::{Reference, Timeline};

/// Devices that were not shown everything up to the last row that is theirs to see.
pub(super) fn not_shown(handles: &[Arc<Handle>], groups: &[Group]) -> Vec<String> {
    groups.iter().flat_map(|group| not_shown_of(handles, group)).collect()
}

fn not_shown_of(handles: &[Arc<Handle>], Group { conversation, history, .. }: &Group) -> Vec<String> {
    let (mut news, mut head) = (News::new(), Seq::ZERO);
    for handle in handles {
        let book = handle.book();
        for (seq, row) in book.news.get(conversation).into_iter().flatten() {
            news.entry(*seq).or_insert_with(|| row.clone());
        }
        let told = book.told.iter().filter(|told| told.conversation == *conversation).map(|told| told.seq);
        head = told.chain([book.end(*conversation)]).fold(head, Seq::max);
    }
    let chronicle = Chronicle::of(&news, *history);
    let mut missing = Vec::new();
    for handle in handles {
        let book = handle.book();
        let Some(last) = chronicle.ranges(book.user, *history, head).last().copied() else { continue };
        let end = book.end(*conversation);
        if end < last.until {
            missing.push(format!("device {} was shown {conversation} up to {end} of {}", book.index, last.until));
        }
    }
    missing
}

/// What a device's list says of its user's groups, and should not.
pub(super) fn not_true(
    world: &World,
    (index, user): (usize, UserId),
    summaries: &[ConversationSummary],
    groups: &[Group],
    reference: &Reference,
) -> Vec<String> {
    let mut missing = Vec::new();
    for Group { conversation, .. } in groups {
        let stay = reference.chronicles.get(conversation).and_then(|chronicle| chronicle.last_stay(user));
        let (Some(stay), Some(timeline)) = (stay, reference.timelines.get(conversation)) else { continue };
        let read = world.receipts.lock().expect("nobody panics while writing").read(user, *conversation);
        let expected = Expected::new(timeline, user, stay, read);
        let summary = summaries.iter().find(|summary| summary.id == *conversation);
        let wrong = summary.map_or_else(|| Some("it is not listed".to_owned()), |summary| expected.wrong(summary));
        missing.extend(wrong.map(|wrong| format!("device {index}, group {conversation}: {wrong}")));
    }
    missing
}

/// What a list of conversations has to say of a group in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected {
    head: Seq,
    unread: u64,
    read: Seq,
}

impl Expected {
    /// Of a user who was in it then the last time, and said that they had read so far.
    fn new(timeline: &Timeline, user: UserId, stay: Stay, read: Seq) -> Self {
        let head = if stay.until == Seq::ZERO { timeline.head() } else { stay.until };
        // Who comes begins with everything before as read.
        let read = read.max(Seq(stay.since.0.saturating_sub(1))).min(head);
        let is_unread =
            |row: &&Seen| row.kind.is_countable() && row.sender != user && read < row.seq && row.seq <= head;
        Self { head, unread: timeline.rows().filter(is_unread).count() as u64, read }
    }

    fn wrong(&self, summary: &ConversationSummary) -> Option<String> {
        let same = [
            ("head", summary.head.0, self.head.0),
            ("unread", summary.unread, self.unread),
            ("own read", summary.own.read.0, self.read.0),
        ];
        let wrong = same.into_iter().find(|(_, is, should)| is != should);
        wrong.map(|(what, is, should)| format!("{what} is {is} and should be {should}"))
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_client::{ConversationId, Cursors, MessageKind};

    use super::super::tests::row;
    use super::*;

    const USER: UserId = UserId(2);

    fn timeline() -> Timeline {
        let text = MessageKind::TEXT;
        Timeline::new(&[
            row(1, 1, MessageKind::GROUP),
            row(2, 1, text),
            row(3, 2, MessageKind::GROUP),
            row(4, 1, text),
            row(5, 2, text),
            row(6, 1, MessageKind::EDIT),
            row(7, 3, text),
            row(8, 2, MessageKind::GROUP),
            row(9, 1, text),
        ])
    }

    fn stay(since: u64, until: u64) -> Stay {
        Stay { since: Seq(since), until: Seq(until), times: (0, u64::MAX), key_from: 1 }
    }

    /// Came with 3: 2 is read; 4, 7 and 9 are others', 5 is one's own, 6 is no message. Who went with 8 does not
    /// count 9.
    #[test]
    fn unread_are_others_messages_from_when_one_came_to_when_one_went() {
        let expected = |stay, read| {
            let Expected { head, unread, read } = Expected::new(&timeline(), USER, stay, Seq(read));
            (head.0, unread, read.0)
        };
        assert_eq!(expected(stay(3, 0), 0), (9, 3, 2));
        assert_eq!(expected(stay(3, 8), 0), (8, 2, 2));
        assert_eq!(expected(stay(3, 8), 4), (8, 1, 4));
        assert_eq!(expected(stay(3, 8), 9), (8, 0, 8));
        assert_eq!(expected(stay(8, 0), 4), (9, 1, 7), "back again");
    }

    #[test]
    fn every_figure_of_a_group_is_compared() {
        let expected = Expected::new(&timeline(), USER, stay(3, 0), Seq(4));
        let good = ConversationSummary {
            head: Seq(9),
            own: Cursors { delivered: Seq(9), read: Seq(4) },
            unread: 2,
            ..ConversationSummary::direct(ConversationId::generate(), UserId(0))
        };
        assert_eq!(expected.wrong(&good), None);
        let wrong = |change: fn(&mut ConversationSummary)| {
            let mut summary = good.clone();
            change(&mut summary);
            expected.wrong(&summary).expect("it is wrong")
        };
        assert!(wrong(|s| s.unread = 3).contains("unread is 3 and should be 2"));
        assert!(wrong(|s| s.head = Seq(8)).contains("head"));
        assert!(wrong(|s| s.own.read = Seq(5)).contains("own read"));
    }
}
