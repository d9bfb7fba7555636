//! Histories of a group with one fault each: every fault is caught, as what it is, and a history without one is not.

use whimbrel_client::{DeviceId, MessageKind, NotPlaced, Refusal};

use super::super::super::groups::chronicle::tests::news;
use super::super::super::ledger::{Drafted, Refused, Told};
use super::super::{Reference, judge};
use super::*;

const OWNER: UserId = UserId(1);
/// In it from row 3 to row 6, and again from row 9 on.
const GUEST: UserId = UserId(2);
/// Rows of the timeline; those named here tell of changes.
const ROWS: u64 = 11;
const CHANGES: [(u64, &str, &[u64]); 5] =
    [(1, "created", &[1]), (2, "added", &[7]), (3, "joined", &[2]), (6, "left", &[2]), (9, "added", &[2])];

/// The owner's device 0 says everything; device 1 is the guest's; 2 and 3 are fresh.
struct History {
    group: Group,
    books: [Book; 2],
    fresh: [Book; 2],
    done: Done,
}

impl History {
    fn good() -> Self {
        let conversation = ConversationId::generate();
        let group = Group { conversation, owner: OWNER, history: false, members: 2 };
        let book = |index: usize, user| Book::new(index, user, DeviceId::generate());
        let mut owner = book(0, OWNER);
        let (changes, mut number) = (news(&CHANGES), 0);
        let mut rows = Vec::new();
        for seq in (1..=ROWS).map(Seq) {
            let message_id = MessageId::generate();
            let is_change = changes.contains_key(&seq);
            if !is_change {
                number += 1;
                owner.drafted.push(Drafted { conversation, message_id, number, target: None, at: seq.0 * 1000 });
                owner.told.push(Told { conversation, message_id, seq });
            }
            rows.push(Seen {
                seq,
                message_id,
                sender: OWNER,
                device: if is_change { DeviceId::from_bytes([0; 16]) } else { owner.device },
                kind: if is_change { MessageKind::GROUP } else { MessageKind::TEXT },
                key_version: if seq.0 <= 6 { 1 } else { 2 },
                target: None,
                at: seq.0 * 1000,
                said: if is_change { Said::System } else { Said::Words { device: 0, number } },
            });
        }
        let mut books = [owner, book(1, GUEST)];
        let mut fresh = [book(2, OWNER), book(3, GUEST)];
        let part = |ranges: &[(u64, u64)]| -> Vec<Seen> {
            let is_in = |row: &&Seen| ranges.iter().any(|(since, until)| (*since..=*until).contains(&row.seq.0));
            rows.iter().filter(is_in).copied().collect()
        };
        books[0].seen.insert(conversation, rows.clone());
        books[1].seen.insert(conversation, part(&[(3, 6), (9, ROWS)]));
        fresh[0].seen.insert(conversation, rows.clone());
        fresh[0].news.insert(conversation, changes);
        fresh[1].seen.insert(conversation, part(&[(9, ROWS)]));
        let done = Done { changes: vec![(true, GUEST), (false, GUEST), (true, GUEST)], ..Done::default() };
        Self { group, books, fresh, done }
    }

    fn judged(&self) -> ([usize; 4], Notes) {
        let groups = std::slice::from_ref(&self.group);
        let reference = Reference::new(&self.fresh, groups);
        let mut faults = Faults::default();
        let notes = judge(&self.books, &self.fresh, &[], groups, &reference, &mut faults);
        check_deeds(&self.group, &self.done, &reference, &mut faults);
        ([Kind::Lost, Kind::Doubled, Kind::Reordered, Kind::Wrong].map(|kind| faults.count(kind)), notes)
    }

    fn faults(&self) -> [usize; 4] {
        self.judged().0
    }

    fn all(&self) -> Vec<Seen> {
        self.fresh[0].seen[&self.group.conversation].clone()
    }

    /// What the guest's device was shown.
    fn shown(&mut self) -> &mut Vec<Seen> {
        self.books[1].seen.get_mut(&self.group.conversation).expect("it was seen")
    }

    /// Where a row stands in what the guest's device was shown.
    fn at(&mut self, seq: u64) -> usize {
        self.shown().iter().position(|row| row.seq == Seq(seq)).expect("it was shown")
    }

    /// The guest is refused a draft about `target`, written and refused at these seconds.
    fn refused(target: Option<u64>, seconds: (u64, u64), refusal: Refusal) -> Self {
        let mut history = Self::good();
        let (conversation, message_id) = (history.group.conversation, MessageId::generate());
        let target = target.map(Seq);
        history.books[1].drafted.push(Drafted { conversation, message_id, number: 1, target, at: seconds.0 * 1000 });
        let why = NotPlaced::Refused(refusal);
        history.books[1].refused.push(Refused { message_id, why, at: seconds.1 * 1000 });
        history
    }

    /// In the owner's name, row 10 takes row 5 back.
    fn take_back(&mut self) {
        for book in self.books.iter_mut().chain(&mut self.fresh) {
            for row in book.seen.get_mut(&self.group.conversation).expect("it was seen") {
                if row.seq == Seq(10) {
                    (row.kind, row.target, row.said) = (MessageKind::RECALL, Some(Seq(5)), Said::Nothing);
                }
            }
        }
        let id = self.all()[9].message_id;
        for draft in self.books[0].drafted.iter_mut().filter(|draft| draft.message_id == id) {
            draft.target = Some(Seq(5));
        }
    }
}

#[test]
fn a_history_without_a_fault_has_none() {
    assert_eq!(History::good().judged(), ([0; 4], Notes::default()));
}

#[test]
fn a_row_from_before_somebody_came_or_after_they_went_is_wrong() {
    for (seq, before) in [(2, 3), (7, 9), (8, 9)] {
        let mut history = History::good();
        let (row, at) = (history.all()[seq - 1], history.at(before));
        history.shown().insert(at, row);
        assert_eq!(history.faults(), [0, 0, 0, 1], "row {seq}");
    }
}

#[test]
fn somebody_who_was_never_in_it_sees_nothing_of_it() {
    let mut history = History::good();
    history.books[1].user = UserId(9);
    assert_eq!(history.faults()[3], 7, "as many as are shown");
}

#[test]
fn a_row_of_ones_time_that_is_not_shown_is_lost() {
    for seq in [3, 4, 9, 10, 11] {
        let mut history = History::good();
        let at = history.at(seq);
        history.shown().remove(at);
        assert_eq!(history.faults(), [1, 0, 0, 0], "row {seq}");
    }
}

#[test]
fn the_end_of_an_earlier_time_may_be_passed_over_and_is_counted() {
    let mut history = History::good();
    history.shown().drain(2..4);
    assert_eq!(history.judged(), ([0; 4], Notes { passed_over: 2, ..Notes::default() }));
    history.shown().drain(0..2);
    assert_eq!(history.judged().1.passed_over, 4, "the device may not have been there at all");
}

#[test]
fn where_history_is_for_all_nothing_is_passed_over_and_nothing_is_too_early() {
    let mut history = History::good();
    history.group.history = true;
    let all = history.all();
    *history.shown() = all.clone();
    history.fresh[1].seen.insert(history.group.conversation, all);
    assert_eq!(history.faults(), [0; 4]);
    history.shown().remove(5);
    assert_eq!(history.faults(), [1, 0, 0, 0]);
}

#[test]
fn a_row_that_is_shown_twice_is_doubled_and_one_after_a_later_one_is_reordered() {
    let mut history = History::good();
    let again = history.shown()[1];
    history.shown().insert(2, again);
    assert_eq!(history.faults(), [0, 1, 0, 0]);
    let mut history = History::good();
    history.shown().swap(1, 2);
    assert_eq!(history.faults(), [0, 0, 1, 0]);
}

#[test]
fn what_cannot_be_opened_is_wrong_unless_its_key_is_from_before_somebody_came() {
    let sealed = |index: usize, key_version| {
        let mut history = History::good();
        let conversation = history.group.conversation;
        let rows = history.fresh[index].seen.get_mut(&conversation).expect("it was seen");
        let row = rows.iter_mut().find(|row| row.seq == Seq(10)).expect("it is there");
        (row.said, row.key_version) = (Said::Sealed, key_version);
        history.judged()
    };
    assert_eq!(sealed(1, 2).0, [0, 0, 0, 1]);
    assert_eq!(sealed(1, 1), ([0; 4], Notes { sealed: 1, ..Notes::default() }));
    assert!(sealed(0, 1).0[3] > 0, "the owner has every key");
}

#[test]
fn a_refusal_that_follows_from_leaving_is_none_of_the_faults_and_any_other_is() {
    let outside = History::refused(None, (5, 5), Refusal::NotMember);
    assert_eq!(outside.judged(), ([0; 4], Notes { refused: 1, ..Notes::default() }), "they left at 6");
    assert_eq!(History::refused(None, (7, 20), Refusal::NotMember).faults(), [0; 4], "they came back at 9");
    assert_eq!(History::refused(None, (11, 12), Refusal::NotMember).faults(), [0, 0, 0, 1]);
    assert_eq!(History::refused(None, (5, 5), Refusal::TooLarge).faults(), [0, 0, 0, 1]);
    assert_eq!(History::refused(None, (5, 5), Refusal::Muted).faults(), [0, 0, 0, 1]);
}

#[test]
fn a_refusal_that_follows_from_taking_back_is_none_of_the_faults_and_any_other_is() {
    assert_eq!(History::refused(Some(5), (5, 20), Refusal::Recalled).faults(), [0, 0, 0, 1], "nobody took it back");
    let mut history = History::refused(Some(5), (5, 20), Refusal::Recalled);
    history.take_back();
    assert_eq!(history.faults(), [0; 4]);
    let mut early = History::refused(Some(5), (5, 8), Refusal::Recalled);
    early.take_back();
    assert_eq!(early.faults(), [0, 0, 0, 1], "it was taken back at 10");
    let mut other = History::refused(Some(4), (5, 20), Refusal::Recalled);
    other.take_back();
    assert_eq!(other.faults(), [0, 0, 0, 1], "another was taken back");
    assert_eq!(History::refused(Some(4), (5, 7), Refusal::NoTarget).faults(), [0, 0, 0, 1], "it is there");
    assert_eq!(
        History::refused(Some(4), (5, 20), Refusal::NoTarget).faults(),
        [0; 4],
        "they came back behind it, at 9"
    );
    assert_eq!(History::refused(Some(10), (5, 20), Refusal::NoTarget).faults(), [0, 0, 0, 1], "it came after them");
    assert_eq!(History::refused(Some(9), (5, 20), Refusal::NoTarget).faults(), [0; 4], "it is no message");
}

#[test]
fn a_number_that_was_refused_leaves_no_hole_in_its_senders_order() {
    let mut history = History::good();
    let conversation = history.group.conversation;
    let (number, message_id) = (7, MessageId::generate());
    history.books[0].drafted.push(Drafted { conversation, message_id, number, target: None, at: 20_000 });
    let tail = MessageId::generate();
    history.books[0].drafted.push(Drafted { conversation, message_id: tail, number: 8, target: None, at: 20_000 });
    history.books[0].told.push(Told { conversation, message_id: tail, seq: Seq(12) });
    for book in history.books.iter_mut().chain(&mut history.fresh) {
        let rows = book.seen.get_mut(&conversation).expect("it was seen");
        let last = *rows.last().expect("rows");
        let said = Said::Words { device: 0, number: 8 };
        rows.push(Seen { seq: Seq(12), message_id: tail, said, ..last });
    }
    // Number 7 is nowhere: unanswered, and a hole.
    assert_eq!(history.faults(), [0, 0, 1, 1]);
    let why = NotPlaced::Refused(Refusal::NotMember);
    history.books[0].refused.push(Refused { message_id, why, at: 20_000 });
    assert_eq!(history.faults(), [0, 0, 0, 1], "no hole, but the owner never left");
}

#[test]
fn what_is_about_another_message_than_it_was_written_about_is_wrong() {
    let mut history = History::good();
    history.take_back();
    assert_eq!(history.faults(), [0; 4]);
    history.books[0].drafted.iter_mut().for_each(|draft| draft.target = draft.target.map(|_| Seq(4)));
    assert_eq!(history.faults(), [0, 0, 0, 1]);
}

#[test]
fn every_deed_has_one_row_and_every_row_its_deed() {
    let mut history = History::good();
    history.done.changes.push((false, GUEST));
    assert_eq!(history.faults(), [1, 0, 0, 0], "it was confirmed, and no row tells of it");
    let mut history = History::good();
    history.done.changes.pop();
    assert_eq!(history.faults(), [0, 0, 0, 1], "nobody did it");
    let mut history = History::good();
    history.done.changes[1] = (false, UserId(7));
    assert_eq!(history.faults(), [0, 0, 0, 1], "it happened to somebody else");
    let mut history = History::good();
    history.done.failures.push("no".to_owned());
    assert_eq!(history.faults(), [0, 0, 0, 1]);
    let mut history = History::good();
    let conversation = history.group.conversation;
    let mut rows = CHANGES.to_vec();
    rows.push((4, "joined", &[2]));
    history.fresh[0].news.insert(conversation, news(&rows));
    assert_eq!(history.faults()[1], 1, "they came twice");
}
