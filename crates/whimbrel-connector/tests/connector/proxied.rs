//! Proxies that name their clients, and how many connections one address may have.

use whimbrel_connector::Config;
use whimbrel_core::{DeviceId, GoodbyeCode};

use crate::support::{Client, World, config, ms, until};

fn trusting(max_connections_per_address: usize) -> Config {
    let trusted_proxies = vec!["127.0.0.0/8".parse().expect("a range")];
    Config { trusted_proxies, max_connections_per_address, ..config() }
}

/// A header of version 2 for a TCP client at 203.0.113.`host`, with something after the addresses.
fn header(host: u8) -> Vec<u8> {
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10";
    [&head[..], &[203, 0, 113, host, 10, 0, 0, 1, 0xc3, 0x50, 0x1b, 0xbc, 0x04, 0, 1, 0]].concat()
}

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

async fn log_in(world: &World, first: &[u8]) -> Client {
    let mut client = world.connect().await;
    client.write(first).await;
    client.hello(world.hello_of(DeviceId::generate(), 60)).await;
    client.welcomed().await;
    client
}

#[tokio::test]
async fn a_trusted_proxy_names_its_client_and_the_session_begins_after_that() {
    let world = World::new(trusting(1)).await;
    let _client = log_in(&world, &header(9)).await;
    // Byte by byte, so that nothing is taken for whole too early.
    let mut slow = world.connect().await;
    for byte in header(10) {
        slow.write(&[byte]).await;
    }
    slow.hello(world.hello_of(DeviceId::generate(), 60)).await;
    slow.welcomed().await;
    assert_eq!(world.connector.sessions(), 2);
}

#[tokio::test]
async fn each_client_of_a_proxy_has_its_own_limit_and_the_proxy_itself_has_none() {
    let world = World::new(Config { busy_retry: ms(100), ..trusting(2) }).await;
    let mut inside = vec![log_in(&world, &header(9)).await, log_in(&world, &header(9)).await];
    for _ in 0..2 {
        let mut third = world.connect().await;
        third.write(&header(9)).await;
        let (code, retry) = third.goodbye().await;
        assert!(code == GoodbyeCode::BUSY && (100..200).contains(&retry), "{code:?} {retry}");
    }
    inside.push(log_in(&world, &header(10)).await);
    for _ in 0..3 {
        inside.push(log_in(&world, LOCAL).await);
    }
    drop(inside.remove(0));
    until("there is room", || world.connector.connections() == 5).await;
    inside.push(log_in(&world, &header(9)).await);
}

#[tokio::test]
async fn a_full_house_says_so_behind_the_header_too() {
    let world = World::new(Config { max_connections: 1, ..trusting(0) }).await;
    let _inside = log_in(&world, &header(9)).await;
    let mut second = world.connect().await;
    second.write(&header(10)).await;
    assert_eq!(second.goodbye_code().await, GoodbyeCode::BUSY);
}

#[tokio::test]
async fn a_trusted_proxy_that_says_nothing_or_nonsense_is_closed_without_a_word() {
    let world = World::new(Config { handshake_timeout: ms(100), ..trusting(0) }).await;
    let long = [&header(9)[..14], &[0x7f, 0xff]].concat();
    for bytes in
        [&b""[..], &header(9)[..20], b"PROXY TCP4 203.0.113.9 10.0.0.1 50000 7100\r\n", b"\0\0\0\x05hello", &long]
    {
        let mut client = world.connect().await;
        client.write(bytes).await;
        until("it is closed", || world.connector.connections() == 0).await;
    }
    assert!(world.transfer.attached.lock().is_empty());
}

#[tokio::test]
async fn a_strangers_header_is_a_bad_frame() {
    let world = World::new(config()).await;
    let mut client = world.connect().await;
    client.write(&header(9)).await;
    assert_eq!(client.goodbye_code().await, GoodbyeCode::FRAME_TOO_LARGE);
}

#[tokio::test]
async fn this_machine_itself_may_have_more_connections_than_an_address() {
    let world = World::new(Config { max_connections_per_address: 1, ..config() }).await;
    let _both = [world.log_in().await, world.log_in().await];
    assert_eq!(world.connector.sessions(), 2);
}
