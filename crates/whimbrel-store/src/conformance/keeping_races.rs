//! Retention among those who place, and among others who retain.

use std::sync::Arc;

use tokio::task::JoinSet;
use whimbrel_core::{Known, Seq, SyncQuestion};

use super::Stores;
use super::company::{Company, seqs};
use super::keeping::{retain, sweep_all};
use super::people::{Lane, people};
use super::sync::everything;
use crate::keeping::Keeping;
use crate::{PlaceBatch, Timeline};

const ROUNDS: u64 = 20;

/// One places, one raises the floor behind it and sweeps: every place is given once, and what is above the floor stays.
pub async fn floors_rise_while_messages_are_placed(stores: &Stores) {
    let users = people(&*stores.directory, "user", 2).await;
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    lane.say(&*stores.timeline, 10).await;
    let (conversation, timeline) = (lane.conversation, stores.timeline.clone());
    let placing = tokio::spawn(async move {
        for _ in 0..ROUNDS {
            let rows = vec![lane.row(0), lane.row(1)];
            let batch = PlaceBatch { rows, cursors: Vec::new() };
            timeline.commit(batch).await.map_err(|(_, error)| error).expect("nobody else places here");
        }
        lane
    });
    let mut floor = 0;
    while floor < 5 + ROUNDS {
        floor += 1;
        assert_eq!(retain(stores, conversation, floor).await, Seq(floor));
        stores.keeping.sweep(conversation, 2).await.expect("answers");
    }
    let lane = placing.await.expect("it places");
    sweep_all(stores, conversation).await;
    let rows = stores.timeline.read(conversation, Seq(0), 1000).await.expect("answers");
    assert_eq!(seqs(&rows), (floor..=lane.seq).collect::<Vec<_>>());
    assert!(rows[0].body.is_empty() && rows[1..].iter().all(|row| !row.body.is_empty()));
    let known = Known { conversation, cursor: Seq(0), message_id: None };
    for user in lane.users {
        let question = SyncQuestion { known: vec![known], only_known: true, ..everything() };
        let answer = stores.timeline.sync(user, question).await.expect("answers");
        let unread = rows[1..].iter().filter(|row| row.sender != user && row.kind.is_countable()).count() as u64;
        assert_eq!(answer.views[0].unread, unread);
    }
}

/// Three raise floors in their own order and sweep: it ends at the highest one, with everything above it.
pub async fn several_at_once_end_as_one(stores: &Stores) {
    let company = Company::of(stores, 3).await;
    for _ in 0..5 {
        company.say(&company.users).await;
    }
    let before = company.timeline().await;
    let highest = before.len() as u64 - 3;
    let mut tasks = JoinSet::new();
    for worker in 0..3 {
        let (timeline, keeping) = (Arc::clone(&stores.timeline), Arc::clone(&stores.keeping));
        let id = company.id;
        tasks.spawn(async move {
            for step in 0..=highest / 3 {
                let floor = (step * 3 + worker).clamp(1, highest);
                raise(&*timeline, &*keeping, id, floor).await;
                keeping.sweep(id, 2).await.expect("answers");
            }
            raise(&*timeline, &*keeping, id, highest).await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no step fails");
    }
    sweep_all(stores, company.id).await;
    let after = company.timeline().await;
    assert_eq!(seqs(&after), (highest..=before.len() as u64).collect::<Vec<_>>());
    assert_eq!(after[1..], before[highest as usize..]);
    for user in &company.users {
        let view = company.view(*user, 0).await.expect("theirs");
        let unread = after[1..].iter().filter(|row| row.sender != *user && row.kind.is_countable()).count() as u64;
        assert_eq!((view.floor.0, view.unread), (highest, unread), "user {user}");
    }
}

async fn raise(timeline: &dyn Timeline, keeping: &dyn Keeping, id: whimbrel_core::ConversationId, floor: u64) {
    let behind = keeping.behind(id, Seq(floor), whimbrel_core::UserId(0), 100).await.expect("answers");
    let cursors = whimbrel_core::Cursors { delivered: Seq(floor), read: Seq(floor) };
    let writes = behind.into_iter().map(|user| crate::CursorWrite { conversation: id, user, cursors });
    let batch = PlaceBatch { rows: Vec::new(), cursors: writes.collect() };
    timeline.commit(batch).await.map_err(|(_, error)| error).expect("cursors of members");
    let stands = keeping.raise_floor(id, Seq(floor)).await.expect("answers");
    assert!(stands >= Seq(floor));
}
