//! Timeline: sync (client.proto, `Sync`).

use whimbrel_core::limits::{SYNC_BYTES_MAX, SYNC_CONVERSATIONS_MAX, SYNC_MESSAGES_MAX};
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, Known, Message, MessageId, Seq, SyncAnswer, SyncQuestion, UserId, View,
};

use super::people::{Dice, Lane, befriend, people};
use crate::directory::NewUser;
use crate::{CursorWrite, Directory, PlaceBatch, Timeline};

/// Everything, from a device that knows nothing.
pub(super) fn everything() -> SyncQuestion {
    SyncQuestion {
        id: 1,
        after: None,
        until: None,
        known: Vec::new(),
        only_known: false,
        max_messages: SYNC_MESSAGES_MAX,
    }
}

async fn ask(timeline: &dyn Timeline, user: UserId, mut question: SyncQuestion) -> SyncAnswer {
    question.known.sort_by_key(|known| known.conversation);
    let id = question.id;
    let answer = timeline.sync(user, question).await.expect("the store answers");
    assert_eq!(answer.id, id);
    assert!(answer.views.is_sorted_by(|a, b| a.conversation < b.conversation), "in the order of their ids");
    answer
}

fn known(conversation: ConversationId, cursor: u64) -> Known {
    Known { conversation, cursor: Seq(cursor), message_id: None }
}

fn ids(views: &[View]) -> Vec<ConversationId> {
    views.iter().map(|view| view.conversation).collect()
}

/// A user with `count` friends: their lanes in the order of conversation ids, without the private conversation.
async fn popular(timeline: &dyn Timeline, directory: &dyn Directory, count: usize) -> (UserId, Vec<Lane>) {
    let users = people(directory, "user", count + 1).await;
    let mut lanes = Vec::new();
    for other in &users[1..] {
        lanes.push(Lane::new(timeline, directory, users[0], *other).await);
    }
    lanes.sort_by_key(|lane| lane.conversation);
    (users[0], lanes)
}

async fn private(timeline: &dyn Timeline, user: UserId) -> View {
    let answer = ask(timeline, user, everything()).await;
    answer.views.into_iter().find(|view| view.kind == ConversationKind::Private).expect("everyone has one")
}

/// Three friends and the private conversation; heads as the timeline says, all four once.
pub async fn a_sync_of_everything_names_every_conversation_once(timeline: &dyn Timeline, directory: &dyn Directory) {
    let (me, mut lanes) = popular(timeline, directory, 3).await;
    lanes[1].say(timeline, 4).await;
    let answer = ask(timeline, me, everything()).await;
    assert_eq!((answer.views.len(), answer.next), (4, None));
    let heads = timeline.heads(&ids(&answer.views)).await.expect("the store answers");
    for (view, head) in answer.views.iter().zip(heads) {
        let head = head.expect("exists");
        assert_eq!((view.head, view.head_at, view.kind), (head.seq, head.at, head.members.kind()));
        assert_eq!(view.peer.is_some(), view.kind == ConversationKind::Direct);
        assert!(view.peer.is_none_or(|peer| head.members.may_contain(peer) && peer != me));
        assert_eq!((view.floor, view.reset), (Seq::ZERO, false));
    }
}

/// Cut at every conversation and between: the parts are the whole, also where an end names no conversation.
pub async fn ranges_together_are_the_whole(timeline: &dyn Timeline, directory: &dyn Directory) {
    let (me, _) = popular(timeline, directory, 5).await;
    let whole = ids(&ask(timeline, me, everything()).await.views);
    let mut dice = Dice::new(3);
    let mut cuts: Vec<ConversationId> = whole.clone();
    cuts.extend((0..5).map(|_| ConversationId::from_bytes([dice.roll(256) as u8; 16])));
    for cut in cuts {
        let first = ask(timeline, me, SyncQuestion { until: Some(cut), ..everything() }).await;
        let second = ask(timeline, me, SyncQuestion { after: Some(cut), ..everything() }).await;
        assert_eq!([ids(&first.views), ids(&second.views)].concat(), whole);
        assert!(ids(&first.views).iter().all(|id| *id <= cut));
    }
}

/// More conversations than one answer holds: it says where it stopped, and from there comes the rest.
pub async fn pages_together_are_the_whole(timeline: &dyn Timeline, directory: &dyn Directory) {
    let me = people(directory, "me", 1).await[0];
    let others = people(directory, "other", SYNC_CONVERSATIONS_MAX + 2).await;
    for other in &others {
        befriend(directory, me, *other).await;
    }
    let first = ask(timeline, me, everything()).await;
    assert_eq!(first.views.len(), SYNC_CONVERSATIONS_MAX);
    assert_eq!(first.next, Some(first.views[SYNC_CONVERSATIONS_MAX - 1].conversation));
    let second = ask(timeline, me, SyncQuestion { after: first.next, ..everything() }).await;
    assert_eq!((second.views.len(), second.next), (3, None));
    let exact = SyncQuestion { until: first.next, ..everything() };
    assert_eq!(ask(timeline, me, exact).await.next, None, "the range ends where the answer is full");
}

/// A device that asks again while something is not complete, with budgets that cut anywhere: it ends with exactly the
/// timeline, gapless all the way.
pub async fn a_device_that_follows_ends_with_the_timeline(timeline: &dyn Timeline, directory: &dyn Directory) {
    let (me, mut lanes) = popular(timeline, directory, 4).await;
    for (index, lane) in lanes.iter_mut().enumerate() {
        lane.say(timeline, 7 * index).await;
    }
    for max_messages in [1, 3, 1000] {
        let mut stores: Vec<(ConversationId, Vec<Message>)> =
            lanes.iter().map(|lane| (lane.conversation, Vec::new())).collect();
        loop {
            let known = stores.iter().map(|(id, run)| Known {
                conversation: *id,
                cursor: run.last().map_or(Seq::ZERO, |message| message.seq),
                message_id: run.last().map(|message| message.message_id),
            });
            let question = SyncQuestion { known: known.collect(), only_known: true, max_messages, ..everything() };
            let answer = ask(timeline, me, question).await;
            assert!(answer.views.iter().map(|view| view.messages.len()).sum::<usize>() <= max_messages);
            assert_eq!(answer.views.len(), lanes.len());
            for (view, (_, run)) in answer.views.iter().zip(&mut stores) {
                run.extend(view.messages.iter().cloned());
                assert_eq!(view.complete, run.last().map(|message| message.seq) == Some(view.head));
            }
            if answer.views.iter().all(|view| view.complete) {
                break;
            }
            assert!(answer.views.iter().any(|view| !view.messages.is_empty()), "every answer goes on");
        }
        for (conversation, run) in stores {
            assert_eq!(run, timeline.read(conversation, Seq::ZERO, 1000).await.expect("the store answers"));
        }
    }
}

/// Beyond the head, and another message at the cursor, within the run and at its end: reset, without messages. The
/// right message, or none named: not reset.
pub async fn a_run_of_another_timeline_is_reset(timeline: &dyn Timeline, directory: &dyn Directory) {
    let (me, mut lanes) = popular(timeline, directory, 1).await;
    let lane = &mut lanes[0];
    lane.say(timeline, 5).await;
    let rows = timeline.read(lane.conversation, Seq::ZERO, 100).await.expect("the store answers");
    let head = lane.seq;
    let other = Some(MessageId::generate());
    let right = |seq: u64| Some(rows[seq as usize - 1].message_id);
    let cases = [
        (head + 1, None, true),
        (head, other, true),
        (3, other, true),
        (3, right(2), true),
        (3, right(3), false),
        (3, None, false),
        (head, right(head), false),
        (head, None, false),
        (0, None, false),
    ];
    for (cursor, message_id, reset) in cases {
        let known = vec![Known { conversation: lane.conversation, cursor: Seq(cursor), message_id }];
        for only_known in [true, false] {
            let question = SyncQuestion { known: known.clone(), only_known, ..everything() };
            let answer = ask(timeline, me, question).await;
            let view = answer.views.iter().find(|view| view.conversation == lane.conversation).expect("named");
            assert_eq!(view.reset, reset, "cursor {cursor}, {message_id:?}");
            let expected = if reset { &[][..] } else { &rows[cursor as usize..] };
            assert_eq!(view.messages, expected, "cursor {cursor}");
            assert_eq!(view.complete, !reset);
        }
    }
}

/// Bodies of a third of the budget: never more than fit; one that is longer than all of it still comes, alone.
pub async fn an_answer_stays_within_its_bytes_and_still_goes_on(timeline: &dyn Timeline, directory: &dyn Directory) {
    let (me, mut lanes) = popular(timeline, directory, 2).await;
    for (lane, len) in lanes.iter_mut().zip([SYNC_BYTES_MAX / 3, SYNC_BYTES_MAX + 1]) {
        let mut rows: Vec<_> = (0..4).map(|_| lane.row(1)).collect();
        rows.iter_mut().for_each(|row| row.message.body = vec![1; len].into());
        let batch = PlaceBatch { rows, cursors: Vec::new() };
        timeline.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    }
    let both = lanes.iter().map(|lane| known(lane.conversation, 1)).collect();
    let answer = ask(timeline, me, SyncQuestion { known: both, only_known: true, ..everything() }).await;
    let lens: Vec<_> = answer.views.iter().map(|view| (view.messages.len(), view.complete)).collect();
    assert_eq!(lens, [(3, false), (0, false)]);
    let long = vec![known(lanes[1].conversation, 1)];
    let answer = ask(timeline, me, SyncQuestion { known: long, only_known: true, ..everything() }).await;
    assert_eq!((answer.views[0].messages.len(), answer.views[0].complete), (1, false));
}

/// A stranger who names a conversation is told nothing of it, and neither is one who names nobody's.
pub async fn conversations_of_others_are_not_answered(timeline: &dyn Timeline, directory: &dyn Directory) {
    let (_, lanes) = popular(timeline, directory, 1).await;
    let stranger = people(directory, "stranger", 1).await[0];
    let named = vec![known(lanes[0].conversation, 0), known(ConversationId::generate(), 0)];
    for only_known in [true, false] {
        let question = SyncQuestion { known: named.clone(), only_known, ..everything() };
        let answer = ask(timeline, stranger, question).await;
        assert!(answer.views.iter().all(|view| view.kind == ConversationKind::Private), "{answer:?}");
        assert_eq!(answer.next, None);
    }
}

/// Views come for all, messages for the named; an unnamed one is complete only when it is empty.
pub async fn unnamed_conversations_bring_no_messages(timeline: &dyn Timeline, directory: &dyn Directory) {
    let (me, mut lanes) = popular(timeline, directory, 2).await;
    for lane in &mut lanes {
        lane.say(timeline, 2).await;
    }
    let question = SyncQuestion { known: vec![known(lanes[1].conversation, 0)], ..everything() };
    let answer = ask(timeline, me, question).await;
    assert_eq!(answer.views.len(), 3);
    for view in &answer.views {
        let is_named = view.conversation == lanes[1].conversation;
        assert_eq!((!view.messages.is_empty(), view.complete), (is_named, is_named));
    }
    let new = NewUser { handle: "fresh".into(), display_name: String::new(), password_hash: None };
    let fresh = directory.create_users(vec![new], 1).await.expect("answers").remove(0).expect("free").id;
    let empty = private(timeline, fresh).await;
    assert_eq!((empty.head, empty.complete, empty.unread), (Seq::ZERO, true, 0));
}

/// Both users' cursors, as they stand, each from its side.
pub async fn receipts_are_part_of_every_sync(timeline: &dyn Timeline, directory: &dyn Directory) {
    let (me, mut lanes) = popular(timeline, directory, 1).await;
    let lane = &mut lanes[0];
    lane.say(timeline, 6).await;
    let [one, two] = lane.users;
    let cursor = |delivered, read| Cursors { delivered: Seq(delivered), read: Seq(read) };
    let write = |user, cursors| CursorWrite { conversation: lane.conversation, user, cursors };
    let cursors = vec![write(one, cursor(5, 2)), write(two, cursor(3, 1))];
    let batch = PlaceBatch { rows: Vec::new(), cursors };
    timeline.commit(batch).await.map_err(|(_, error)| error).expect("members' cursors");
    for user in [one, two] {
        let answer = ask(timeline, user, everything()).await;
        let view = answer.views.iter().find(|view| view.conversation == lane.conversation).expect("theirs");
        let (own, peer) = if user == one { ((5, 2), (3, 1)) } else { ((3, 1), (5, 2)) };
        assert_eq!((view.own, view.peer_cursors), (cursor(own.0, own.1), cursor(peer.0, peer.1)));
    }
    assert!(me == one || me == two);
}
