//! Too many, and the end.

use std::collections::HashSet;

use whimbrel_connector::Config;
use whimbrel_core::GoodbyeCode;

use crate::support::{World, config, ms, until};

#[tokio::test]
async fn beyond_the_last_connection_there_is_busy_with_a_hint_and_room_again_later() {
    let world = World::new(Config { max_connections: 3, busy_retry: ms(100), ..config() }).await;
    let mut inside = Vec::new();
    for _ in 0..3 {
        inside.push(world.log_in().await);
    }
    for _ in 0..20 {
        let (code, retry) = world.connect().await.goodbye().await;
        assert_eq!(code, GoodbyeCode::BUSY);
        assert!((100..200).contains(&retry), "{retry}");
    }
    assert_eq!((world.connector.sessions(), world.transfer.attached.lock().len()), (3, 3));
    inside.pop();
    until("a slot is free", || world.connector.connections() == 2).await;
    inside.push(world.log_in().await);
}

#[tokio::test]
async fn a_drain_sends_each_client_away_in_its_own_slot_and_ends_when_all_are_detached() {
    let world = World::new(Config { drain_spread: ms(1000), ..config() }).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(world.log_in().await);
    }
    let mut stranger = world.connect().await;
    until("it is accepted", || world.connector.connections() == 11).await;
    let connector = world.connector.clone();
    let drain = tokio::spawn(async move { connector.drain(ms(15_000)).await });
    let mut hints = HashSet::new();
    for client in &mut clients {
        let (code, retry) = client.goodbye().await;
        assert_eq!(code, GoodbyeCode::MOVING);
        assert!((1..=1000).contains(&retry), "{retry}");
        assert!(hints.insert(retry / 90), "no two share a slot");
    }
    assert_eq!(stranger.goodbye_code().await, GoodbyeCode::MOVING);
    drop((clients, stranger));
    drain.await.expect("the drain ends");
    assert_eq!(world.transfer.detached.lock().len(), 10);
    assert_eq!((world.connector.sessions(), world.connector.connections()), (0, 0));
    assert!(tokio::net::TcpStream::connect(world.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    // The idea: the transfer never answers the attach, so the connection stays; the drain must not.
    let world = World::new(config()).await;
    world.transfer.attaching.forget_permits(usize::MAX);
    let mut client = world.connect().await;
    client.hello(world.hello_of(whimbrel_core::DeviceId::generate(), 60)).await;
    until("it is asked", || world.transfer.attached.lock().len() == 1).await;
    world.connector.drain(ms(50)).await;
    assert_eq!(world.connector.connections(), 1);
}
