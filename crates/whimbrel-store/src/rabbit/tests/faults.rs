//! A broker that is killed, restarted and frozen; a consumer that is frozen. One private broker for all, because each
//! takes seconds to start.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use whimbrel_engines::Rabbit;

use super::super::RabbitLog;
use super::*;

/// Passes bytes on until it is told to stop, and then holds the connections without a word: to both ends the other is
/// frozen, as after SIGSTOP.
async fn passage(to: u16, frozen: watch::Receiver<bool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_in, far_out, frozen.clone()));
            tokio::spawn(pass(far_in, near_out, frozen.clone()));
        }
    });
    port
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            () = async { drop(frozen.wait_for(|frozen| *frozen).await) } => return std::future::pending().await,
            read = from.read(&mut bytes) => read,
        };
        match read {
            Ok(length) if length > 0 => {
                if to.write_all(&bytes[..length]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// Takes everything, over as many consumers as it needs. Within one consumer numbers only grow: so what comes again comes
/// before anything newer. Returns which were taken.
async fn take_through_faults(log: RabbitLog, upto: watch::Receiver<Option<u64>>, stop: Arc<AtomicBool>) -> Vec<u64> {
    let mut taken = Vec::new();
    let done = |taken: &[u64]| upto.borrow().is_some_and(|last| taken.contains(&last));
    while !done(&taken) && !stop.load(Ordering::Acquire) {
        let Ok(mut consumer) = log.consume().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let mut before: Option<u64> = None;
        while !done(&taken) {
            let Ok(next) = consumer.next(8).await else { break };
            for one in &next {
                let number = number(&one.record);
                assert!(before.is_none_or(|before| before < number), "{number} after {before:?}");
                assert!(!taken.contains(&number) || one.redelivered, "{number} again, unmarked");
                before = Some(number);
            }
            taken.extend(numbers(&next));
            let last = next[next.len() - 1].clone();
            if consumer.acknowledge(&[(0, last.tag)]).await.is_err() {
                break;
            }
        }
    }
    taken
}

/// Appends one after another, as far as the log lets it; which were confirmed.
async fn append_through_faults(log: &RabbitLog, numbers: std::ops::Range<u64>) -> Vec<u64> {
    let mut confirmed = Vec::new();
    let mut under_way = std::collections::VecDeque::new();
    for number in numbers {
        if let Ok(confirm) = log.append(0, numbered(number)) {
            under_way.push_back((number, confirm));
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if under_way.len() >= 4
            && let Some((number, confirm)) = under_way.pop_front()
            && confirm.await.is_ok()
        {
            confirmed.push(number);
        }
    }
    for (number, confirm) in under_way {
        if confirm.await.is_ok() {
            confirmed.push(number);
        }
    }
    confirmed
}

/// A node keeps the names of its quorum queues in a file that it writes a moment later, also a moment after a record was
/// confirmed (`names.dets`, flushed when it was not touched for half a second). A lone node that is killed before it
/// finds no leader for the queue, ever. So nobody is killed before the name is there.
async fn known_by_name(broker: &Rabbit, queue: &str) {
    let data = broker.folder().join("data");
    until("its name in the node's file", async || holds(&data, queue.as_bytes())).await;
}

/// Whether a file called `names.dets` below this folder has these bytes in it.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| match path.is_dir() {
        true => holds(&path, bytes),
        false if path.ends_with("names.dets") => {
            std::fs::read(&path).is_ok_and(|file| file.windows(bytes.len()).any(|window| window == bytes))
        }
        false => false,
    })
}

fn settings(broker: &Rabbit) -> RabbitConfig {
    RabbitConfig { url: broker.url().into(), ..config(1) }
}

/// Twice the broker is killed with -9 under appends and consumption, and restarted: every confirmed record is taken, in
/// order, what is redelivered before what is newer.
async fn confirmed_records_survive_a_broker_that_dies(broker: &mut Rabbit) {
    let config = settings(broker);
    let log = RabbitLog::open(config.clone()).await.expect("a broker");
    known_by_name(broker, &config.log_queue(0)).await;
    let (upto, last) = watch::channel(None);
    let stop = Arc::new(AtomicBool::new(false));
    let taking = tokio::spawn(take_through_faults(log.clone(), last, stop.clone()));
    let (mut confirmed, mut next) = (Vec::new(), 0);
    for _ in 0..2 {
        let appending = {
            let log = log.clone();
            tokio::spawn(async move { append_through_faults(&log, next..next + 3000).await })
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        broker.kill();
        until("told that it is away", async || !log.is_up()).await;
        // At once, without a word from anywhere.
        assert!(matches!(log.append(0, numbered(0)).map(drop), Err(LogError::Unavailable(_))));
        assert!(log.consume().await.is_err());
        broker.restart().await.expect("it starts again");
        confirmed.extend(appending.await.expect("appended"));
        until("back", async || log.is_up()).await;
        next += 3000;
    }
    // Said before it is appended: whoever takes looks up only when something comes, and nothing comes after this one.
    upto.send_replace(Some(next));
    // A queue that is still looking for its leader may reject.
    until("taken again", async || match log.append(0, numbered(next)) {
        Ok(confirm) => confirm.await.is_ok(),
        Err(_) => false,
    })
    .await;
    let taken = tokio::time::timeout(PATIENCE, taking).await;
    stop.store(true, Ordering::Release);
    let taken = taken.expect("everything comes").expect("in order");
    assert!(confirmed.len() > 10, "the load was there: {}", confirmed.len());
    for number in confirmed {
        assert!(taken.contains(&number), "{number} was confirmed and is lost");
    }
}

/// The connection of an active consumer falls silent with records in its hands: within twice the heartbeat the stand-by
/// has them all, marked, in order, and the frozen one finds out too.
async fn a_frozen_consumer_is_replaced(broker: &Rabbit) {
    let config = settings(broker);
    let (freeze, frozen) = watch::channel(false);
    let port = passage(broker.port(), frozen).await;
    let far = broker.url().replacen(&format!(":{}/", broker.port()), &format!(":{port}/"), 1);
    let far = RabbitConfig { url: far.into(), ..config.clone() };
    let (first, second) =
        (RabbitLog::open(far).await.expect("a way"), RabbitLog::open(config).await.expect("a broker"));
    let mut silent = first.consume().await.expect("a way");
    append_all(&second, 0, 0..5).await;
    let taken = take(&mut *silent, 5).await;
    let mut standing_by = second.consume().await.expect("a broker");
    freeze.send_replace(true);
    append_all(&second, 0, 5..8).await;
    let again = take(&mut *standing_by, 8).await;
    assert_eq!(numbers(&again), (0..8).collect::<Vec<_>>());
    assert!(again[..5].iter().all(|one| one.redelivered));
    assert!(tokio::time::timeout(PATIENCE, silent.next(1)).await.expect("it finds out").is_err());
    let _ = silent.acknowledge(&[(0, taken[4].tag)]).await;
    assert!(tokio::time::timeout(Duration::from_millis(100), standing_by.next(1)).await.is_err(), "nothing else");
}

/// The broker itself falls silent: confirms under way are told to be in doubt, appends fail at once, and it comes back.
async fn a_frozen_broker_is_away(broker: &mut Rabbit) {
    let log = RabbitLog::open(settings(broker)).await.expect("a broker");
    broker.freeze().expect("it runs");
    let confirm = log.append(0, numbered(1)).expect("nobody knows yet");
    assert!(matches!(confirm.await, Err(LogError::Unavailable(_))));
    assert!(matches!(log.append(0, numbered(2)).map(drop), Err(LogError::Unavailable(_))));
    broker.thaw().expect("it runs");
    until("back", async || log.is_up()).await;
    append_all(&log, 0, [3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_or_freezes_is_replaced_or_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Rabbit::start(folder.path()).await.expect("rabbitmq-server is installed");
    confirmed_records_survive_a_broker_that_dies(&mut broker).await;
    a_frozen_consumer_is_replaced(&broker).await;
    a_frozen_broker_is_away(&mut broker).await;
}

/// Opened before there is a broker: no error, and records are taken once it is there.
#[tokio::test]
async fn a_broker_that_is_away_is_no_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let config = RabbitConfig {
        url: url_with(|uri| (uri.authority.host, uri.authority.port) = ("127.0.0.1".into(), port)).into(),
        ..config(1)
    };
    let log = RabbitLog::open(config.clone()).await.expect("no error");
    assert!(matches!(log.append(0, numbered(0)).map(drop), Err(LogError::Unavailable(_))));
    let shared: lapin::uri::AMQPUri = url().parse().expect("an URL");
    let _cleanup = Cleanup(RabbitConfig { url: url().into(), ..config }, 1);
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("still free");
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let target = (shared.authority.host.clone(), shared.authority.port);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(target).await.expect("the broker");
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    until("taken", async || log.is_up()).await;
    append_all(&log, 0, [1]).await;
}
