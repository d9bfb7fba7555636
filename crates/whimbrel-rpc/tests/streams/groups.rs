//! Groups and signals over streams, and between neighbouring protocols.

use std::sync::Arc;

use bytes::Bytes;
use whimbrel_core::{
    ConversationId, Delivery, DeviceId, Message, MessageId, MessageKind, Roster, Seq, Signal, Span, UserId,
    limits as core,
};
use whimbrel_rpc::grpc::{Limits, PROTOCOL};
use whimbrel_rpc::{PushBody, PushItem, Request, RequestBody, To, ToGroup};

use crate::support::*;

const CHAT: ConversationId = ConversationId::from_bytes([7; 16]);

fn message(seq: u64, bytes: usize) -> Message {
    Message {
        conversation: CHAT,
        seq: Seq(seq),
        sender: UserId(1),
        device: DeviceId::from_bytes([1; 16]),
        message_id: MessageId::generate(),
        kind: MessageKind::TEXT,
        key_version: 1,
        body: vec![7; bytes].into(),
        at: seq,
    }
}

fn roster(members: u64) -> Arc<Roster> {
    let span = Span { since: Seq(1), until: Seq::ZERO };
    Arc::new(Roster::new(Seq(3), (1..=members).map(|user| (UserId(user << 40), span)).collect()))
}

fn row(roster: Option<Arc<Roster>>, messages: Vec<Message>) -> PushItem {
    let to = ToGroup { group: CHAT, seq: Seq(5), revision: Seq(3), except: Default::default(), change: None, roster };
    let body = PushBody::Deliver(Arc::new(Delivery { conversation: CHAT, messages }));
    PushItem { to: To::Group(Box::new(to)), body }
}

fn signal() -> PushItem {
    let device = DeviceId::from_bytes([1; 16]);
    let signal = Signal { conversation: CHAT, user: UserId(1), device, body: Bytes::from_static(b"typing") };
    let to = To::Users { users: std::iter::once(UserId(2)).collect(), except: Default::default() };
    PushItem { to, body: PushBody::Signal(signal.into()) }
}

/// The largest group's roster goes as one thing, also beside messages that have to be cut.
#[tokio::test]
async fn a_roster_of_the_largest_group_comes_whole_and_once() {
    let node = Node::start().await;
    let mut client = Client::start(&[&node]).await;
    let push = node.push_to(client.id).await;
    let roster = roster(u64::from(core::GROUP_MEMBERS_MAX));
    let messages: Vec<Message> = (5..45).map(|seq| message(seq, core::BODY_MAX)).collect();
    let taken = push.push(vec![row(Some(roster.clone()), messages.clone())]).await;
    assert!(!taken.lost && taken.unrostered.is_empty());
    let (mut came, mut rosters) = (Vec::new(), Vec::new());
    while came.len() < messages.len() {
        for item in next(&mut client.pushed).await {
            let (To::Group(to), PushBody::Deliver(delivery)) = (item.to, item.body) else {
                panic!("a row of the group")
            };
            rosters.push(to.roster);
            came.extend(delivery.messages.clone());
        }
    }
    assert_eq!(came, messages);
    assert!(rosters.len() > 1 && rosters[1..].iter().all(Option::is_none), "{} parts", rosters.len());
    assert_eq!(rosters[0].as_ref(), Some(&roster));
}

#[tokio::test]
async fn groups_without_a_roster_are_named() {
    let node = Node::start().await;
    let client = Client::start(&[&node]).await;
    let push = node.push_to(client.id).await;
    client.push.unrostered.lock().push(CHAT);
    assert_eq!(push.push(vec![row(None, vec![message(5, 1)])]).await.unrostered, [CHAT]);
    assert_eq!(push.push(vec![row(None, vec![message(6, 1)])]).await.unrostered, [], "it was told once");
}

/// A connector of one number less does not know groups: its rows go by user, and nothing ends its stream.
#[tokio::test]
async fn a_connector_of_the_protocol_before_gets_rows_by_user_and_no_signals() {
    let node = Node::start().await;
    let mut client = Client::with(Limits { protocol: PROTOCOL - 1, ..limits() }, &[&node]).await;
    let push = node.push_to(client.id).await;
    let taken = push.push(vec![signal(), row(None, vec![message(5, 1)])]).await;
    assert_eq!((taken.lost, &taken.unrostered[..]), (false, &[CHAT][..]));
    let taken = push.push(vec![signal(), row(Some(roster(2)), vec![message(5, 1)])]).await;
    assert!(!taken.lost && taken.unrostered.is_empty());
    let items = next(&mut client.pushed).await;
    assert_eq!(items.len(), 1);
    let To::Users { users, .. } = &items[0].to else { panic!("{items:?}") };
    assert_eq!(users[..], [UserId(1 << 40), UserId(2 << 40)]);
}

/// A transfer of one number less does not know signals: they go nowhere, and what comes with them does.
#[tokio::test]
async fn a_transfer_of_the_protocol_before_gets_no_signals() {
    let older = Limits { protocol: PROTOCOL - 1, ..limits() };
    for (mut node, signals) in [(Node::with(older, security()).await, false), (Node::start().await, true)] {
        let client = Client::start(&[&node]).await;
        let who = session();
        let body = RequestBody::Signal { conversation: CHAT, body: Bytes::from_static(b"typing") };
        client.submit(vec![Request { from: who, body }, send(who, CHAT, vec![draft()])]);
        let came = node.requests().await;
        assert!(matches!(came[came.len() - 1].body, RequestBody::Send { .. }));
        assert_eq!(came.len() == 2, signals);
    }
}
