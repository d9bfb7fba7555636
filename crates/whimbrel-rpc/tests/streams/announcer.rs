//! What is announced reaches everybody, whichever transfers there are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use whimbrel_core::{
    Audience, ConnectorId, ConversationId, CursorMoved, Cursors, DeviceId, GoodbyeCode, Message, MessageId,
    MessageKind, PlacedRow, Seq, TransferId, UserId,
};
use whimbrel_rpc::grpc::{Announcer, Limits, Role};
use whimbrel_rpc::{Announce as _, Peers as _, PlacedBatch, Revoked, Through, Told};

use crate::support::*;

async fn announcer(nodes: &[&Node]) -> Arc<Announcer> {
    let announcer = Announcer::with(security(), Role::Archiver, limits());
    announcer.set(nodes.iter().map(|node| node.at()).collect());
    eventually("all are reachable", || announcer.reachable() == nodes.len()).await;
    announcer
}

async fn three() -> ([Node; 3], Arc<Announcer>) {
    let nodes = [Node::start().await, Node::start().await, Node::start().await];
    let announcer = announcer(&nodes.iter().collect::<Vec<_>>()).await;
    (nodes, announcer)
}

/// Without its answers: what others than the first transfer are told.
fn rows(batch: &PlacedBatch) -> PlacedBatch {
    PlacedBatch { rows: batch.rows.clone(), ..PlacedBatch::default() }
}

#[tokio::test]
async fn each_transfer_is_told_of_its_own_records_in_order() {
    let (mut nodes, announcer) = three().await;
    let batches: Vec<PlacedBatch> = (0..30).map(|at| placed(Some(nodes[at % 3].id))).collect();
    let offline: Vec<UserId> = (1..=4).map(UserId).collect();
    for (at, node) in nodes.iter().enumerate() {
        let told = Told { offline: offline[at..at + 2].to_vec(), ..Told::default() };
        node.announce.answers.lock().0 = told;
    }
    let told = announcer.placed(batches.clone(), Through::All).await;
    assert_eq!(told, Told { offline, ..Told::default() }, "each once");
    for (at, node) in nodes.iter_mut().enumerate() {
        let own: Vec<PlacedBatch> = batches.iter().skip(at).step_by(3).cloned().collect();
        assert_eq!(next(&mut node.told).await, ToldOf::Placed(own, Through::All));
    }
}

#[tokio::test]
async fn what_nobody_published_goes_by_its_conversation() {
    let (mut nodes, announcer) = three().await;
    let batches: Vec<PlacedBatch> = (0..30).map(|at| placed((at % 2 == 0).then(TransferId::generate))).collect();
    announcer.placed(batches.clone(), Through::All).await;
    // A second time: the same way.
    announcer.placed(batches.clone(), Through::All).await;
    let mut seen = 0;
    for node in &mut nodes {
        let ToldOf::Placed(first, _) = next(&mut node.told).await else { panic!("places") };
        assert_eq!(next(&mut node.told).await, ToldOf::Placed(first.clone(), Through::All));
        seen += first.len();
    }
    assert_eq!(seen, 30);
}

/// The idea: the transfer publishes before the archiver has found it. Another one brings its messages, and it hears
/// the outcomes, without the messages, once there is a way to it; of others' records it hears nothing.
#[tokio::test]
async fn a_transfer_that_is_found_late_hears_what_became_of_its_records() {
    let (mut early, mut late) = (Node::start().await, Node::start().await);
    let announcer = announcer(&[&early]).await;
    let own = [placed(Some(late.id)), placed(Some(late.id))];
    let others = vec![placed(Some(early.id)), placed(None), placed(Some(TransferId::generate()))];
    let all: Vec<PlacedBatch> = own.iter().chain(&others).cloned().collect();
    announcer.placed(all.clone(), Through::All).await;
    assert_eq!(next(&mut early.told).await, ToldOf::Placed(all, Through::All));
    announcer.set(vec![early.at(), late.at()]);
    let outcomes = |batch: &PlacedBatch| PlacedBatch { rows: Vec::new(), ..batch.clone() };
    assert_eq!(next(&mut late.told).await, ToldOf::Placed(own.iter().map(outcomes).collect(), Through::All));
    // What is told next is the next thing that anybody hears: nothing was told twice.
    let more = vec![placed(Some(late.id))];
    announcer.placed(more.clone(), Through::All).await;
    assert_eq!(next(&mut late.told).await, ToldOf::Placed(more, Through::All));
    assert!(early.told.try_recv().is_err());
}

/// The idea: the transfer hears of it and dies before it answers, so that another must hear all of it again.
#[tokio::test]
async fn what_a_dying_transfer_did_not_answer_goes_whole_to_another() {
    let (mut nodes, announcer) = three().await;
    let batches = vec![placed(Some(nodes[0].id)), placed(Some(nodes[0].id))];
    nodes[0].announce.gate.set(false);
    let telling = tokio::spawn({
        let (announcer, batches) = (announcer.clone(), batches.clone());
        async move { announcer.placed(batches, Through::All).await }
    });
    next(&mut nodes[0].told).await;
    nodes[0].proxy.kill();
    assert_eq!(telling.await.expect("told"), Told::default());
    let [_, second, third] = &mut nodes;
    let heard = tokio::select! { told = next(&mut second.told) => told, told = next(&mut third.told) => told };
    assert_eq!(heard, ToldOf::Placed(batches, Through::All));
}

#[tokio::test]
async fn without_any_transfer_it_waits_for_one() {
    let mut node = Node::start().await;
    let announcer = announcer(&[]).await;
    let batch = placed(None);
    let mut telling = Box::pin(announcer.placed(vec![batch.clone()], Through::All));
    assert!(futures_util::poll!(&mut telling).is_pending());
    announcer.set(vec![node.at()]);
    assert_eq!(telling.await, Told::default());
    assert_eq!(next(&mut node.told).await, ToldOf::Placed(vec![batch], Through::All));
    assert!(!Announcer::with(security(), Role::Api, limits()).expel(vec![ConnectorId::generate()]).await);
}

#[tokio::test]
async fn a_connector_that_one_transfer_does_not_reach_is_told_by_another() {
    let (mut nodes, announcer) = three().await;
    let (reached, lost) = (ConnectorId::generate(), ConnectorId::generate());
    nodes[0].announce.answers.lock().0.unreached = vec![reached, lost];
    // Of the others, each reaches one.
    nodes[1].announce.answers.lock().1.unreached = vec![lost];
    nodes[2].announce.answers.lock().1.unreached = vec![reached];
    let batch = placed(Some(nodes[0].id));
    assert_eq!(announcer.placed(vec![batch.clone()], Through::All).await, Told::default());
    let mut asked = Vec::new();
    for node in &mut nodes[1..] {
        let ToldOf::Placed(batches, Through::Only(only)) = next(&mut node.told).await else { panic!("places") };
        assert_eq!(batches, [rows(&batch)], "senders have their answers");
        asked.push(only);
        assert!(node.told.try_recv().is_err());
    }
    asked.sort_by_key(Vec::len);
    assert_eq!((asked[0].len(), asked[1].clone()), (1, vec![reached, lost]), "in turn, for those that are left");
    next(&mut nodes[0].told).await;
    assert!(nodes[0].told.try_recv().is_err(), "nobody is left to be reached or expelled");
}

#[tokio::test]
async fn a_connector_that_no_transfer_reaches_loses_its_lease() {
    let (mut nodes, announcer) = three().await;
    let lost = ConnectorId::generate();
    for node in &nodes {
        let unreached = Told { unreached: vec![lost], ..Told::default() };
        *node.announce.answers.lock() = (unreached.clone(), unreached);
    }
    announcer.placed(vec![placed(Some(nodes[0].id))], Through::All).await;
    let (mut only, mut expelled) = (0, 0);
    for node in &mut nodes {
        while let Ok(told) = node.told.try_recv() {
            match told {
                ToldOf::Placed(_, Through::Only(connectors)) if connectors == [lost] => only += 1,
                ToldOf::Expel(connectors) if connectors == [lost] => expelled += 1,
                ToldOf::Placed(_, Through::All) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((only, expelled), (3, 1), "every transfer was asked, and the lease ended once");
}

#[tokio::test]
async fn when_a_transfer_is_blind_every_other_one_brings_the_rows_too() {
    let (mut nodes, announcer) = three().await;
    nodes[1].announce.answers.lock().0.blind = true;
    let moved = CursorMoved {
        conversation: ConversationId::generate(),
        user: UserId(3),
        cursors: Cursors { delivered: Seq(2), read: Seq(1) },
        audience: Audience::Two(UserId(3), UserId(4)),
    };
    let batch = placed(Some(nodes[1].id));
    assert_eq!(announcer.placed(vec![batch.clone()], Through::All).await, Told::default());
    assert_eq!(next(&mut nodes[1].told).await, ToldOf::Placed(vec![batch.clone()], Through::All));
    for at in [0, 2] {
        assert_eq!(next(&mut nodes[at].told).await, ToldOf::Placed(vec![rows(&batch)], Through::All));
    }
    for node in &nodes {
        node.announce.answers.lock().0.blind = true;
    }
    announcer.advanced(vec![moved.clone()], Through::All).await;
    for node in &mut nodes {
        assert_eq!(next(&mut node.told).await, ToldOf::Advanced(vec![moved.clone()], Through::All));
    }
}

#[tokio::test]
async fn everybody_hears_who_was_logged_out() {
    let (mut nodes, announcer) = three().await;
    let revoked = vec![Revoked { user: UserId(1), device: Some(DeviceId::generate()), code: GoodbyeCode::LOGGED_OUT }];
    announcer.revoked(revoked.clone()).await;
    for node in &mut nodes {
        assert_eq!(next(&mut node.told).await, ToldOf::Revoked(revoked.clone()));
    }
}

/// A transfer that stops still hears of the records that it published, and of nothing else.
#[tokio::test]
async fn a_transfer_that_stops_is_told_of_its_own_records() {
    let (mut nodes, announcer) = three().await;
    // Somebody has something under way there, which keeps it.
    let client = Client::start(&[&nodes[0]]).await;
    client.submit(vec![send(session(), ConversationId::generate(), vec![draft()])]);
    nodes[0].requests().await;
    nodes[0].stop.cancel();
    eventually("it is not chosen any more", || announcer.reachable() == 2).await;
    let own = placed(Some(nodes[0].id));
    let others: Vec<PlacedBatch> = (0..20).map(|_| placed(None)).collect();
    announcer.placed(std::iter::once(own.clone()).chain(others).collect(), Through::All).await;
    assert_eq!(next(&mut nodes[0].told).await, ToldOf::Placed(vec![own], Through::All));
}

/// The idea: twenty rows of 64 KiB with messages of 1 MiB at most: whole, and in order.
#[tokio::test]
async fn a_long_record_is_told_in_parts() {
    let small = Limits { cut: 128 * 1024, message_max: 1024 * 1024, ..limits() };
    let mut node = Node::with(small.clone(), security()).await;
    let announcer = Announcer::with(security(), Role::Archiver, small);
    announcer.set(vec![node.at()]);
    let conversation = ConversationId::generate();
    let row = |seq| PlacedRow {
        message: Message {
            conversation,
            seq: Seq(seq),
            sender: UserId(1),
            device: DeviceId::generate(),
            message_id: MessageId::generate(),
            kind: MessageKind::TEXT,
            key_version: 1,
            body: vec![1; 64 * 1024].into(),
            at: 1,
        },
        audience: Audience::Two(UserId(1), UserId(2)),
        change: None,
    };
    let batch = PlacedBatch { rows: (1..=20).map(row).collect(), ..placed(Some(node.id)) };
    announcer.placed(vec![batch.clone()], Through::All).await;
    let mut whole = PlacedBatch { batch: batch.batch, transfer: batch.transfer, ..PlacedBatch::default() };
    while let Ok(told) = node.told.try_recv() {
        let ToldOf::Placed(parts, Through::All) = told else { panic!("{told:?}") };
        for part in parts {
            assert_eq!((part.batch, part.transfer), (batch.batch, batch.transfer));
            whole.outcomes.extend(part.outcomes);
            whole.rows.extend(part.rows);
        }
    }
    assert_eq!(whole, batch);
}

/// The idea: a session that waits is off the lists once its place is being told; whoever drops the telling drops its answer.
#[tokio::test]
async fn what_has_begun_is_told_to_the_end_when_the_announcers_stream_breaks() {
    let mut node = Node::start().await;
    let client = Client::start(&[&node]).await;
    node.push_to(client.id).await;
    let announcer = announcer(&[&node]).await;
    node.announce.gate.set(false);
    let telling = tokio::spawn({
        let announcer = announcer.clone();
        async move { announcer.placed(vec![placed(None)], Through::All).await }
    });
    next(&mut node.told).await;
    node.proxy.kill();
    // The connector's stream breaks with it: the transfer has noticed.
    eventually("both ends know", || node.streams.connectors().is_empty() && announcer.reachable() == 0).await;
    assert!(tokio::time::timeout(Duration::from_millis(100), node.told.recv()).await.is_err());
    node.announce.gate.set(true);
    eventually("it is told to the end", || node.announce.finished.load(Ordering::SeqCst) == 1).await;
    telling.abort();
}

#[tokio::test]
async fn a_transfer_under_a_former_id_is_not_told() {
    let node = Node::start().await;
    let announcer = announcer(&[]).await;
    announcer.set(vec![node.former()]);
    eventually("it was tried", || node.proxy.accepted.load(Ordering::SeqCst) >= 4).await;
    assert_eq!(announcer.reachable(), 0);
    announcer.set(vec![node.at()]);
    eventually("itself it is", || announcer.reachable() == 1).await;
}

/// The idea: room for one. Its caller goes, the transfer still has it; so the second one waits.
#[tokio::test]
async fn who_stops_waiting_makes_no_room_for_another() {
    let mut node = Node::start().await;
    let announcer = Announcer::with(security(), Role::Archiver, Limits { announcements: 1, ..limits() });
    announcer.set(vec![node.at()]);
    node.announce.gate.set(false);
    let tell = || {
        let announcer = announcer.clone();
        tokio::spawn(async move { announcer.placed(vec![placed(None)], Through::All).await })
    };
    let first = tell();
    next(&mut node.told).await;
    first.abort();
    assert!(first.await.is_err());
    let second = tell();
    assert!(tokio::time::timeout(Duration::from_millis(100), node.told.recv()).await.is_err(), "there is no room");
    node.announce.gate.set(true);
    next(&mut node.told).await;
    assert_eq!(second.await.expect("told"), Told::default());
}
