//! A server that was restored from a backup: what the device has and heard is no longer what the server has.

use super::*;

/// The server is restored to one message of three, and places three others. The last of them follows the device's old
/// cursor and arrives before the session's first Synced, then the session breaks. Were it appended, the device's cursor
/// would point at a message that the server has, over a run that it has not, and nobody would ever notice.
#[test]
fn a_restored_servers_next_message_is_not_appended_to_the_old_run() {
    let mut world = World::new();
    for _ in 0..3 {
        world.step(Step::PeerSays { lost: false });
    }
    world.finish();
    assert_eq!(world.stored.len(), 3);

    world.timeline.truncate(1);
    world.step(Step::Break);
    for _ in 0..3 {
        world.step(Step::PeerSays { lost: false });
    }
    let last = world.air.pop().expect("the message at the old cursor + 1");
    world.engine.receive(last, world.now).expect("well-formed");
    world.commit();
    world.finish();
    assert_eq!(world.stored, world.timeline);
}

/// The device has 1 and 2 and heard of 5, then the server is restored to 3. What it heard of is nowhere: were it still
/// asked for, the device would never be in step.
#[test]
fn what_a_restored_server_lost_is_not_asked_for() {
    let mut world = World::new();
    world.finish();
    for n in 1..=5 {
        world.step(Step::PeerSays { lost: n == 3 || n == 4 });
    }
    for payload in std::mem::take(&mut world.air) {
        world.engine.receive(payload, world.now).expect("well-formed");
    }
    let head = |world: &World| world.engine.conversations[&CHAT].row.head;
    world.commit();
    assert_eq!((world.stored.len(), head(&world)), (2, Seq(5)));

    world.timeline.truncate(3);
    world.finish();
    assert_eq!(world.stored, world.timeline);
    assert_eq!(head(&world), Seq(3));
    assert!(world.engine.is_in_step());
}

/// The server confirmed both cursors, and lost that with the backup. The device says them again.
#[test]
fn a_cursor_that_a_restored_server_lost_is_told_again() {
    let mut world = World::new();
    for _ in 0..3 {
        world.step(Step::PeerSays { lost: false });
    }
    world.finish();
    world.engine.mark_read(CHAT, Seq(2), world.now);
    world.finish();
    let told = Cursors { delivered: Seq(3), read: Seq(2) };
    assert_eq!(world.own, told);
    assert!(world.engine.is_read_durable(CHAT, Seq(2)));

    world.own = Cursors { delivered: Seq(1), read: Seq::ZERO };
    world.step(Step::Break);
    assert!(!world.engine.is_read_durable(CHAT, Seq(2)));
    world.finish();
    assert_eq!(world.own, told);
}
