//! Receipts and durable cursors.

use std::sync::atomic::Ordering;
use std::time::Duration;

use whimbrel_core::{Cursors, Seq};
use whimbrel_transfer::Config;

use crate::support::{House, config, drafts, seq, until};

fn at(delivered: u64, read: u64) -> Cursors {
    Cursors { delivered: Seq(delivered), read: Seq(read) }
}

/// Bob claims to have read what does not exist: Ann hears of the head, at once, and it is what becomes durable.
#[tokio::test]
async fn a_cursor_beyond_the_head_is_told_and_kept_as_the_head() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    let head = seq(house.say(ann, chat, &drafts(&["a", "b"])).await[1]);
    house.advance(bob, chat, 0, 99);
    let durable = house.connector.wait(bob.session, |got| got.durable(chat).first().copied()).await;
    assert_eq!(durable, at(head, head));
    let told = house.connector.wait(ann.session, |got| Some(got.receipts(bob.user)).filter(|told| !told.is_empty()));
    assert!(told.await.iter().all(|receipt| receipt.cursors == at(head, head)));
    archiver.kill().await;
}

/// Receipts do not wait for the log: with no archiver at all Ann hears that Bob has it, and Bob has no answer yet.
#[tokio::test]
async fn receipts_are_told_at_once_and_the_owner_is_answered_when_durable() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    let head = seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    archiver.kill().await;
    let tablet = house.session(bob.user).await;
    house.advance(bob, chat, head, 0);
    for session in [ann, tablet] {
        let got = house.connector.wait(session.session, |got| got.receipts(bob.user).first().copied()).await;
        assert_eq!(got.cursors, at(head, 0));
    }
    until(|| house.log.waiting() == 1).await;
    assert!(house.connector.look(bob.session, |got| got.durable(chat).is_empty() && got.receipts(bob.user).is_empty()));
    let archiver = house.archiver();
    for session in [bob, tablet] {
        house.connector.wait(session.session, |got| got.durable(chat).contains(&at(head, 0)).then_some(())).await;
    }
    archiver.kill().await;
}

/// Ann's tablet attaches after the receipt was told and before it was durable: it hears of it with the second telling.
#[tokio::test]
async fn receipts_reach_a_session_that_came_between_telling_and_commit() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    let head = seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    house.timeline.close_gate();
    house.advance(bob, chat, head, head);
    house.connector.wait(ann.session, |got| got.receipts(bob.user).first().copied()).await;
    let tablet = house.session(ann.user).await;
    assert!(house.connector.look(tablet.session, |got| got.receipts(bob.user).is_empty()));
    house.timeline.open_gate();
    let got = house.connector.wait(tablet.session, |got| got.receipts(bob.user).first().copied()).await;
    assert_eq!(got.cursors, at(head, head));
    archiver.kill().await;
}

/// A hundred cursors of one user in one conversation are one entry of the log; asked again, it is answered without one.
#[tokio::test]
async fn cursors_gather_and_what_is_durable_is_answered_without_the_log() {
    let house = House::new(Config { cursor_delay: Duration::from_millis(100), ..config() }, 8, 1);
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    let texts: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let head = seq(*house
        .say(ann, chat, &drafts(&texts.iter().map(String::as_str).collect::<Vec<_>>()))
        .await
        .last()
        .unwrap());
    let before = house.log.records.lock().len();
    for place in 2..=head {
        house.advance(bob, chat, place, 0);
    }
    house.connector.wait(bob.session, |got| got.durable(chat).contains(&at(head, 0)).then_some(())).await;
    let entries: usize = house.log.records.lock()[before..].iter().map(|record| record.entries.len()).sum();
    assert_eq!(entries, 1);
    house.connector.clear(bob.session);
    let commits = house.timeline.commits.load(Ordering::Acquire);
    house.advance(bob, chat, head - 1, 0);
    house.connector.wait(bob.session, |got| got.durable(chat).contains(&at(head, 0)).then_some(())).await;
    assert_eq!(house.timeline.commits.load(Ordering::Acquire), commits);
    archiver.kill().await;
}

/// A stranger's cursor is nobody's: nothing is told, nothing is logged. (Bob's later one shows that it was passed over.)
#[tokio::test]
async fn strangers_have_no_cursors() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let stranger = house.session(house.users_more("eve").await).await;
    let archiver = house.archiver();
    let head = seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    house.advance(stranger, chat, head, head);
    house.advance(bob, chat, head, 0);
    house.connector.wait(bob.session, |got| got.durable(chat).first().copied()).await;
    assert!(house.connector.look(ann.session, |got| got.receipts(stranger.user).is_empty()));
    assert!(house.connector.look(stranger.session, |got| got.durable(chat).is_empty()));
    archiver.kill().await;
}

/// The database may have lost the cursor that this transfer remembers as durable: asked again, it goes to the log again.
#[tokio::test]
async fn a_database_that_was_reached_anew_gets_cursors_again() {
    let house = House::usual();
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    let head = seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    for connections in [1, 2] {
        let before = house.log.records.lock().len();
        house.timeline.connections.store(connections, Ordering::Release);
        house.connector.clear(bob.session);
        house.advance(bob, chat, head, head);
        house.connector.wait(bob.session, |got| got.durable(chat).first().copied()).await;
        assert_eq!(house.log.records.lock().len(), before + 1, "life {connections}");
    }
    archiver.kill().await;
}

/// Cursors that gathered are logged when a stop begins, while others still reach this transfer.
#[tokio::test]
async fn a_stop_begins_with_logging_the_cursors_that_gathered() {
    let forever = Duration::from_secs(3600);
    let house = House::new(Config { cursor_delay: forever, ..config() }, 8, 1);
    let (ann, bob, chat) = house.pair().await;
    let archiver = house.archiver();
    let head = seq(house.say(ann, chat, &drafts(&["a"])).await[0]);
    archiver.stop().await;
    house.advance(bob, chat, head, 0);
    house.connector.wait(ann.session, |got| got.receipts(bob.user).first().copied()).await;
    let before = house.log.waiting();
    house.transfer.begin_stop();
    assert_eq!(house.log.waiting(), before + 1, "logged while others still reach this transfer");
}
