//! Timeline: messages that are about earlier ones.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use whimbrel_core::{ConversationId, Message, MessageKind, Seq};

use super::Stores;
use super::people::{Lane, people};
use crate::{NewRow, PlaceBatch, Target};

async fn lane(stores: &Stores) -> Lane {
    let users = people(&*stores.directory, "user", 2).await;
    Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await
}

/// A row of this kind about the message at `target`.
fn about(lane: &mut Lane, kind: MessageKind, target: u64, content: &[u8]) -> NewRow {
    let mut row = lane.follow_up(0);
    row.message.kind = kind;
    row.message.body = [&target.to_be_bytes()[..], content].concat().into();
    row.hash = Sha256::digest(&row.message.body).into();
    row
}

async fn commit(stores: &Stores, rows: Vec<NewRow>) {
    let batch = PlaceBatch { rows, cursors: Vec::new() };
    let (batch, _) = stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    assert!(batch.rows.iter().all(|row| !row.message.body.is_empty()), "what is announced is what was sent");
}

async fn read(stores: &Stores, conversation: ConversationId) -> Vec<Message> {
    stores.timeline.read(conversation, Seq::ZERO, 1000).await.expect("the store answers")
}

async fn target(stores: &Stores, conversation: ConversationId, seq: u64) -> Option<Target> {
    stores.timeline.targets(&[(conversation, Seq(seq))]).await.expect("the store answers")[0]
}

/// RECALL and VANISH: the message and its edits, appended parts and end lose what they said, also those of the same
/// batch, and keep their rows, places and hashes; a reaction, and everything about other messages, is as it was.
pub async fn what_is_taken_back_loses_its_content_and_that_of_its_follow_ups(stores: &Stores) {
    for (kind, together) in [(MessageKind::RECALL, false), (MessageKind::VANISH, true)] {
        let users = people(&*stores.directory, &format!("user{}.", kind.0), 2).await;
        let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
        let said = lane.say(&*stores.timeline, 3).await;
        let (gone, stays) = (said[0].seq.0, said[1].seq.0);
        let mut rows = vec![
            about(&mut lane, MessageKind::EDIT, gone, b"edit"),
            about(&mut lane, MessageKind::APPEND, gone, b"more"),
            about(&mut lane, MessageKind::FINISH, gone, b"all"),
            about(&mut lane, MessageKind::REACTION, gone, b"like"),
            about(&mut lane, MessageKind::EDIT, stays, b"edit"),
        ];
        let before: Vec<_> = read(stores, lane.conversation).await;
        let hashes: Vec<_> = rows.iter().map(|row| (row.message.clone(), row.hash)).collect();
        if !together {
            commit(stores, std::mem::take(&mut rows)).await;
        }
        rows.push(about(&mut lane, kind, gone, b""));
        commit(stores, rows).await;
        let after = read(stores, lane.conversation).await;
        for row in &before {
            let now = &after[row.seq.0 as usize - 1];
            let body = if row.seq.0 == gone { Bytes::new() } else { row.body.clone() };
            assert_eq!(*now, Message { body, ..row.clone() });
        }
        let seq = gone.to_be_bytes();
        for (index, (row, hash)) in hashes.into_iter().enumerate() {
            let now = &after[row.seq.0 as usize - 1];
            let body = if index < 3 { Bytes::copy_from_slice(&seq) } else { row.body.clone() };
            assert_eq!(*now, Message { body, ..row.clone() }, "follow-up {index}");
            let key = (row.conversation, row.sender, row.message_id);
            let found = stores.timeline.find(&[key]).await.expect("answers")[0].expect("there");
            assert_eq!((found.seq, found.hash), (row.seq, hash), "a retry is still known by its hash");
        }
        assert!(target(stores, lane.conversation, gone).await.expect("there").recalled);
        assert!(!target(stores, lane.conversation, stays).await.expect("there").recalled);
        let key = (said[0].conversation, said[0].sender, said[0].message_id);
        let found = stores.timeline.find(&[key]).await.expect("answers")[0].expect("there");
        assert_eq!(found.hash, [7; 32]);
    }
}

/// Taking back names a message; a row that the server said, another's follow-up, or a message of another conversation
/// at the same place keep what they say. So does everything when the batch is not committed.
pub async fn taking_back_touches_nothing_else(stores: &Stores) {
    let users = people(&*stores.directory, "user", 3).await;
    let mut one = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    let mut two = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[2]).await;
    let said = one.say(&*stores.timeline, 1).await.remove(0);
    two.say(&*stores.timeline, 1).await;
    let edit = about(&mut one, MessageKind::EDIT, said.seq.0, b"edit");
    let place = edit.message.seq.0;
    commit(stores, vec![edit]).await;
    let before = [read(stores, one.conversation).await, read(stores, two.conversation).await];
    let seq = one.seq;
    let mut stale = about(&mut one, MessageKind::RECALL, said.seq.0, b"");
    stale.message.seq = Seq(1);
    let first = two.row(0);
    let refused = stores.timeline.commit(PlaceBatch { rows: vec![first, stale], cursors: Vec::new() }).await;
    assert!(refused.is_err());
    assert_eq!([read(stores, one.conversation).await, read(stores, two.conversation).await], before);
    let mut two = Lane::of(&*stores.timeline, two.conversation, users[0], users[2]).await;
    one.seq = seq;
    let rows = vec![
        about(&mut one, MessageKind::RECALL, 1, b""),
        about(&mut one, MessageKind::RECALL, place, b""),
        about(&mut one, MessageKind::RECALL, 999, b""),
        about(&mut two, MessageKind::RECALL, 999, b""),
    ];
    commit(stores, rows).await;
    let after = [read(stores, one.conversation).await, read(stores, two.conversation).await];
    assert_eq!([&after[0][..before[0].len()], &after[1][..before[1].len()]], [&before[0][..], &before[1][..]]);
}

/// Who said it, what and when, how many follow-ups with content it has and whether the last one ends it, in the order
/// asked; nothing where nothing is.
pub async fn a_target_is_what_its_follow_ups_rights_depend_on(stores: &Stores) {
    let mut lane = lane(stores).await;
    let mut stream = lane.row(1);
    stream.message.kind = MessageKind::STREAM;
    let seq = stream.message.seq.0;
    let rows = vec![
        stream.clone(),
        about(&mut lane, MessageKind::APPEND, seq, b"one"),
        about(&mut lane, MessageKind::APPEND, seq, b"two"),
        about(&mut lane, MessageKind::REACTION, seq, b"like"),
    ];
    commit(stores, rows).await;
    let nowhere = ConversationId::generate();
    let asked =
        [(lane.conversation, Seq(99)), (lane.conversation, Seq(seq)), (nowhere, Seq(seq)), (lane.conversation, Seq(1))];
    let targets = stores.timeline.targets(&asked).await.expect("answers");
    let (sender, at) = (stream.message.sender, stream.message.at);
    let expected = Target { sender, kind: MessageKind::STREAM, at, recalled: false, follow_ups: 2, finished: false };
    assert_eq!((targets[0], targets[1], targets[2]), (None, Some(expected), None));
    let first = targets[3].expect("there");
    assert_eq!(
        (first.kind, first.recalled),
        (MessageKind::STANDING, false),
        "an empty row of the server was not taken back"
    );
    let (finish, react) =
        (about(&mut lane, MessageKind::FINISH, seq, b"all"), about(&mut lane, MessageKind::REACTION, seq, b"like"));
    commit(stores, vec![finish, react]).await;
    let ended = target(stores, lane.conversation, seq).await;
    assert_eq!(ended, Some(Target { follow_ups: 3, finished: true, ..expected }), "a reaction adds nothing to it");
}

/// However they come: alone, many at once, about two messages by turns.
pub async fn follow_ups_are_counted_on(stores: &Stores) {
    let mut lane = lane(stores).await;
    let said = lane.say(&*stores.timeline, 2).await;
    let (one, two) = (said[0].seq.0, said[1].seq.0);
    commit(stores, vec![about(&mut lane, MessageKind::EDIT, one, b"first")]).await;
    let many = (0..1400).map(|number| {
        let target = if number % 2 == 0 { one } else { two };
        about(&mut lane, MessageKind::EDIT, target, b"again")
    });
    let many: Vec<_> = many.collect();
    commit(stores, many).await;
    let more = [b"a", b"b"].map(|content| about(&mut lane, MessageKind::EDIT, two, content));
    commit(stores, more.to_vec()).await;
    for (seq, expected) in [(one, 701), (two, 702)] {
        assert_eq!(target(stores, lane.conversation, seq).await.expect("there").follow_ups, expected);
    }
}
