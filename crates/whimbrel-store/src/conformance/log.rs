//! Log: order, redelivery, turns.

use std::time::Duration;

use bytes::Bytes;
use whimbrel_core::{BatchId, ConversationId, DeviceId, Draft, MessageId, MessageKind, TransferId, UserId};

use crate::log::{Confirm, Consumer, Delivered, DraftsEntry, Entry, Log, LogError, Record};

/// Long enough for what should not happen to happen; only failures wait for all of it elsewhere.
const A_WHILE: Duration = Duration::from_millis(50);

fn record(drafts: usize) -> Record {
    let draft = || Draft {
        message_id: MessageId::generate(),
        kind: MessageKind::TEXT,
        key_version: 1,
        body: Bytes::from_static(b"body"),
    };
    let entry = DraftsEntry {
        conversation: ConversationId::generate(),
        sender: UserId(1),
        device: DeviceId::from_bytes([1; 16]),
        drafts: (0..drafts).map(|_| draft()).collect(),
    };
    Record {
        batch: BatchId::generate(),
        transfer: TransferId::from_bytes([2; 16]),
        entries: vec![Entry::Drafts(entry)],
    }
}

fn append(log: &dyn Log, drafts: usize) -> (Record, Confirm) {
    let record = record(drafts);
    let confirm = log.append(0, record.clone()).expect("there is room");
    (record, confirm)
}

fn fill(log: &dyn Log, count: usize) -> (Vec<Record>, Vec<Confirm>) {
    (0..count).map(|_| append(log, 1)).unzip()
}

async fn take(consumer: &mut dyn Consumer, count: usize) -> Vec<Delivered> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = consumer.next(1000).await.expect("the log answers");
        assert!(!next.is_empty(), "the log is open");
        taken.extend(next);
    }
    taken
}

fn records(delivered: &[Delivered]) -> Vec<Record> {
    delivered.iter().map(|delivered| delivered.record.clone()).collect()
}

/// Everything once, in order, with growing tags, and whole.
pub async fn records_come_in_the_order_of_their_appending(log: &dyn Log) {
    let (sent, _confirms) = fill(log, 50);
    let mut consumer = log.consume().await.expect("nobody consumes");
    let taken = take(&mut *consumer, 50).await;
    assert_eq!(records(&taken), sent);
    assert!(taken.is_sorted_by(|a, b| a.tag < b.tag) && taken.iter().all(|one| !one.redelivered && one.partition == 0));
    assert!(log.partitions() >= 1 && log.records_in_flight() >= 1);
}

/// Ten, of which three are acknowledged; the consumer ends, two more are appended: seven marked ones, then two.
pub async fn what_was_not_acknowledged_comes_again_first_and_marked(log: &dyn Log) {
    let (sent, _confirms) = fill(log, 10);
    let mut consumer = log.consume().await.expect("nobody consumes");
    let taken = take(&mut *consumer, 10).await;
    consumer.acknowledge(&[(0, taken[2].tag)]).await.expect("the log answers");
    drop(consumer);
    let (newer, _more) = fill(log, 2);
    let mut consumer = log.consume().await.expect("nobody consumes");
    let again = take(&mut *consumer, 9).await;
    assert_eq!(records(&again), [&sent[3..], &newer].concat());
    // The newer ones may be marked too: an engine may have had them on their way to the first consumer.
    assert!(again[..7].iter().all(|one| one.redelivered));
}

/// All acknowledged, one by one and together: the next consumer finds only what is new.
pub async fn acknowledged_records_never_come_again(log: &dyn Log) {
    let (_, _confirms) = fill(log, 6);
    let mut consumer = log.consume().await.expect("nobody consumes");
    let taken = take(&mut *consumer, 6).await;
    for tag in [taken[0].tag, taken[0].tag, taken[5].tag] {
        consumer.acknowledge(&[(0, tag)]).await.expect("the log answers");
    }
    drop(consumer);
    let (newer, _more) = fill(log, 1);
    let mut consumer = log.consume().await.expect("nobody consumes");
    assert_eq!(records(&take(&mut *consumer, 1).await), newer);
}

/// At the latest when it was acknowledged; a dropped confirm disturbs nobody.
pub async fn a_record_is_confirmed_once_it_is_safe(log: &dyn Log) {
    let (_, first) = append(log, 1);
    let (_, second) = append(log, 1);
    drop(second);
    let (_, third) = append(log, 1);
    let mut consumer = log.consume().await.expect("nobody consumes");
    let taken = take(&mut *consumer, 3).await;
    consumer.acknowledge(&[(0, taken[2].tag)]).await.expect("the log answers");
    assert_eq!((first.await, third.await), (Ok(()), Ok(())));
}

/// It gets nothing while the first is there, and everything afterwards.
pub async fn a_second_consumer_waits_for_the_end_of_the_first(log: &dyn Log) {
    let (sent, _confirms) = fill(log, 2);
    let mut first = log.consume().await.expect("nobody consumes");
    take(&mut *first, 2).await;
    let second = async {
        let mut second = log.consume().await.expect("its turn");
        take(&mut *second, 2).await
    };
    tokio::pin!(second);
    assert!(tokio::time::timeout(A_WHILE, &mut second).await.is_err(), "there is one already");
    drop(first);
    assert_eq!(records(&second.await), sent);
}

/// Records of ten drafts, twenty-five asked: three come, because none is split; one draft asked: one record.
pub async fn a_delivery_holds_about_as_many_drafts_as_asked(log: &dyn Log) {
    let _confirms: Vec<_> = (0..8).map(|_| append(log, 10)).collect();
    let mut consumer = log.consume().await.expect("nobody consumes");
    let mut sizes = Vec::new();
    for asked in [1, 25, 0] {
        sizes.push(consumer.next(asked).await.expect("the log answers").len());
    }
    assert!(sizes[0] == 1 && (1..=3).contains(&sizes[1]) && sizes[2] == 1, "{sizes:?}");
}

/// It waits first, and nothing but the append can end that.
pub async fn a_waiting_consumer_wakes_by_an_append(log: &dyn Log) {
    let mut consumer = log.consume().await.expect("nobody consumes");
    for _ in 0..100 {
        let mut next = consumer.next(10);
        let waits = std::future::poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context).is_pending()));
        assert!(waits.await, "there is nothing");
        let (sent, _confirm) = append(log, 1);
        let taken = next.await.expect("the log answers");
        assert_eq!(records(&taken), [sent]);
        consumer.acknowledge(&[(0, taken[0].tag)]).await.expect("the log answers");
    }
}

/// What is in it still comes; then nothing, at once; and an append is refused.
pub async fn a_closed_log_is_drained_and_takes_no_more(log: &dyn Log) {
    let (sent, _confirms) = fill(log, 3);
    log.close();
    let refused = log.append(0, record(1));
    assert!(matches!(refused.map(drop), Err(LogError::Unavailable(_))));
    let mut consumer = log.consume().await.expect("nobody consumes");
    assert_eq!(records(&take(&mut *consumer, 3).await), sent);
    assert!(consumer.next(10).await.expect("the log answers").is_empty());
    drop(consumer);
    let mut consumer = log.consume().await.expect("nobody consumes");
    assert_eq!(take(&mut *consumer, 3).await.len(), 3, "not acknowledged: still there");
}
