//! Histories with one fault each: every fault is caught, as what it is, and a history without one is not.

use whimbrel_client::{DeviceId, MessageKind, NotPlaced, Refusal, UserId};

use super::super::ledger::{Drafted, Said, Told};
use super::*;

/// Device 0 says three messages in one conversation; device 1 and a fresh device see them.
struct History {
    conversation: ConversationId,
    sender: Book,
    receiver: Book,
    fresh: Book,
}

fn row(history: &History, seq: u64, index: usize) -> Seen {
    Seen {
        seq: Seq(seq),
        message_id: history.sender.drafted[index].message_id,
        sender: history.sender.user,
        device: history.sender.device,
        kind: MessageKind::TEXT,
        key_version: 1,
        target: None,
        at: 0,
        said: Said::Words { device: 0, number: index as u64 + 1 },
    }
}

impl History {
    fn good() -> Self {
        let conversation = ConversationId::generate();
        let book = |index: usize| Book::new(index, UserId(index as u64 + 1), DeviceId::generate());
        let mut history = Self { conversation, sender: book(0), receiver: book(1), fresh: book(2) };
        for number in 1..=3 {
            let message_id = MessageId::generate();
            history.sender.drafted.push(Drafted { conversation, message_id, number, target: None, at: 0 });
            history.sender.told.push(Told { conversation, message_id, seq: Seq(number) });
        }
        let rows: Vec<_> = (0..3).map(|index| row(&history, index as u64 + 1, index)).collect();
        for book in [&mut history.sender, &mut history.receiver, &mut history.fresh] {
            book.seen.insert(conversation, rows.clone());
        }
        history
    }

    /// Lost, doubled, reordered, wrong.
    fn judged(&self) -> [usize; 4] {
        let mut faults = Faults::default();
        let books = [self.sender.clone(), self.receiver.clone()];
        let fresh = std::slice::from_ref(&self.fresh);
        judge(&books, fresh, &[self.conversation], &[], &Reference::new(fresh, &[]), &mut faults);
        [Kind::Lost, Kind::Doubled, Kind::Reordered, Kind::Wrong].map(|kind| faults.count(kind))
    }

    fn shown(&mut self) -> &mut Vec<Seen> {
        self.receiver.seen.get_mut(&self.conversation).expect("it was seen")
    }

    fn everywhere(&mut self, change: impl Fn(&mut Vec<Seen>)) {
        for book in [&mut self.sender, &mut self.receiver, &mut self.fresh] {
            change(book.seen.get_mut(&self.conversation).expect("it was seen"));
        }
    }
}

#[test]
fn a_history_without_a_fault_has_none() {
    assert_eq!(History::good().judged(), [0, 0, 0, 0]);
}

#[test]
fn a_message_that_a_device_was_never_shown_is_lost() {
    for at in 0..3 {
        let mut history = History::good();
        history.shown().remove(at);
        assert_eq!(history.judged(), [1, 0, 0, 0], "without {at}");
    }
}

#[test]
fn a_message_that_was_told_sent_and_is_nowhere_is_lost() {
    let mut history = History::good();
    history.everywhere(|rows| {
        rows.pop();
    });
    assert_eq!(history.judged(), [1, 0, 0, 0]);
}

#[test]
fn a_message_that_was_seen_and_is_gone_for_a_fresh_device_is_lost() {
    let mut history = History::good();
    history.fresh.seen.get_mut(&history.conversation).expect("it was seen").pop();
    // Told SENT, and shown to two.
    assert_eq!(history.judged(), [3, 0, 0, 0]);
}

#[test]
fn a_conversation_that_no_fresh_device_has_is_lost_as_a_whole() {
    let mut history = History::good();
    history.fresh.seen.clear();
    assert_eq!(history.judged(), [9, 0, 0, 0]);
}

#[test]
fn a_message_that_is_shown_twice_is_doubled() {
    let mut history = History::good();
    let again = history.shown()[1];
    history.shown().insert(2, again);
    assert_eq!(history.judged(), [0, 1, 0, 0]);
}

#[test]
fn a_message_that_stands_at_two_places_is_doubled_for_everybody() {
    let mut history = History::good();
    history.everywhere(|rows| rows.push(Seen { seq: Seq(4), ..rows[2] }));
    let [lost, doubled, ..] = history.judged();
    assert_eq!((lost, doubled >= 3), (0, true));
}

#[test]
fn a_message_that_was_placed_again_under_another_name_is_doubled() {
    let mut history = History::good();
    let other = MessageId::generate();
    history.everywhere(|rows| rows.push(Seen { seq: Seq(4), message_id: other, ..rows[2] }));
    assert_eq!(history.judged(), [0, 1, 0, 0]);
}

#[test]
fn a_message_that_is_shown_after_a_later_one_is_reordered() {
    let mut history = History::good();
    history.shown().swap(1, 2);
    assert_eq!(history.judged(), [0, 0, 1, 0]);
}

#[test]
fn two_messages_that_changed_places_for_one_device_are_reordered() {
    let mut history = History::good();
    let rows = history.shown();
    (rows[1].message_id, rows[2].message_id) = (rows[2].message_id, rows[1].message_id);
    assert_eq!(history.judged(), [0, 0, 2, 0]);
}

#[test]
fn a_seq_that_is_not_the_one_that_was_told_is_reordered() {
    let mut history = History::good();
    history.sender.told[2].seq = Seq(7);
    assert_eq!(history.judged(), [0, 0, 1, 0]);
}

#[test]
fn a_seq_that_was_told_differently_a_second_time_is_reordered() {
    let mut history = History::good();
    let again = Told { seq: Seq(9), ..history.sender.told[0] };
    history.sender.told.push(again);
    assert_eq!(history.judged(), [0, 0, 1, 0]);
}

#[test]
fn what_one_device_said_stands_in_its_order() {
    let mut history = History::good();
    history.everywhere(|rows| {
        (rows[0].said, rows[1].said) = (rows[1].said, rows[0].said);
    });
    let [lost, doubled, reordered, wrong] = history.judged();
    assert_eq!((lost, wrong), (0, 0));
    assert!(doubled + reordered > 0);
}

#[test]
fn what_is_not_as_it_was_sent_is_wrong() {
    let mut history = History::good();
    history.everywhere(|rows| rows[1].said = Said::Garbled);
    assert_eq!(history.judged()[3], 1);
    let mut history = History::good();
    let stranger = history.receiver.device;
    history.everywhere(|rows| rows[1].device = stranger);
    assert_eq!(history.judged(), [0, 0, 0, 1]);
}

#[test]
fn what_was_never_answered_or_refused_or_missed_is_wrong() {
    let mut history = History::good();
    history.sender.told.pop();
    assert_eq!(history.judged(), [0, 0, 0, 1]);
    let id = history.sender.drafted[2].message_id;
    let why = NotPlaced::Refused(Refusal::Blocked);
    history.sender.refused.push(Refused { message_id: id, why, at: 0 });
    assert_eq!(history.judged(), [0, 0, 0, 1]);
    let mut history = History::good();
    history.receiver.missed = 1;
    assert_eq!(history.judged(), [0, 0, 0, 1]);
}
