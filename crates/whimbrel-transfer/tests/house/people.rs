//! Sessions and rights: attach, log-out, friendship, blocks.

use std::sync::atomic::Ordering;

use whimbrel_core::{GoodbyeCode, Outcome, Refusal};
use whimbrel_rpc::{Announce, Revoked, Transfer};
use whimbrel_store::Directory;
use whimbrel_store::directory::RelationChange;

use crate::support::{House, drafts, seq};

/// A second session of a device ends the first, and its late goodbye does not touch the second.
#[tokio::test]
async fn a_second_session_of_a_device_replaces_the_first() {
    let house = House::usual();
    let user = house.users(1).await[0];
    let first = house.session(user).await;
    let second = house.try_attach(user, first.device).await.unwrap();
    assert_eq!(house.connector.look(first.session, |got| got.closed()), Some(GoodbyeCode::REPLACED));
    house.transfer.detach(vec![first]).await;
    assert!(house.is_online(second).await && !house.is_online(first).await);
    let other = house.session(user).await;
    assert_eq!(house.connector.look(second.session, |got| got.closed()), None, "another device replaces nobody");
    house.transfer.detach(vec![other]).await;
    assert!(house.is_online(second).await);
}

/// Logged out: open sessions end, and a session that comes with the old token is not let in and leaves no route.
#[tokio::test]
async fn a_logged_out_device_is_cut_off_and_not_let_in_again() {
    let house = House::usual();
    let user = house.users(1).await[0];
    let (gone, stays) = (house.session(user).await, house.session(user).await);
    house.store.log_out(user, Some(gone.device), 2).await.unwrap();
    let revoked = Revoked { user, device: Some(gone.device), code: GoodbyeCode::LOGGED_OUT };
    house.transfer.revoked(vec![revoked]).await;
    assert_eq!(house.connector.look(gone.session, |got| got.closed()), Some(GoodbyeCode::LOGGED_OUT));
    assert!(!house.is_online(gone).await && house.is_online(stays).await);
    let refused = house.try_attach(user, gone.device).await.unwrap_err();
    assert_eq!(refused.code, GoodbyeCode::LOGGED_OUT);
    assert_eq!(house.status.len(), 1, "only the other device's route is left");
}

/// The log-out comes just before the session is registered, and finds no route: the attach must see it. (A transfer
/// that read the device's row first would let the session in.)
#[tokio::test]
async fn a_log_out_during_an_attach_is_seen_by_one_of_the_two() {
    let house = House::usual();
    let user = house.users(1).await[0];
    let device = house.log_in(user).await;
    let (store, transfer) = (house.store.clone(), house.transfer.clone());
    *house.status.before_online.lock() = Some(Box::pin(async move {
        store.log_out(user, Some(device), 2).await.unwrap();
        let revoked = Revoked { user, device: Some(device), code: GoodbyeCode::LOGGED_OUT };
        transfer.revoked(vec![revoked]).await;
    }));
    let refused = house.try_attach(user, device).await.unwrap_err();
    assert_eq!(refused.code, GoodbyeCode::LOGGED_OUT);
    assert_eq!(house.status.len(), 0);
}

/// UserStatus misses a call: the answer and the delivery come all the same.
#[tokio::test]
async fn routes_that_are_unknown_for_a_moment_are_asked_for_again() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    house.status.away.store(1, Ordering::Release);
    seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    house.connector.wait(bob.session, |got| (got.messages(chat).len() == 1).then_some(())).await;
    archiver.kill().await;
}

/// No longer friends, friends again, blocked, unblocked: each is in force from its place on, for the transfer that has
/// remembered the time before.
#[tokio::test]
async fn rights_follow_the_changes_at_once() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    let mut expected = Vec::new();
    let refused = |why| [Outcome::Refused(why)];
    assert_eq!(seq(house.say(ann, chat, &drafts(&["one"])).await[0]), 2);
    house.change(bob.user, ann.user, RelationChange::Remove).await;
    assert_eq!(house.say(ann, chat, &drafts(&["no"])).await, refused(Refusal::NotFriends));
    assert_eq!(house.befriend(bob.user, ann.user).await, chat, "the pair keeps its conversation");
    expected.push(seq(house.say(ann, chat, &drafts(&["two"])).await[0]));
    house.change(bob.user, ann.user, RelationChange::Block).await;
    assert_eq!(house.say(ann, chat, &drafts(&["no"])).await, refused(Refusal::Blocked));
    assert_eq!(house.say(bob, chat, &drafts(&["no"])).await, refused(Refusal::Blocked));
    house.change(bob.user, ann.user, RelationChange::Unblock).await;
    expected.push(seq(house.say(bob, chat, &drafts(&["three"])).await[0]));
    assert!(expected.is_sorted());
    assert_eq!(house.texts(chat).await, ["one", "two", "three"]);
    archiver.kill().await;
}

/// A message was placed and its answer lost; then a block. The retry hears the truth: it stands.
#[tokio::test]
async fn a_retry_after_a_block_is_still_answered_with_its_seq() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    let one = drafts(&["one"]);
    seq(house.say(ann, chat, &one).await[0]);
    house.change(bob.user, ann.user, RelationChange::Block).await;
    house.connector.clear(ann.session);
    assert_eq!(seq(house.say(ann, chat, &one).await[0]), 2);
    archiver.kill().await;
}

/// Who is not in a conversation, or names none that exists, hears the same.
#[tokio::test]
async fn a_stranger_is_refused_without_the_log() {
    let house = House::usual();
    let (_, _, chat) = house.pair().await;
    let stranger = house.session(house.users_more("eve").await).await;
    for conversation in [chat, whimbrel_core::ConversationId::generate(), chat] {
        assert_eq!(house.say(stranger, conversation, &drafts(&["x"])).await, [Outcome::Refused(Refusal::NotMember)]);
    }
    assert!(house.log.records.lock().is_empty());
}

/// Nobody of the audience is online but the sender: the archiver hears for whom offline push would be.
#[tokio::test]
async fn users_without_a_session_are_named_offline() {
    use whimbrel_core::{Audience, PlacedRow};
    use whimbrel_rpc::{PlacedBatch, Through};
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    house.transfer.detach(vec![bob]).await;
    let message = house.rows(chat).await.remove(0);
    let row = PlacedRow { message, audience: Audience::Two(ann.user, bob.user), change: None };
    let told =
        house.transfer.placed(vec![PlacedBatch { rows: vec![row], ..PlacedBatch::default() }], Through::All).await;
    assert_eq!(told.offline, [bob.user]);
}
