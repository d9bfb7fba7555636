//! Fleeting messages whose time counts from when they were read, over restarts.

use std::time::Duration;

use super::*;
use crate::content::{Content, Outgoing, plain};
use crate::keys::device_now;
use crate::store::ConversationRow;

const AFTER_MS: u64 = 60_000;

/// A message of the peer's that vanishes a minute after it was read.
fn said(world: &mut World) -> Message {
    let content =
        Content::Fleeting { after_ms: AFTER_MS, once_read: true, content: Box::new(Content::Text("x".into())) };
    let plain = plain(Outgoing::from(content)).expect("sendable");
    let draft = Draft { message_id: MessageId::generate(), kind: plain.kind, key_version: 0, body: plain.body.into() };
    world.place(PEER, DeviceId::from_bytes([8; 16]), &draft)
}

/// A device that has the message, and whose user has read it.
fn read_it() -> (World, Message, Commit) {
    let mut world = World::new();
    let message = said(&mut world);
    world.finish();
    world.engine.mark_read(CHAT, message.seq, world.now);
    let commit = world.engine.take().commit;
    (world, message, commit)
}

fn restarted(row: &ConversationRow, message: &Message, begun: Vec<(ConversationId, Seq, u64)>) -> (Engine, Instant) {
    let habits =
        Habits { user: ME, device: DEVICE, first_sync: FirstSync::Everything, read_receipts: true, auto_deliver: true };
    let directory = Directory::default();
    directory.set_readable_bodies(true);
    let snapshot = Snapshot {
        conversations: vec![row.clone()],
        fleeting: vec![message.clone()],
        fleeting_begun: begun,
        bodies_readable: Some(true),
        ..Snapshot::default()
    };
    let before = Instant::now();
    (Engine::new(habits, Arc::new(directory), snapshot), before)
}

#[tokio::test]
async fn when_a_fleeting_message_was_read_is_kept_with_the_reading() {
    let before = device_now();
    let (mut world, message, commit) = read_it();
    let [(id, seq, at)] = commit.fleeting_begun[..] else { panic!("{:?}", commit.fleeting_begun) };
    assert_eq!((id, seq), (CHAT, message.seq));
    assert!((before..=device_now()).contains(&at));
    assert!(commit.conversations.iter().any(|row| row.own.read == message.seq), "in one commit");
    world.engine.mark_read(CHAT, message.seq, world.now);
    assert_eq!(world.engine.take().commit.fleeting_begun, [], "once");
}

/// Forty of sixty seconds were over when the device stopped: twenty are left, not sixty.
#[tokio::test]
async fn the_time_of_a_fleeting_message_goes_on_after_a_restart() {
    let (_, message, commit) = read_it();
    let row = &commit.conversations[0];
    let (mut engine, before) = restarted(row, &message, vec![(CHAT, message.seq, device_now() - 40_000)]);
    let over_at = engine.fleeting.deadline().expect("it is waited for");
    assert!(over_at <= before + Duration::from_secs(30), "{:?}", over_at - before);
    assert_eq!(engine.take().commit.fleeting_begun, [], "what is known is no news");

    let (mut engine, _) = restarted(row, &message, vec![(CHAT, message.seq, device_now() - AFTER_MS)]);
    engine.vanish_what_is_over(Instant::now());
    assert!(engine.take().events.iter().any(|event| matches!(event, Event::Changed { .. })), "it is over already");

    // A former version has not noted it: it begins with this start, and that is kept.
    let (mut engine, before) = restarted(row, &message, Vec::new());
    assert!(engine.fleeting.deadline().expect("it is waited for") >= before + Duration::from_secs(59));
    assert_eq!(engine.take().commit.fleeting_begun.len(), 1);
}
