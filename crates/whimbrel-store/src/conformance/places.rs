//! Timeline: places, ids, heads and cursors.

use whimbrel_core::{ConversationId, CursorMoved, Cursors, Members, Message, MessageId, Seq, UserId};

use super::people::{Lane, befriend, draft_row, people};
use crate::{CommitError, CursorWrite, Directory, NewRow, PlaceBatch, Timeline};

async fn lane(timeline: &dyn Timeline, directory: &dyn Directory) -> Lane {
    let users = people(directory, "user", 2).await;
    Lane::new(timeline, directory, users[0], users[1]).await
}

async fn commit(timeline: &dyn Timeline, rows: Vec<NewRow>) -> Result<(), CommitError> {
    let sent = PlaceBatch { rows, cursors: Vec::new() };
    match timeline.commit(sent.clone()).await {
        Ok((back, moved)) => {
            assert_eq!((back, moved), (sent, Vec::new()));
            Ok(())
        }
        Err((back, error)) => {
            assert_eq!(back, sent, "a failed batch comes back whole");
            Err(error)
        }
    }
}

async fn messages(timeline: &dyn Timeline, conversation: ConversationId) -> Vec<Message> {
    timeline.read(conversation, Seq::ZERO, 10_000).await.expect("the store answers")
}

/// Every field of a row is different from its neighbour's default, and comes back as it went in.
pub async fn a_committed_row_reads_back_whole(timeline: &dyn Timeline, directory: &dyn Directory) {
    let mut lane = lane(timeline, directory).await;
    let mut rows = vec![lane.row(0), lane.row(1)];
    rows[1].message.key_version = u32::MAX;
    rows[1].message.kind = whimbrel_core::MessageKind(999);
    rows[1].message.body = vec![0; 100_000].into();
    commit(timeline, rows.clone()).await.expect("places are free");
    let stored = messages(timeline, lane.conversation).await;
    let placed: Vec<Message> = rows.into_iter().map(|row| row.message).collect();
    assert_eq!(stored[stored.len() - 2..], placed);
    assert!(stored.iter().zip(1..).all(|(message, seq)| message.seq == Seq(seq)), "1, 2, 3, … without holes");
}

/// A batch for two conversations, of which one place is taken: nothing of it is there afterwards.
pub async fn a_taken_place_undoes_the_whole_batch(timeline: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 3).await;
    let mut one = Lane::new(timeline, directory, users[0], users[1]).await;
    let mut two = Lane::new(timeline, directory, users[0], users[2]).await;
    two.say(timeline, 2).await;
    let mut stale = two.row(0);
    stale.message.seq = Seq(2);
    let before = messages(timeline, one.conversation).await;
    let result = commit(timeline, vec![one.row(0), stale, one.row(1)]).await;
    assert!(matches!(result, Err(CommitError::SeqTaken)), "{result:?}");
    assert_eq!(messages(timeline, one.conversation).await, before);
}

/// The same with an id that was placed before, and with one that occurs twice in the batch.
pub async fn a_taken_id_undoes_the_whole_batch(timeline: &dyn Timeline, directory: &dyn Directory) {
    let mut lane = lane(timeline, directory).await;
    let said = lane.say(timeline, 1).await;
    let before = messages(timeline, lane.conversation).await;
    let fresh = lane.row(1);
    let mut repeat = lane.row(0);
    repeat.message.message_id = said[0].message_id;
    let result = commit(timeline, vec![fresh.clone(), repeat.clone()]).await;
    assert!(matches!(result, Err(CommitError::IdTaken)), "{result:?}");
    repeat.message.sender = fresh.message.sender;
    repeat.message.message_id = fresh.message.message_id;
    let result = commit(timeline, vec![fresh, repeat]).await;
    assert!(matches!(result, Err(CommitError::IdTaken)), "{result:?}");
    assert_eq!(messages(timeline, lane.conversation).await, before);
}

/// One id, said by the other user, and in another conversation: neither is a repeat.
pub async fn an_id_is_taken_only_for_its_sender_in_its_conversation(
    timeline: &dyn Timeline,
    directory: &dyn Directory,
) {
    let users = people(directory, "user", 3).await;
    let mut one = Lane::new(timeline, directory, users[0], users[1]).await;
    let mut two = Lane::new(timeline, directory, users[0], users[2]).await;
    let id = MessageId::generate();
    let mut rows = vec![one.row(0), one.row(1), two.row(0)];
    for row in &mut rows {
        row.message.message_id = id;
    }
    commit(timeline, rows.clone()).await.expect("three different messages");
    let keys: Vec<_> = rows.iter().map(|row| (row.message.conversation, row.message.sender, id)).collect();
    let found = timeline.find(&keys).await.expect("the store answers");
    let seqs: Vec<_> = found.iter().map(|row| row.map(|row| row.seq)).collect();
    assert_eq!(seqs, rows.iter().map(|row| Some(row.message.seq)).collect::<Vec<_>>());
}

/// A row that is both at a taken place and under a taken id.
pub async fn a_taken_place_is_told_before_a_taken_id(timeline: &dyn Timeline, directory: &dyn Directory) {
    let mut lane = lane(timeline, directory).await;
    let row = lane.row(0);
    commit(timeline, vec![row.clone()]).await.expect("places are free");
    let result = commit(timeline, vec![row]).await;
    assert!(matches!(result, Err(CommitError::SeqTaken)), "{result:?}");
}

/// There is no place 0: the row is refused by its index, and takes its batch with it.
pub async fn a_row_that_cannot_be_stored_is_named(timeline: &dyn Timeline, directory: &dyn Directory) {
    let mut lane = lane(timeline, directory).await;
    let before = messages(timeline, lane.conversation).await;
    let (good, mut bad) = (lane.row(0), lane.row(1));
    bad.message.seq = Seq(0);
    let result = commit(timeline, vec![good, bad]).await;
    assert!(matches!(result, Err(CommitError::RowRefused { index: 1, .. })), "{result:?}");
    assert_eq!(messages(timeline, lane.conversation).await, before);
}

/// Forty batches at once, every fourth of which repeats an id: exactly these fail, and the others are whole.
pub async fn batches_at_one_time_fail_alone(timeline: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 41).await;
    let mut batches = Vec::new();
    for other in &users[1..] {
        let mut lane = Lane::new(timeline, directory, users[0], *other).await;
        let mut rows = vec![lane.row(0), lane.row(1), lane.row(0)];
        let is_bad = batches.len() % 4 == 0;
        if is_bad {
            rows[2].message.message_id = rows[0].message.message_id;
        }
        batches.push((is_bad, lane.conversation, rows));
    }
    let commits = batches.iter().map(|(_, _, rows)| commit(timeline, rows.clone()));
    for ((is_bad, conversation, rows), result) in batches.iter().zip(join_all(commits).await) {
        let stored = messages(timeline, *conversation).await;
        let placed = stored.iter().filter(|message| message.kind == rows[0].message.kind).count();
        assert_eq!((result.is_err(), placed), if *is_bad { (true, 0) } else { (false, 3) });
    }
}

/// Polls all at once, so that they gather in the engine.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut futures {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

/// Its place, its time and its hash, in the order asked; nothing for what is nowhere.
pub async fn a_found_row_is_the_one_that_was_placed(timeline: &dyn Timeline, directory: &dyn Directory) {
    let mut lane = lane(timeline, directory).await;
    let rows = vec![lane.row(0), lane.row(1)];
    commit(timeline, rows.clone()).await.expect("places are free");
    let key = |row: &NewRow| (row.message.conversation, row.message.sender, row.message.message_id);
    let nobody = (lane.conversation, lane.users[1], rows[0].message.message_id);
    let found = timeline.find(&[key(&rows[1]), nobody, key(&rows[0])]).await.expect("the store answers");
    assert!(found[1].is_none());
    for (found, row) in [(found[0], &rows[1]), (found[2], &rows[0])] {
        let found = found.expect("it was placed");
        assert_eq!((found.seq, found.at, found.hash), (row.message.seq, row.message.at, row.hash));
    }
}

/// Counts of both senders, members, and nothing for a conversation that does not exist.
pub async fn heads_come_in_the_order_asked(timeline: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 3).await;
    let mut one = Lane::new(timeline, directory, users[0], users[1]).await;
    let two = Lane::new(timeline, directory, users[0], users[2]).await;
    let empty = two.seq;
    one.say(timeline, 5).await;
    let asked = [two.conversation, ConversationId::generate(), one.conversation];
    let heads = timeline.heads(&asked).await.expect("the store answers");
    assert!(heads[1].is_none());
    let (two, one_head) = (heads[0].clone().expect("exists"), heads[2].clone().expect("exists"));
    assert_eq!((two.seq, two.n, two.first_own), (Seq(empty), 0, 0));
    assert_eq!((one_head.seq, one_head.n, one_head.first_own), (Seq(one.seq), 5, 3));
    assert_eq!(one_head.at, 1000 + one.seq);
    let members = directory.members(&asked).await.expect("the store answers");
    assert_eq!(members, [Some(two.members), None, Some(one_head.members.clone())]);
    assert!(matches!(one_head.members, Members::Direct { first, second, standing }
        if first == users[0] && second == users[1] && standing.friends));
}

fn write(lane: &Lane, user: UserId, delivered: u64, read: u64) -> CursorWrite {
    CursorWrite {
        conversation: lane.conversation,
        user,
        cursors: Cursors { delivered: Seq(delivered), read: Seq(read) },
    }
}

async fn raise(timeline: &dyn Timeline, rows: Vec<NewRow>, cursors: Vec<CursorWrite>) -> Vec<CursorMoved> {
    let batch = PlaceBatch { rows, cursors };
    timeline.commit(batch).await.map_err(|(_, error)| error).expect("a good batch").1
}

/// Beyond the head they end at it, rows of the same batch included; smaller values change nothing and are answered
/// with what stands; READ implies DELIVERED.
pub async fn cursors_only_grow_and_end_at_the_head(timeline: &dyn Timeline, directory: &dyn Directory) {
    let mut lane = lane(timeline, directory).await;
    let me = lane.users[0];
    let rows = vec![lane.row(0), lane.row(1)];
    let head = lane.seq;
    let at = |moved: &[CursorMoved]| {
        moved.iter().map(|moved| (moved.cursors.delivered.0, moved.cursors.read.0)).collect::<Vec<_>>()
    };
    let moved = raise(timeline, rows, vec![write(&lane, me, head + 9, 1)]).await;
    assert_eq!(at(&moved), [(head, 1)]);
    assert_eq!((moved[0].conversation, moved[0].user), (lane.conversation, me));
    assert_eq!(moved[0].audience.named().collect::<Vec<_>>(), lane.users);
    let moved = raise(timeline, vec![], vec![write(&lane, me, 1, 0), write(&lane, me, 0, u64::MAX)]).await;
    assert_eq!(at(&moved), [(head, 1), (head, head)]);
    let moved = raise(timeline, vec![], vec![write(&lane, lane.users[1], 0, 2)]).await;
    assert_eq!(at(&moved), [(2, 2)], "read implies delivered");
}

/// A stranger's cursor, and one in a conversation that does not exist, next to a member's.
pub async fn cursors_of_others_are_passed_over(timeline: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 3).await;
    let lane = Lane::new(timeline, directory, users[0], users[1]).await;
    let nowhere = CursorWrite { conversation: ConversationId::generate(), ..write(&lane, users[0], 1, 1) };
    let cursors = vec![write(&lane, users[2], 1, 1), nowhere, write(&lane, users[0], 1, 1)];
    let moved = raise(timeline, vec![], cursors).await;
    assert_eq!(moved.iter().map(|moved| moved.user).collect::<Vec<_>>(), [users[0]]);
}

/// What follows a place, as many as asked, and nothing of another conversation.
pub async fn read_goes_on_after_a_place(timeline: &dyn Timeline, directory: &dyn Directory) {
    let mut lane = lane(timeline, directory).await;
    lane.say(timeline, 20).await;
    let all = messages(timeline, lane.conversation).await;
    let some = timeline.read(lane.conversation, Seq(4), 7).await.expect("the store answers");
    assert_eq!(some, all[4..11]);
    assert!(timeline.read(lane.conversation, Seq(lane.seq), 7).await.expect("the store answers").is_empty());
    let other = people(directory, "other", 1).await[0];
    let conversation = befriend(directory, other, lane.users[0]).await.conversation.expect("friends have one");
    let row = draft_row(conversation, 2, other, 1, 1);
    commit(timeline, vec![row.clone()]).await.expect("a free place");
    assert_eq!(messages(timeline, conversation).await[1..], [row.message]);
}
