//! Streams that break, freeze, fill up, or end politely while something is under way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use whimbrel_core::{ConnectorId, ConversationId, GoodbyeCode, Outcome, Seq};
use whimbrel_rpc::grpc::{Limits, Transfers};
use whimbrel_rpc::{Lease, Peers as _, PushBody, PushItem, Standing, Transfer as _};

use crate::support::*;

fn is_retry(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Retry { after_ms: 50..=150 })
}

#[tokio::test]
async fn sends_under_way_are_answered_retry_when_their_stream_breaks() {
    let mut node = Node::start().await;
    let mut client = Client::start(&[&node]).await;
    let (who, conversation, drafts) = (session(), ConversationId::generate(), vec![draft(), draft()]);
    client.submit(vec![send(who, conversation, drafts.clone())]);
    node.requests().await;
    node.proxy.cut();
    let answers = client.answers().await;
    assert_eq!(answers.len(), 1);
    let ids: Vec<_> = answers[0].1.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, drafts.iter().map(|draft| draft.message_id).collect::<Vec<_>>());
    assert!(answers[0].1.iter().all(|(_, outcome)| is_retry(*outcome)), "{answers:?}");
    eventually("the stream is open again", || client.transfers.reachable() == 1).await;
    client.submit(vec![send(who, conversation, drafts)]);
    node.requests().await;
}

/// Everything that is asked is held by the one transfer, which dies; the other one is asked the same.
#[tokio::test]
async fn questions_under_way_are_asked_again_of_another_transfer() {
    let (first, mut second) = (Node::start().await, Node::start().await);
    let mut first = first;
    let mut client = Client::start(&[&first]).await;
    first.transfer.gate.set(false);
    let (who, id) = (session(), client.id);
    let spawn = |what: u8| {
        let transfers = client.transfers.clone();
        tokio::spawn(async move {
            match what {
                0 => assert!(transfers.attach(vec![attach(who, id)]).await[0].is_ok()),
                1 => transfers.detach(vec![session_of(3)]).await,
                2 => assert!(transfers.assert(id, vec![Standing { session: who, since: 1 }]).await),
                _ => assert_eq!(transfers.renew(id).await.incarnation, Some(LIFE)),
            }
        })
    };
    let tasks: Vec<_> = (0..4).map(spawn).collect();
    client.submit(vec![sync(who, 4)]);
    for _ in 0..5 {
        next(&mut first.asked).await;
    }
    client.transfers.set(vec![first.at(), second.at()]);
    eventually("both are reachable", || client.transfers.reachable() == 2).await;
    first.proxy.kill();
    let mut kinds = Vec::new();
    for _ in 0..5 {
        kinds.push(match next(&mut second.asked).await {
            Asked::Attach(_) => 'a',
            Asked::Detach(_) => 'd',
            Asked::Assert(_) => 's',
            Asked::Renew => 'r',
            Asked::Requests(_, requests) if requests[0].from == who => 'y',
            other => panic!("{other:?}"),
        });
    }
    kinds.sort_unstable();
    assert_eq!(kinds, ['a', 'd', 'r', 's', 'y']);
    for task in tasks {
        task.await.expect("it was answered");
    }
    assert!(client.pushed.try_recv().is_err(), "no session hears of it");
}

#[tokio::test]
async fn without_any_transfer_sends_are_retried_attaches_refused_and_syncs_wait() {
    let limits = Limits { sync_wait: Duration::from_millis(300), ..limits() };
    let mut client = Client::with(limits, &[]).await;
    let who = session();
    let refused = client.transfers.attach(vec![attach(who, client.id)]).await;
    let Err(refused) = &refused[0] else { panic!("refused") };
    assert_eq!(refused.code, GoodbyeCode::UNAVAILABLE);
    assert!((1500..=4500).contains(&refused.retry_after_ms));
    assert_eq!(client.transfers.renew(client.id).await, Lease { incarnation: None, term: 0, kept: true });
    assert!(!client.transfers.assert(client.id, Vec::new()).await);
    client.submit(vec![send(who, ConversationId::generate(), vec![draft()])]);
    assert!(is_retry(client.answers().await[0].1[0].1));
    client.submit(vec![sync(who, 1)]);
    let closed = next(&mut client.pushed).await;
    assert_eq!(closed[0].to, who.session.into());
    let PushBody::Close { code: GoodbyeCode::UNAVAILABLE, retry_after_ms: 1.. } = closed[0].body else {
        panic!("{closed:?}")
    };
}

#[tokio::test]
async fn a_sync_that_waits_goes_to_the_transfer_that_appears() {
    let mut node = Node::start().await;
    let client = Client::start(&[]).await;
    client.submit(vec![sync(session(), 8)]);
    client.transfers.set(vec![node.at()]);
    assert_eq!(node.requests().await.len(), 1);
}

#[tokio::test]
async fn a_push_is_lost_when_the_stream_ends_before_its_acknowledgement() {
    let node = Node::start().await;
    let mut client = Client::start(&[&node]).await;
    let push = node.push_to(client.id).await;
    client.push.gate.set(false);
    let pushing = tokio::spawn(async move { push.push(vec![poke(session().session)]).await });
    // It has come to the connector, which does not take it.
    tokio::time::sleep(Duration::from_millis(20)).await;
    node.proxy.kill();
    assert!(pushing.await.expect("answered").lost);
    client.push.gate.set(true);
    next(&mut client.pushed).await;
    eventually("the connector is forgotten", || node.streams.connectors().is_empty()).await;
}

/// Neither side hears anything and no packet says that the other is gone. The bound is generous: the machine is shared.
#[tokio::test]
async fn a_frozen_peers_streams_end_on_both_sides() {
    let nervous =
        Limits { alive_every: Duration::from_millis(300), alive_within: Duration::from_millis(500), ..limits() };
    let mut node = Node::with(nervous.clone(), security()).await;
    let mut client = Client::with(nervous, &[&node]).await;
    let push = node.push_to(client.id).await;
    client.submit(vec![send(session(), ConversationId::generate(), vec![draft()])]);
    node.requests().await;
    node.proxy.freeze();
    let pushing = tokio::spawn(async move { push.push(vec![poke(session().session)]).await });
    let began = Instant::now();
    assert!(is_retry(client.answers().await[0].1[0].1));
    assert!(pushing.await.expect("answered").lost);
    assert!(began.elapsed() < Duration::from_secs(5), "by the keep-alive, and not by anything else");
}

/// The connector reads, but its sessions' mailboxes take nothing.
#[tokio::test]
async fn a_connector_that_does_not_take_loses_its_stream() {
    let small = Limits { push_items: 100, ..limits() };
    let node = Node::with(small, security()).await;
    let client = Client::start(&[&node]).await;
    let push = node.push_to(client.id).await;
    client.push.gate.set(false);
    let calls: Vec<_> = (0..10).map(|_| (0..11).map(|_| poke(session().session)).collect::<Vec<_>>()).collect();
    let pushing = calls.into_iter().map(|items| push.push(items));
    let taken = timeout(Duration::from_secs(20), futures_util::future::join_all(pushing)).await.expect("nobody waits");
    assert!(taken.iter().all(|taken| taken.lost), "{taken:?}");
}

/// The transfer's side of the connection takes nothing: what gathers is bounded, and the rest is answered.
#[tokio::test]
async fn a_transfer_that_does_not_take_has_its_sends_retried() {
    let small = Limits { under_way: 10, ..limits() };
    let mut node = Node::start().await;
    let mut client = Client::with(small, &[&node]).await;
    let sends = (1..=15).map(|user| send(session_of(user), ConversationId::generate(), vec![draft()]));
    client.submit(sends.collect());
    assert_eq!(node.requests().await.len(), 10);
    let mut retried = 0;
    while retried < 5 {
        retried += client.answers().await.len();
    }
    assert_eq!(retried, 5);
}

#[tokio::test]
async fn what_a_transfer_never_answers_is_answered_in_the_end() {
    let impatient = Limits { answer_within: Duration::from_millis(100), ..limits() };
    let mut node = Node::start().await;
    let mut client = Client::with(impatient, &[&node]).await;
    client.submit(vec![send(session(), ConversationId::generate(), vec![draft()])]);
    node.requests().await;
    assert!(is_retry(client.answers().await[0].1[0].1));
    assert_eq!(client.transfers.reachable(), 1, "the stream stays");
}

/// The idea: the Send is answered by the transfer that leaves, although new ones go to the other all the while.
#[tokio::test]
async fn a_transfer_that_stops_costs_no_retries() {
    let (mut stays, mut stops) = (Node::start().await, Node::start().await);
    let mut client = Client::start(&[&stops]).await;
    let (who, conversation, asked) = (session(), ConversationId::generate(), draft());
    client.submit(vec![send(who, conversation, vec![asked.clone()])]);
    stops.requests().await;
    client.transfers.set(vec![stays.at(), stops.at()]);
    eventually("both are reachable", || client.transfers.reachable() == 2).await;
    stops.stop.cancel();
    eventually("it is not chosen any more", || client.transfers.reachable() == 1).await;
    for user in 1..20 {
        client.submit(vec![send(session_of(user), ConversationId::generate(), vec![draft()])]);
        stays.requests().await;
    }
    let push = stops.push_to(client.id).await;
    let sent = vec![(asked.message_id, Outcome::Sent { seq: Seq(1), at: 1 })];
    let body = PushBody::Answers { conversation, answers: sent.clone() };
    let taken = push.push(vec![PushItem { to: who.session.into(), body }]).await;
    assert!(!taken.lost);
    assert_eq!(client.answers().await, [(who.session.into(), sent)]);
    let stopped = timeout(Duration::from_secs(5), stops.serving).await;
    stopped.expect("well within the time for it").expect("it ran").expect("it served");
    assert!(client.pushed.try_recv().is_err(), "nobody was told to retry");
}

#[tokio::test]
async fn a_transfer_that_is_off_the_list_may_still_answer() {
    let mut node = Node::start().await;
    let mut client = Client::start(&[&node]).await;
    let (who, conversation, asked) = (session(), ConversationId::generate(), draft());
    client.submit(vec![send(who, conversation, vec![asked.clone()])]);
    node.requests().await;
    client.transfers.set(Vec::new());
    eventually("it is not chosen any more", || client.transfers.reachable() == 0).await;
    let sent = vec![(asked.message_id, Outcome::Conflict)];
    let body = PushBody::Answers { conversation, answers: sent.clone() };
    node.push_to(client.id).await.push(vec![PushItem { to: who.session.into(), body }]).await;
    assert_eq!(client.answers().await, [(who.session.into(), sent)]);
    eventually("the stream ends then", || node.streams.connectors().is_empty()).await;
    client.transfers.set(vec![node.at()]);
    eventually("it is opened again", || client.transfers.reachable() == 1).await;
}

/// With one of two streams broken the connector was never out of reach; without both it was.
#[tokio::test]
async fn a_time_without_any_stream_is_told_once_with_the_lease() {
    let (first, second) = (Node::start().await, Node::start().await);
    let client = Client::start(&[&first, &second]).await;
    let kept = async || client.transfers.renew(client.id).await.kept;
    assert!(kept().await);
    first.proxy.kill();
    eventually("one is left", || client.transfers.reachable() == 1).await;
    assert!(kept().await);
    second.proxy.cut();
    eventually("it was noticed, and is open again", || second.streams.connectors().len() == 1).await;
    let mut leases = Vec::new();
    while leases.len() < 3 {
        let lease = client.transfers.renew(client.id).await;
        if lease.incarnation.is_some() {
            leases.push(lease.kept);
        } else {
            assert!(lease.kept, "nothing is said while it is not known");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // The cut may be noticed after the first of them.
    assert_eq!(leases.iter().filter(|kept| !**kept).count(), 1, "{leases:?}");
}

#[tokio::test]
async fn another_stream_of_the_same_connector_takes_over() {
    let node = Node::start().await;
    let id = ConnectorId::generate();
    let (one, mut first) = FakePush::new();
    let (two, mut second) = FakePush::new();
    let older = Transfers::with_limits(id, one, security(), limits());
    older.set(vec![node.at()]);
    eventually("it streams", || older.reachable() == 1).await;
    let before = node.push_to(id).await;
    let newer = Transfers::with_limits(id, two, security(), Limits { pause_min: Duration::from_secs(60), ..limits() });
    // The older one must not come back in this test.
    drop(older);
    newer.set(vec![node.at()]);
    eventually("it streams", || newer.reachable() == 1).await;
    eventually("the older one is lost", || node.streams.connectors().len() == 1).await;
    assert!(before.push(vec![poke(session().session)]).await.lost);
    assert!(!node.push_to(id).await.push(vec![poke(session().session)]).await.lost);
    next(&mut second).await;
    assert!(first.try_recv().is_err());
}

/// It is on the list for as long as its lease may last, also when it is back; who leaves politely is not.
#[tokio::test]
async fn a_connector_whose_stream_broke_is_named_as_lost() {
    let node = Node::start().await;
    let (breaks, leaves) = (Client::start(&[]).await, Client::start(&[&node]).await);
    leaves.transfers.set(Vec::new());
    eventually("it has left", || node.streams.connectors().is_empty() && leaves.transfers.reachable() == 0).await;
    breaks.transfers.set(vec![node.at()]);
    node.push_to(breaks.id).await;
    assert_eq!(node.streams.lost(), []);
    node.proxy.cut();
    eventually("it is lost", || node.streams.lost() == [breaks.id]).await;
    node.push_to(breaks.id).await;
    assert_eq!(node.streams.lost(), [breaks.id]);
}

/// It answers pings, and its queue is far from full; so only the time ends it.
#[tokio::test]
async fn a_connector_that_takes_nothing_is_not_waited_for() {
    let node = Node::with(Limits { taken_within: Duration::from_millis(100), ..limits() }, security()).await;
    let client = Client::start(&[&node]).await;
    let push = node.push_to(client.id).await;
    client.push.gate.set(false);
    let taken = timeout(Duration::from_secs(20), push.push(vec![poke(session().session)])).await;
    assert!(taken.expect("nobody waits").lost);
    eventually("it is lost", || node.streams.lost() == [client.id]).await;
}

/// One does not reach UserStatus, another one answers nothing: whichever is asked first, the lease is renewed.
#[tokio::test]
async fn a_lease_is_renewed_by_whoever_can() {
    let nodes = [Node::start().await, Node::start().await, Node::start().await];
    let hasty = Limits { renew_within: Duration::from_millis(100), ..limits() };
    let client = Client::with(hasty, &nodes.iter().collect::<Vec<_>>()).await;
    *nodes[0].transfer.is_blind.lock() = true;
    nodes[1].transfer.gate.set(false);
    for _ in 0..20 {
        let lease = timeout(Duration::from_secs(20), client.transfers.renew(client.id)).await.expect("in time");
        assert_eq!(lease, Lease { incarnation: Some(LIFE), term: 7, kept: true });
    }
    *nodes[2].transfer.is_blind.lock() = true;
    let lease = client.transfers.renew(client.id).await;
    assert_eq!(lease, Lease { incarnation: None, term: 0, kept: true });
}

/// It was killed and runs again under another id: the roster names both for a while, at one address.
#[tokio::test]
async fn a_transfer_that_runs_again_has_one_stream_and_not_two_that_end_each_other() {
    let node = Node::start().await;
    let client = Client::start(&[&node]).await;
    let push = node.push_to(client.id).await;
    let tries = node.proxy.accepted.load(Ordering::SeqCst) + 4;
    client.transfers.set(vec![node.at(), node.former()]);
    eventually("it was tried", || node.proxy.accepted.load(Ordering::SeqCst) >= tries).await;
    assert_eq!(client.transfers.reachable(), 1);
    assert!(Arc::ptr_eq(&push, &node.push_to(client.id).await), "the stream stands");
    assert!(!push.push(vec![poke(session().session)]).await.lost);
}
