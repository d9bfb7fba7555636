//! Sending: order, repeats, gathering, give-up.

use std::sync::atomic::Ordering;
use std::time::Duration;

use whimbrel_core::{Draft, Outcome, Refusal};
use whimbrel_store::directory::RelationChange;
use whimbrel_transfer::Config;

use crate::support::{House, config, draft, drafts, seq, until};

/// Both talk at once for a while. The timeline is dense, each sender's drafts stand in their order, and each session
/// hears of every place once and in order: its own by answers, the other's by deliveries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_talk_hear_of_every_place_once_and_in_order() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    let talk = async |from, name: &str| {
        for round in 0..20 {
            let batch: Vec<Draft> = (0..=round % 4).map(|part| draft(&format!("{name}{round:02}{part}"))).collect();
            for outcome in house.say(from, chat, &batch).await {
                seq(outcome);
            }
        }
    };
    tokio::join!(talk(ann, "a"), talk(bob, "b"));
    let rows = house.rows(chat).await;
    let heads: Vec<u64> = rows.iter().map(|row| row.seq.0).collect();
    assert_eq!(heads, (1..=rows.len() as u64).collect::<Vec<_>>());
    let texts = house.texts(chat).await;
    assert_eq!(texts.len(), 100);
    for name in ["a", "b"] {
        let said: Vec<&String> = texts.iter().filter(|text| text.starts_with(name)).collect();
        assert!(said.is_sorted() && said.len() == 50, "{said:?}");
    }
    for session in [ann, bob] {
        // The first place is the one that told of the friendship, before the sessions were there.
        let expected: Vec<u64> = (2..=rows.len() as u64).collect();
        house.connector.wait(session.session, |got| (got.places(chat) == expected).then_some(())).await;
    }
    archiver.kill().await;
}

/// A lost connection: the same drafts again from a new session join what is under way, and that session is answered.
#[tokio::test]
async fn a_retry_from_a_new_session_joins_and_is_answered_there() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    house.timeline.close_gate();
    let archiver = house.archiver();
    let batch = drafts(&["a", "b"]);
    house.send(ann, chat, &batch);
    until(|| house.timeline.at_gate.load(Ordering::Acquire) == 1).await;
    let again = house.try_attach(ann.user, ann.device).await.unwrap();
    house.send(again, chat, &batch);
    house.timeline.open_gate();
    let seqs: Vec<u64> = house.answers(again, &batch).await.into_iter().map(seq).collect();
    assert_eq!(seqs, [2, 3]);
    assert_eq!(house.log.records.lock().len(), 1, "joined, not published again");
    assert_eq!(house.connector.look(again.session, |got| got.places(chat)), [2, 3], "once, as answers");
    house.connector.wait(bob.session, |got| (got.places(chat) == [2, 3]).then_some(())).await;
    archiver.kill().await;
}

/// The answer got lost and the draft comes again much later, behind another: it gets its first seq.
#[tokio::test]
async fn a_late_retry_is_answered_with_the_first_seq_and_another_body_is_a_conflict() {
    let house = House::usual();
    let (ann, _, chat) = house.pair().await;
    let archiver = house.archiver();
    let one = draft("a");
    assert_eq!(seq(house.say(ann, chat, std::slice::from_ref(&one)).await[0]), 2);
    house.connector.clear(ann.session);
    let outcomes = house.say(ann, chat, &[draft("b"), one.clone()]).await;
    assert_eq!((seq(outcomes[0]), seq(outcomes[1])), (3, 2));
    let other = Draft { body: "other".into(), ..one };
    house.connector.clear(ann.session);
    assert_eq!(house.say(ann, chat, &[other]).await, [Outcome::Conflict]);
    assert_eq!(house.texts(chat).await, ["a", "b"]);
    archiver.kill().await;
}

/// One batch of a device in a conversation at a time: that is what keeps its order.
#[tokio::test]
async fn a_second_batch_of_a_device_is_told_to_come_again() {
    let house = House::usual();
    let (ann, _, chat) = house.pair().await;
    let (first, second) = (drafts(&["a"]), drafts(&["b"]));
    house.send(ann, chat, &first);
    let outcomes = house.say(ann, chat, &second).await;
    assert!(matches!(outcomes[0], Outcome::Retry { after_ms } if after_ms > 0));
    let archiver = house.archiver();
    house.answers(ann, &first).await;
    assert_eq!(house.texts(chat).await, ["a"]);
    archiver.kill().await;
}

/// One record may be under way, and the commit is held: what twenty devices send meanwhile is one record.
#[tokio::test]
async fn what_comes_while_a_record_is_under_way_leaves_in_one_record() {
    let house = House::new(config(), 1, 1);
    let (ann, bob, chat) = house.pair().await;
    house.timeline.close_gate();
    let archiver = house.archiver();
    let first = drafts(&["first"]);
    house.send(bob, chat, &first);
    until(|| house.timeline.at_gate.load(Ordering::Acquire) == 1).await;
    let mut others = Vec::new();
    for number in 0..20 {
        let session = house.session(ann.user).await;
        let batch = drafts(&[&format!("{number}")]);
        house.send(session, chat, &batch);
        others.push((session, batch));
    }
    assert_eq!(house.log.records.lock().len(), 1);
    house.timeline.open_gate();
    for (session, batch) in others {
        seq(house.answers(session, &batch).await[0]);
    }
    let sizes: Vec<usize> = house.log.records.lock().iter().map(|record| record.entries.len()).collect();
    assert_eq!(sizes, [1, 20]);
    archiver.kill().await;
}

/// Ann's message is in the log when Bob's block gets its place: the message must not stand after it.
#[tokio::test]
async fn a_block_that_gets_its_place_first_refuses_what_was_submitted_before() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    seq(house.say(ann, chat, &drafts(&["before"])).await[0]);
    house.timeline.close_gate();
    let late = drafts(&["late"]);
    house.send(ann, chat, &late);
    until(|| house.timeline.at_gate.load(Ordering::Acquire) == 1).await;
    house.change(bob.user, ann.user, RelationChange::Block).await;
    house.timeline.open_gate();
    assert_eq!(house.answers(ann, &late).await, [Outcome::Refused(Refusal::Blocked)]);
    assert_eq!(house.texts(chat).await, ["before"]);
    archiver.kill().await;
}

/// The archiver stands still for longer than anybody waits: "again" comes first, and the place, when it comes, is
/// delivered to the sender like to everybody.
#[tokio::test]
async fn a_place_that_comes_too_late_to_be_answered_is_delivered_to_the_sender_too() {
    let house = House::new(Config { place_timeout: Duration::from_millis(100), ..config() }, 8, 1);
    let (ann, bob, chat) = house.pair().await;
    house.timeline.close_gate();
    let archiver = house.archiver();
    let batch = drafts(&["a"]);
    let outcomes = house.say(ann, chat, &batch).await;
    assert!(matches!(outcomes[0], Outcome::Retry { .. }), "{outcomes:?}");
    house.timeline.open_gate();
    for session in [ann, bob] {
        house.connector.wait(session.session, |got| (got.messages(chat).len() == 1).then_some(())).await;
    }
    house.connector.clear(ann.session);
    assert_eq!(seq(house.say(ann, chat, &batch).await[0]), 2, "and the retry is answered with that place");
    archiver.kill().await;
}

/// The log takes nothing: the whole Send is told to come again, and nothing of it was published.
#[tokio::test]
async fn a_send_that_the_log_does_not_take_is_answered_whole() {
    let house = House::usual();
    let (ann, _, chat) = house.pair().await;
    let archiver = house.archiver();
    house.log.full.store(1, Ordering::Release);
    let batch = drafts(&["a", "b", "c"]);
    let outcomes = house.say(ann, chat, &batch).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Retry { after_ms } if *after_ms > 0)));
    assert!(house.log.records.lock().is_empty());
    house.connector.clear(ann.session);
    assert_eq!(house.say(ann, chat, &batch).await.into_iter().map(seq).collect::<Vec<_>>(), [2, 3, 4]);
    archiver.kill().await;
}

/// What can never be placed is refused at once and alone; the rest of the Send goes on.
#[tokio::test]
async fn bad_drafts_are_refused_and_good_ones_of_the_same_send_are_placed() {
    let house = House::usual();
    let (ann, _, chat) = house.pair().await;
    let archiver = house.archiver();
    let mut batch = drafts(&["a", "b", "c"]);
    batch[1].key_version = 0;
    let outcomes = house.say(ann, chat, &batch).await;
    assert_eq!(outcomes[1], Outcome::Refused(Refusal::BadKey));
    assert_eq!((seq(outcomes[0]), seq(outcomes[2])), (2, 3));
    archiver.kill().await;
}

/// A draft from the day after tomorrow: somebody's clock is wrong, perhaps the server's. The Send waits, whole, so that
/// its order stays.
#[tokio::test]
async fn a_draft_from_the_future_is_told_to_come_again_with_its_whole_send() {
    let house = House::usual();
    let (ann, _, chat) = house.pair().await;
    let mut batch = drafts(&["a", "b", "c"]);
    let mut id = *batch[1].message_id.as_bytes();
    let ahead = batch[1].message_id.unix_ms().unwrap() + 48 * 3600 * 1000;
    id[..6].copy_from_slice(&ahead.to_be_bytes()[2..]);
    batch[1].message_id = whimbrel_core::MessageId::from_bytes(id);
    let outcomes = house.say(ann, chat, &batch).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Retry { after_ms } if *after_ms >= 1000)));
    assert!(house.log.records.lock().is_empty());
}

/// A stop waits for places: everything that was let in is answered before it returns, everything after it comes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_answers_what_was_let_in() {
    let house = House::new(config(), 1, 1);
    let (ann, bob, chat) = house.pair().await;
    house.timeline.close_gate();
    let archiver = house.archiver();
    let (one, two) = (drafts(&["a"]), drafts(&["b"]));
    house.send(ann, chat, &one);
    house.send(bob, chat, &two);
    until(|| house.timeline.at_gate.load(Ordering::Acquire) == 1).await;
    let (_, late) = tokio::join!(house.transfer.stop(), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let late = draft("late");
        house.send(ann, chat, std::slice::from_ref(&late));
        house.timeline.open_gate();
        late
    });
    for (session, batch) in [(ann, &one), (bob, &two)] {
        let placed = house.connector.look(session.session, |got| got.answer(batch[0].message_id));
        seq(placed.expect("answered before the stop returned"));
    }
    let late = house.connector.look(ann.session, |got| got.answer(late.message_id));
    assert!(matches!(late, Some(Outcome::Retry { .. })));
    archiver.kill().await;
}
