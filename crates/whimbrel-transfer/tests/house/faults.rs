//! Faults of archivers and of the database: nothing lost, doubled or reordered.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use whimbrel_core::{BatchId, TransferId};
use whimbrel_core::{Outcome, Refusal};
use whimbrel_rpc::{Announce, PlacedBatch, PushBody, Revoked, Through, Told};
use whimbrel_store::memory::{MemoryLog, MemoryLogConfig};
use whimbrel_store::{DraftsEntry, Entry, Log, Record};

use crate::support::{CountingLog, House, PATIENCE, config, draft, drafts, seq, until};

/// The database is away for a while, then its answer to a commit gets lost: the sender hears nothing but SENT.
#[tokio::test]
async fn a_database_that_goes_away_loses_and_doubles_nothing() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    house.timeline.away.store(5, Ordering::Release);
    house.timeline.lost_answers.store(1, Ordering::Release);
    let archiver = house.archiver();
    let batch = drafts(&["a", "b"]);
    let seqs: Vec<u64> = house.say(ann, chat, &batch).await.into_iter().map(seq).collect();
    assert_eq!(seqs, [2, 3]);
    assert_eq!(house.texts(chat).await, ["a", "b"]);
    house.connector.wait(bob.session, |got| (got.places(chat) == [2, 3]).then_some(())).await;
    until(|| house.log.waiting() == 0).await;
    archiver.kill().await;
}

/// An archiver is killed after its commit and before its announcement: the next one finds the rows and tells.
#[tokio::test]
async fn rows_that_nobody_was_told_of_are_told_by_the_next_archiver() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    house.timeline.lost_answers.store(1, Ordering::Release);
    // The only record: its first archiver ends for good when the answer is lost.
    let first = house.archiver();
    let batch = drafts(&["a"]);
    house.send(ann, chat, &batch);
    until(|| house.timeline.commits.load(Ordering::Acquire) == 1).await;
    first.kill().await;
    let second = house.archiver();
    assert_eq!(seq(house.answers(ann, &batch).await[0]), 2);
    house.connector.wait(bob.session, |got| (got.places(chat) == [2]).then_some(())).await;
    assert_eq!(house.texts(chat).await, ["a"]);
    second.kill().await;
}

/// An archiver that is told to stop finishes what is under way: it is told and acknowledged, nothing comes again.
#[tokio::test]
async fn an_archiver_that_stops_finishes_its_batch() {
    let house = House::usual();
    let (ann, _, chat) = house.pair().await;
    house.timeline.close_gate();
    let archiver = house.archiver();
    let batch = drafts(&["a"]);
    house.send(ann, chat, &batch);
    until(|| house.timeline.at_gate.load(Ordering::Acquire) == 1).await;
    let gate = house.timeline.clone();
    let opening = async {
        tokio::task::yield_now().await;
        gate.open_gate();
    };
    tokio::join!(archiver.stop(), opening);
    seq(house.answers(ann, &batch).await[0]);
    assert_eq!(house.log.waiting(), 0);
}

/// A refusal is told when its record has left the log and not before: a record that comes again could be placed.
#[tokio::test]
async fn a_refusal_is_told_after_its_record_has_left_the_log() {
    struct Listening(Arc<CountingLog>, tokio::sync::mpsc::Sender<(Outcome, usize)>);
    #[async_trait::async_trait]
    impl Announce for Listening {
        async fn placed(&self, batches: Vec<PlacedBatch>, _: Through) -> Told {
            for draft in batches.iter().flat_map(|batch| &batch.outcomes) {
                self.1.send((draft.outcome, self.0.waiting())).await.unwrap();
            }
            Told::default()
        }
        async fn advanced(&self, _: Vec<whimbrel_core::CursorMoved>, _: Through) -> Told {
            Told::default()
        }
        async fn expel(&self, _: Vec<whimbrel_core::ConnectorId>) -> bool {
            true
        }
        async fn revoked(&self, _: Vec<Revoked>) {}
    }
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    house.change(bob.user, ann.user, whimbrel_store::directory::RelationChange::Block).await;
    house.send(ann, chat, &drafts(&["a"]));
    let (heard, mut hearing) = tokio::sync::mpsc::channel(1);
    let listening = Arc::new(Listening(house.log.clone(), heard));
    let config = whimbrel_archiver::Config::default();
    let archiver = whimbrel_archiver::Archiver::new(config, house.log.clone(), house.timeline.clone(), listening);
    let task = tokio::spawn(archiver.run(Default::default()));
    let first = tokio::time::timeout(PATIENCE, hearing.recv()).await.unwrap();
    assert_eq!(first, Some((Outcome::Refused(Refusal::Blocked), 0)));
    task.abort();
}

/// A record leaves the log only when its announcement has returned: a connector that is slow to take keeps it there.
#[tokio::test]
async fn the_log_keeps_a_record_until_its_announcement_returned() {
    struct Slow(tokio::sync::Semaphore);
    #[async_trait::async_trait]
    impl Announce for Slow {
        async fn placed(&self, _: Vec<PlacedBatch>, _: Through) -> Told {
            self.0.acquire().await.unwrap().forget();
            Told::default()
        }
        async fn advanced(&self, _: Vec<whimbrel_core::CursorMoved>, _: Through) -> Told {
            Told::default()
        }
        async fn expel(&self, _: Vec<whimbrel_core::ConnectorId>) -> bool {
            true
        }
        async fn revoked(&self, _: Vec<Revoked>) {}
    }
    let house = House::usual();
    let (ann, _, chat) = house.pair().await;
    let slow = Arc::new(Slow(tokio::sync::Semaphore::new(0)));
    let archiver = whimbrel_archiver::Archiver::new(
        whimbrel_archiver::Config::default(),
        house.log.clone(),
        house.timeline.clone(),
        slow.clone(),
    );
    let task = tokio::spawn(archiver.run(Default::default()));
    house.send(ann, chat, &drafts(&["a"]));
    until(|| house.timeline.commits.load(Ordering::Acquire) == 1).await;
    // The next record is committed meanwhile, and that one's announcement waits for its turn.
    let bob = house.session(ann.user).await;
    house.send(bob, chat, &drafts(&["b"]));
    until(|| house.timeline.commits.load(Ordering::Acquire) == 2).await;
    assert_eq!(house.log.waiting(), 2, "committed, not told, so still in the log");
    slow.0.add_permits(1);
    until(|| house.log.waiting() == 1).await;
    slow.0.add_permits(1);
    until(|| house.log.waiting() == 0).await;
    task.abort();
}

/// There is no transfer to tell: an archiver that is told to stop goes all the same, with a batch told to nobody and
/// another one committed behind it. The log keeps both.
#[tokio::test]
async fn an_archiver_stops_when_there_is_nobody_to_tell() {
    struct Nobody;
    #[async_trait::async_trait]
    impl Announce for Nobody {
        async fn placed(&self, _: Vec<PlacedBatch>, _: Through) -> Told {
            std::future::pending().await
        }
        async fn advanced(&self, _: Vec<whimbrel_core::CursorMoved>, _: Through) -> Told {
            std::future::pending().await
        }
        async fn expel(&self, _: Vec<whimbrel_core::ConnectorId>) -> bool {
            false
        }
        async fn revoked(&self, _: Vec<Revoked>) {}
    }
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let config = whimbrel_archiver::Config { stop_grace: std::time::Duration::from_millis(10), ..Default::default() };
    let archiver =
        whimbrel_archiver::Archiver::new(config, house.log.clone(), house.timeline.clone(), Arc::new(Nobody));
    let stop = tokio_util::sync::CancellationToken::new();
    let task = tokio::spawn(archiver.run(stop.clone()));
    for (number, from) in [(1, ann), (2, bob)] {
        house.send(from, chat, &drafts(&["a"]));
        until(|| house.timeline.commits.load(Ordering::Acquire) == number).await;
    }
    stop.cancel();
    tokio::time::timeout(PATIENCE, task).await.expect("it stops").unwrap();
    assert_eq!(house.log.waiting(), 2);
}

/// The broker gave the same records to two archivers, and both go on: one order, no place twice, no hole, and every
/// device's drafts in their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_archivers_over_the_same_records_place_each_draft_once_and_in_order() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let records: Vec<Record> = (0..60)
        .map(|number| {
            let from = if number % 3 == 0 { bob } else { ann };
            let drafts =
                vec![draft(&format!("{}{number:03}x", from.user)), draft(&format!("{}{number:03}y", from.user))];
            let entry = DraftsEntry { conversation: chat, sender: from.user, device: from.device, drafts };
            Record { batch: BatchId::generate(), transfer: TransferId::generate(), entries: vec![Entry::Drafts(entry)] }
        })
        .collect();
    let mut archivers = Vec::new();
    for _ in 0..2 {
        let log = MemoryLog::new(MemoryLogConfig { partitions: 1, ..Default::default() });
        for record in &records {
            drop(log.append(0, record.clone()).unwrap());
        }
        log.close();
        let config = whimbrel_archiver::Config { place_rows_max: 5, ..Default::default() };
        let archiver = whimbrel_archiver::Archiver::new(
            config,
            Arc::new(log),
            Arc::new(house.store.clone()),
            house.transfer.clone(),
        );
        archivers.push(tokio::spawn(archiver.run(Default::default())));
    }
    for archiver in archivers {
        archiver.await.unwrap();
    }
    let rows = house.rows(chat).await;
    assert!(rows.iter().zip(1..).all(|(row, place)| row.seq.0 == place));
    let texts = house.texts(chat).await;
    assert_eq!(texts.len(), 120, "each once");
    for user in [ann.user, bob.user] {
        let said: Vec<&String> = texts.iter().filter(|text| text.starts_with(&user.to_string())).collect();
        assert!(said.is_sorted() && !said.is_empty());
    }
    // The last of each row's announcements has been taken: live sessions heard of every place.
    for session in [ann, bob] {
        let mut places = house.connector.look(session.session, |got| got.places(chat));
        places.sort_unstable();
        places.dedup();
        assert_eq!(places, (2..=rows.len() as u64).collect::<Vec<_>>());
    }
}

/// One row is refused for good, named or not: its sender hears so, everybody else's drafts of the batch are placed.
#[tokio::test]
async fn a_row_that_the_database_refuses_stops_nobody_else() {
    for named in [true, false] {
        let house = House::usual();
        let (ann, bob, chat) = house.pair().await;
        *house.timeline.refuses.lock() = Some(("bad".into(), named));
        let (mine, theirs) = (drafts(&["a", "bad", "b"]), drafts(&["c"]));
        house.send(ann, chat, &mine);
        house.send(bob, chat, &theirs);
        let archiver = house.archiver();
        let outcomes = house.answers(ann, &mine).await;
        assert_eq!(outcomes[1], Outcome::Refused(Refusal::Unplaceable));
        seq(outcomes[0]);
        seq(outcomes[2]);
        seq(house.answers(bob, &theirs).await[0]);
        let mut texts = house.texts(chat).await;
        texts.sort();
        assert_eq!(texts, ["a", "b", "c"]);
        archiver.kill().await;
    }
}

/// The connector has lost a session without saying so: a push finds out, and the route goes.
#[tokio::test]
async fn a_route_that_leads_nowhere_is_taken_off() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    house.connector.lose(bob.session);
    seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    for _ in 0..1000 {
        if !house.is_online(bob).await {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(!house.is_online(bob).await && house.is_online(ann).await);
    archiver.kill().await;
}

/// A sync that cannot be read ends its session with a hint; the next one is answered.
#[tokio::test]
async fn a_sync_that_cannot_be_read_sends_the_session_away_to_come_again() {
    use whimbrel_core::{GoodbyeCode, SyncQuestion};
    use whimbrel_rpc::{Request, RequestBody, Transfer};
    let house = House::usual();
    let (ann, _, chat) = house.pair().await;
    let ask = |from| {
        let question =
            SyncQuestion { id: 7, after: None, until: None, known: vec![], only_known: false, max_messages: 10 };
        house.transfer.submit(house.connector_id, vec![Request { from, body: RequestBody::Sync(question) }]);
    };
    house.timeline.away.store(1, Ordering::Release);
    ask(ann);
    let code = house.connector.wait(ann.session, |got| got.closed()).await;
    assert_eq!(code, GoodbyeCode::UNAVAILABLE);
    let ann = house.try_attach(ann.user, ann.device).await.unwrap();
    ask(ann);
    let views = house.connector.wait(ann.session, |got| {
        got.0
            .iter()
            .find_map(|body| if let PushBody::Synced(answer) = body { Some(answer.views.clone()) } else { None })
    });
    assert!(views.await.iter().any(|view| view.conversation == chat));
}

fn sync(house: &House, from: whimbrel_rpc::SessionRef) {
    use whimbrel_rpc::{Request, RequestBody, Transfer};
    let question = whimbrel_core::SyncQuestion {
        id: 7,
        after: None,
        until: None,
        known: vec![],
        only_known: false,
        max_messages: 10,
    };
    house.transfer.submit(house.connector_id, vec![Request { from, body: RequestBody::Sync(question) }]);
}

/// Bob's sync waits in line behind Ann's; he goes. Carol's, behind it, is the next one that is read.
#[tokio::test]
async fn a_sync_of_a_session_that_has_ended_is_not_read() {
    use whimbrel_rpc::Transfer;
    let house = House::new(whimbrel_transfer::Config { syncs_at_once: 1, ..config() }, 8, 1);
    let (ann, bob, _) = house.pair().await;
    let carol = house.session(house.users_more("carol").await).await;
    let synced = |session| {
        house.connector.wait(session, |got| got.0.iter().any(|body| matches!(body, PushBody::Synced(_))).then_some(()))
    };
    house.timeline.reading.close();
    sync(&house, ann);
    until(|| house.timeline.syncs.load(Ordering::Acquire) == 1).await;
    sync(&house, bob);
    sync(&house, carol);
    house.transfer.detach(vec![bob]).await;
    house.timeline.reading.open();
    synced(ann.session).await;
    synced(carol.session).await;
    assert_eq!(house.timeline.syncs.load(Ordering::Acquire), 2);
}

/// More syncs than the line takes: their sessions are told to come again, not all at the same time.
#[tokio::test]
async fn sessions_that_the_line_does_not_take_come_again_at_different_times() {
    let house = House::new(whimbrel_transfer::Config { syncs_max: 0, ..config() }, 8, 1);
    let user = house.users_more("crowd").await;
    let mut hints = Vec::new();
    for _ in 0..20 {
        let one = house.session(user).await;
        sync(&house, one);
        hints.push(
            house
                .connector
                .wait(one.session, |got| {
                    got.0.iter().find_map(|body| match body {
                        PushBody::Close { retry_after_ms, .. } => Some(*retry_after_ms),
                        _ => None,
                    })
                })
                .await,
        );
    }
    assert!(hints.iter().all(|hint| (1000..=10_000).contains(hint)), "{hints:?}");
    let (least, most) = (hints.iter().min().unwrap(), hints.iter().max().unwrap());
    assert!(most - least > 2000, "{hints:?}");
}
