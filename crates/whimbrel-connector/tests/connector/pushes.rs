//! From the transfer to the client.

use whimbrel_connector::Config;
use whimbrel_core::{ConversationId, DeviceId, GoodbyeCode, SessionId, Signal, UserId};
use whimbrel_rpc::{PushBody, PushItem, RequestBody, To};
use whimbrel_wire::{ClientPayload, ServerPayload, proto};

use crate::support::{Client, World, answer, config, delivery, ms, until};

fn is_poke(payload: Option<ServerPayload>) -> bool {
    matches!(payload, Some(ServerPayload::Poke(_)))
}

#[tokio::test]
async fn pushes_come_in_order_and_numbered_to_all_they_are_for_and_strangers_are_named() {
    let world = World::new(config()).await;
    let (mut a, mut b) = (world.log_in().await, world.log_in().await);
    let stranger = SessionId::generate();
    let bodies = [delivery(&[3]), PushBody::Poke, answer()];
    let item = |body| PushItem { to: [a.session, stranger, b.session].into_iter().collect(), body };
    let items = vec![item(bodies[0].clone()), item(bodies[2].clone())];
    let taken = world.connector.push().push(items).await;
    assert_eq!(taken.unknown, [stranger, stranger]);
    for client in [&mut a, &mut b] {
        let (first, second) = (client.next().await, client.next().await);
        assert_eq!((first.number, second.number), (1, 2));
        assert!(matches!(first.payload, Some(ServerPayload::Deliver(_))));
        assert!(matches!(second.payload, Some(ServerPayload::Answers(_))));
    }
    world.push(&a, bodies[1].clone()).await;
    assert!(is_poke(a.next().await.payload));
}

#[tokio::test]
async fn a_signal_goes_through_in_both_directions() {
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    let (conversation, device) = (ConversationId::generate(), DeviceId::generate());
    let payload = proto::Signal { conversation_id: conversation.as_bytes().to_vec().into(), body: "typing".into() };
    client.ask(ClientPayload::Signal(payload)).await;
    until("it is heard", || world.transfer.requests() == 1).await;
    let heard = format!("{:?}", world.transfer.submits.lock()[0][0].body);
    assert_eq!(heard, format!("{:?}", RequestBody::Signal { conversation, body: "typing".into() }));
    let signal = Signal { conversation, user: UserId(9), device, body: "typing".into() };
    world.push(&client, PushBody::Signal(signal.into())).await;
    let Some(ServerPayload::Signaled(signaled)) = client.next().await.payload else { panic!("a signal") };
    assert_eq!((signaled.user_id, &signaled.body[..]), (9, &b"typing"[..]));
}

#[tokio::test]
async fn a_client_that_does_not_acknowledge_gets_a_window_and_no_more() {
    // The idea: a heartbeat passes a full window, so once one has come every frame that could come has.
    let world = World::new(Config { window: 4, heartbeat: ms(100), ..config() }).await;
    let mut client = world.log_in().await;
    for _ in 0..10 {
        world.push(&client, delivery(&[1])).await;
    }
    assert_eq!(numbered_until_heartbeat(&mut client).await, [1, 2, 3, 4]);
    client.ack(3).await;
    assert_eq!(numbered_until_heartbeat(&mut client).await, [5, 6, 7]);
    client.ack(7).await;
    assert_eq!(numbered_until_heartbeat(&mut client).await, [8, 9, 10]);
}

async fn numbered_until_heartbeat(client: &mut Client) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let frame = client.next().await;
        if matches!(frame.payload, Some(ServerPayload::Heartbeat(_))) {
            return numbers;
        }
        numbers.push(frame.number);
    }
}

#[tokio::test]
async fn a_full_mailbox_becomes_one_poke_keeps_answers_and_the_session() {
    // The idea: the window of 2 is closed by two deliveries, ten more overflow a mailbox of 4.
    let world = World::new(Config { window: 2, mailbox_frames: 4, ..config() }).await;
    let mut client = world.log_in().await;
    world.push(&client, delivery(&[1])).await;
    world.push(&client, delivery(&[1])).await;
    assert_eq!((client.next().await.number, client.next().await.number), (1, 2));
    world.push(&client, answer()).await;
    for _ in 0..10 {
        world.push(&client, delivery(&[1])).await;
    }
    client.ack(2).await;
    assert!(is_poke(client.next().await.payload));
    assert!(matches!(client.next().await.payload, Some(ServerPayload::Answers(_))));
    client.ack(4).await;
    world.push(&client, delivery(&[1])).await;
    let live = client.next().await;
    assert!(live.number == 5 && matches!(live.payload, Some(ServerPayload::Deliver(_))), "live again");
}

#[tokio::test]
async fn a_client_that_stays_full_is_too_slow() {
    // The idea: it goes on with heartbeats, so that it is not silent; it just never makes room.
    let config = Config { window: 1, mailbox_frames: 2, silence: ms(200), ..config() };
    let world = World::new(config).await;
    let mut client = world.log_in().await;
    world.push(&client, delivery(&[1])).await;
    assert_eq!(client.next().await.number, 1);
    for _ in 0..5 {
        world.push(&client, delivery(&[1])).await;
    }
    while world.connector.sessions() == 1 {
        client.say(0, 0, Some(ClientPayload::Heartbeat(proto::Heartbeat {}))).await;
        tokio::time::sleep(ms(20)).await;
    }
    assert_eq!(client.goodbye_code().await, GoodbyeCode::TOO_SLOW);
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_its_bounds_and_delays_nobody() {
    // The idea: megabytes for one who reads nothing; the other gets each of its messages meanwhile.
    let config = Config { window: 100_000, silence: ms(300), ack_timeouts: 1000, ..config() };
    let world = World::new(config).await;
    let mut deaf = world.log_in().await;
    let mut other = world.log_in().await;
    let mut rounds = 0;
    while world.connector.sessions() == 2 {
        rounds += 1;
        world.push(&deaf, delivery(&[60_000; 8])).await;
        world.push(&other, delivery(&[1])).await;
        let frame = other.next().await;
        assert!(matches!(frame.payload, Some(ServerPayload::Deliver(_))), "round {rounds}: {frame:?}");
        other.ack(frame.number).await;
        // Alive, only not reading. It may have been sent away between the look above and here.
        let _ = tokio::time::timeout(ms(5), deaf.say(0, 0, Some(ClientPayload::Heartbeat(proto::Heartbeat {})))).await;
        assert!(rounds < 2000);
    }
    until("the deaf one is detached", || world.transfer.detached.lock().len() == 1).await;
    assert_eq!(world.transfer.detached.lock()[0].session, deaf.session);
    until("and closed", || world.connector.connections() == 1).await;
}

#[tokio::test]
async fn a_socket_that_takes_nothing_for_too_long_ends_its_session() {
    // The idea: the mailbox has room for all, so that it is the blocked write alone that can end the session.
    let config =
        Config { window: 100_000, mailbox_bytes: usize::MAX, silence: ms(300), ack_timeouts: 1000, ..config() };
    let world = World::new(config).await;
    let mut deaf = world.log_in().await;
    for _ in 0..100 {
        world.push(&deaf, delivery(&[60_000; 8])).await;
    }
    while world.connector.sessions() == 1 {
        let heartbeat = ClientPayload::Heartbeat(proto::Heartbeat {});
        let _ = tokio::time::timeout(ms(5), deaf.say(0, 0, Some(heartbeat))).await;
        tokio::time::sleep(ms(20)).await;
    }
    until("it is detached", || world.transfer.detached.lock().len() == 1).await;
    until("and closed", || world.connector.connections() == 0).await;
}

#[tokio::test]
async fn a_session_whose_socket_takes_nothing_ends_at_once_when_it_is_to() {
    // The idea: the client reads nothing, and more is pushed than sockets hold: the last pushes woke a session that could
    // do nothing with them. No time of it ends within a minute, so only the close itself can end it.
    let world = World::new(Config { window: 100_000, ..config() }).await;
    let deaf = world.log_in().await;
    for _ in 0..100 {
        world.push(&deaf, delivery(&[60_000; 8])).await;
        tokio::time::sleep(ms(1)).await;
    }
    assert_eq!(world.connector.sessions(), 1);
    let taken = world.push(&deaf, PushBody::Close { code: GoodbyeCode::REPLACED, retry_after_ms: 0 }).await;
    assert!(taken.unknown.is_empty());
    until("it has ended", || world.connector.sessions() == 0).await;
    until("and is closed", || world.connector.connections() == 0).await;
}

#[tokio::test]
async fn a_delivery_longer_than_a_frame_comes_in_several() {
    let world = World::new(Config { max_frame: 100_000, ..config() }).await;
    let mut client = world.log_in().await;
    world.push(&client, delivery(&[40_000; 5])).await;
    let mut seqs = Vec::new();
    while seqs.len() < 5 {
        let Some(ServerPayload::Deliver(deliver)) = client.next().await.payload else { panic!("another frame") };
        assert!(deliver.messages.len() <= 2);
        seqs.extend(deliver.messages.iter().map(|m| m.seq));
    }
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_replaced_session_gets_what_is_queued_and_its_goodbye_and_is_unknown_then() {
    let world = World::new(config()).await;
    let mut client = world.log_in().await;
    let close = PushBody::Close { code: GoodbyeCode::REPLACED, retry_after_ms: 0 };
    let to = |body| PushItem { to: [client.session].into_iter().collect(), body };
    let taken = world.connector.push().push(vec![to(delivery(&[1])), to(close)]).await;
    assert!(taken.unknown.is_empty());
    assert!(matches!(client.next().await.payload, Some(ServerPayload::Deliver(_))));
    assert_eq!(client.goodbye_code().await, GoodbyeCode::REPLACED);
    assert_eq!(world.push(&client, answer()).await.unknown, [client.session]);
}

#[tokio::test]
async fn a_client_that_keeps_sending_gets_its_goodbye_all_the_same() {
    // The idea: closing with unread bytes resets a connection, and a reset can overtake the goodbye. So the server must go
    // on reading until the client has closed its side too.
    let world = World::new(Config { goodbye_linger: ms(15_000), ..config() }).await;
    let mut client = world.log_in().await;
    client.write(&[0, 0, 0, 0]).await;
    client.write(&vec![7; 300_000]).await;
    assert_eq!(client.goodbye_code().await, GoodbyeCode::BAD_FRAME);
    tokio::time::sleep(ms(50)).await;
    client.write(&[7; 1000]).await;
    assert_eq!((world.connector.sessions(), world.connector.connections()), (0, 1));
    drop(client);
    until("it is closed", || world.connector.connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_is_lost_between_pushers_and_writers() {
    // The idea: nothing but a push wakes these sessions within a minute, so one lost wake stops its client for good.
    const PUSHERS: u64 = 4;
    const EACH: u64 = 3000;
    let config = Config { window: 64, mailbox_frames: usize::MAX, mailbox_bytes: usize::MAX, ..config() };
    let world = World::new(config).await;
    let mut clients = vec![world.log_in().await, world.log_in().await];
    let to: Vec<SessionId> = clients.iter().map(|client| client.session).collect();
    for _ in 0..PUSHERS {
        let (push, to) = (world.connector.push(), to.clone());
        tokio::spawn(async move {
            for n in 0..EACH {
                push.push(vec![PushItem { to: to.iter().copied().collect(), body: answer() }]).await;
                if n % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    let readers = clients.drain(..).map(|mut client| {
        tokio::spawn(async move {
            for number in 1..=PUSHERS * EACH {
                assert_eq!(client.next().await.number, number);
                if number % 5 == 0 {
                    client.ack(number).await;
                }
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.expect("all came");
    }
}

#[tokio::test]
async fn a_push_by_user_or_by_device_reaches_their_sessions_and_nobody_elses() {
    // The idea: after the pushes everybody gets one more frame; what came before it is all that came.
    let world = World::new(config()).await;
    let (tablet, phone) = (DeviceId::generate(), DeviceId::generate());
    let mut a = world.log_in_as(UserId(1), tablet).await;
    let mut b = world.log_in_as(UserId(1), phone).await;
    let mut c = world.log_in_as(UserId(2), tablet).await;
    let users = |users: &[u64], except: &[SessionId]| To::Users {
        users: users.iter().copied().map(UserId).collect(),
        except: except.iter().copied().collect(),
    };
    let push = world.connector.push();
    let items = [
        (users(&[1, 7], &[a.session]), vec![1]),
        (users(&[2, 1], &[]), vec![2, 2]),
        (To::Device(UserId(1), tablet), vec![3, 3, 3]),
    ];
    let items = items.map(|(to, lengths)| PushItem { to, body: delivery(&lengths) });
    assert_eq!(push.push(items.into()).await, Default::default(), "nobody was named, so nobody is unknown");
    for (client, expected) in [(&mut a, vec![2, 3]), (&mut b, vec![1, 2]), (&mut c, vec![2])] {
        world.push(client, answer()).await;
        for count in expected {
            let payload = client.next().await.payload;
            let Some(ServerPayload::Deliver(deliver)) = payload else { panic!("{payload:?} and not {count}") };
            assert_eq!(deliver.messages.len(), count);
        }
        assert!(matches!(client.next().await.payload, Some(ServerPayload::Answers(_))));
    }
    let close = PushBody::Close { code: GoodbyeCode::LOGGED_OUT, retry_after_ms: 0 };
    push.push(vec![PushItem { to: To::Device(UserId(1), phone), body: close }]).await;
    assert_eq!(b.goodbye_code().await, GoodbyeCode::LOGGED_OUT);
    until("it has ended", || world.connector.sessions() == 2).await;
}
