//! What one user said: found, and emptied.

use bytes::Bytes;
use whimbrel_core::{ConversationId, Message, MessageKind, PlacedRow, Seq, UserId};

use super::Stores;
use super::company::{Company, join, new_group, seqs};
use super::keeping::retain;
use super::people::{Lane, people};
use super::sync::everything;
use crate::groups::GroupChange;
use crate::keeping::Erased;
use crate::{CommitError, PlaceBatch};

/// Somebody in two conversations and in a group that they left, among others who talk there too. `prefix`: of their names.
async fn talk(stores: &Stores, prefix: &str) -> (UserId, Vec<ConversationId>) {
    let users = people(&*stores.directory, prefix, 3).await;
    let [one, two, three] = users[..] else { panic!("three") };
    let (group, _) = stores.groups.create_group(new_group(one), 10).await.expect("it fits");
    let company = Company { stores, id: group.id, users };
    for user in [two, three] {
        company.does(user, join()).await;
    }
    let mut ids = vec![company.id];
    for other in [one, three] {
        let mut lane = Lane::new(&*stores.timeline, &*stores.directory, two, other).await;
        lane.say(&*stores.timeline, 9).await;
        ids.push(lane.conversation);
    }
    for _ in 0..4 {
        company.say(&[one, two, three, two]).await;
    }
    let mut like = company.rows(&[two]).await.remove(0);
    (like.message.kind, like.n) = (MessageKind::REACTION, like.n - 1);
    like.message.body = [&3_u64.to_be_bytes()[..], b"like"].concat().into();
    company.commit(vec![like]).await.expect("places are free");
    company.does(two, GroupChange::Leave).await;
    company.say(&[one]).await;
    (two, ids)
}

async fn rows(stores: &Stores, ids: &[ConversationId]) -> Vec<Message> {
    let mut all = Vec::new();
    for id in ids {
        all.extend(stores.timeline.read(*id, Seq::ZERO, 1000).await.expect("answers"));
    }
    all.sort_by_key(|row| (row.conversation, row.seq));
    all
}

fn is_said_by(row: &Message, user: UserId) -> bool {
    row.sender == user && row.kind.is_submittable()
}

/// In parts of any size; also what they said where they no longer are.
pub async fn what_one_said_is_found_wherever_it_was_said(stores: &Stores) {
    let (user, ids) = talk(stores, "user").await;
    let mut expected = rows(stores, &ids).await;
    expected.retain(|row| is_said_by(row, user));
    assert!(expected.len() > 15);
    for look in [1, 2, 7, 1000] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let part = stores.history.said_by(user, after, look).await.expect("answers");
            assert!(part.messages.len() <= look);
            found.extend(part.messages);
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "by {look}");
    }
}

/// Empties to the end, in steps of this size; the rows that were placed, and how many steps it took.
async fn erase_all(stores: &Stores, user: UserId, look: usize) -> (Vec<PlacedRow>, usize) {
    let (mut rows, mut steps) = (Vec::new(), 0);
    loop {
        let step = stores.keeping.erase_some(user, look).await.expect("answers");
        steps += 1;
        rows.extend(step.rows);
        if !step.more {
            return (rows, steps);
        }
    }
}

/// What stands where `before` stood, when `user` was erased.
fn emptied(before: Vec<Message>, user: UserId) -> Vec<Message> {
    let empty = |row: Message| match is_said_by(&row, user) {
        true if row.kind.is_follow_up() => Message { body: row.body.slice(..8), ..row },
        true => Message { body: Bytes::new(), ..row },
        false => row,
    };
    before.into_iter().map(empty).collect()
}

fn is_erasure(row: &Message) -> bool {
    row.kind == MessageKind::ERASED
}

/// Step by step: what they said is empty, follow-ups keep their targets, and no other row is another one. Nobody is left to
/// be erased in the end.
pub async fn what_is_erased_is_empty_and_the_rest_as_it_was(stores: &Stores) {
    let (user, ids) = talk(stores, "user").await;
    let before = rows(stores, &ids).await;
    let erasures = async || stores.keeping.erasures(10).await.expect("answers");
    assert_eq!(stores.keeping.erase_some(user, 5).await.expect("answers"), Erased::default(), "nobody asked for it");
    assert_eq!(rows(stores, &ids).await, before);
    stores.keeping.erase(user).await.expect("answers");
    assert!(stores.keeping.erase_some(user, 5).await.expect("answers").more);
    assert_eq!(erasures().await, [user]);
    let (_, steps) = erase_all(stores, user, 5).await;
    assert!(steps > 5 && erasures().await.is_empty());
    let mut after = rows(stores, &ids).await;
    after.retain(|row| !is_erasure(row));
    assert_eq!(after, emptied(before, user));
}

/// In steps of any size: each conversation in which they said something has one row that says so, at its end, and its
/// audience is who is there now; their private conversation, and one in which only others spoke, have none. The row is what
/// the step returned, and counts for nobody as unread.
pub async fn where_one_said_something_one_row_says_that_it_is_gone(stores: &Stores) {
    let mut seen = Vec::new();
    for look in [1, 2, 3, 5, 8, 13, 1000] {
        let (user, ids) = talk(stores, &format!("user{look}.")).await;
        let friend = people(&*stores.directory, &format!("friend{look}."), 1).await[0];
        let mut lane = Lane::new(&*stores.timeline, &*stores.directory, friend, user).await;
        let side = usize::from(lane.users[1] == friend);
        let quiet = lane.row(side);
        let batch = PlaceBatch { rows: vec![quiet], cursors: Vec::new() };
        stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
        let before = rows(stores, &ids).await;
        let listener = before.iter().map(|row| row.sender).find(|sender| *sender != user).expect("others speak");
        let unread = unread(stores, listener).await;
        stores.keeping.erase(user).await.expect("answers");
        let (placed, _) = erase_all(stores, user, look).await;
        let mut expected = emptied(before.clone(), user);
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(placed.iter().map(|row| row.message.conversation).collect::<Vec<_>>(), sorted, "by {look}");
        let heads = stores.timeline.heads(&sorted).await.expect("answers");
        for (row, head) in placed.iter().zip(heads) {
            let (message, head) = (&row.message, head.expect("it is there"));
            let end = before.iter().filter(|row| row.conversation == message.conversation).map(|row| row.seq).max();
            assert_eq!(Some(message.seq), end.map(Seq::next), "behind everything");
            assert_eq!((message.seq, &row.audience), (head.seq, &head.members.audience()));
            assert_eq!((message.kind, message.sender), (MessageKind::ERASED, user));
            assert_eq!(message.body, format!(r#"{{"user":{user}}}"#));
            assert!(row.change.is_none());
            expected.push(message.clone());
        }
        expected.sort_by_key(|row| (row.conversation, row.seq));
        assert_eq!(rows(stores, &ids).await, expected, "by {look}");
        assert!(!rows(stores, &[lane.conversation]).await.iter().any(is_erasure), "they said nothing there");
        assert_eq!(self::unread(stores, listener).await, unread, "it counts for nobody");
        seen.push(placed.len());
    }
    assert_eq!(seen, [3; 7]);
}

/// Of all conversations.
async fn unread(stores: &Stores, user: UserId) -> Vec<u64> {
    let answer = stores.timeline.sync(user, everything()).await.expect("answers");
    answer.views.iter().map(|view| view.unread).collect()
}

/// After every step, whatever its size: where a row says that it is gone nothing of it is left; where something was emptied
/// and no row stands, erasing is not at its end. So none stands before its time, and none is forgotten.
pub async fn the_row_comes_with_the_last_of_what_was_said(stores: &Stores) {
    for look in [1, 2, 4, 7] {
        let (user, ids) = talk(stores, &format!("user{look}.")).await;
        stores.keeping.erase(user).await.expect("answers");
        let (mut halves, mut more) = (0, true);
        while more {
            more = stores.keeping.erase_some(user, look).await.expect("answers").more;
            for id in &ids {
                let rows = rows(stores, &[*id]).await;
                let said = || rows.iter().filter(|row| is_said_by(row, user));
                let left = said().filter(|row| row.body.len() > row.kind.open_len()).count();
                let told = rows.iter().filter(|row| is_erasure(row)).count();
                assert!(told == 0 || left == 0, "by {look}: {left} are left");
                assert!(more || (told, left) == (1, 0), "by {look}: {left} are left and {told} rows stand");
                halves += usize::from(left > 0 && left < said().count());
            }
        }
        assert!(halves > 0, "a conversation took several steps");
        assert!(stores.keeping.erasures(10).await.expect("answers").is_empty());
    }
}

/// Begun anew after each number of steps: no conversation goes without its row, and none has more than one for each beginning.
pub async fn erasing_that_begins_anew_says_it_at_most_once_more(stores: &Stores) {
    for steps in 0..14 {
        let (user, ids) = talk(stores, &format!("user{steps}.")).await;
        stores.keeping.erase(user).await.expect("answers");
        for _ in 0..steps {
            stores.keeping.erase_some(user, 3).await.expect("answers");
        }
        stores.keeping.erase(user).await.expect("answers");
        erase_all(stores, user, 3).await;
        for id in &ids {
            let rows = rows(stores, &[*id]).await;
            assert!(!rows.iter().any(|row| is_said_by(row, user) && row.body.len() > row.kind.open_len()));
            let told = rows.iter().filter(|row| is_erasure(row)).count();
            assert!((1..=2).contains(&told), "{told} after {steps}");
        }
    }
}

/// The floor rises over what is left between two steps: what was emptied before is told all the same.
pub async fn what_retention_takes_meanwhile_is_told_all_the_same(stores: &Stores) {
    let (user, ids) = talk(stores, "user").await;
    stores.keeping.erase(user).await.expect("answers");
    let mut ends = Vec::new();
    for id in &ids {
        ends.push((*id, rows(stores, &[*id]).await.last().expect("they spoke").seq.0));
    }
    let (mut more, mut told) = (true, Vec::new());
    while more {
        let step = stores.keeping.erase_some(user, 2).await.expect("answers");
        (more, told) = (step.more, [told, step.rows].concat());
        for (id, end) in &ends {
            let rows = rows(stores, &[*id]).await;
            let is_begun = rows.iter().any(|row| is_said_by(row, user) && row.body.len() <= row.kind.open_len());
            if is_begun && !rows.iter().any(is_erasure) {
                retain(stores, *id, *end).await;
            }
        }
    }
    assert_eq!(told.len(), ids.len());
}

/// Somebody else places in the same conversations all the while, and so does who is erased: places stay without holes, and
/// what stands below the row is empty, what stands above it is not.
pub async fn what_is_said_while_it_is_erased_stands_on_the_right_side(stores: &Stores) {
    let users = people(&*stores.directory, "busy", 2).await;
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    lane.say(&*stores.timeline, 40).await;
    let (conversation, timeline) = (lane.conversation, stores.timeline.clone());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let placing = tokio::spawn(async move {
        while !*stopped.borrow() {
            let rows = vec![lane.row(0), lane.row(1)];
            match timeline.commit(PlaceBatch { rows, cursors: Vec::new() }).await {
                Ok(_) => {}
                Err((_, CommitError::SeqTaken)) => {
                    lane = Lane::of(&*timeline, conversation, lane.users[0], lane.users[1]).await;
                }
                Err((_, error)) => panic!("{error}"),
            }
        }
    });
    let mut erased = Vec::new();
    for round in 0..6 {
        let user = users[round % 2];
        stores.keeping.erase(user).await.expect("answers");
        let (placed, _) = erase_all(stores, user, 1000).await;
        let [row] = &placed[..] else { panic!("one row, not {}", placed.len()) };
        erased.push((user, row.message.seq));
    }
    stop.send_replace(true);
    placing.await.expect("it places");
    let rows = rows(stores, &[conversation]).await;
    assert_eq!(seqs(&rows), (1..=rows.len() as u64).collect::<Vec<_>>());
    let gone = |row: &Message| erased.iter().any(|(user, seq)| *user == row.sender && row.seq < *seq);
    for row in rows.iter().filter(|row| row.kind.is_submittable()) {
        assert_eq!(row.body.is_empty(), gone(row), "{}", row.seq);
    }
    let said_after = rows.iter().filter(|row| row.kind.is_submittable() && !gone(row)).count();
    assert!(rows.iter().filter(|row| gone(row)).count() > 40 && said_after > 0, "{said_after}");
}
