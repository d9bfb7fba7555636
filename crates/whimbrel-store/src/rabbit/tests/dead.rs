//! Dead letters: kept, looked at, sent again, dropped.

use super::super::{DeadLetters, DeadWhat, RabbitLog, RabbitPark, Which};
use super::*;
use crate::log::partition_of;
use crate::park::{DeadLetter, Park};

fn letter(body: &'static str) -> DeadLetter {
    let (message_id, body) = (MessageId::generate(), Bytes::from_static(body.as_bytes()));
    DeadLetter {
        conversation: ConversationId::generate(),
        sender: UserId(5),
        device: DeviceId::generate(),
        draft: Draft { message_id, kind: MessageKind::TEXT, key_version: 2, body },
        reason: "the database's words".into(),
    }
}

/// Three are parked. Looking changes nothing, thirty times (the broker counts deliveries). One is sent again: it comes
/// to its conversation's partition under its own id. One is dropped. One is left.
#[tokio::test]
async fn dead_letters_are_kept_until_an_operator_decides() {
    let config = config(3);
    let _cleanup = Cleanup(config.clone(), 3);
    let log = RabbitLog::open(config.clone()).await.expect("a broker");
    let park = RabbitPark::new(&log);
    let letters = [letter("one"), letter("two"), letter("three")];
    for letter in &letters {
        park.park(letter.clone()).await.expect("kept");
    }
    let dead = DeadLetters::open(config.clone()).await.expect("a broker");
    for _ in 0..30 {
        assert_eq!(dead.list(2).await.expect("answers").len(), 2);
    }
    until("all back", async || dead.count().await.expect("answers") == 3).await;
    let entries = dead.list(10).await.expect("answers");
    for (entry, letter) in entries.iter().zip(&letters) {
        assert_eq!(entry.what, DeadWhat::Draft(letter.clone()));
        assert!(!entry.id.is_nil() && entry.at > 1_500_000_000);
    }
    until("all back", async || dead.count().await.expect("answers") == 3).await;

    assert_eq!(dead.replay(Which::One(entries[1].id)).await.expect("answers"), 1);
    let mut consumer = log.consume().await.expect("a broker");
    let taken = take(&mut *consumer, 1).await;
    assert_eq!(taken[0].partition, partition_of(letters[1].conversation, 3));
    let Entry::Drafts(entry) = &taken[0].record.entries[0] else { panic!("drafts") };
    assert_eq!((&entry.drafts[0], entry.device), (&letters[1].draft, letters[1].device));

    until("all back", async || dead.count().await.expect("answers") == 2).await;
    assert_eq!(dead.drop(Which::One(entries[0].id)).await.expect("answers"), 1);
    assert_eq!(dead.drop(Which::One(entries[0].id)).await.expect("answers"), 0, "it is gone");
    until("all back", async || dead.count().await.expect("answers") == 1).await;
    assert_eq!(dead.list(10).await.expect("answers")[0].id, entries[2].id);
    until("all back", async || dead.count().await.expect("answers") == 1).await;
    assert_eq!(dead.replay(Which::All).await.expect("answers"), 1);
    until("none", async || dead.count().await.expect("answers") == 0).await;
}

/// The same words as the transfers' (their test holds the same numbers).
#[test]
fn a_conversations_partition_never_changes() {
    let of = |byte, partitions| partition_of(ConversationId::from_bytes([byte; 16]), partitions);
    assert_eq!([of(0, 16), of(1, 16), of(2, 16), of(255, 16), of(9, 1)], [12, 14, 8, 13, 0]);
}
