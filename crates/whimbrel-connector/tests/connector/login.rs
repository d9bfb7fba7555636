//! Hello: who gets in, and what the others are told.

use whimbrel_connector::Config;
use whimbrel_core::{DeviceId, GoodbyeCode, UserId};
use whimbrel_rpc::{AttachRefused, PushBody, Taken, To};
use whimbrel_wire::{ClientPayload, ServerPayload, proto};

use crate::support::{Client, World, config, delivery, ms, send, until};

#[tokio::test]
async fn a_good_hello_is_attached_and_welcomed_with_the_limits() {
    // The idea: what the client is told and what the transfer is told name the same session, user and device.
    let world = World::new(config()).await;
    let device = DeviceId::generate();
    let mut client = world.connect().await;
    client.hello(world.hello_of(device, 60)).await;
    let welcome = client.welcomed().await;
    assert_eq!((welcome.user_id, welcome.window, welcome.max_frame), (5, 256, 256 * 1024));
    assert_eq!((welcome.heartbeat_ms, welcome.ack_timeouts, welcome.max_drafts), (60_000, 3, 100));
    let attached = world.transfer.attached.lock()[0].clone();
    assert_eq!(attached.session.session, client.session);
    assert_eq!((attached.session.device, attached.platform.as_str()), (device, "test"));
    assert_eq!(world.connector.sessions(), 1);
}

#[tokio::test]
async fn a_session_takes_pushes_before_the_transfer_has_answered_its_attach() {
    // The idea: push from inside attach; the hub must know the session, and the push must come behind Welcome.
    let world = World::new(config()).await;
    *world.transfer.greet.lock() = Some((world.connector.push(), To::Sessions(Default::default()), PushBody::Poke));
    let mut client = world.log_in().await;
    assert_eq!(*world.transfer.greeted.lock(), Some(Taken::default()));
    let frame = client.next().await;
    assert_eq!((frame.number, frame.payload), (1, Some(ServerPayload::Poke(proto::Poke {}))));
}

#[tokio::test]
async fn a_bad_hello_gets_the_goodbye_of_its_fault() {
    let world = World::new(config()).await;
    let device = DeviceId::generate();
    let good = world.hello_of(device, 60);
    let cases = [
        (world.hello_of(device, -5), GoodbyeCode::TOKEN_EXPIRED),
        (proto::Hello { access_token: "no.such.token".into(), ..good.clone() }, GoodbyeCode::TOKEN_INVALID),
        (proto::Hello { device_id: vec![1; 16].into(), ..good.clone() }, GoodbyeCode::TOKEN_INVALID),
        (proto::Hello { device_id: vec![1; 15].into(), ..good.clone() }, GoodbyeCode::BAD_FIELD),
        (proto::Hello { protocol: 2, ..good.clone() }, GoodbyeCode::VERSION_UNSUPPORTED),
        (proto::Hello { platform: "p".repeat(33), ..good.clone() }, GoodbyeCode::BAD_FIELD),
        (proto::Hello { access_token: "x".repeat(9000), ..good.clone() }, GoodbyeCode::FRAME_TOO_LARGE),
    ];
    for (hello, code) in cases {
        let mut client = world.connect().await;
        client.hello(hello).await;
        assert_eq!(client.goodbye_code().await, code);
    }
    assert!(world.transfer.attached.lock().is_empty());
    until("every refused connection is gone", || world.connector.connections() == 0).await;
    assert!(world.transfer.detached.lock().is_empty(), "what was never attached is not detached");
}

#[tokio::test]
async fn anything_but_hello_comes_too_early() {
    let world = World::new(config()).await;
    let heartbeat = ClientPayload::Heartbeat(proto::Heartbeat {});
    for (number, payload) in [(1, send()), (0, heartbeat)] {
        let mut client = world.connect().await;
        client.say(number, 0, Some(payload)).await;
        assert_eq!(client.goodbye_code().await, GoodbyeCode::UNEXPECTED_FRAME);
    }
    for (bytes, code) in [
        (&[0, 0, 0, 0][..], GoodbyeCode::BAD_FRAME),
        (b"GET / HTTP/1.1\r\n\r\n", GoodbyeCode::FRAME_TOO_LARGE),
        (&[0, 0, 0, 3, 0xff, 0xff, 0xff], GoodbyeCode::BAD_FRAME),
    ] {
        let mut client = world.connect().await;
        client.write(bytes).await;
        assert_eq!(client.goodbye_code().await, code);
    }
}

#[tokio::test]
async fn no_hello_and_half_a_hello_end_in_time() {
    let world = World::new(whimbrel_connector::Config { hello_timeout: ms(80), ..config() }).await;
    let mut silent = world.connect().await;
    let mut half = world.connect().await;
    half.write(&[0, 0, 0, 90, 1, 2, 3]).await;
    assert_eq!(silent.goodbye_code().await, GoodbyeCode::HELLO_TIMEOUT);
    assert_eq!(half.goodbye_code().await, GoodbyeCode::FRAME_TIMEOUT);
}

#[tokio::test]
async fn frames_that_came_with_hello_are_heard_after_it() {
    // The idea: one write with Hello and a request; whether they come in one read or two must make no difference.
    let world = World::new(config()).await;
    let mut client = world.connect().await;
    let mut bytes = Vec::new();
    let hello = ClientPayload::Hello(world.hello_of(DeviceId::generate(), 60));
    for (number, payload) in [(0, hello), (1, send())] {
        let payload = whimbrel_wire::Encoded::client(&payload);
        whimbrel_wire::frame::put_frame(&mut bytes, number, 0, Some(&payload));
    }
    client.write(&bytes).await;
    client.welcomed().await;
    until("the request is submitted", || world.transfer.requests() == 1).await;
}

#[tokio::test]
async fn the_transfers_refusal_is_the_goodbye_and_nothing_is_detached() {
    let world = World::new(config()).await;
    let refused = AttachRefused { code: GoodbyeCode::LOGGED_OUT, retry_after_ms: 0 };
    *world.transfer.refuse.lock() = Some(refused);
    let mut client = world.connect().await;
    client.hello(world.hello_of(DeviceId::generate(), 60)).await;
    assert_eq!(client.goodbye_code().await, GoodbyeCode::LOGGED_OUT);
    drop(client);
    until("it is gone", || world.connector.connections() == 0).await;
    assert!(world.transfer.detached.lock().is_empty());
    assert_eq!(world.connector.sessions(), 0);
}

#[tokio::test]
async fn an_attach_that_is_answered_too_late_is_detached() {
    // The idea: the client gives up waiting, the transfer attaches after all: no ghost may stay.
    let world = World::new(whimbrel_connector::Config { hello_timeout: ms(80), ..config() }).await;
    world.transfer.attaching.forget_permits(usize::MAX);
    let mut client = world.connect().await;
    client.hello(world.hello_of(DeviceId::generate(), 60)).await;
    let (code, retry) = client.goodbye().await;
    assert_eq!(code, GoodbyeCode::UNAVAILABLE);
    assert!(retry > 0);
    drop(client);
    assert!(world.transfer.detached.lock().is_empty(), "it is not attached yet");
    world.transfer.attaching.add_permits(1);
    until("it is detached", || world.transfer.detached.lock().len() == 1).await;
    until("its slot is free", || world.connector.connections() == 0).await;
}

#[tokio::test]
async fn who_is_refused_gets_nothing_of_what_was_pushed_meanwhile() {
    // The idea: the session is reachable while it is judged, and messages come. A logged-out device may not have them.
    let world = World::new(config()).await;
    let everybody = To::Users { users: [UserId(5)].into_iter().collect(), except: Default::default() };
    *world.transfer.greet.lock() = Some((world.connector.push(), everybody, delivery(&[10])));
    let refused = AttachRefused { code: GoodbyeCode::LOGGED_OUT, retry_after_ms: 0 };
    *world.transfer.refuse.lock() = Some(refused);
    let mut client = world.connect().await;
    client.hello(world.hello_of(DeviceId::generate(), 60)).await;
    assert!(matches!(client.next().await.payload, Some(ServerPayload::Goodbye(_))), "the goodbye is all");
}

/// Four calls that are held, with one login each: as many as there may be.
async fn hold_all_calls(world: &World) -> Vec<Client> {
    world.transfer.attaching.forget_permits(usize::MAX);
    let mut clients = Vec::new();
    for count in 1..=4 {
        clients.push(say_hello(world).await);
        until("it is asked for", || world.transfer.attached.lock().len() == count).await;
    }
    clients
}

async fn say_hello(world: &World) -> Client {
    let mut client = world.connect().await;
    client.hello(world.hello_of(DeviceId::generate(), 60)).await;
    client
}

/// Nothing can be seen of those who wait; what must not happen has time to happen.
async fn settle(world: &World, count: usize) {
    until("all have said Hello", || world.connector.connections() == count).await;
    tokio::time::sleep(ms(50)).await;
}

#[tokio::test]
async fn logins_that_come_while_calls_are_under_way_share_the_next_one() {
    // The idea: four calls are held; whoever comes then waits, and all of them go in the one that follows.
    let world = World::new(config()).await;
    let mut clients = hold_all_calls(&world).await;
    for _ in 0..6 {
        clients.push(say_hello(&world).await);
    }
    settle(&world, 10).await;
    assert_eq!(*world.transfer.batches.lock(), [1, 1, 1, 1], "a fifth call waits");
    world.transfer.attaching.add_permits(1);
    until("the next call is made", || world.transfer.batches.lock().len() >= 5).await;
    assert!(world.transfer.batches.lock()[4] > 1, "{:?}", world.transfer.batches.lock());
    world.transfer.attaching.add_permits(9);
    for client in &mut clients {
        client.welcomed().await;
    }
}

#[tokio::test]
async fn who_ends_before_being_asked_for_is_not_asked_for() {
    let world = World::new(Config { hello_timeout: ms(300), ..config() }).await;
    let mut clients = hold_all_calls(&world).await;
    for _ in 0..2 {
        clients.push(say_hello(&world).await);
    }
    for client in &mut clients {
        assert_eq!(client.goodbye_code().await, GoodbyeCode::UNAVAILABLE);
    }
    drop(clients);
    world.transfer.attaching.add_permits(1000);
    until("all are gone", || world.connector.connections() == 0).await;
    let (asked, gone) = (world.transfer.attached.lock().len(), world.transfer.detached.lock().len());
    assert_eq!((asked, gone), (4, 4), "the others waited for a call");
}
