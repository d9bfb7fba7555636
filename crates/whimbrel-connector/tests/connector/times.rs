//! What happens when something does not happen.

use tokio::time::{Instant, timeout};
use whimbrel_connector::Config;
use whimbrel_core::GoodbyeCode;
use whimbrel_wire::frame::put_frame;
use whimbrel_wire::{ClientPayload, Encoded, ServerPayload, proto};

use crate::support::{World, answer, config, ms, send, until};

#[tokio::test]
async fn an_idle_server_sends_heartbeats_and_an_idle_client_is_told_that_it_is_silent() {
    // The idea: the client says nothing at all; heartbeats come first, and then SILENT.
    let world = World::new(Config { heartbeat: ms(60), silence: ms(300), ..config() }).await;
    let mut client = world.log_in().await;
    for _ in 0..2 {
        let frame = client.next().await;
        assert_eq!((frame.number, frame.payload), (0, Some(ServerPayload::Heartbeat(proto::Heartbeat {}))));
    }
    assert_eq!(client.goodbye_code().await, GoodbyeCode::SILENT);
}

#[tokio::test]
async fn heartbeats_of_a_client_keep_its_session() {
    let world = World::new(Config { silence: ms(150), ..config() }).await;
    let mut client = world.log_in().await;
    let start = Instant::now();
    while start.elapsed() < ms(600) {
        client.say(0, 0, Some(ClientPayload::Heartbeat(proto::Heartbeat {}))).await;
        tokio::time::sleep(ms(20)).await;
    }
    assert_eq!(world.connector.sessions(), 1);
    assert_eq!(client.goodbye_code().await, GoodbyeCode::SILENT);
}

#[tokio::test]
async fn half_a_frame_and_then_nothing_ends_with_its_name() {
    let world = World::new(Config { frame_timeout: ms(80), ..config() }).await;
    let mut client = world.log_in().await;
    client.write(&[0, 0, 1, 0, 1, 2]).await;
    assert_eq!(client.goodbye_code().await, GoodbyeCode::FRAME_TIMEOUT);
}

#[tokio::test]
async fn a_frame_that_dribbles_does_not_live_for_ever() {
    // The idea: a byte now and then keeps the connection from being silent; the frame's own time must count.
    let world = World::new(Config { frame_timeout: ms(200), ..config() }).await;
    let mut client = world.log_in().await;
    client.write(&[0, 1, 0, 0]).await;
    let until_goodbye = async {
        loop {
            client.write(&[0]).await;
            match timeout(ms(20), client.read()).await {
                Err(_) => {}
                Ok(frame) => return frame,
            }
        }
    };
    let frame = timeout(ms(10_000), until_goodbye).await.expect("it ends");
    let Some(ServerPayload::Goodbye(goodbye)) = frame.expect("a goodbye").payload else { panic!("another frame") };
    assert_eq!(GoodbyeCode(goodbye.code), GoodbyeCode::FRAME_TIMEOUT);
}

#[tokio::test]
async fn what_is_received_is_acknowledged_in_time_by_itself() {
    let world = World::new(Config { ack_timeout: ms(200), ..config() }).await;
    let mut client = world.log_in().await;
    let start = Instant::now();
    client.ask(send()).await;
    let frame = client.next().await;
    assert_eq!((frame.number, frame.ack, frame.payload), (0, 1, None));
    assert!(start.elapsed() >= ms(50), "it waited for something to carry it");
}

#[tokio::test]
async fn missing_acknowledgements_end_the_session_and_present_ones_do_not() {
    let world = World::new(Config { ack_timeout: ms(100), ack_timeouts: 2, ..config() }).await;
    let mut client = world.log_in().await;
    for number in 1..=4 {
        world.push(&client, answer()).await;
        assert_eq!(client.next().await.number, number);
        tokio::time::sleep(ms(100)).await;
        client.ack(number).await;
    }
    world.push(&client, answer()).await;
    assert_eq!(client.next().await.number, 5);
    assert_eq!(client.goodbye_code().await, GoodbyeCode::UNACKNOWLEDGED);
}

#[tokio::test]
async fn over_its_rate_a_client_is_read_from_more_slowly_and_loses_nothing() {
    // The idea: 30 requests come at once where 10 may: all are taken, and the next waits until 20 are paid for, at 50 a
    // second 400 ms. That pause is longer than the silence that is allowed, and must not count as one.
    let config = Config { requests_per_second: 50, requests_burst: 10, silence: ms(250), ..config() };
    let world = World::new(config).await;
    let mut client = world.log_in().await;
    let mut bytes = Vec::new();
    for number in 1..=30 {
        put_frame(&mut bytes, number, 0, Some(&Encoded::client(&send())));
    }
    client.write(&bytes).await;
    until("all came", || world.transfer.requests() == 30).await;
    let start = Instant::now();
    client.say(31, 0, Some(send())).await;
    until("the next came", || world.transfer.requests() == 31).await;
    assert!(start.elapsed() >= ms(300), "{:?}", start.elapsed());
    assert_eq!(world.connector.sessions(), 1);
}
