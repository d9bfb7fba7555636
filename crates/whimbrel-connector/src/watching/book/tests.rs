use PresenceState::{Offline, Online, Unknown};

use super::*;

const ANNA: UserId = UserId(1);
const BOB: UserId = UserId(2);
const CARL: UserId = UserId(3);
const FRIEND: Option<Sight> = Some(Sight { invisible: false, last_seen_hidden: false, seen_at: 50 });

/// Anna's session, which watches these and has read that it may see them.
fn watching(users: &[UserId]) -> (Book, SessionId) {
    let (mut book, session) = (Book::new(1000), SessionId::generate());
    assert!(book.watch(session, ANNA, users.to_vec()));
    let pairs = book.unread(100);
    let sights = vec![FRIEND; pairs.len()];
    book.read(&pairs, sights);
    assert!(book.unread(100).is_empty());
    (book, session)
}

fn told(book: &mut Book) -> Vec<(UserId, PresenceState, u64)> {
    let news = book.news();
    assert!(news.len() <= 1);
    let all = news.into_iter().flat_map(|(_, news)| news);
    all.map(|presence| (presence.user, presence.state, presence.last_seen)).collect()
}

#[test]
fn a_session_is_told_of_everybody_once_and_then_of_changes() {
    let (mut book, _) = watching(&[BOB, CARL]);
    book.placed(&[BOB, CARL], &[CARL], 100_000);
    assert_eq!(told(&mut book), [(BOB, Offline, 50), (CARL, Online, 0)]);
    book.placed(&[BOB, CARL], &[CARL], 102_000);
    assert_eq!(told(&mut book), []);
    book.placed(&[BOB, CARL], &[BOB], 104_000);
    assert_eq!(told(&mut book), [(BOB, Online, 0), (CARL, Offline, 102_000)]);
}

#[test]
fn who_leaves_and_comes_back_between_two_rounds_is_not_told() {
    let (mut book, _) = watching(&[BOB]);
    book.placed(&[BOB], &[BOB], 100_000);
    told(&mut book);
    book.placed(&[BOB], &[], 102_000);
    book.placed(&[BOB], &[BOB], 104_000);
    assert_eq!(told(&mut book), []);
}

#[test]
fn what_is_kept_puts_last_seen_right_and_a_little_difference_is_not_told() {
    let (mut book, session) = watching(&[BOB]);
    book.placed(&[BOB], &[BOB], 100_000);
    book.placed(&[BOB], &[], 102_000);
    assert_eq!(told(&mut book), [(BOB, Offline, 100_000)]);
    let read = |book: &mut Book, seen_at| {
        book.stirred(Some(&[BOB]));
        let pairs = book.unread(100);
        assert_eq!(pairs, [(session, (ANNA, BOB))]);
        book.read(&pairs, vec![Some(Sight { seen_at, ..Sight::default() })]);
    };
    read(&mut book, 101_000);
    assert_eq!(told(&mut book), []);
    read(&mut book, 150_000);
    assert_eq!(told(&mut book), [(BOB, Offline, 150_000)]);
}

#[test]
fn who_is_no_friend_any_more_is_unknown_and_stays_so() {
    let (mut book, _) = watching(&[BOB]);
    book.placed(&[BOB], &[BOB], 100_000);
    assert_eq!(told(&mut book), [(BOB, Online, 0)]);
    book.stirred(Some(&[BOB]));
    let pairs = book.unread(100);
    book.read(&pairs, vec![None]);
    assert_eq!(told(&mut book), [(BOB, Unknown, 0)]);
    book.placed(&[BOB], &[], 102_000);
    assert_eq!(told(&mut book), []);
}

#[test]
fn what_got_lost_is_told_as_it_is_then() {
    let (mut book, session) = watching(&[BOB, CARL]);
    book.placed(&[BOB, CARL], &[BOB, CARL], 100_000);
    told(&mut book);
    book.placed(&[BOB, CARL], &[BOB], 102_000);
    book.lost(session);
    assert_eq!(told(&mut book), [(BOB, Online, 0), (CARL, Offline, 100_000)]);
}

#[test]
fn while_nobody_knows_everybody_is_unknown() {
    let (mut book, _) = watching(&[BOB]);
    assert_eq!(told(&mut book), [(BOB, Unknown, 0)], "nobody has said where they are");
    book.placed(&[BOB], &[BOB], 100_000);
    assert_eq!(told(&mut book), [(BOB, Online, 0)]);
    book.lost_sight(&[BOB]);
    book.lost_sight(&[BOB]);
    assert_eq!(told(&mut book), [(BOB, Unknown, 0)]);
    book.placed(&[BOB], &[BOB], 110_000);
    assert_eq!(told(&mut book), [(BOB, Online, 0)]);
}

#[test]
fn who_went_without_saying_so_is_named_once() {
    let (mut book, session) = watching(&[BOB, CARL]);
    book.placed(&[BOB, CARL], &[BOB, CARL], 100_000);
    for round in 0..6 {
        book.placed(&[BOB, CARL], &[], 102_000 + round);
        if round == 0 {
            // Of Carl it is written down meanwhile.
            let sight = Some(Sight { seen_at: 101_000, ..Sight::default() });
            book.read(&[(session, (ANNA, CARL))], vec![sight]);
        }
    }
    assert_eq!(book.take_gone(), [(BOB, 100_000)]);
    assert_eq!(book.take_gone(), []);
}

#[test]
fn nothing_is_kept_of_whom_nobody_watches() {
    let (mut book, session) = watching(&[BOB, CARL]);
    let other = SessionId::generate();
    book.watch(other, CARL, vec![BOB]);
    book.watch(session, ANNA, vec![BOB]);
    assert_eq!(book.users(), [BOB]);
    book.leave(session);
    book.watch(other, CARL, Vec::new());
    assert!(book.is_empty() && book.users().is_empty() && book.unread(9).is_empty() && book.news().is_empty());
}

#[test]
fn there_is_room_for_so_many_and_whoever_leaves_makes_room() {
    let (mut book, [one, two]) = (Book::new(3), [SessionId::generate(), SessionId::generate()]);
    assert!(book.watch(one, ANNA, vec![BOB, CARL]));
    assert!(!book.watch(two, BOB, vec![ANNA, CARL]));
    assert_eq!(book.sessions(), [one]);
    assert!(book.watch(one, ANNA, vec![BOB]));
    assert!(book.watch(two, BOB, vec![ANNA, CARL]));
    book.leave(two);
    assert!(book.watch(one, ANNA, vec![ANNA, BOB, CARL]));
    assert!(book.watch(one, ANNA, Vec::new()));
}

#[test]
fn what_is_to_be_read_is_read_in_parts() {
    let (mut book, session) = (Book::new(1000), SessionId::generate());
    book.watch(session, ANNA, (10..20).map(UserId).collect());
    let mut parts = Vec::new();
    while let pairs @ [_, ..] = &book.unread(4)[..] {
        parts.push(pairs.len());
        book.read(pairs, vec![FRIEND; pairs.len()]);
    }
    assert_eq!(parts, [4, 4, 2]);
}
