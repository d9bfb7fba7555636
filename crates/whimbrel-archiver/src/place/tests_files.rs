//! Messages that come with files: placed with the file, or refused; never a message whose file nobody gets.

use whimbrel_core::{DirectStanding, FileId, Refusal};

use super::tests::{House, house, refused, seqs};
use crate::testing::{ANN, BOB, delivered, draft, said, with_file};

/// A file of Ann's that is whole.
fn there(house: &House) -> FileId {
    let file = FileId::generate();
    house.shelf.state.lock().files.insert((file, ANN));
    file
}

/// One that is there, one that is not, and one that is somebody else's, among texts: the others of the batch are placed in
/// their order, in one transaction, as if those had not been said.
#[tokio::test]
async fn a_message_whose_file_is_missing_is_refused_and_the_others_are_placed() {
    let mut house = house();
    let (chat, file) = (house.chat, there(&house));
    let entries = vec![
        said(chat, ANN, &[draft("a"), with_file(FileId::generate(), "x"), with_file(file, "b"), draft("c")]),
        said(chat, BOB, &[with_file(file, "not theirs"), draft("d")]),
    ];
    let placed = house.place(entries).await;
    assert_eq!(seqs(&placed), [1, 2, 3, 4]);
    assert_eq!(refused(&placed), [Refusal::NoFile, Refusal::NoFile]);
    let state = house.shelf.state.lock();
    assert_eq!((state.commits, state.finds), (1, 1), "their ids are looked up once before they are refused");
}

/// Texts ask for no files.
#[tokio::test]
async fn who_comes_without_files_costs_no_question() {
    let mut house = house();
    let (chat, file) = (house.chat, there(&house));
    house.place(vec![said(chat, ANN, &[draft("a")])]).await;
    assert_eq!(house.shelf.state.lock().file_reads, 0);
    house.place(vec![said(chat, ANN, &[with_file(file, "b"), with_file(file, "c")])]).await;
    assert_eq!(house.shelf.state.lock().file_reads, 1);
}

/// Placed, then taken back with its file, then collected: whoever did not hear that it was sent asks again, and hears it.
#[tokio::test]
async fn a_retry_of_a_placed_message_is_not_refused_when_its_file_is_gone() {
    let mut house = house();
    let (chat, file) = (house.chat, there(&house));
    let sent = with_file(file, "a");
    house.place(vec![said(chat, ANN, std::slice::from_ref(&sent))]).await;
    house.shelf.state.lock().files.clear();
    let again = house.place(vec![said(chat, ANN, &[sent.clone(), draft("b")])]).await;
    assert_eq!((seqs(&again), refused(&again)), (vec![1, 2], vec![]));
    let mut fresh = house.rival();
    let mut record = delivered(vec![said(chat, ANN, &[sent])]);
    record.redelivered = true;
    let again = fresh.place(&[record]).await.expect("answers");
    assert_eq!((seqs(&again), refused(&again)), (vec![1], vec![]));
}

/// It goes between the question and the commit: nothing of the batch is placed, it is asked for again, and refused. The
/// others get their places once.
#[tokio::test]
async fn a_file_that_goes_meanwhile_is_noticed_by_the_commit() {
    let mut house = house();
    let (chat, file) = (house.chat, there(&house));
    house.shelf.state.lock().goes = Some(file);
    let placed = house.place(vec![said(chat, ANN, &[draft("a"), with_file(file, "b"), draft("c")])]).await;
    assert_eq!((seqs(&placed), refused(&placed)), (vec![1, 2], vec![Refusal::NoFile]));
    assert_eq!(house.shelf.bodies(chat), ["a", "c"]);
}

/// Who may not speak is told so, whatever became of their file.
#[tokio::test]
async fn who_may_not_speak_is_refused_for_that() {
    let mut house = house();
    let chat = house.chat;
    house.shelf.change(chat, DirectStanding { friends: false, ..Default::default() });
    let placed = house.place(vec![said(chat, ANN, &[with_file(FileId::generate(), "a")])]).await;
    assert_eq!(refused(&placed), [Refusal::NotFriends]);
}
