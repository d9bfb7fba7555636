//! Retention's steps, and what users see meanwhile.

use hashbrown::HashMap;
use whimbrel_core::{ConversationId, Cursors, Known, Message, MessageKind, Seq, SyncQuestion, UserId, View};

use super::Stores;
use super::company::{Company, join, seqs};
use super::people::{Dice, Lane, people};
use super::sync::everything;
use crate::groups::{GroupChange, GroupSettings};
use crate::keeping::{Keep, Which};
use crate::{CursorWrite, PlaceBatch};

/// What whoever retains does: cursors, then the floor. Not the sweep.
pub(super) async fn retain(stores: &Stores, conversation: ConversationId, floor: u64) -> Seq {
    let mut after = UserId(0);
    loop {
        let behind = stores.keeping.behind(conversation, Seq(floor), after, 2).await.expect("the store answers");
        let Some(last) = behind.last() else { break };
        after = *last;
        let cursors = Cursors { delivered: Seq(floor), read: Seq(floor) };
        let cursors = behind.iter().map(|user| CursorWrite { conversation, user: *user, cursors }).collect();
        let batch = PlaceBatch { rows: Vec::new(), cursors };
        stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("cursors of members");
    }
    stores.keeping.raise_floor(conversation, Seq(floor)).await.expect("the store answers")
}

pub(super) async fn sweep_all(stores: &Stores, conversation: ConversationId) {
    while stores.keeping.sweep(conversation, 3).await.expect("the store answers") > 0 {}
}

async fn rows(stores: &Stores, conversation: ConversationId) -> Vec<Message> {
    stores.timeline.read(conversation, Seq::ZERO, 10_000).await.expect("the store answers")
}

async fn view(stores: &Stores, user: UserId, known: Known) -> View {
    let question = SyncQuestion { known: vec![known], only_known: true, ..everything() };
    let answer = stores.timeline.sync(user, question).await.expect("the store answers");
    answer.views.into_iter().next().expect("theirs")
}

async fn lane(stores: &Stores, count: usize) -> Lane {
    let users = people(&*stores.directory, "user", 2).await;
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    lane.say(&*stores.timeline, count).await;
    lane
}

/// The floor goes first; what is below follows in steps, and what is above stays.
pub async fn a_floor_empties_the_row_at_it_and_the_sweep_takes_those_below(stores: &Stores) {
    let lane = lane(stores, 9).await;
    let before = rows(stores, lane.conversation).await;
    assert_eq!(retain(stores, lane.conversation, 6).await, Seq(6));
    let emptied = |rows: &[Message]| rows.iter().filter(|row| row.body.is_empty()).map(|row| row.seq.0).max();
    let after = rows(stores, lane.conversation).await;
    assert_eq!((after.len(), emptied(&after)), (before.len(), Some(6)));
    assert_eq!(stores.keeping.sweep(lane.conversation, 2).await.expect("answers"), 2);
    assert_eq!(rows(stores, lane.conversation).await, after[2..]);
    sweep_all(stores, lane.conversation).await;
    assert_eq!(rows(stores, lane.conversation).await, after[5..]);
    assert_eq!(after[6..], before[6..], "what is above is as it was");
    let key = (after[5].conversation, after[5].sender, after[5].message_id);
    let found = stores.timeline.find(&[key]).await.expect("answers")[0].expect("the row at the floor is there");
    assert_eq!((found.seq, found.hash), (Seq(6), [7; 32]), "a repeat of it is known");
}

/// A lower one, and one where nothing stands, change nothing.
pub async fn a_floor_only_grows_and_ends_at_the_head(stores: &Stores) {
    let lane = lane(stores, 5).await;
    let before = rows(stores, lane.conversation).await;
    let raise = async |floor| stores.keeping.raise_floor(lane.conversation, Seq(floor)).await.expect("answers");
    assert_eq!(raise(lane.seq + 1).await, Seq(0), "no row stands there");
    assert_eq!(raise(4).await, Seq(4));
    assert_eq!(raise(3).await, Seq(4));
    assert_eq!(raise(4).await, Seq(4));
    let after = rows(stores, lane.conversation).await;
    let changed: Vec<u64> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.seq.0).collect();
    assert_eq!(changed, [4]);
    assert_eq!(stores.keeping.raise_floor(ConversationId::generate(), Seq(1)).await.expect("answers"), Seq(0));
    assert_eq!(stores.keeping.sweep(ConversationId::generate(), 9).await.expect("answers"), 0);
}

/// Everything goes: the last row stays with its place and its counts, so the next message goes on from there.
pub async fn the_newest_row_stays_with_its_counts(stores: &Stores) {
    let mut lane = lane(stores, 7).await;
    let heads = stores.timeline.heads(&[lane.conversation]).await.expect("answers");
    assert_eq!(retain(stores, lane.conversation, lane.seq).await, Seq(lane.seq));
    sweep_all(stores, lane.conversation).await;
    let left = rows(stores, lane.conversation).await;
    assert_eq!((left.len(), left[0].seq.0, left[0].body.len()), (1, lane.seq, 0));
    assert_eq!(stores.timeline.heads(&[lane.conversation]).await.expect("answers"), heads);
    lane.say(&*stores.timeline, 2).await;
    for user in lane.users {
        let known = Known { conversation: lane.conversation, cursor: Seq(0), message_id: None };
        let view = view(stores, user, known).await;
        assert_eq!((seqs(&view.messages), view.unread), (vec![lane.seq - 1, lane.seq], 1));
    }
}

/// A device that has less than what is kept is told from where on there is something; one that has more goes on. The
/// same device with a message of its own at the floor is not reset.
pub async fn a_device_below_the_floor_jumps_and_is_told(stores: &Stores) {
    let lane = lane(stores, 9).await;
    let before = rows(stores, lane.conversation).await;
    let known = |cursor: usize| Known {
        conversation: lane.conversation,
        cursor: Seq(cursor as u64),
        message_id: (cursor > 0).then(|| before[cursor - 1].message_id),
    };
    retain(stores, lane.conversation, 6).await;
    for swept in [false, true] {
        for cursor in 0..=before.len() {
            let view = view(stores, lane.users[0], known(cursor)).await;
            assert!(!view.reset, "swept {swept}, cursor {cursor}");
            assert_eq!(view.floor, Seq(6));
            assert_eq!(seqs(&view.messages), (cursor.max(6) as u64 + 1..=lane.seq).collect::<Vec<_>>());
            assert!(view.own.read >= Seq(6), "read positions move up with the floor");
        }
        sweep_all(stores, lane.conversation).await;
    }
}

/// Random histories of a group and of two friends, with floors that rise by a little or to the end, swept or not: what is
/// unread is what a recount of the rows above the floor says.
pub async fn unread_counts_what_is_left(stores: &Stores) {
    for seed in 1..=4 {
        group_history(stores, seed).await;
        direct_history(stores, seed).await;
    }
}

#[derive(Debug, Clone, Copy)]
struct Model {
    /// 0: they are in it.
    until: u64,
    read: u64,
}

async fn group_history(stores: &Stores, seed: u64) {
    let users = people(&*stores.directory, &format!("seed{seed}."), 5).await;
    let new = super::company::new_group(users[0]);
    let (group, _) = stores.groups.create_group(new, 10).await.expect("it fits");
    let company = Company { stores, id: group.id, users: users.clone() };
    let (mut dice, mut floor) = (Dice::new(seed), 0);
    let mut models: HashMap<UserId, Model> = [(users[0], Model { until: 0, read: 0 })].into();
    // Every row that there ever was.
    let mut all: Vec<Message> = company.timeline().await;
    for step in 0..60 {
        let user = users[dice.roll(5) as usize];
        let is_in = models.get(&user).is_some_and(|model| model.until == 0);
        match dice.roll(8) {
            0 if !is_in => {
                let seq = company.does(user, join()).await.0.revision.0;
                models.insert(user, Model { until: 0, read: seq - 1 });
            }
            0 if user != users[0] => {
                let seq = company.does(user, GroupChange::Leave).await.0.revision.0;
                models.get_mut(&user).expect("in it").until = seq;
            }
            1 if is_in => {
                let to = 1 + dice.roll(all.len() as u64);
                let cursors = Cursors { delivered: Seq(to), read: Seq(to) };
                let cursors = vec![CursorWrite { conversation: company.id, user, cursors }];
                let batch = PlaceBatch { rows: Vec::new(), cursors };
                stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("a member's");
                let model = models.get_mut(&user).expect("in it");
                model.read = model.read.max(to);
            }
            2 => {
                floor = (floor + dice.roll(8)).min(all.len() as u64);
                if dice.roll(6) == 0 {
                    floor = all.len() as u64;
                }
                if floor > 0 {
                    assert_eq!(retain(stores, company.id, floor).await, Seq(floor), "seed {seed}, step {step}");
                }
                for model in models.values_mut() {
                    let end = if model.until == 0 { u64::MAX } else { model.until };
                    model.read = model.read.max(floor.min(end));
                }
            }
            3 => sweep_all(stores, company.id).await,
            _ => {
                let inside: Vec<UserId> =
                    users.iter().copied().filter(|user| models.get(user).is_some_and(|m| m.until == 0)).collect();
                let who = |dice: &mut Dice| inside[dice.roll(inside.len() as u64) as usize];
                company.say(&[who(&mut dice), who(&mut dice), who(&mut dice)]).await;
            }
        }
        let known = Seq(all.len() as u64);
        all.extend(stores.timeline.read(company.id, known, 1000).await.expect("answers"));
        for (user, model) in &models {
            let view = company.view(*user, 0).await.expect("theirs");
            let end = if model.until == 0 { all.len() as u64 } else { model.until };
            let unread = all.iter().filter(|row| row.seq.0 > model.read.max(floor) && row.seq.0 <= end);
            let unread = unread.filter(|row| row.sender != *user && row.kind.is_countable()).count() as u64;
            assert_eq!(view.unread, unread, "seed {seed}, step {step}, user {user}, floor {floor}, {model:?}");
            assert_eq!(view.own.read, Seq(model.read), "seed {seed}, step {step}, user {user}");
        }
    }
}

async fn direct_history(stores: &Stores, seed: u64) {
    let users = people(&*stores.directory, &format!("two{seed}."), 2).await;
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    let (mut dice, mut floor, mut read) = (Dice::new(seed), 0, [0, 0]);
    let mut all = rows(stores, lane.conversation).await;
    for step in 0..40 {
        match dice.roll(5) {
            0 => {
                let side = dice.roll(2) as usize;
                let to = 1 + dice.roll(lane.seq);
                read[side] = read[side].max(to);
                let cursors = Cursors { delivered: Seq(to), read: Seq(to) };
                let cursors = vec![CursorWrite { conversation: lane.conversation, user: lane.users[side], cursors }];
                let batch = PlaceBatch { rows: Vec::new(), cursors };
                stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("a member's");
            }
            1 => {
                floor = (floor + dice.roll(6)).min(lane.seq);
                if floor > 0 {
                    assert_eq!(retain(stores, lane.conversation, floor).await, Seq(floor));
                }
            }
            2 => sweep_all(stores, lane.conversation).await,
            _ => {
                let rows = (0..1 + dice.roll(4)).map(|_| lane.row(dice.roll(2) as usize)).collect();
                let batch = PlaceBatch { rows, cursors: Vec::new() };
                stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
            }
        }
        all.extend(stores.timeline.read(lane.conversation, Seq(all.len() as u64), 1000).await.expect("answers"));
        for (user, read) in lane.users.into_iter().zip(read) {
            let known = Known { conversation: lane.conversation, cursor: Seq(0), message_id: None };
            let unread = all.iter().filter(|row| row.seq.0 > read.max(floor) && row.sender != user);
            let unread = unread.filter(|row| row.kind.is_countable()).count() as u64;
            assert_eq!(view(stores, user, known).await.unread, unread, "seed {seed}, step {step}, floor {floor}");
        }
    }
}

/// All of them once, in pages of any size, with what retention has to know; and only those groups that were set.
pub async fn conversations_are_looked_at_in_pages(stores: &Stores) {
    let company = Company::new(stores, 2, |_| {}).await;
    company.say(&company.users[..1]).await;
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, company.users[0], company.users[1]).await;
    lane.say(&*stores.timeline, 4).await;
    let keep = Keep { age_ms: 1_000_000, messages: 5 };
    let settle = GroupChange::Settle(GroupSettings { keep: Some(keep), ..Default::default() });
    company.does(company.users[0], settle).await;
    assert_eq!(company.group().await.keep, keep);
    retain(stores, lane.conversation, 3).await;
    stores.keeping.sweep(lane.conversation, 1).await.expect("answers");
    lane.say(&*stores.timeline, 1).await;
    for (which, size) in [(Which::All, 1), (Which::All, 3), (Which::All, 100), (Which::Set, 1), (Which::Set, 9)] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (part, next) = stores.keeping.kept(which, after, size).await.expect("answers");
            assert!(part.len() <= size && (next.is_some() || part.len() < size || size == 1));
            found.extend(part);
            after = next;
            if next.is_none() {
                break;
            }
        }
        let ids: Vec<_> = found.iter().map(|kept| kept.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "each once, in order");
        let group = found.iter().find(|kept| kept.id == company.id).expect("the group is set");
        let said = company.timeline().await;
        assert_eq!((group.keep, group.floor, group.first, group.head), (keep, Seq(0), Seq(1), Seq(said.len() as u64)));
        assert_eq!(group.oldest_at, Some(said[0].at));
        if which == Which::Set {
            assert_eq!(found.len(), 1);
            continue;
        }
        // The group, its two people's conversation, and their two private ones.
        assert_eq!(found.len(), 4);
        let direct = found.iter().find(|kept| kept.id == lane.conversation).expect("theirs");
        let rows = rows(stores, lane.conversation).await;
        assert_eq!(
            (direct.floor, direct.first, direct.head, direct.keep),
            (Seq(3), Seq(2), Seq(lane.seq), Keep::default())
        );
        assert_eq!(direct.oldest_at, rows.iter().find(|row| row.seq == Seq(4)).map(|row| row.at));
    }
}

/// Notes of what is about a message go with it; a follow-up of one that is gone brings nothing back.
pub async fn what_is_about_messages_goes_with_them(stores: &Stores) {
    let company = Company::of(stores, 2).await;
    let owner = company.users[0];
    let said = seqs(&company.say(&[owner; 4]).await);
    for target in &said {
        for kind in [MessageKind::EDIT, MessageKind::REACTION] {
            let mut row = company.rows(&[owner]).await.remove(0);
            (row.message.kind, row.n) = (kind, row.n - 1);
            row.message.body = [&target.to_be_bytes()[..], b"x"].concat().into();
            company.commit(vec![row]).await.expect("places are free");
        }
    }
    let about = async || {
        let all = Seq(1)..=Seq(u64::MAX >> 1);
        let found = stores.history.follow_ups(owner, company.id, all, (Seq(0), Seq(0)), 100).await;
        seqs(&found.expect("answers").expect("theirs").messages)
    };
    assert_eq!(about().await.len(), 8);
    retain(stores, company.id, said[2]).await;
    assert_eq!(about().await.len(), 2, "of what is still seen");
    sweep_all(stores, company.id).await;
    assert_eq!(about().await.len(), 2);
    let last = company.timeline().await.len() as u64 + said[2] - 1;
    retain(stores, company.id, last).await;
    sweep_all(stores, company.id).await;
    assert_eq!(about().await, [] as [u64; 0]);
    assert_eq!(stores.keeping.sweep(company.id, 1).await.expect("answers"), 0, "nothing is left to sweep");
}
