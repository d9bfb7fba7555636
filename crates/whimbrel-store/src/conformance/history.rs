//! History: pages against a naive reading of the whole.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use whimbrel_core::limits::HISTORY_BYTES_MAX;
use whimbrel_core::{ConversationId, Message, MessageKind, Seq, UserId};

use super::Stores;
use super::company::{Company, join, seqs};
use super::people::{Dice, Lane, people};
use crate::groups::GroupChange;
use crate::history::{HistoryPage, PageAt};
use crate::settings::SettingChange;
use crate::{NewRow, PlaceBatch};

pub(super) async fn page(
    stores: &Stores,
    user: UserId,
    conversation: ConversationId,
    from: PageAt,
    limit: usize,
) -> Option<HistoryPage> {
    stores.history.history(user, conversation, from, limit).await.expect("the store answers")
}

async fn commit(stores: &Stores, rows: Vec<NewRow>) {
    let batch = PlaceBatch { rows, cursors: Vec::new() };
    stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
}

/// What a page has to be: of the rows that are seen, the nearest ones to the place that was asked for.
pub(super) fn expected(seen: &[Message], from: PageAt, limit: usize) -> Vec<u64> {
    let all = seqs(seen);
    let (below, above): (Vec<u64>, Vec<u64>) = match from {
        PageAt::After(seq) => (Vec::new(), all.into_iter().filter(|place| *place > seq.0).collect()),
        PageAt::Before(seq) => (all.into_iter().filter(|place| *place < seq.0).collect(), Vec::new()),
        PageAt::Around(seq) => all.into_iter().partition(|place| *place < seq.0),
        PageAt::At(at) => (Vec::new(), seqs(&seen.iter().filter(|row| row.at >= at).cloned().collect::<Vec<_>>())),
    };
    let half = if matches!(from, PageAt::Around(_)) { limit / 2 } else { limit };
    let up = above.len().min(limit - half.min(below.len()).min(limit / 2));
    let down = below.len().min(if matches!(from, PageAt::Around(_)) { limit - up } else { limit });
    let up = above.len().min(limit - down);
    below[below.len() - down..].iter().chain(&above[..up]).copied().collect()
}

/// Every way of asking, on a conversation whose rows share times now and then, for a user who cleared a part of it.
pub async fn a_page_is_what_the_reader_sees_of_a_conversation(stores: &Stores) {
    let users = people(&*stores.directory, "user", 2).await;
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    lane.say(&*stores.timeline, 6).await;
    let clear = SettingChange { clear: true, ..Default::default() };
    stores.settings.change_setting(users[1], lane.conversation, clear, 30).await.expect("answers").expect("theirs");
    let cleared = lane.seq;
    lane.say(&*stores.timeline, 30).await;
    let all = stores.timeline.read(lane.conversation, Seq::ZERO, 1000).await.expect("answers");
    let mut dice = Dice::new(7);
    for round in 0..200 {
        let user = users[dice.roll(2) as usize];
        let seen = if user == users[0] { &all[..] } else { &all[cleared as usize..] };
        let (seq, limit) = (Seq(dice.roll(lane.seq + 3)), 1 + dice.roll(12) as usize);
        let from = match dice.roll(4) {
            0 => PageAt::After(seq),
            1 => PageAt::Before(seq),
            2 => PageAt::Around(seq),
            _ => PageAt::At(1000 + seq.0),
        };
        let found = page(stores, user, lane.conversation, from, limit).await.expect("theirs");
        assert_eq!(seqs(&found.messages), expected(seen, from, limit), "{round}: {from:?} by {limit}, user {user}");
        assert!(found.messages.iter().all(|row| *row == all[row.seq.0 as usize - 1]), "{round}: whole rows");
        assert_eq!((found.first.0, found.last.0), (seen[0].seq.0, lane.seq));
    }
}

/// Rows with the same time, and gaps between times: the first row of a time or later, for every time.
pub async fn a_time_is_found_wherever_it_lies(stores: &Stores) {
    let users = people(&*stores.directory, "user", 2).await;
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    let (mut dice, mut at) = (Dice::new(3), 5000);
    let rows = (0..150).map(|_| {
        at += dice.roll(3) * 2;
        let mut row = lane.row(0);
        row.message.at = at;
        row
    });
    let rows = rows.collect();
    commit(stores, rows).await;
    let all = stores.timeline.read(lane.conversation, Seq::ZERO, 1000).await.expect("answers");
    for asked in (4990..at + 5).chain([0, u64::MAX / 4]) {
        let found = page(stores, users[0], lane.conversation, PageAt::At(asked), 1).await.expect("theirs");
        let first = all.iter().find(|row| row.at >= asked).map(|row| row.seq);
        assert_eq!(found.messages.first().map(|row| row.seq), first, "at {asked}");
        let found = stores.keeping.first_since(lane.conversation, Seq(40), Seq(120), asked).await.expect("answers");
        let first = all[40..120].iter().find(|row| row.at >= asked).map_or(Seq(121), |row| row.seq);
        assert_eq!(found, first, "at {asked} in (40, 120]");
    }
}

/// Nobody else reads anything; who left reads their time; who came later reads from their coming on.
pub async fn strangers_and_those_who_left_read_what_is_theirs(stores: &Stores) {
    let company = Company::new(stores, 4, |_| {}).await;
    let [owner, leaver, late, stranger] = company.users[..] else { panic!("four") };
    let came = company.does(leaver, join()).await.0.revision;
    company.say(&[owner, leaver]).await;
    let went = company.does(leaver, GroupChange::Leave).await.0.revision;
    company.say(&[owner]).await;
    let later = company.does(late, join()).await.0.revision;
    company.say(&[owner, late]).await;
    let last = company.timeline().await.len() as u64;
    for (user, first, last) in [(owner, Seq(1), last), (leaver, came, went.0), (late, later, last)] {
        let found = page(stores, user, company.id, PageAt::Before(Seq(u64::MAX)), 100).await.expect("theirs");
        assert_eq!(seqs(&found.messages), (first.0..=last).collect::<Vec<_>>());
        assert_eq!((found.first, found.last), (first, Seq(last)));
    }
    assert_eq!(page(stores, stranger, company.id, PageAt::After(Seq(0)), 10).await, None);
    assert_eq!(page(stores, owner, ConversationId::generate(), PageAt::After(Seq(0)), 10).await, None);
    let about = stores.history.follow_ups(stranger, company.id, Seq(1)..=Seq(9), (Seq(0), Seq(0)), 10).await;
    assert_eq!(about.expect("answers"), None);
}

/// Bodies of a tenth of what a page holds: it has what fits, next to the place that was asked for, and at least one.
pub async fn a_page_stays_within_its_bytes_and_lies_next_to_what_was_asked(stores: &Stores) {
    let users = people(&*stores.directory, "user", 2).await;
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    let before = lane.seq;
    for _ in 0..30 {
        let mut row = lane.row(0);
        row.message.body = Bytes::from(vec![1; HISTORY_BYTES_MAX / 10]);
        commit(stores, vec![row]).await;
    }
    let id = lane.conversation;
    let of = async |from| seqs(&page(stores, users[0], id, from, 100).await.expect("theirs").messages);
    let place = |number: u64| before + number;
    let range = |from, to| (place(from)..=place(to)).collect::<Vec<_>>();
    assert_eq!(of(PageAt::After(Seq(before))).await, range(1, 10));
    assert_eq!(of(PageAt::Before(Seq(place(31)))).await, range(21, 30));
    assert_eq!(of(PageAt::Around(Seq(place(15)))).await, range(10, 19));
    let mut row = lane.row(0);
    row.message.body = Bytes::from(vec![1; HISTORY_BYTES_MAX + 1]);
    commit(stores, vec![row]).await;
    assert_eq!(of(PageAt::Before(Seq(place(40)))).await, range(31, 31), "one always fits");
}

/// Follow-ups of every kind, far from their messages: by target and place, in pages, and none beyond the user's time.
pub async fn follow_ups_come_with_their_messages_wherever_they_stand(stores: &Stores) {
    let company = Company::of(stores, 2).await;
    let [owner, member] = company.users[..] else { panic!("two") };
    let said = company.say(&[owner; 6]).await;
    let targets: Vec<u64> = seqs(&said);
    let mut dice = Dice::new(5);
    let kinds = [
        MessageKind::EDIT,
        MessageKind::REACTION,
        MessageKind::RECALL,
        MessageKind::APPEND,
        MessageKind::VANISH,
        MessageKind(777),
    ];
    for _ in 0..40 {
        let mut row = company.rows(&[owner]).await.remove(0);
        row.n -= 1;
        row.message.kind = kinds[dice.roll(6) as usize];
        let target = targets[dice.roll(6) as usize];
        row.message.body = [&target.to_be_bytes()[..], b"x"].concat().into();
        row.hash = Sha256::digest(&row.message.body).into();
        company.commit(vec![row]).await.expect("places are free");
        if dice.roll(4) == 0 {
            company.say(&[member]).await;
        }
    }
    let went = company.does(member, GroupChange::Leave).await.0.revision;
    for kind in kinds {
        let mut row = company.rows(&[owner]).await.remove(0);
        (row.message.kind, row.n) = (kind, row.n - 1);
        row.message.body = [&targets[2].to_be_bytes()[..], b"x"].concat().into();
        company.commit(vec![row]).await.expect("places are free");
    }
    let all = company.timeline().await;
    for (user, last) in [(owner, all.len() as u64), (member, went.0)] {
        for limit in [1, 7, 100] {
            let mut expected: Vec<(u64, Message)> = all
                .iter()
                .filter(|row| row.seq.0 <= last)
                .filter_map(|row| Some((row.kind.target(&row.body)?.0, row.clone())))
                .filter(|(target, _)| (targets[1]..=targets[4]).contains(target))
                .collect();
            expected.sort_by_key(|(target, row)| (*target, row.seq));
            let (mut found, mut after) = (Vec::new(), (Seq(0), Seq(0)));
            loop {
                let about = Seq(targets[1])..=Seq(targets[4]);
                let part = stores.history.follow_ups(user, company.id, about, after, limit).await.expect("answers");
                let part = part.expect("theirs");
                assert!(part.messages.len() <= limit);
                found.extend(part.messages);
                match part.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            assert_eq!(found, expected.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), "by {limit}, user {user}");
        }
    }
}
