//! Several transfers and connectors: who is told, by whom, and what is said of those who are not.

use std::sync::atomic::Ordering;

use whimbrel_core::{Audience, CursorMoved, Cursors, GoodbyeCode, Outcome, PlacedRow, Refusal, Seq, UserId};
use whimbrel_rpc::{Announce, Attach, PlacedBatch, Revoked, SessionRef, Through, Told, Transfer};
use whimbrel_store::Directory;
use whimbrel_store::directory::LoggedOut;

use crate::support::{House, config, draft, drafts, seq, until};

/// Ann at the first connector, Bob at the second one.
async fn apart(house: &House) -> (SessionRef, SessionRef, whimbrel_core::ConversationId) {
    let users = house.users(2).await;
    let chat = house.befriend(users[0], users[1]).await;
    (house.session(users[0]).await, house.session_there(users[1]).await, chat)
}

/// The rows of a conversation, as they would be announced.
async fn placed(house: &House, chat: whimbrel_core::ConversationId, one: UserId, two: UserId) -> Vec<PlacedBatch> {
    let audience = Audience::Two(one, two);
    let rows =
        house.rows(chat).await.into_iter().map(|message| PlacedRow { message, audience, change: None }).collect();
    vec![PlacedBatch { rows, ..PlacedBatch::default() }]
}

/// A refusal is answered without asking where anybody is; a message asks once, for its audience.
#[tokio::test]
async fn answers_ask_for_no_routes_and_a_batch_asks_once() {
    let house = House::cluster();
    let (ann, bob, chat) = apart(&house).await;
    house.status.located.lock().clear();
    let bad = whimbrel_core::Draft { key_version: 0, ..draft("x") };
    assert_eq!(house.say(ann, chat, &[bad]).await, [Outcome::Refused(Refusal::BadKey)]);
    assert!(house.status.located.lock().is_empty());
    let archiver = house.archiver();
    seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    house.connectors[1].1.wait(bob.session, |got| (got.messages(chat).len() == 1).then_some(())).await;
    assert_eq!(*house.status.located.lock(), [vec![ann.user, bob.user]]);
    archiver.kill().await;
}

/// UserStatus is away: the sender has its answer and not the row, everybody else has the row, wherever they are.
#[tokio::test]
async fn without_user_status_everybody_is_told_by_every_connector() {
    let blind_for = std::time::Duration::from_secs(3600);
    let house = House::with(whimbrel_transfer::Config { blind_for, ..config() }, 8, 3, 2);
    let (ann, bob, chat) = apart(&house).await;
    let tablet = house.session_there(ann.user).await;
    let archiver = house.archiver();
    house.status.away.store(1_000_000, Ordering::Release);
    house.connector.clear(ann.session);
    let place = seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    for session in [bob, tablet] {
        let got = house.connectors[1].1.wait(session.session, |got| {
            let places = got.places(chat);
            (!places.is_empty()).then_some(places)
        });
        // The other transfer repeats it, because it may know of connectors that this one does not.
        assert!(got.await.iter().all(|at| *at == place));
    }
    until(|| house.log.waiting() == 0).await;
    let asked = house.status.located.lock().len();
    let told = house.transfer.placed(placed(&house, chat, ann.user, bob.user).await, Through::All).await;
    assert_eq!(told, Told { blind: true, ..Told::default() }, "nobody is called offline");
    assert_eq!(house.status.located.lock().len(), asked, "it is not asked each time");
    archiver.kill().await;
}

/// Nobody says where Bob is, and the connector where he may be is cut off: it is named, so that another transfer brings it
/// there or its lease is ended. One that is back by then gets it here.
#[tokio::test]
async fn blind_telling_names_connectors_that_were_lost_lately() {
    let house = House::cluster();
    let (ann, bob, chat) = apart(&house).await;
    let (there, _) = &house.connectors[1];
    let batches = placed(&house, chat, ann.user, bob.user).await;
    house.status.away.store(1_000_000, Ordering::Release);
    house.webs[0].lose(*there);
    let unreached = Told { blind: true, unreached: vec![*there], ..Told::default() };
    assert_eq!(house.transfer.placed(batches.clone(), Through::All).await, unreached);
    house.webs[0].mend(*there);
    let reached = Told { blind: true, ..Told::default() };
    assert_eq!(house.transfer.placed(batches, Through::All).await, reached);
}

/// In one transfer's own telling the session that is answered does not get the row, though nobody knows where it is.
#[tokio::test]
async fn blind_telling_leaves_out_who_has_the_answer() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let tablet = house.session(ann.user).await;
    let archiver = house.archiver();
    house.status.away.store(1_000_000, Ordering::Release);
    let place = seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    for session in [bob, tablet] {
        house.connector.wait(session.session, |got| (got.messages(chat).len() == 1).then_some(())).await;
    }
    until(|| house.log.waiting() == 0).await;
    assert!(house.connector.look(ann.session, |got| got.messages(chat).is_empty() && got.places(chat) == [place]));
    archiver.kill().await;
}

/// Out of reach, lost on the way, or only the acknowledgement lost: the connector is named, once for its two sessions.
#[tokio::test]
async fn connectors_that_may_not_have_it_are_named() {
    let house = House::cluster();
    let (ann, bob, chat) = apart(&house).await;
    house.session_there(bob.user).await;
    let (there, recorder) = &house.connectors[1];
    let batches = placed(&house, chat, ann.user, bob.user).await;
    let unreached = Told { unreached: vec![*there], ..Told::default() };
    house.webs[0].cut(*there);
    assert_eq!(house.transfer.placed(batches.clone(), Through::All).await, unreached);
    assert_eq!(house.transfer.placed(batches.clone(), Through::Only(vec![*there])).await, unreached);
    house.webs[0].mend(*there);
    for fault in [&recorder.losing, &recorder.unacknowledged] {
        fault.store(1, Ordering::Release);
        assert_eq!(house.transfer.placed(batches.clone(), Through::All).await, unreached);
    }
    assert_eq!(house.transfer.placed(batches, Through::All).await, Told::default());
}

/// "Only these": nobody else gets anything again, and whoever is there does, whatever UserStatus knows.
#[tokio::test]
async fn rows_are_brought_to_the_named_connectors_only() {
    let house = House::cluster();
    let (ann, bob, chat) = apart(&house).await;
    let (there, recorder) = &house.connectors[1];
    let batches = placed(&house, chat, ann.user, bob.user).await;
    house.status.away.store(1, Ordering::Release);
    let told = house.transfers[1].placed(batches, Through::Only(vec![*there])).await;
    assert_eq!(told, Told::default());
    assert!(recorder.look(bob.session, |got| !got.messages(chat).is_empty()));
    assert!(house.connector.look(ann.session, |got| got.messages(chat).is_empty()));
    let cursors = Cursors { delivered: Seq(1), read: Seq(1) };
    let audience = Audience::Two(ann.user, bob.user);
    let moved = vec![CursorMoved { conversation: chat, user: ann.user, cursors, audience }];
    house.transfers[1].advanced(moved, Through::Only(vec![*there])).await;
    assert!(recorder.look(bob.session, |got| got.receipts(ann.user).len() == 1));
    assert!(house.connector.look(ann.session, |got| got.durable(chat).is_empty() && got.receipts(ann.user).is_empty()));
}

/// The publishing transfer does not reach Bob's connector: another one does. Nobody does: its lease ends, and it hears
/// so when it renews.
#[tokio::test]
async fn another_transfer_brings_it_or_the_connector_is_expelled() {
    let house = House::cluster();
    let (ann, bob, chat) = apart(&house).await;
    let (there, recorder) = &house.connectors[1];
    let archiver = house.archiver();
    house.webs[0].cut(*there);
    seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    recorder.wait(bob.session, |got| (got.messages(chat).len() == 1).then_some(())).await;
    until(|| house.log.waiting() == 0).await;
    let stood = house.transfers[1].renew(*there).await;
    house.webs[1].cut(*there);
    seq(house.say(ann, chat, &drafts(&["b"])).await[0]);
    until(|| house.log.waiting() == 0).await;
    let after = house.transfers[1].renew(*there).await;
    assert_ne!(after.term, stood.term, "it learns that messages may have passed it by");
    assert_eq!(house.transfers[0].renew(*there).await, after, "and again, should that have been lost");
    archiver.kill().await;
}

/// A connector is slow to take: neither announcement returns before it has.
#[tokio::test]
async fn announcements_return_when_they_were_taken() {
    let house = House::cluster();
    let (ann, bob, chat) = apart(&house).await;
    let batches = placed(&house, chat, ann.user, bob.user).await;
    let gate = house.connectors[1].1.gate();
    let cursors = Cursors { delivered: Seq(1), read: Seq(1) };
    let audience = Audience::Two(ann.user, bob.user);
    let moved = vec![CursorMoved { conversation: chat, user: ann.user, cursors, audience }];
    for is_row in [true, false] {
        gate.close();
        let (transfer, batches, moved) = (house.transfer.clone(), batches.clone(), moved.clone());
        let telling = tokio::spawn(async move {
            match is_row {
                true => transfer.placed(batches, Through::All).await,
                false => transfer.advanced(moved, Through::All).await,
            }
        });
        until(|| gate.waiting.load(Ordering::Acquire) == 1 || telling.is_finished()).await;
        assert!(!telling.is_finished());
        gate.open();
        assert_eq!(telling.await.unwrap(), Told::default());
    }
}

/// Three at once are one call to UserStatus and one to the directory, each answered for itself.
#[tokio::test]
async fn sessions_attach_together_and_are_answered_apart() {
    let house = House::cluster();
    let users = house.users(3).await;
    let mut attaches = Vec::new();
    for user in &users {
        let device = house.log_in(*user).await;
        let session = SessionRef { session: whimbrel_core::SessionId::generate(), user: *user, device };
        house.connector.open(session, 1);
        attaches.push(Attach { session, connector: house.connector_id, since: 1, platform: "test".into() });
    }
    house.store.log_out(users[1], None, 2).await.unwrap();
    let answers = house.transfer.attach(attaches.clone()).await;
    assert_eq!((house.status.registered.lock().clone(), house.directory.asked.lock().clone()), (vec![3], vec![3]));
    assert_eq!(answers[1].clone().unwrap_err().code, GoodbyeCode::LOGGED_OUT);
    assert!(answers[0].clone().unwrap().registered && answers[2].clone().unwrap().registered);
    assert_eq!(house.status.len(), 2, "no route is left of the one that was refused");
}

/// With UserStatus away a session begins, unregistered, and an assertion registers it. Without the devices' rows none
/// does, and no route is left.
#[tokio::test]
async fn sessions_begin_without_user_status_and_not_without_the_directory() {
    let house = House::cluster();
    let user = house.users(1).await[0];
    let device = house.log_in(user).await;
    house.status.away.store(1, Ordering::Release);
    let (session, attached) = house.try_attach_at(0, 0, user, device).await.unwrap();
    assert!(!attached.registered && house.status.len() == 0);
    house.status.away.store(1, Ordering::Release);
    assert!(!house.transfer.assert(house.connector_id, house.connector.standing()).await);
    assert!(house.transfer.assert(house.connector_id, house.connector.standing()).await);
    assert!(house.is_online(session).await);
    house.directory.away.store(1, Ordering::Release);
    let other = house.log_in(user).await;
    let refused = house.try_attach(user, other).await.unwrap_err();
    assert_eq!(refused.code, GoodbyeCode::UNAVAILABLE);
    assert!(refused.retry_after_ms > 0 && house.status.len() == 1);
}

/// The older session of a device ends, whichever is heard of first, by attach and by assertion. The one that attaches may
/// come again: later it is the newer one.
#[tokio::test]
async fn of_two_sessions_of_a_device_the_older_one_ends() {
    let house = House::cluster();
    let user = house.users(1).await[0];
    let device = house.log_in(user).await;
    house.since.store(100, Ordering::Release);
    let (newer, _) = house.try_attach_at(0, 0, user, device).await.unwrap();
    house.since.store(50, Ordering::Release);
    let refused = house.try_attach(user, device).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_ms), (GoodbyeCode::UNAVAILABLE, 1000));
    assert_eq!(house.connector.look(newer.session, |got| got.closed()), None);
    // A connector that nobody heard of for a while asserts an older one.
    let older = SessionRef { session: whimbrel_core::SessionId::generate(), user, device };
    let (there, recorder) = &house.connectors[1];
    recorder.open(older, 60);
    assert!(house.transfer.assert(*there, recorder.standing()).await);
    assert_eq!(recorder.look(older.session, |got| got.closed()), Some(GoodbyeCode::REPLACED));
    assert!(house.is_online(newer).await && !house.is_online(older).await);
    house.since.store(101, Ordering::Release);
    let again = house.try_attach(user, device).await.unwrap();
    assert_eq!(house.connector.look(newer.session, |got| got.closed()), Some(GoodbyeCode::REPLACED));
    assert!(house.is_online(again).await);
}

/// A connector was out of everybody's reach when a device was logged out: its assertion ends the session.
#[tokio::test]
async fn an_assertion_finds_a_log_out_that_was_missed() {
    let house = House::cluster();
    let (ann, _, _) = apart(&house).await;
    house.store.log_out(ann.user, Some(ann.device), 2).await.unwrap();
    assert!(house.transfer.assert(house.connector_id, house.connector.standing()).await);
    assert_eq!(house.connector.look(ann.session, |got| got.closed()), Some(GoodbyeCode::LOGGED_OUT));
    assert!(!house.is_online(ann).await);
}

/// The replaced session is on a connector out of reach; it ends when that is in reach again.
#[tokio::test]
async fn a_replaced_session_out_of_reach_is_closed_later() {
    let watchful = whimbrel_transfer::Config { watch_every: std::time::Duration::from_millis(10), ..config() };
    let patient = whimbrel_transfer::Config { closing_tries: u8::MAX, ..watchful };
    let house = House::with(patient, 8, 1, 2);
    let user = house.users(1).await[0];
    let first = house.session_there(user).await;
    let (there, recorder) = &house.connectors[1];
    house.webs[0].cut(*there);
    house.try_attach_at(0, 0, user, first.device).await.unwrap();
    assert_eq!(recorder.look(first.session, |got| got.closed()), None);
    house.webs[0].mend(*there);
    assert_eq!(recorder.wait(first.session, |got| got.closed()).await, GoodbyeCode::REPLACED);
}

/// Nobody knows who is where: a log-out ends the device's sessions on every connector all the same, and no others.
#[tokio::test]
async fn sessions_are_revoked_on_every_connector_without_user_status() {
    let house = House::cluster();
    let (ann, bob, _) = apart(&house).await;
    let tablet = house.session_there(ann.user).await;
    house.status.away.store(1_000_000, Ordering::Release);
    let revoke = |device| vec![Revoked { user: ann.user, device, code: GoodbyeCode::LOGGED_OUT }];
    house.transfer.revoked(revoke(Some(tablet.device))).await;
    let there = &house.connectors[1].1;
    assert_eq!(there.look(tablet.session, |got| got.closed()), Some(GoodbyeCode::LOGGED_OUT));
    assert_eq!(house.connector.look(ann.session, |got| got.closed()), None);
    house.transfer.revoked(revoke(None)).await;
    assert_eq!(house.connector.look(ann.session, |got| got.closed()), Some(GoodbyeCode::LOGGED_OUT));
    assert_eq!(there.look(bob.session, |got| got.closed()), None);
}

fn watchful() -> House {
    let every = std::time::Duration::from_millis(5);
    House::with(whimbrel_transfer::Config { watch_every: every, ..config() }, 8, 1, 2)
}

/// A log-out that nobody announced is found, after the directory was away for a while, and handled once: a session that
/// begins afterwards stays.
#[tokio::test]
async fn a_log_out_that_nobody_announced_is_found_and_handled_once() {
    let house = watchful();
    let (ann, bob, _) = apart(&house).await;
    house.directory.away.store(3, Ordering::Release);
    let found = LoggedOut { user: bob.user, device: Some(bob.device) };
    *house.directory.logged_out.lock() = vec![found];
    let there = &house.connectors[1].1;
    assert_eq!(there.wait(bob.session, |got| got.closed()).await, GoodbyeCode::LOGGED_OUT);
    assert_eq!(house.connector.look(ann.session, |got| got.closed()), None);
    // Both transfers have handled it; now they find it again.
    let looks = house.directory.looks.load(Ordering::Acquire);
    until(|| house.directory.looks.load(Ordering::Acquire) >= looks + 6).await;
    let again = house.try_attach(bob.user, bob.device).await.unwrap();
    let looks = house.directory.looks.load(Ordering::Acquire);
    until(|| house.directory.looks.load(Ordering::Acquire) >= looks + 6).await;
    assert_eq!(house.connector.look(again.session, |got| got.closed()), None);
}

/// Rows that nobody announced are delivered; they count as told only when every connector of their audience has them,
/// and those of others are not held up.
#[tokio::test]
async fn rows_that_nobody_announced_are_told_and_then_counted_as_told() {
    let house = watchful();
    let (ann, bob, chat) = apart(&house).await;
    let (there, recorder) = &house.connectors[1];
    house.webs.iter().for_each(|web| web.cut(*there));
    let mut rows = placed(&house, chat, ann.user, bob.user).await.remove(0).rows;
    let own = PlacedRow { audience: Audience::One(ann.user), message: rows[0].message.clone(), change: None };
    rows.truncate(1);
    rows[0].message.seq = Seq(rows[0].message.seq.0 + 1);
    let late = rows[0].message.seq;
    rows.push(own);
    *house.directory.untold.lock() = rows;
    until(|| house.directory.untold.lock().len() == 1).await;
    assert_eq!(house.directory.untold.lock()[0].message.seq, late, "Bob's connector has not got it");
    house.webs.iter().for_each(|web| web.mend(*there));
    recorder.wait(bob.session, |got| got.places(chat).contains(&late.0).then_some(())).await;
    until(|| house.directory.untold.lock().is_empty()).await;
}

/// UserStatus is away, and there are more rows than one look takes: all are told, once by each transfer, and none counts
/// as told before it is known that everybody was reached.
#[tokio::test]
async fn rows_that_were_told_blindly_hide_no_later_ones() {
    let every = std::time::Duration::from_millis(5);
    let settings = whimbrel_transfer::Config { watch_every: every, blind_for: every, untold_max: 1, ..config() };
    let house = House::with(settings, 8, 1, 2);
    let (ann, bob, chat) = apart(&house).await;
    let there = &house.connectors[1].1;
    let row = placed(&house, chat, ann.user, bob.user).await.remove(0).rows.remove(0);
    house.status.away.store(1_000_000, Ordering::Release);
    let rows = [100, 101, 102].map(|seq| {
        let mut row = row.clone();
        row.message.seq = Seq(seq);
        row
    });
    *house.directory.untold.lock() = rows.to_vec();
    let got = |seq: u64| there.look(bob.session, |got| got.messages(chat).iter().filter(|m| m.seq.0 == seq).count());
    until(|| [100, 101, 102].iter().all(|seq| got(*seq) == 2)).await;
    let looks = house.directory.looks.load(Ordering::Acquire);
    until(|| house.directory.looks.load(Ordering::Acquire) >= looks + 6).await;
    assert_eq!([100, 101, 102].map(got), [2; 3], "once by each transfer");
    assert_eq!(house.directory.untold.lock().len(), 3);
    house.status.away.store(0, Ordering::Release);
    until(|| house.directory.untold.lock().is_empty()).await;
    assert!([100, 101, 102].iter().all(|seq| got(*seq) > 2), "told again to where they are");
}
