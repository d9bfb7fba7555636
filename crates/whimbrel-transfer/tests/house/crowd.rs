//! Groups of the store, with archivers and the log between: what members say and do reaches whom it is owed to, and is
//! refused where the group's rules say so.

use whimbrel_core::limits::GROUP_MEMBERS;
use whimbrel_core::{ConversationId, Draft, MessageKind, Outcome, Refusal, UserId};
use whimbrel_rpc::{PlacedBatch, SessionRef, Through};
use whimbrel_store::Groups;
use whimbrel_store::directory::Rows;
use whimbrel_store::groups::{Actor, GroupChange, JoinMode, NewGroup};

use crate::support::{House, draft, drafts, seq, until};

/// Ann owns it, Bob and Eve are friends of hers and members from the start; each with a session.
async fn group(house: &House) -> ([SessionRef; 3], ConversationId) {
    let users = house.users(3).await;
    for friend in &users[1..] {
        house.befriend(users[0], *friend).await;
    }
    let new = NewGroup {
        owner: users[0],
        handle: None,
        name: "Birds".into(),
        avatar: String::new(),
        announcement: String::new(),
        join: JoinMode::Invitation,
        listed: false,
        history_for_all: false,
        member_limit: GROUP_MEMBERS,
        members: users[1..].to_vec(),
    };
    let (group, rows) = house.store.create_group(new, 1).await.unwrap();
    tell(house, rows).await;
    let [ann, bob, eve] = [users[0], users[1], users[2]];
    ([house.session(ann).await, house.session(bob).await, house.session(eve).await], group.id)
}

/// As the API does.
async fn tell(house: &House, rows: Rows) {
    house.announce().placed(vec![PlacedBatch { rows, ..PlacedBatch::default() }], Through::All).await;
}

async fn change(house: &House, group: ConversationId, by: SessionRef, change: GroupChange) {
    let (_, rows) = house.store.change_group(group, Actor::User(by.user), change, 1).await.unwrap();
    tell(house, rows).await;
}

fn about(kind: MessageKind, seq: u64, rest: &str) -> Draft {
    let body = [&seq.to_be_bytes()[..], rest.as_bytes()].concat();
    Draft { kind, body: body.into(), ..draft("") }
}

fn remove(user: UserId) -> GroupChange {
    GroupChange::Remove { user }
}

#[tokio::test]
async fn what_a_member_says_reaches_all_others_in_one_order() {
    let house = House::usual();
    let ([ann, bob, eve], group) = group(&house).await;
    let archiver = house.archiver();
    let first = seq(house.say(ann, group, &drafts(&["a"])).await[0]);
    let second = seq(house.say(bob, group, &drafts(&["b"])).await[0]);
    assert_eq!(second, first + 1);
    for session in [ann, bob, eve] {
        let both = |got: &crate::support::Got| {
            let places = got.places(group);
            (places.len() >= 2).then_some(places)
        };
        assert_eq!(house.connector.wait(session.session, both).await, [first, second]);
    }
    archiver.kill().await;
}

/// Bob's message is logged and not placed when he is removed; Ann's is placed before it and told after it.
#[tokio::test]
async fn who_is_removed_while_messages_are_on_their_way_gets_those_before_and_no_others() {
    let house = House::usual();
    let ([ann, bob, eve], group) = group(&house).await;
    let before = house.archiver();
    let first = seq(house.say(ann, group, &drafts(&["before"])).await[0]);
    until(|| house.log.waiting() == 0).await;
    before.kill().await;
    let (late, after) = (drafts(&["bob's"]), drafts(&["after"]));
    house.send(bob, group, &late);
    house.send(eve, group, &after);
    until(|| house.log.waiting() > 0).await;
    change(&house, group, ann, remove(bob.user)).await;
    let archiver = house.archiver();
    assert_eq!(house.answers(bob, &late).await, [Outcome::Refused(Refusal::NotMember)]);
    let last = seq(house.answers(eve, &after).await[0]);
    assert_eq!(last, first + 2, "the removal stands between");
    let all = |got: &crate::support::Got| (got.places(group).last() == Some(&last)).then(|| got.places(group));
    assert_eq!(house.connector.wait(ann.session, all).await, [first, first + 1, last]);
    assert_eq!(house.connector.look(bob.session, |got| got.places(group)), [first, first + 1]);
    archiver.kill().await;
}

/// Refusals that only the archiver can make, by the same answers as all others.
#[tokio::test]
async fn who_may_not_is_answered_why() {
    let house = House::usual();
    let ([ann, bob, eve], group) = group(&house).await;
    let archiver = house.archiver();
    let place = seq(house.say(bob, group, &drafts(&["a"])).await[0]);
    let call = Draft { kind: MessageKind::CALL, ..draft("all") };
    let edit = about(MessageKind::EDIT, place, "x");
    let refused = house.say(eve, group, &[call, edit, about(MessageKind::RECALL, place, "")]).await;
    let why = [Refusal::NotAllowed, Refusal::NotYours, Refusal::NotYours];
    assert_eq!(refused, why.map(Outcome::Refused));
    change(&house, group, ann, GroupChange::Mute { user: eve.user, until: u64::MAX }).await;
    assert_eq!(house.say(eve, group, &drafts(&["b"])).await, [Outcome::Refused(Refusal::Muted)]);
    seq(house.say(ann, group, &[about(MessageKind::RECALL, place, "")]).await[0]);
    let again = [about(MessageKind::REACTION, place, "x"), about(MessageKind::EDIT, place, "y")];
    assert_eq!(house.say(bob, group, &again).await, [Outcome::Refused(Refusal::Recalled); 2]);
    let body = house.rows(group).await[place as usize - 1].body.clone();
    assert!(body.is_empty(), "it is gone");
    archiver.kill().await;
}
