//! A connector and its transfers while everything is well.

use std::sync::Arc;

use futures_util::future::join_all;
use whimbrel_core::{
    ConversationId, Cursors, Delivery, Message, MessageId, MessageKind, Outcome, Seq, SessionId, UserId,
};
use whimbrel_rpc::grpc::Limits;
use whimbrel_rpc::{Attached, Lease, Peers as _, PushBody, PushItem, Request, RequestBody, Standing, Transfer as _};

use crate::support::*;

#[tokio::test]
async fn everything_a_connector_asks_is_answered_over_one_stream() {
    let mut node = Node::start().await;
    let client = Client::start(&[&node]).await;
    let who = session();
    let attached = client.transfers.attach(vec![attach(who, client.id), attach(session_of(2), client.id)]).await;
    assert_eq!(attached, [Ok(Attached { registered: true }), Ok(Attached { registered: true })]);
    let Asked::Attach(attaches) = next(&mut node.asked).await else { panic!("attaches") };
    assert_eq!((attaches.len(), attaches[0].connector, attaches[0].session), (2, client.id, who));
    assert_eq!(client.transfers.renew(client.id).await, Lease { incarnation: Some(LIFE), term: 7, kept: true });
    assert!(matches!(next(&mut node.asked).await, Asked::Renew));
    assert!(client.transfers.assert(client.id, vec![Standing { session: who, since: 3 }]).await);
    let Asked::Assert(standing) = next(&mut node.asked).await else { panic!("an assertion") };
    assert_eq!(standing, [Standing { session: who, since: 3 }]);
    client.transfers.detach(vec![who]).await;
    let Asked::Detach(gone) = next(&mut node.asked).await else { panic!("a detach") };
    assert_eq!(gone, [who]);
    client.transfers.leave(client.id).await;
    assert!(matches!(next(&mut node.asked).await, Asked::Leave));
}

/// The idea: the first detach reaches the transfer only after the attach was answered, though it was asked before that.
#[tokio::test]
async fn a_detach_does_not_overtake_the_attach_of_its_session() {
    let mut node = Node::start().await;
    let client = Client::start(&[&node]).await;
    node.transfer.gate.set(false);
    let (who, other) = (session(), session_of(2));
    let transfers = client.transfers.clone();
    let id = client.id;
    let attaching = tokio::spawn(async move { transfers.attach(vec![attach(who, id)]).await });
    assert!(matches!(next(&mut node.asked).await, Asked::Attach(_)));
    let transfers = client.transfers.clone();
    let detaching = tokio::spawn(async move { transfers.detach(vec![who]).await });
    // Somebody else's passes meanwhile, and shows that the first one has come and waits.
    tokio::task::yield_now().await;
    let transfers = client.transfers.clone();
    let passing = tokio::spawn(async move { transfers.detach(vec![other]).await });
    let Asked::Detach(first) = next(&mut node.asked).await else { panic!("a detach") };
    assert_eq!(first, [other]);
    node.transfer.gate.set(true);
    let Asked::Detach(second) = next(&mut node.asked).await else { panic!("a detach") };
    assert_eq!(second, [who]);
    for task in [detaching, passing] {
        task.await.expect("it was answered");
    }
    attaching.await.expect("it was answered");
}

#[tokio::test]
async fn pushes_keep_their_order_and_return_once_they_were_taken() {
    let node = Node::start().await;
    let mut client = Client::start(&[&node]).await;
    let push = node.push_to(client.id).await;
    let sessions: Vec<SessionId> = (0..2000).map(|_| SessionId::generate()).collect();
    client.push.gate.set(false);
    let given = sessions.clone();
    let pushing =
        tokio::spawn(async move { join_all(given.iter().map(|session| push.push(vec![poke(*session)]))).await });
    tokio::task::yield_now().await;
    assert!(!pushing.is_finished(), "nothing was taken yet");
    client.push.gate.set(true);
    let taken = pushing.await.expect("pushed");
    assert!(taken.iter().all(|taken| !taken.lost && taken.unknown.is_empty()));
    let (mut came, mut calls) = (Vec::new(), 0);
    while came.len() < sessions.len() {
        calls += 1;
        came.extend(next(&mut client.pushed).await.into_iter().map(|item| item.to));
    }
    assert_eq!(came, sessions.iter().map(|session| (*session).into()).collect::<Vec<_>>());
    assert!(calls < 200, "what gathered was pushed together: {calls} calls");
    assert_eq!(node.streams.connectors().len(), 1);
}

#[tokio::test]
async fn sessions_that_are_not_there_are_named() {
    let node = Node::start().await;
    let client = Client::start(&[&node]).await;
    let push = node.push_to(client.id).await;
    let nobody = SessionId::generate();
    client.push.unknown.lock().push(nobody);
    assert_eq!(push.push(vec![poke(nobody)]).await.unknown, [nobody]);
    assert_eq!(push.push(vec![poke(nobody)]).await.unknown, [], "it was told once");
}

/// The idea: an Advance of many conversations comes apart so that each conversation's cursors meet its messages.
#[tokio::test]
async fn requests_of_a_conversation_meet_at_one_transfer() {
    let mut nodes = [Node::start().await, Node::start().await, Node::start().await];
    let client = Client::start(&nodes.iter().collect::<Vec<_>>()).await;
    let conversations: Vec<ConversationId> = (0..60).map(|_| ConversationId::generate()).collect();
    let who = session();
    client.submit(conversations.iter().map(|conversation| send(who, *conversation, vec![draft()])).collect());
    let cursors = Cursors { delivered: Seq(4), read: Seq(2) };
    let all = conversations.iter().map(|conversation| (*conversation, cursors)).collect();
    client.submit(vec![Request { from: who, body: RequestBody::Advance(all) }]);
    let mut seen = 0;
    for node in &mut nodes {
        let (mut sent, mut advanced) = (Vec::new(), Vec::new());
        while advanced.is_empty() {
            for request in node.requests().await {
                match request.body {
                    RequestBody::Send { conversation, .. } => sent.push(conversation),
                    RequestBody::Advance(cursors) => advanced.extend(cursors.into_iter().map(|(c, _)| c)),
                    RequestBody::Sync(_) | RequestBody::Signal { .. } => panic!("nobody asked this"),
                }
            }
        }
        assert_eq!(sent, advanced);
        assert!(!sent.is_empty());
        seen += sent.len();
    }
    assert_eq!(seen, conversations.len());
}

/// The idea: a delivery of 8 MB cannot be one message when those are cut at 64 KiB and limited to 1 MiB; and it is whole
/// on the other side.
#[tokio::test]
async fn what_is_long_is_cut_into_messages_that_fit() {
    let small = Limits { cut: 64 * 1024, message_max: 1024 * 1024, ..limits() };
    let mut node = Node::with(small.clone(), security()).await;
    let mut client = Client::with(small, &[&node]).await;
    let conversation = ConversationId::generate();
    let message = |seq| Message {
        conversation,
        seq: Seq(seq),
        sender: UserId(1),
        device: session().device,
        message_id: MessageId::generate(),
        kind: MessageKind::TEXT,
        key_version: 1,
        body: vec![3; 64 * 1024].into(),
        at: 1,
    };
    let messages: Vec<Message> = (1..=128).map(message).collect();
    let body = PushBody::Deliver(Arc::new(Delivery { conversation, messages: messages.clone() }));
    let push = node.push_to(client.id).await;
    let taken = push.push(vec![PushItem { to: session().session.into(), body }]).await;
    assert!(!taken.lost);
    let mut came = Vec::new();
    while came.len() < messages.len() {
        for item in next(&mut client.pushed).await {
            let PushBody::Deliver(delivery) = item.body else { panic!("messages") };
            came.extend_from_slice(&delivery.messages);
        }
    }
    assert_eq!(came, messages);
    let drafts: Vec<_> = (0..100).map(|_| draft()).collect();
    client.submit((0..100).map(|user| send(session_of(user + 1), conversation, drafts.clone())).collect());
    let mut count = 0;
    while count < 100 {
        count += node.requests().await.len();
    }
}

/// An answer of the transfer takes a Send off the list: when the stream ends afterwards, nobody is told to retry.
#[tokio::test]
async fn what_was_answered_is_not_answered_again_when_the_stream_ends() {
    let mut node = Node::start().await;
    let mut client = Client::start(&[&node]).await;
    let (who, conversation, drafts) = (session(), ConversationId::generate(), vec![draft(), draft()]);
    let ids: Vec<MessageId> = drafts.iter().map(|draft| draft.message_id).collect();
    client.submit(vec![send(who, conversation, drafts)]);
    node.requests().await;
    let push = node.push_to(client.id).await;
    let answers = vec![(ids[1], Outcome::Sent { seq: Seq(1), at: 7 })];
    push.push(vec![PushItem {
        to: who.session.into(),
        body: PushBody::Answers { conversation, answers: answers.clone() },
    }])
    .await;
    assert_eq!(client.answers().await, [(who.session.into(), answers)]);
    node.proxy.kill();
    let retried = client.answers().await;
    assert!(
        matches!(&retried[..], [(_, answers)] if matches!(answers[..], [(id, Outcome::Retry { .. })] if id == ids[0]))
    );
}
