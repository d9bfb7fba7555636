//! The lease: when sessions are asserted and poked, and that nobody is missed, whatever overtakes what.

use std::sync::atomic::Ordering;

use whimbrel_connector::Connector;
use whimbrel_core::{DeviceId, SessionId};
use whimbrel_rpc::Lease;
use whimbrel_wire::ServerPayload;

use crate::support::{Client, World, config, delivery, ms, until};

async fn poked(client: &mut Client) {
    let payload = client.next().await.payload;
    assert!(matches!(payload, Some(ServerPayload::Poke(_))), "{payload:?}");
}

/// The next thing that comes is this, so that nothing came before.
async fn nothing_came(world: &World, client: &mut Client) {
    world.push(client, delivery(&[1])).await;
    let payload = client.next().await.payload;
    assert!(matches!(payload, Some(ServerPayload::Deliver(_))), "{payload:?}");
}

fn asserted(world: &World) -> Vec<SessionId> {
    world.transfer.asserted.lock().iter().map(|standing| standing.session.session).collect()
}

#[tokio::test]
async fn nobody_is_accepted_before_the_first_renewal_was_answered() {
    let world = World::new(config()).await;
    let second = Connector::new(config(), whimbrel_core::ConnectorId::generate(), world.key.clone());
    let listener = whimbrel_connector::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = listener.local_addr().expect("bound");
    world.transfer.renewing.forget_permits(usize::MAX);
    second.start(listener, None, world.transfer.clone());
    let _waiting = tokio::net::TcpStream::connect(address).await.expect("in the backlog");
    tokio::time::sleep(ms(50)).await;
    assert_eq!(second.connections(), 0);
    world.transfer.renewing.add_permits(1_000_000);
    until("it is accepted", || second.connections() == 1).await;
}

#[tokio::test]
async fn a_lease_that_stands_asserts_and_pokes_nobody() {
    let world = World::new(config()).await;
    world.transfer.begin_incarnation();
    world.transfer.renewed().await;
    let mut client = world.log_in().await;
    world.transfer.renewed().await;
    world.transfer.lease.lock().incarnation = None;
    world.transfer.renewed().await;
    assert!(asserted(&world).is_empty(), "nobody was here when the incarnation changed");
    nothing_came(&world, &mut client).await;
}

#[tokio::test]
async fn another_incarnation_or_a_lease_that_was_not_kept_asserts_and_then_pokes_all() {
    let world = World::new(config()).await;
    let mut clients = [world.log_in().await, world.log_in().await];
    let mut expected: Vec<_> = clients.iter().map(|client| client.session).collect();
    expected.sort_unstable();
    for what in ["incarnation", "term", "reach"] {
        world.transfer.asserting.forget_permits(usize::MAX);
        match what {
            "incarnation" => world.transfer.begin_incarnation(),
            "term" => world.transfer.begin_term(),
            _ => world.transfer.lost_once.store(true, Ordering::SeqCst),
        }
        until("they are asserted", || !asserted(&world).is_empty()).await;
        let mut sessions = asserted(&world);
        sessions.sort_unstable();
        assert_eq!(sessions, expected);
        // The assertion is not answered yet, so that nobody may sync.
        world.transfer.renewed().await;
        for client in &mut clients {
            nothing_came(&world, client).await;
        }
        world.transfer.asserting.add_permits(1000);
        for client in &mut clients {
            poked(client).await;
        }
        world.transfer.renewed().await;
        let standing = std::mem::take(&mut *world.transfer.asserted.lock());
        let since = world.transfer.attached.lock().iter().map(|attach| attach.since).collect::<Vec<_>>();
        assert!(standing.len() == 2 && standing.iter().all(|standing| since.contains(&standing.since)));
    }
}

/// The idea: the first answers of the new term are lost, which is all that the connector sees of them: nothing is known.
/// The answer that comes through says what they said, and is acted on.
#[tokio::test]
async fn a_lease_that_did_not_stand_is_noticed_although_the_first_answers_that_say_so_are_lost() {
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    world.transfer.renewed().await;
    let stood = *world.transfer.lease.lock();
    *world.transfer.lease.lock() = Lease { incarnation: None, term: 0, kept: true };
    world.transfer.renewed().await;
    nothing_came(&world, &mut client).await;
    *world.transfer.lease.lock() = Lease { term: stood.term + 1, ..stood };
    until("it is asserted", || asserted(&world) == [client.session]).await;
    poked(&mut client).await;
    *world.transfer.lease.lock() = Lease { incarnation: None, term: 0, kept: true };
    world.transfer.renewed().await;
    *world.transfer.lease.lock() = Lease { term: stood.term + 1, ..stood };
    world.transfer.renewed().await;
    assert_eq!(asserted(&world), [client.session], "it was acted on, once");
}

#[tokio::test]
async fn a_session_that_was_not_registered_is_asserted_until_it_is_and_poked_then() {
    let world = World::new(config()).await;
    let mut other = world.log_in().await;
    world.transfer.unregistered.store(true, Ordering::SeqCst);
    world.transfer.refuse_assertions.store(true, Ordering::SeqCst);
    let mut client = world.log_in().await;
    until("it is tried again and again", || asserted(&world).len() >= 3).await;
    assert!(asserted(&world).iter().all(|session| *session == client.session), "nobody else is asserted");
    nothing_came(&world, &mut client).await;
    world.transfer.refuse_assertions.store(false, Ordering::SeqCst);
    poked(&mut client).await;
    let count = asserted(&world).len();
    world.transfer.renewed().await;
    assert_eq!(asserted(&world).len(), count, "once it was taken it is left alone");
    nothing_came(&world, &mut other).await;
}

#[tokio::test]
async fn with_user_status_away_it_waits_and_who_was_passed_by_is_poked_at_once() {
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    let stood = *world.transfer.lease.lock();
    world.transfer.lease.lock().incarnation = None;
    world.transfer.renewed().await;
    world.transfer.lost_once.store(true, Ordering::SeqCst);
    poked(&mut client).await;
    world.transfer.renewed().await;
    assert!(asserted(&world).is_empty(), "there is nobody to take it");
    *world.transfer.lease.lock() = stood;
    until("it is asserted", || asserted(&world) == [client.session]).await;
    poked(&mut client).await;
}

#[tokio::test]
async fn an_assertion_that_fails_pokes_those_whom_messages_passed_by_all_the_same() {
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    world.transfer.refuse_assertions.store(true, Ordering::SeqCst);
    world.transfer.lost_once.store(true, Ordering::SeqCst);
    poked(&mut client).await;
}

#[tokio::test]
async fn an_attach_that_another_incarnation_overtook_is_asserted() {
    // The idea: it was registered in the life that ended, and its answer comes when the others have been asserted already.
    let world = World::new(config()).await;
    let mut other = world.log_in().await;
    world.transfer.attaching.forget_permits(usize::MAX);
    let mut client = world.connect().await;
    client.hello(world.hello_of(DeviceId::generate(), 60)).await;
    until("it is asked for", || world.transfer.attached.lock().len() == 2).await;
    world.transfer.begin_incarnation();
    poked(&mut other).await;
    assert_eq!(asserted(&world), [other.session], "nobody knows yet whether the other one may come in");
    world.transfer.attaching.add_permits(1);
    client.welcomed().await;
    poked(&mut client).await;
    assert_eq!(asserted(&world), [other.session, client.session]);
}

#[tokio::test]
async fn an_assertion_that_another_incarnation_overtook_is_made_again_for_all() {
    let world = World::new(config()).await;
    let mut early = world.log_in().await;
    world.transfer.asserting.forget_permits(usize::MAX);
    world.transfer.begin_incarnation();
    until("it is asserted", || asserted(&world).len() == 1).await;
    let mut late = world.log_in().await;
    world.transfer.begin_incarnation();
    world.transfer.renewed().await;
    world.transfer.asserting.add_permits(1000);
    poked(&mut late).await;
    poked(&mut early).await;
    let mut again = asserted(&world).split_off(1);
    again.sort_unstable();
    let mut both = [early.session, late.session];
    both.sort_unstable();
    assert_eq!(again, both);
}

#[tokio::test]
async fn who_ends_while_being_asserted_is_detached_after_it() {
    // The idea: the goodbye is said and taken while the assertion is under way, which brings the session back: a ghost.
    let world = World::new(config()).await;
    let client = world.log_in().await;
    let session = client.session;
    world.transfer.asserting.forget_permits(usize::MAX);
    world.transfer.begin_incarnation();
    until("it is asserted", || asserted(&world).len() == 1).await;
    drop(client);
    until("it is detached", || world.transfer.detached.lock().len() == 1).await;
    world.transfer.asserting.add_permits(1000);
    until("and again", || world.transfer.detached.lock().len() == 2).await;
    assert!(world.transfer.detached.lock().iter().all(|who| who.session == session));
}

#[tokio::test]
async fn a_drain_renews_until_all_have_left_and_leaves_after_them() {
    let world = World::new(config()).await;
    let mut clients = [world.log_in().await, world.log_in().await];
    let connector = world.connector.clone();
    let drain = tokio::spawn(async move { connector.drain(ms(15_000)).await });
    for client in &mut clients {
        client.goodbye().await;
    }
    let connector = world.connector.clone();
    world.transfer.attaching.close();
    drop(clients);
    drain.await.expect("the drain ends");
    assert_eq!(*world.transfer.left.lock(), [2], "both were detached before");
    let renewals = world.transfer.renewals.load(Ordering::SeqCst);
    tokio::time::sleep(ms(50)).await;
    assert_eq!((world.transfer.renewals.load(Ordering::SeqCst), connector.connections()), (renewals, 0));
}
