//! Timeline: the unread count against a naive recount.

use whimbrel_core::{Cursors, Message, Seq, SyncQuestion, UserId};

use super::people::{Dice, Lane, people};
use super::sync::everything;
use crate::directory::RelationChange;
use crate::{CursorWrite, Directory, PlaceBatch, Timeline};

/// Random histories: messages of both, cursors that move, rights that change (rows that do not count). After every
/// step both users' counts are those of a recount of all rows.
pub async fn unread_is_what_a_recount_says(timeline: &dyn Timeline, directory: &dyn Directory) {
    for seed in 1..=8 {
        let users = people(directory, &format!("seed{seed}."), 2).await;
        let mut lane = Lane::new(timeline, directory, users[0], users[1]).await;
        let mut dice = Dice::new(seed);
        let mut read = [0, 0];
        for _ in 0..30 {
            step(timeline, directory, &mut lane, &mut dice, &mut read).await;
            let rows = timeline.read(lane.conversation, Seq::ZERO, 10_000).await.expect("the store answers");
            for (user, read) in lane.users.into_iter().zip(read) {
                let unread = view(timeline, &lane, user).await;
                assert_eq!(unread, recount(&rows, user, read), "seed {seed}, user {user}, read {read}");
            }
        }
    }
}

async fn step(
    timeline: &dyn Timeline,
    directory: &dyn Directory,
    lane: &mut Lane,
    dice: &mut Dice,
    read: &mut [u64; 2],
) {
    let side = dice.roll(2) as usize;
    let (me, other) = (lane.users[side], lane.users[1 - side]);
    match dice.roll(6) {
        0 => {
            for change in [RelationChange::Block, RelationChange::Unblock] {
                directory.change_relation(me, other, change, 4).await.expect("friends may block");
            }
            lane.seq += 2;
        }
        1 | 2 => {
            read[side] = read[side].max(1 + dice.roll(lane.seq));
            let cursors = Cursors { delivered: Seq(read[side]), read: Seq(read[side]) };
            let cursors = vec![CursorWrite { conversation: lane.conversation, user: me, cursors }];
            let batch = PlaceBatch { rows: Vec::new(), cursors };
            timeline.commit(batch).await.map_err(|(_, error)| error).expect("a member's cursor");
        }
        _ => {
            let rows = (0..1 + dice.roll(4)).map(|_| lane.row(dice.roll(2) as usize)).collect();
            let batch = PlaceBatch { rows, cursors: Vec::new() };
            timeline.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
        }
    }
}

async fn view(timeline: &dyn Timeline, lane: &Lane, user: UserId) -> u64 {
    let answer = timeline.sync(user, SyncQuestion { ..everything() }).await.expect("the store answers");
    let view = answer.views.iter().find(|view| view.conversation == lane.conversation);
    view.expect("it is theirs").unread
}

fn recount(rows: &[Message], user: UserId, read: u64) -> u64 {
    let unread = rows.iter().filter(|row| row.seq.0 > read && row.sender != user && row.kind.is_countable());
    unread.count() as u64
}
