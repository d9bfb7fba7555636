use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use whimbrel_core::{ConversationId, Cursors, DirectStanding, Outcome, Refusal, Seq};
use whimbrel_store::{Entry, Timeline};

use super::*;
use crate::testing::{ANN, BOB, EVE, Fault, Shelf, delivered, draft, said};
use whimbrel_store::MemoryPark;

const FRIENDS: DirectStanding = DirectStanding { friends: true, first_blocks: false, second_blocks: false };
const BLOCKED: DirectStanding = DirectStanding { friends: true, first_blocks: false, second_blocks: true };

pub(super) struct House {
    pub(super) shelf: Arc<Shelf>,
    park: Arc<MemoryPark>,
    pub(super) placer: Placer,
    pub(super) chat: ConversationId,
}

pub(super) fn house() -> House {
    let chat = ConversationId::generate();
    let shelf = Arc::new(Shelf::with(&[chat]));
    let park = Arc::new(MemoryPark::default());
    let placer = Placer::new(&Config::default(), shelf.clone(), park.clone());
    House { shelf, park, placer, chat }
}

impl House {
    pub(super) fn rival(&self) -> Placer {
        Placer::new(&Config::default(), self.shelf.clone(), self.park.clone())
    }

    pub(super) async fn place(&mut self, entries: Vec<Entry>) -> Placed {
        let records = [delivered(entries)];
        let placing = self.placer.place(&records);
        tokio::time::timeout(Duration::from_secs(5), placing).await.expect("it ends").expect("the database answers")
    }
}

/// The seqs of a batch's outcomes; 0 for conflicts.
pub(super) fn seqs(placed: &Placed) -> Vec<u64> {
    let outcomes = placed.batches.iter().flat_map(|batch| &batch.outcomes);
    outcomes.map(|draft| if let Outcome::Sent { seq, .. } = draft.outcome { seq.0 } else { 0 }).collect()
}

fn told(placed: &Placed) -> Vec<u64> {
    placed.batches.iter().flat_map(|batch| &batch.rows).map(|row| row.message.seq.0).collect()
}

/// Who was refused, and why.
pub(super) fn refused(placed: &Placed) -> Vec<Refusal> {
    let outcomes = placed.refusals.iter().flat_map(|batch| &batch.outcomes);
    outcomes.map(|draft| if let Outcome::Refused(why) = draft.outcome { why } else { panic!("{draft:?}") }).collect()
}

fn outcome(placed: &Placed, index: usize) -> Outcome {
    placed.batches[0].outcomes[index].outcome
}

/// What both say in one batch gets consecutive places in the log's order, with exact running counts.
#[tokio::test]
async fn drafts_get_dense_places_in_the_order_of_the_log() {
    let mut house = house();
    let chat = house.chat;
    let first = house.place(vec![said(chat, ANN, &[draft("a"), draft("b")]), said(chat, BOB, &[draft("c")])]).await;
    let second = house.place(vec![said(chat, BOB, &[draft("d")])]).await;
    assert_eq!((seqs(&first), seqs(&second)), (vec![1, 2, 3], vec![4]));
    assert_eq!(house.shelf.bodies(chat), ["a", "b", "c", "d"]);
    let state = house.shelf.state.lock();
    let counts: Vec<_> = state.rows.values().map(|row| (row.n, row.own)).collect();
    assert_eq!(counts, [(1, 1), (2, 2), (3, 1), (4, 2)]);
    assert_eq!((state.commits, state.head_reads, state.finds), (2, 1, 0), "one transaction each, one read of the head");
}

/// A row that was placed at a later clock stands before: the new row's time is not earlier.
#[tokio::test]
async fn the_clock_never_goes_back_along_a_conversation() {
    let mut house = house();
    let chat = house.chat;
    house.place(vec![said(chat, ANN, &[draft("a")])]).await;
    let future = now_ms() + 3_600_000;
    house.shelf.state.lock().rows.values_mut().for_each(|row| row.message.at = future);
    let mut fresh = house.rival();
    let placed = fresh.place(&[delivered(vec![said(chat, BOB, &[draft("b")])])]).await.expect("answers");
    assert_eq!(outcome(&placed, 0), Outcome::Sent { seq: Seq(2), at: future });
}

/// The same draft twice in one batch is one row; the same id with another body is told apart.
#[tokio::test]
async fn repeats_within_a_batch_join_and_other_bodies_conflict() {
    let mut house = house();
    let chat = house.chat;
    let one = draft("a");
    let other = whimbrel_core::Draft { body: "x".into(), ..one.clone() };
    let placed = house.place(vec![said(chat, ANN, &[one.clone(), one.clone(), other.clone()])]).await;
    assert_eq!(seqs(&placed), [1, 1, 0]);
    assert_eq!(outcome(&placed, 2), Outcome::Conflict);
    assert_eq!(told(&placed), [1]);
    // And when the first of the batch is the wrong one, the row that stands decides.
    let placed = house.place(vec![said(chat, ANN, &[other, one])]).await;
    assert_eq!((outcome(&placed, 0), seqs(&placed)), (Outcome::Conflict, vec![0, 1]));
    assert_eq!(house.shelf.bodies(chat), ["a"]);
}

/// A retry that comes with new drafts runs into the unique key: it gets its seq, they get theirs, nothing twice.
#[tokio::test]
async fn a_retry_is_answered_with_the_first_seq() {
    let mut house = house();
    let chat = house.chat;
    let (one, two) = (draft("a"), draft("b"));
    house.place(vec![said(chat, ANN, std::slice::from_ref(&one))]).await;
    let placed = house.place(vec![said(chat, ANN, &[two, one])]).await;
    assert_eq!(seqs(&placed), [2, 1]);
    assert_eq!(told(&placed), [1, 2], "the found row is told again, in the order of the places");
    assert_eq!(house.shelf.bodies(chat), ["a", "b"]);
}

/// A batch was committed and not told (a crash): redelivered, it is looked up before anything is inserted.
#[tokio::test]
async fn a_redelivered_record_is_found_and_told_again() {
    let mut house = house();
    let chat = house.chat;
    let mut record = delivered(vec![said(chat, ANN, &[draft("a"), draft("b")])]);
    house.placer.place(&[record.clone()]).await.expect("answers");
    record.redelivered = true;
    let mut fresh = house.rival();
    let commits = house.shelf.state.lock().commits;
    let placed = fresh.place(&[record]).await.expect("answers");
    assert_eq!((seqs(&placed), told(&placed)), (vec![1, 2], vec![1, 2]));
    assert_eq!(house.shelf.state.lock().commits, commits, "nothing was inserted");
}

/// Two archivers take turns without knowing of each other: every remembered head is stale, and nothing is doubled.
#[tokio::test]
async fn a_stale_archiver_collides_and_reads_the_head_again() {
    let mut house = house();
    let chat = house.chat;
    let mut rival = house.rival();
    let mut expected = Vec::new();
    for round in 0..10 {
        let text = round.to_string();
        let entries = vec![said(chat, if round % 2 == 0 { ANN } else { BOB }, &[draft(&text)])];
        let placer = if round % 2 == 0 { &mut house.placer } else { &mut rival };
        let records = [delivered(entries)];
        let placing = tokio::time::timeout(Duration::from_secs(5), placer.place(&records));
        let placed = placing.await.expect("a stale head is read again").expect("answers");
        expected.push(text);
        assert_eq!(seqs(&placed), [round + 1]);
    }
    assert_eq!(house.shelf.bodies(chat), expected);
}

/// Somebody else is always quicker than a large transaction: smaller and smaller ones get through, in order, the next
/// batch begins with such, and when the other is gone they grow again.
#[tokio::test]
async fn two_who_place_in_the_same_conversations_both_get_on() {
    let mut house = house();
    let ms = Duration::from_millis;
    house.placer.backoff = Backoff::new(ms(1), ms(4));
    let (chat, texts) = (house.chat, |from: usize| (from..from + 40).map(|n| n.to_string()).collect::<Vec<_>>());
    let entry = |from| said(chat, ANN, &texts(from).iter().map(|text| draft(text)).collect::<Vec<_>>());
    house.shelf.state.lock().crowd = Some(3);
    let cursors = Cursors { delivered: Seq(1), read: Seq(0) };
    let placed = house.place(vec![entry(0), Entry::Cursor { conversation: chat, user: BOB, cursors }]).await;
    assert_eq!(seqs(&placed), (1..=40).collect::<Vec<_>>());
    assert_eq!(placed.moved.len(), 1);
    let crowded = house.shelf.state.lock().commits;
    house.place(vec![entry(40)]).await;
    let second = house.shelf.state.lock().commits - crowded;
    assert!(second < crowded, "it begins small: {second} transactions, before {crowded}");
    house.shelf.state.lock().crowd = None;
    for round in 2..10 {
        house.place(vec![entry(round * 40)]).await;
    }
    let before = house.shelf.state.lock().commits;
    house.place(vec![entry(400)]).await;
    assert_eq!(house.shelf.state.lock().commits, before + 1, "one transaction again");
    assert_eq!(house.shelf.bodies(chat).len(), 440);
}

/// The block is a row, so the archiver that remembers the time before it cannot place beyond it.
#[tokio::test]
async fn a_block_that_was_placed_first_refuses() {
    let mut house = house();
    let chat = house.chat;
    house.place(vec![said(chat, ANN, &[draft("a")])]).await;
    house.shelf.change(chat, BLOCKED);
    let placed = house.place(vec![said(chat, ANN, &[draft("b")])]).await;
    assert_eq!(refused(&placed), [Refusal::Blocked]);
    assert_eq!(house.shelf.bodies(chat).len(), 2, "the message and the block");
}

/// A refusal inserts nothing that could collide: an archiver that remembers a block must not refuse after its end.
#[tokio::test]
async fn a_remembered_block_refuses_nobody() {
    let mut house = house();
    let chat = house.chat;
    house.shelf.change(chat, BLOCKED);
    let placed = house.place(vec![said(chat, ANN, &[draft("a")])]).await;
    assert_eq!(refused(&placed), [Refusal::Blocked]);
    house.shelf.change(chat, FRIENDS);
    let placed = house.place(vec![said(chat, ANN, &[draft("b")])]).await;
    assert_eq!(seqs(&placed), [3]);
}

/// Placed, then blocked, then retried because the answer got lost: "it will not be placed" would be a lie.
#[tokio::test]
async fn a_retry_of_a_placed_message_is_not_refused_after_a_block() {
    let mut house = house();
    let chat = house.chat;
    let one = draft("a");
    house.place(vec![said(chat, ANN, std::slice::from_ref(&one))]).await;
    house.shelf.change(chat, BLOCKED);
    let placed = house.place(vec![said(chat, ANN, &[one, draft("b")])]).await;
    assert_eq!(seqs(&placed), [1]);
    assert_eq!(refused(&placed), [Refusal::Blocked]);
}

#[tokio::test]
async fn strangers_and_unknown_conversations_are_refused() {
    let mut house = house();
    let entries = vec![said(house.chat, EVE, &[draft("a")]), said(ConversationId::generate(), ANN, &[draft("b")])];
    let placed = house.place(entries).await;
    assert_eq!(refused(&placed), [Refusal::NotMember, Refusal::NotMember]);
}

/// The engine names the bad row, or it does not and the batch is halved: either way the others get their places.
#[tokio::test]
async fn a_row_that_the_database_refuses_is_parked_and_the_others_are_placed() {
    for named in [true, false] {
        let mut house = house();
        let chat = house.chat;
        house.shelf.state.lock().refuses = Some(("bad".into(), named));
        let drafts: Vec<_> = ["a", "b", "bad", "c", "d"].map(draft).into();
        let cursors = Cursors { delivered: Seq(2), read: Seq(1) };
        let entries = vec![said(chat, ANN, &drafts), Entry::Cursor { conversation: chat, user: BOB, cursors }];
        let placed = house.place(entries).await;
        assert_eq!(seqs(&placed), [1, 2, 3, 4], "named: {named}");
        assert_eq!(refused(&placed), [Refusal::Unplaceable]);
        assert_eq!(house.shelf.bodies(chat), ["a", "b", "c", "d"]);
        let parked: Vec<_> = house.park.letters().into_iter().map(|letter| letter.draft).collect();
        assert_eq!(parked, [drafts[2].clone()]);
        assert_eq!(placed.moved.len(), 1, "the cursor was not lost on the way");
    }
}

/// The database goes away after the commit: the caller hears an error, and the redelivery finds the rows.
#[tokio::test]
async fn an_unknown_commit_is_found_and_not_made_twice() {
    let mut house = house();
    let chat = house.chat;
    let mut record = delivered(vec![said(chat, ANN, &[draft("a"), draft("b")])]);
    house.shelf.state.lock().faults.extend([Fault::Away, Fault::AwayAfter]);
    for _ in 0..2 {
        assert!(house.placer.place(&[record.clone()]).await.is_err());
        record.redelivered = true;
    }
    let placed = house.placer.place(&[record]).await.expect("answers");
    assert_eq!((seqs(&placed), told(&placed)), (vec![1, 2], vec![1, 2]));
    assert_eq!(house.shelf.bodies(chat), ["a", "b"]);
}

/// The database lost its last row and is reached anew, before a batch or between its plan and its commit: the next places
/// follow what is there. Of what is remembered nothing would collide.
#[tokio::test]
async fn a_database_that_went_back_gets_no_hole() {
    for during in [false, true] {
        let mut house = house();
        let chat = house.chat;
        house.place(vec![said(chat, ANN, &[draft("a"), draft("b"), draft("lost")])]).await;
        if during {
            house.shelf.state.lock().goes_back = true;
        } else {
            house.shelf.go_back();
        }
        let placed = house.place(vec![said(chat, ANN, &[draft("c")])]).await;
        assert_eq!(seqs(&placed), [3], "during: {during}");
        assert_eq!(house.shelf.bodies(chat), ["a", "b", "c"]);
        let reads = house.shelf.state.lock().head_reads;
        house.place(vec![said(chat, ANN, &[draft("d")])]).await;
        assert_eq!(house.shelf.state.lock().head_reads, reads, "what was read anew is remembered");
    }
}

/// After a failure everything is read again, also of conversations that had no part in it.
#[tokio::test]
async fn nothing_is_remembered_of_a_database_that_failed() {
    let mut house = house();
    house.place(vec![said(house.chat, ANN, &[draft("a")])]).await;
    let reads = house.shelf.state.lock().head_reads;
    house.placer.forget();
    house.place(vec![said(house.chat, ANN, &[draft("b")])]).await;
    assert_eq!(house.shelf.state.lock().head_reads, reads + 1);
}

/// Cursors of a batch are one write for each user and conversation, no further than the head, and members' only.
#[tokio::test]
async fn cursors_coalesce_and_strangers_have_none() {
    let mut house = house();
    let chat = house.chat;
    let cursor = |user, delivered, read| Entry::Cursor {
        conversation: chat,
        user,
        cursors: Cursors { delivered: Seq(delivered), read: Seq(read) },
    };
    let entries =
        vec![said(chat, ANN, &[draft("a"), draft("b")]), cursor(BOB, 1, 0), cursor(BOB, 0, 9), cursor(EVE, 1, 1)];
    let placed = house.place(entries).await;
    assert_eq!(placed.moved.len(), 1);
    assert_eq!((placed.moved[0].user, placed.moved[0].cursors), (BOB, Cursors { delivered: Seq(2), read: Seq(2) }));
}

/// The stored hash is the body's SHA-256.
#[tokio::test]
async fn the_hash_is_of_the_body() {
    let mut house = house();
    let one = draft("a");
    house.place(vec![said(house.chat, ANN, std::slice::from_ref(&one))]).await;
    let found = house.shelf.find(&[(house.chat, ANN, one.message_id)]).await.expect("answers");
    assert_eq!(found[0].expect("placed").hash, <[u8; 32]>::from(Sha256::digest(b"a")));
}
