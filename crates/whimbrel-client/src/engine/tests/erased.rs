//! What a user said is gone.

use super::*;
use crate::content::Outgoing;
use crate::message::draft as sealed;

fn calling(world: &mut World) -> Message {
    let draft = sealed(PEER, CHAT, Outgoing::text("look").mentioning([ME]), None).expect("it can be sent");
    world.place(PEER, DeviceId::from_bytes([8; 16]), &draft)
}

/// One call is stored, the other comes with the row, a third follows it: of the first the store is asked whose it is, and only
/// the third is left. The application is told once, and all of it still counts as unread.
#[test]
fn who_was_called_by_it_is_called_no_more_and_is_told_once() {
    let mut world = World::new();
    world.finish();
    for _ in 0..2 {
        let message = calling(&mut world);
        world.engine.receive(deliver(message), world.now).expect("well-formed");
        if world.timeline.len() == 1 {
            world.commit();
        }
    }
    let row = world.erase(PEER);
    let after = calling(&mut world);
    for message in [row, after] {
        world.engine.receive(deliver(message), world.now).expect("well-formed");
    }
    let unheard = world.engine.unheard();
    let asked: Vec<_> = unheard.iter().map(|unheard| (unheard.by, unheard.seqs.clone())).collect();
    assert_eq!(asked, [(PEER, vec![Seq(1)])]);
    world.engine.calls_no_more(CHAT, Seq(1));
    let taken = world.engine.take();
    let erased = Erased { conversation: CHAT, user: PEER, from: Seq(0), before: Seq(3) };
    assert_eq!(taken.commit.erased, [erased]);
    let row = taken.commit.conversations.last().expect("it changed");
    assert_eq!((&row.mentions[..], row.unread), (&[Seq(4)][..], 3));
    let told = |event: &&Event| matches!(event, Event::Erased { user: PEER, seq: Seq(3), .. });
    assert_eq!(taken.events.iter().filter(told).count(), 1);
    assert!(!taken.events.iter().any(|event| matches!(event, Event::Changed { .. })));
}

/// What is taken in before the run is emptied where the run says so, and where a row among it does; no further.
#[test]
fn what_comes_before_the_run_is_emptied_by_rows_of_the_run_and_its_own() {
    let mut world = World::new();
    for _ in 0..3 {
        world.step(Step::PeerSays { lost: true });
    }
    let row = world.erase(ME);
    for _ in 0..2 {
        world.step(Step::PeerSays { lost: true });
    }
    let older = world.timeline[1..5].to_vec();
    let view = View { floor: Seq(5), own: Cursors { delivered: Seq(5), read: Seq(0) }, ..world.view(None) };
    world.engine.syncs.compare();
    world.engine.next_frame(world.now);
    world.engine.start(view, world.now);
    world.engine.take();
    let erased = [(PEER, Seq(3)), (PEER, Seq(99))];
    assert!(world.engine.older(CHAT, older, &[], &erased, world.now));
    let part = |user, before| Erased { conversation: CHAT, user, from: Seq(2), before: Seq(before) };
    let expected = [part(PEER, 3), part(PEER, 6), part(ME, row.seq.0)];
    assert_eq!(world.engine.take().commit.erased, expected);
}
