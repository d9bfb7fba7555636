//! Consuming: partitions, takeovers, hand-overs, what cannot be read.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::{DeadLetters, DeadWhat, RabbitLog};
use super::*;

/// An archiver in small: takes, tells what it took, acknowledges one delivery later.
fn archiver(log: RabbitLog, name: usize, took: mpsc::UnboundedSender<(usize, Delivered)>, stop: CancellationToken) {
    tokio::spawn(async move {
        let mut consumer = log.consume().await.expect("a broker");
        loop {
            let taken = tokio::select! {
                () = stop.cancelled() => return,
                taken = consumer.next(16) => taken.expect("answers"),
            };
            let marks: Vec<_> = taken.iter().map(|one| (one.partition, one.tag)).collect();
            for one in taken {
                let _ = took.send((name, one));
            }
            tokio::task::yield_now().await;
            consumer.acknowledge(&marks).await.expect("answers");
        }
    });
}

/// What each partition brought, whoever took it: new numbers only ever rise by one, and nothing newer is taken by one
/// archiver before something older that comes again.
#[derive(Default)]
struct Ledger {
    next: BTreeMap<u32, u64>,
    server: BTreeMap<u32, usize>,
}

impl Ledger {
    fn take(&mut self, archiver: usize, one: &Delivered) {
        let (next, number) = (self.next.entry(one.partition).or_default(), number(&one.record));
        assert!(number <= *next, "partition {}: {number} before {next}", one.partition);
        assert!(number == *next || one.redelivered, "partition {}: {number} again, unmarked", one.partition);
        if number == *next {
            *next += 1;
            self.server.insert(one.partition, archiver);
        }
    }
}

/// One archiver serves four partitions under load; a second one starts, and both are told their shares: each ends with
/// its own, and no partition ever sees a newer record before an older one. Then the second one goes, and the first takes
/// all again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_archiver_gets_its_share_in_order_and_gives_it_back() {
    let config = config(4);
    let _cleanup = Cleanup(config.clone(), 4);
    let writing = RabbitLog::open(config.clone()).await.expect("a broker");
    let (first, second) = (RabbitLog::open(config.clone()).await, RabbitLog::open(config.clone()).await);
    let (first, second) = (first.expect("a broker"), second.expect("a broker"));
    let (took, mut taken) = mpsc::unbounded_channel();
    let (stop, stop_second) = (CancellationToken::new(), CancellationToken::new());
    archiver(first.clone(), 0, took.clone(), stop.clone());
    let (mut ledger, mut round) = (Ledger::default(), 0);
    let mut load = async |ledger: &mut Ledger, done: &dyn Fn(&Ledger) -> bool| {
        let late = tokio::time::Instant::now() + PATIENCE;
        while !done(ledger) {
            assert!(tokio::time::Instant::now() < late, "never: {:?}", ledger.server);
            let confirms: Vec<_> = (0..16).map(|i| writing.append(i % 4, numbered(round + u64::from(i / 4)))).collect();
            round += 4;
            for confirm in confirms {
                confirm.expect("taken").await.expect("confirmed");
            }
            while ledger.next.len() < 4 || ledger.next.values().any(|next| *next < round) {
                let one = tokio::time::timeout(PATIENCE, taken.recv()).await.expect("in time").expect("an archiver");
                ledger.take(one.0, &one.1);
            }
        }
    };
    load(&mut ledger, &|ledger| ledger.server.values().all(|server| *server == 0) && ledger.next.get(&0) >= Some(&40))
        .await;

    archiver(second.clone(), 1, took.clone(), stop_second.clone());
    first.set_share(0, 2);
    second.set_share(1, 2);
    load(&mut ledger, &|ledger| ledger.server.iter().all(|(partition, server)| *partition as usize % 2 == *server))
        .await;

    stop_second.cancel();
    load(&mut ledger, &|ledger| ledger.server.values().all(|server| *server == 0)).await;
    stop.cancel();
}

/// What was handed out before the partition was given up can be acknowledged, and does not come again; while it is not,
/// nobody else gets anything of that partition.
#[tokio::test]
async fn a_partition_is_handed_over_once_all_is_acknowledged() {
    let config = config(1);
    let _cleanup = Cleanup(config.clone(), 1);
    let (first, second) = (RabbitLog::open(config.clone()).await, RabbitLog::open(config.clone()).await);
    let (first, second) = (first.expect("a broker"), second.expect("a broker"));
    append_all(&first, 0, 0..10).await;
    let (mut old, mut new) = (first.consume().await.expect("a broker"), second.consume().await.expect("a broker"));
    let taken = old.next(4).await.expect("answers");
    assert_eq!(numbers(&taken), [0, 1, 2, 3]);
    first.set_share(1, 2);
    let waits = Duration::from_millis(100);
    assert!(tokio::time::timeout(waits, old.next(4)).await.is_err(), "it takes nothing more");
    assert!(tokio::time::timeout(waits, new.next(4)).await.is_err(), "not yet");
    old.acknowledge(&[(0, taken[1].tag)]).await.expect("answers");
    assert!(tokio::time::timeout(waits, new.next(4)).await.is_err(), "not yet");
    old.acknowledge(&[(0, taken[3].tag)]).await.expect("answers");
    assert_eq!(numbers(&take(&mut *new, 6).await), [4, 5, 6, 7, 8, 9]);
    // It stands in line again.
    let again = take(&mut *old, 6);
    tokio::pin!(again);
    assert!(tokio::time::timeout(waits, &mut again).await.is_err(), "second in line");
    drop(new);
    assert_eq!(numbers(&again.await), [4, 5, 6, 7, 8, 9]);
}

/// Two numbers at once: a writer with three, an archiver with one. It finds what is there when it starts, and is told
/// of the rest while it runs.
#[tokio::test]
async fn an_archiver_with_fewer_partitions_takes_up_all() {
    let config = config(3);
    let _cleanup = Cleanup(config.clone(), 4);
    let writing = RabbitLog::open(config.clone()).await.expect("a broker");
    append_all(&writing, 2, [2]).await;
    let small = RabbitLog::open(RabbitConfig { partitions: 1, ..config.clone() }).await.expect("a broker");
    let mut consumer = small.consume().await.expect("a broker");
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [2]);
    let larger = RabbitLog::open(RabbitConfig { partitions: 4, ..config.clone() }).await.expect("a broker");
    append_all(&larger, 3, [3]).await;
    let waits = Duration::from_millis(50);
    assert!(tokio::time::timeout(waits, consumer.next(10)).await.is_err(), "not known yet");
    {
        let next = consumer.next(10);
        tokio::pin!(next);
        assert!(tokio::time::timeout(waits, &mut next).await.is_err(), "it waits");
        small.set_partitions_seen(4);
        let taken = next.await.expect("answers");
        assert_eq!((taken[0].partition, numbers(&taken)), (3, vec![3]));
    }
    small.set_partitions_seen(2);
    append_all(&larger, 3, [4]).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [4], "never fewer");
}

/// Between two records stands something that is none. It ends with the dead letters, and the records are taken,
/// acknowledged, and do not come again; nor does it.
#[tokio::test]
async fn what_cannot_be_read_is_parked_and_holds_nobody_up() {
    let config = config(1);
    let _cleanup = Cleanup(config.clone(), 1);
    let log = RabbitLog::open(config.clone()).await.expect("a broker");
    append_all(&log, 0, [0]).await;
    publish_raw(&config, 0, b"\xffnothing").await;
    append_all(&log, 0, [1]).await;
    let mut consumer = log.consume().await.expect("a broker");
    let taken = take(&mut *consumer, 2).await;
    assert_eq!(numbers(&taken), [0, 1]);
    consumer.acknowledge(&[(0, taken[1].tag)]).await.expect("answers");
    drop(consumer);
    let dead = DeadLetters::open(config.clone()).await.expect("a broker");
    let entries = dead.list(10).await.expect("answers");
    let DeadWhat::Record { partition, reason, body } = &entries[0].what else { panic!("{entries:?}") };
    assert_eq!((entries.len(), *partition, &body[..]), (1, 0, &b"\xffnothing"[..]));
    assert!(reason.contains("protobuf"), "{reason}");
    until("empty", async || waiting(&config, config.log_queue(0)).await == 0).await;
}

/// The future is dropped at every point that it comes to, and still every record is taken once, in order.
#[tokio::test]
async fn dropping_next_loses_nothing() {
    let config = config(2);
    let _cleanup = Cleanup(config.clone(), 2);
    let log = RabbitLog::open(config.clone()).await.expect("a broker");
    let mut consumer = log.consume().await.expect("a broker");
    let (mut taken, mut appended) = (Vec::new(), 0);
    let late = tokio::time::Instant::now() + PATIENCE;
    while taken.len() < 100 {
        assert!(tokio::time::Instant::now() < late, "{} came", taken.len());
        if appended < 100 {
            drop(log.append(0, numbered(appended)).expect("taken"));
            appended += 1;
        }
        tokio::select! {
            biased;
            next = consumer.next(3) => {
                let next = next.expect("answers");
                let mark = (0, next[next.len() - 1].tag);
                taken.extend(numbers(&next));
                consumer.acknowledge(&[mark]).await.expect("answers");
            }
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(taken, (0..100).collect::<Vec<_>>());
}
