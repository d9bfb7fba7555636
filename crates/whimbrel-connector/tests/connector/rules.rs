//! The rules of an open session: each breach has its goodbye, and disturbs nobody else.

use whimbrel_connector::Config;
use whimbrel_core::{DeviceId, GoodbyeCode, SyncAnswer, limits};
use whimbrel_rpc::{PushBody, RequestBody};
use whimbrel_wire::frame::put_frame;
use whimbrel_wire::{ClientPayload, Encoded, ServerPayload, proto};

use crate::support::{Client, World, config, send, sync, until};

#[tokio::test]
async fn each_breach_has_its_goodbye_and_disturbs_no_other_session() {
    let world = World::new(config()).await;
    let mut witness = world.log_in().await;
    let unknown = [0, 0, 0, 5, 0x08, 1, 0x9a, 0x06, 0];
    let bytes: [(&[u8], GoodbyeCode); 5] = [
        (&[0, 0, 0, 0], GoodbyeCode::BAD_FRAME),
        (&[0, 4, 0, 1], GoodbyeCode::FRAME_TOO_LARGE),
        (&[0xff; 64], GoodbyeCode::FRAME_TOO_LARGE),
        (&[0, 0, 0, 2, 0x6a, 0x7f], GoodbyeCode::BAD_FRAME),
        (&unknown, GoodbyeCode::UNKNOWN_FRAME),
    ];
    for (bytes, code) in bytes {
        let mut client = world.log_in().await;
        client.write(bytes).await;
        assert_eq!(client.goodbye_code().await, code);
    }
    let hello = ClientPayload::Hello(world.hello_of(DeviceId::generate(), 60));
    let empty = ClientPayload::Send(proto::Send::default());
    let signal = |length| {
        ClientPayload::Signal(proto::Signal { conversation_id: vec![3; 16].into(), body: vec![1; length].into() })
    };
    let frames = [
        (0, 0, Some(hello), GoodbyeCode::UNEXPECTED_FRAME),
        (1, 0, Some(empty), GoodbyeCode::BAD_FIELD),
        (1, 0, Some(signal(limits::SIGNAL_MAX + 1)), GoodbyeCode::BAD_FIELD),
        (1, 0, Some(signal(0)), GoodbyeCode::BAD_FIELD),
        (0, 0, Some(send()), GoodbyeCode::BAD_FIELD),
        (2, 0, Some(send()), GoodbyeCode::OUT_OF_TURN),
        (1, 1, Some(send()), GoodbyeCode::WINDOW_VIOLATED),
        (0, 7, None, GoodbyeCode::WINDOW_VIOLATED),
    ];
    for (number, ack, payload, code) in frames {
        let mut client = world.log_in().await;
        client.say(number, ack, payload).await;
        assert_eq!(client.goodbye_code().await, code);
    }
    assert_eq!(world.transfer.requests(), 0, "no breach became a request");
    until("all others are detached", || world.transfer.detached.lock().len() == 13).await;
    assert_eq!(world.connector.sessions(), 1);
    witness.ask(send()).await;
    until("the witness is heard", || world.transfer.requests() == 1).await;
}

#[tokio::test]
async fn frames_of_one_read_are_one_submit_and_keep_their_order() {
    // The idea: one write of 50 frames arrives as few reads; a connector that submits frame by frame needs 50.
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    let mut bytes = Vec::new();
    for number in 1..=50 {
        let cursor = proto::Cursor { conversation_id: vec![3; 16].into(), delivered: number, read: 0 };
        let payload = Encoded::client(&ClientPayload::Advance(proto::Advance { cursors: vec![cursor] }));
        put_frame(&mut bytes, number, 0, Some(&payload));
    }
    client.write(&bytes).await;
    until("all came", || world.transfer.requests() == 50).await;
    let submits = world.transfer.submits.lock();
    assert_eq!(submits.len(), 1);
    let delivered = submits[0].iter().map(|request| match &request.body {
        RequestBody::Advance(cursors) => cursors[0].1.delivered.0,
        other => panic!("{other:?}"),
    });
    assert!(delivered.eq(1..=50));
    assert_eq!(submits[0][0].from.session, client.session);
}

#[tokio::test]
async fn what_came_before_a_bad_frame_is_submitted() {
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    let mut bytes = Vec::new();
    put_frame(&mut bytes, 1, 0, Some(&Encoded::client(&send())));
    bytes.extend_from_slice(&[0, 0, 0, 0]);
    client.write(&bytes).await;
    assert_eq!(client.goodbye_code().await, GoodbyeCode::BAD_FRAME);
    assert_eq!(world.transfer.requests(), 1);
}

#[tokio::test]
async fn a_repeat_is_acknowledged_again_at_once_and_not_processed_again() {
    // The idea: acknowledgements are an hour away by themselves, so what comes was caused by the repeat.
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    client.say(1, 0, Some(send())).await;
    client.say(1, 0, Some(send())).await;
    let ack = client.next().await;
    assert_eq!((ack.number, ack.ack, ack.payload), (0, 1, None));
    client.say(1, 0, Some(send())).await;
    assert_eq!(client.next().await.ack, 1);
    assert_eq!(world.transfer.requests(), 1);
}

#[tokio::test]
async fn half_a_window_is_acknowledged_at_once_and_all_of_it_may_be_used_again() {
    let world = World::new(Config { window: 4, ..config() }).await;
    let mut client = world.log_in().await;
    for round in 1..=5 {
        client.ask(send()).await;
        client.ask(send()).await;
        assert_eq!(client.next().await.ack, round * 2);
    }
}

#[tokio::test]
async fn one_sync_at_a_time() {
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    client.ask(sync(1)).await;
    until("it is asked", || world.transfer.requests() == 1).await;
    let answer = SyncAnswer { id: 1, views: Vec::new(), next: None };
    world.push(&client, PushBody::Synced(Box::new(answer))).await;
    let synced = client.next().await;
    assert_eq!(synced.ack, 1, "what is sent carries the acknowledgement");
    assert!(matches!(synced.payload, Some(ServerPayload::Synced(proto::Synced { id: 1, .. }))));
    client.ask(sync(2)).await;
    until("the next one is asked", || world.transfer.requests() == 2).await;
    client.ask(sync(3)).await;
    assert_eq!(client.goodbye_code().await, GoodbyeCode::UNEXPECTED_FRAME);
}

#[tokio::test]
async fn a_client_that_leaves_in_any_way_is_detached_once() {
    let world = World::new(config()).await;
    let mut polite = world.log_in().await;
    let goodbye = proto::Goodbye { code: 1006, ..Default::default() };
    polite.say(0, 0, Some(ClientPayload::Goodbye(goodbye))).await;
    assert_eq!(polite.read().await, None, "a goodbye is not answered");
    let rude = world.log_in().await;
    let sessions = [polite.session, rude.session];
    drop((polite, rude));
    until("both are gone", || world.connector.connections() == 0).await;
    let detached: Vec<_> = world.transfer.detached.lock().iter().map(|who| who.session).collect();
    assert_eq!(detached, sessions);
}

#[tokio::test]
async fn a_frame_in_pieces_is_one_frame() {
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    let mut bytes = Vec::new();
    put_frame(&mut bytes, 1, 0, Some(&Encoded::client(&send())));
    dribble(&mut client, &bytes).await;
    until("it came", || world.transfer.requests() == 1).await;
}

async fn dribble(client: &mut Client, bytes: &[u8]) {
    for byte in bytes {
        client.write(&[*byte]).await;
        tokio::task::yield_now().await;
    }
}
