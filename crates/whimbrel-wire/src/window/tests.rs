use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const WINDOW: u32 = 8;
const TIMEOUT_MS: u32 = 10;
const TIMEOUTS: u32 = 3;

/// What may happen between two ends of an ordered channel that loses and doubles.
#[derive(Debug, Clone, Copy)]
enum Event {
    Send,
    SendAgain(prop::sample::Index),
    Arrive,
    ArriveTwice,
    Lose,
    Acknowledge,
    AckArrives,
    AckLost,
    TimePasses(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Send),
        1 => any::<prop::sample::Index>().prop_map(Event::SendAgain),
        6 => Just(Event::Arrive),
        1 => Just(Event::ArriveTwice),
        1 => Just(Event::Lose),
        3 => Just(Event::Acknowledge),
        3 => Just(Event::AckArrives),
        1 => Just(Event::AckLost),
        2 => any::<u8>().prop_map(Event::TimePasses),
    ]
}

/// Two ends, with everything remembered that the code under test does not remember.
struct Naive {
    transmit: Transmit,
    receive: Receive,
    now: u64,
    forth: VecDeque<u64>,
    back: VecDeque<u64>,
    /// Every number given out that no acknowledgement has reached, with the time since which it waits.
    unacknowledged: Vec<(u64, u64)>,
    processed: Vec<u64>,
    arrived_since_ack: bool,
}

impl Naive {
    fn new() -> Self {
        Self {
            transmit: Transmit::new(WINDOW),
            receive: Receive::new(WINDOW),
            now: 1000,
            forth: VecDeque::new(),
            back: VecDeque::new(),
            unacknowledged: Vec::new(),
            processed: Vec::new(),
            arrived_since_ack: false,
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Send if self.transmit.can_send() => {
                let number = self.transmit.next_number(self.now);
                self.unacknowledged.push((number, self.now));
                self.forth.push_back(number);
            }
            Event::SendAgain(index) if !self.unacknowledged.is_empty() => {
                self.forth.push_back(index.get(&self.unacknowledged).0);
            }
            Event::Arrive => self.arrive(1),
            Event::ArriveTwice => self.arrive(2),
            Event::Lose => drop(self.forth.pop_front()),
            Event::Acknowledge => {
                assert_eq!(self.receive.owed_ack().is_some(), self.arrived_since_ack);
                self.back.push_back(self.receive.take_ack());
                self.arrived_since_ack = false;
            }
            Event::AckArrives => self.ack_arrives(),
            Event::AckLost => drop(self.back.pop_front()),
            Event::TimePasses(ms) => self.now += u64::from(ms % 16),
            Event::Send | Event::SendAgain(_) => {}
        }
        self.check();
    }

    fn arrive(&mut self, times: usize) {
        let Some(number) = self.forth.pop_front() else { return };
        for _ in 0..times {
            let expected = match number {
                _ if self.processed.contains(&number) => Accept::Repeat,
                _ if number == self.processed.len() as u64 + 1 => Accept::Process,
                _ => Accept::OutOfTurn,
            };
            // The sender keeps within the window, so BeyondWindow never comes, whatever gets lost.
            assert_eq!(self.receive.accept(number), expected);
            if expected == Accept::Process {
                self.processed.push(number);
            }
            self.arrived_since_ack |= expected != Accept::OutOfTurn;
        }
    }

    fn ack_arrives(&mut self) {
        let Some(ack) = self.back.pop_front() else { return };
        self.transmit.acknowledged(ack, self.now).expect("only what was sent is acknowledged");
        let before = self.unacknowledged.len();
        self.unacknowledged.retain(|(number, _)| *number > ack);
        if self.unacknowledged.len() < before {
            self.unacknowledged.iter_mut().for_each(|(_, since)| *since = self.now);
        }
    }

    fn check(&self) {
        let in_flight = self.unacknowledged.len() as u64;
        assert_eq!(self.transmit.in_flight(), in_flight);
        assert_eq!(self.transmit.can_send(), in_flight < u64::from(WINDOW));
        assert_eq!(self.transmit.room(), u64::from(WINDOW) - in_flight);
        let oldest = self.unacknowledged.iter().map(|(_, since)| *since).min();
        assert_eq!(self.transmit.waiting_since(), oldest);
        let overdue = oldest.is_some_and(|since| self.now - since >= u64::from(TIMEOUT_MS * TIMEOUTS));
        assert_eq!(self.transmit.overdue(self.now, TIMEOUT_MS, TIMEOUTS), overdue);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    // A few integers answer as a model does that remembers every frame; and what is processed is 1, 2, 3, … each once.
    #[test]
    fn a_few_integers_know_what_a_full_record_knows(events in prop::collection::vec(event(), 0..200)) {
        let mut naive = Naive::new();
        for event in events {
            naive.step(event);
        }
        let gapless: Vec<u64> = (1..=naive.processed.len() as u64).collect();
        prop_assert_eq!(naive.processed, gapless);
    }
}

#[test]
fn a_repeat_is_acknowledged_again_and_not_processed_again() {
    let mut receive = Receive::new(WINDOW);
    assert_eq!(receive.accept(1), Accept::Process);
    assert_eq!((receive.take_ack(), receive.owed_ack()), (1, None));
    assert_eq!(receive.accept(1), Accept::Repeat);
    assert_eq!(receive.owed_ack(), Some(1));
    assert_eq!((receive.take_ack(), receive.owed_ack()), (1, None));
}

#[test]
fn a_number_ahead_of_its_turn_is_told_apart() {
    let mut receive = Receive::new(WINDOW);
    assert_eq!(receive.accept(2), Accept::OutOfTurn);
    assert_eq!(receive.accept(u64::MAX), Accept::OutOfTurn);
    assert_eq!(receive.accept(1), Accept::Process);
}

#[test]
fn a_sender_that_ignores_the_window_is_found() {
    let mut receive = Receive::new(2);
    assert_eq!(
        [1, 2, 3].map(|number| receive.accept(number)),
        [Accept::Process, Accept::Process, Accept::BeyondWindow]
    );
    receive.take_ack();
    assert_eq!(receive.accept(3), Accept::Process);
}

#[test]
fn half_a_window_makes_an_acknowledgement_urgent() {
    let mut receive = Receive::new(8);
    let urgent = (1..=4).map(|number| {
        receive.accept(number);
        receive.is_ack_urgent()
    });
    assert_eq!(urgent.collect::<Vec<_>>(), [false, false, false, true]);
    receive.take_ack();
    assert!(!receive.is_ack_urgent());
}

#[test]
fn an_acknowledgement_for_what_was_never_sent_is_a_violation() {
    let mut transmit = Transmit::new(WINDOW);
    assert_eq!(transmit.next_number(0), 1);
    let error = transmit.acknowledged(2, 0).expect_err("2 was never sent");
    assert_eq!((error, error.goodbye()), (WindowViolated { ack: 2, sent: 1 }, GoodbyeCode::WINDOW_VIOLATED));
    assert_eq!(transmit.in_flight(), 1);
}

#[test]
fn patience_counts_from_the_last_progress() {
    let mut transmit = Transmit::new(WINDOW);
    assert!(!transmit.overdue(u64::MAX, 10, 3), "nothing is under way");
    transmit.next_number(100);
    transmit.next_number(110);
    assert!(!transmit.overdue(129, 10, 3) && transmit.overdue(130, 10, 3));
    transmit.acknowledged(1, 129).expect("was sent");
    assert!(!transmit.overdue(158, 10, 3) && transmit.overdue(159, 10, 3));
    transmit.acknowledged(1, 158).expect("was sent");
    assert!(transmit.overdue(159, 10, 3), "an acknowledgement without progress buys no time");
    transmit.acknowledged(2, 160).expect("was sent");
    assert!(!transmit.overdue(u64::MAX, 10, 3));
}
