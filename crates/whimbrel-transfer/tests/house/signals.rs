//! Typing and the like: who hears it, and who does not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use whimbrel_core::{ConversationId, GroupStanding, Members, Roster, Seq, Signal, Span, UserId};
use whimbrel_rpc::{PushBody, Request, RequestBody, SessionRef, Transfer};
use whimbrel_store::directory::RelationChange;

use crate::support::{Got, House, until};

fn typing(house: &House, from: SessionRef, conversation: ConversationId, body: &'static str) {
    let body = RequestBody::Signal { conversation, body: body.into() };
    house.transfer.submit(house.connector_id, vec![Request { from, body }]);
}

fn signals(got: &Got) -> Vec<Arc<Signal>> {
    got.0
        .iter()
        .filter_map(|body| if let PushBody::Signal(signal) = body { Some(signal.clone()) } else { None })
        .collect()
}

fn heard(house: &House, session: SessionRef) -> Vec<String> {
    let texts = |got: &Got| signals(got).iter().map(|signal| String::from_utf8_lossy(&signal.body).into()).collect();
    house.connector.look(session.session, texts)
}

async fn waits(house: &House, session: SessionRef, last: &str) -> Vec<String> {
    let is_last = |got: &Got| (signals(got).last()?.body == last).then_some(());
    house.connector.wait(session.session, is_last).await;
    heard(house, session)
}

/// The other, and one's own other devices; not the session itself, and nobody twice.
#[tokio::test]
async fn friends_hear_each_other_typing_and_strangers_and_blocked_ones_do_not() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let (tablet, eve) = (house.session(ann.user).await, house.session(house.users_more("eve").await).await);
    typing(&house, eve, chat, "eve");
    typing(&house, ann, chat, "1");
    for session in [bob, tablet] {
        assert_eq!(waits(&house, session, "1").await, ["1"]);
    }
    let signal = house.connector.look(bob.session, |got| signals(got)[0].clone());
    assert_eq!((signal.user, signal.device, signal.conversation), (ann.user, ann.device, chat));
    house.change(bob.user, ann.user, RelationChange::Block).await;
    // Somebody else's comes after it: by then it would have come.
    let other = house.befriend(eve.user, bob.user).await;
    typing(&house, ann, chat, "2");
    typing(&house, eve, other, "3");
    assert_eq!(waits(&house, bob, "3").await, ["1", "3"]);
    assert_eq!(heard(&house, ann), Vec::<String>::new());
}

/// In a group of at most 100, by whoever is in it.
#[tokio::test]
async fn members_of_small_groups_hear_each_other_typing() {
    let house = House::usual();
    let users = house.users(3).await;
    let mut sessions = Vec::new();
    for user in &users {
        sessions.push(house.session(*user).await);
    }
    let group = |size: u32, revision: u64| {
        let id = ConversationId::generate();
        let span = |until| Span { since: Seq(1), until: Seq(until) };
        let mut members = vec![(users[0], span(0)), (users[1], span(0)), (users[2], span(revision))];
        members.extend((3..u64::from(size)).map(|number| (UserId(1_000_000 + number), span(0))));
        house.groups.rosters.lock().insert(id, Roster::new(Seq(revision), members));
        let standing = GroupStanding { revision: Seq(revision), size, ..GroupStanding::default() };
        house.directory.groups.lock().insert(id, Members::Group(standing));
        id
    };
    let (small, large) = (group(100, 9), group(101, 9));
    for (session, conversation, text) in [
        (sessions[0], large, "large"),
        (sessions[2], small, "who has left"),
        (sessions[0], ConversationId::generate(), "nowhere"),
        (sessions[0], small, "typing"),
    ] {
        typing(&house, session, conversation, text);
    }
    assert_eq!(waits(&house, sessions[1], "typing").await, ["typing"]);
    assert!(heard(&house, sessions[0]).is_empty() && heard(&house, sessions[2]).is_empty());
}

/// Nobody knows who is where: they go to every connector; and nothing is owed to one that does not take them.
#[tokio::test]
async fn signals_are_heard_without_user_status_and_lost_without_harm() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    house.status.away.store(1_000_000, Ordering::Release);
    house.connector.losing.store(1, Ordering::Release);
    typing(&house, ann, chat, "lost");
    until(|| house.connector.losing.load(Ordering::Acquire) == 0).await;
    typing(&house, ann, chat, "heard");
    assert_eq!(waits(&house, bob, "heard").await, ["heard"]);
}
