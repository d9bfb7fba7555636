//! Who left a group and came back: each of their times against a naive reading of the whole, and nothing between.

use whimbrel_core::limits::GROUP_SPANS_MAX;
use whimbrel_core::{Cursors, Message, MessageKind, Seq, UserId};

use super::Stores;
use super::company::{Company, join, seqs};
use super::history::{expected, page};
use super::people::Dice;
use crate::groups::{Actor, GroupChange, GroupSettings};
use crate::history::PageAt;
use crate::settings::SettingChange;
use crate::{CursorWrite, PlaceBatch};

/// What one user sees, told without asking: of each time the first row and the one with which it ended (0: it has not).
#[derive(Debug, Clone, Default)]
struct Model {
    times: Vec<(u64, u64)>,
    floor: u64,
}

impl Model {
    fn sees(&self, seq: u64) -> bool {
        seq > self.floor && self.times.iter().any(|(since, until)| *since <= seq && (*until == 0 || seq <= *until))
    }

    fn is_in(&self) -> bool {
        self.times.last().is_some_and(|(_, until)| *until == 0)
    }

    /// The rows that are seen, in runs without a gap.
    fn runs(&self, all: &[Message]) -> Vec<Vec<Message>> {
        let mut runs: Vec<Vec<Message>> = Vec::new();
        for row in all.iter().filter(|row| self.sees(row.seq.0)) {
            match runs.last_mut().filter(|run| run.last().is_some_and(|last| last.seq.next() == row.seq)) {
                Some(run) => run.push(row.clone()),
                None => runs.push(vec![row.clone()]),
            }
        }
        runs
    }
}

async fn clear(company: &Company<'_>, user: UserId) {
    let change = SettingChange { clear: true, ..Default::default() };
    company.stores.settings.change_setting(user, company.id, change, 30).await.expect("answers").expect("theirs");
}

/// Page by page from the end to the beginning, and from there to the end, as `older` and `newer` of an answer lead.
async fn walk(company: &Company<'_>, user: UserId, limit: usize) -> [Vec<u64>; 2] {
    let (mut back, mut before) = (Vec::new(), u64::MAX);
    let (mut forth, mut after) = (Vec::new(), 0);
    loop {
        let part = page(company.stores, user, company.id, PageAt::Before(Seq(before)), limit).await.expect("theirs");
        let part = seqs(&part.messages);
        let Some(first) = part.first() else { break };
        before = *first;
        back.splice(0..0, part);
    }
    loop {
        let part = page(company.stores, user, company.id, PageAt::After(Seq(after)), limit).await.expect("theirs");
        let part = seqs(&part.messages);
        let Some(last) = part.last() else { break };
        after = *last;
        forth.extend(part);
    }
    [back, forth]
}

async fn compare(company: &Company<'_>, user: UserId, model: &Model, dice: &mut Dice, what: &str) {
    let all = company.timeline().await;
    let all = &all[..];
    let runs = model.runs(all);
    let seen: Vec<u64> = runs.iter().flat_map(|run| seqs(run)).collect();
    assert_eq!(walk(company, user, 1 + dice.roll(9) as usize).await, [seen.clone(), seen.clone()], "{what}");
    for _ in 0..6 {
        let (seq, limit) = (Seq(dice.roll(all.len() as u64 + 3)), 1 + dice.roll(9) as usize);
        let at = all.get(seq.0 as usize).map_or(1 << 40, |row| row.at);
        let from = match dice.roll(4) {
            0 => PageAt::After(seq),
            1 => PageAt::Before(seq),
            2 => PageAt::Around(seq),
            _ => PageAt::At(at),
        };
        // The nearest run on the side that is asked for.
        let run = match from {
            PageAt::Before(seq) => runs.iter().rfind(|run| run[0].seq < seq),
            PageAt::After(seq) => runs.iter().find(|run| run[run.len() - 1].seq > seq),
            PageAt::Around(seq) => runs.iter().find(|run| run[run.len() - 1].seq >= seq).or(runs.last()),
            PageAt::At(at) => runs.iter().find(|run| run[run.len() - 1].at >= at),
        };
        let found = page(company.stores, user, company.id, from, limit).await.expect("theirs");
        let wanted = run.map_or_else(Vec::new, |run| expected(run, from, limit));
        assert_eq!(seqs(&found.messages), wanted, "{what}: {from:?} by {limit} of {seen:?}");
        if let (Some(first), Some(last)) = (seen.first(), seen.last()) {
            assert_eq!((found.first.0, found.last.0), (*first, *last), "{what}");
        }
    }
}

/// Three come, go and come back by chance, one is sent away and asked in again, some clear, and old rows go.
pub async fn who_comes_back_sees_each_of_their_times_and_nothing_between(stores: &Stores) {
    for seed in 1..=4 {
        let users = super::people::people(&*stores.directory, &format!("seed{seed}."), 4).await;
        let (group, _) = stores.groups.create_group(super::company::new_group(users[0]), 10).await.expect("it fits");
        let company = Company { stores, id: group.id, users };
        let mut dice = Dice::new(seed);
        let mut models = vec![Model::default(); 4];
        models[0].times.push((1, 0));
        for step in 0..40 {
            let who = 1 + dice.roll(3) as usize;
            let (user, owner) = (company.users[who], company.users[0]);
            match dice.roll(7) {
                0 | 1 if !models[who].is_in() => {
                    let came = company.does(user, join()).await.0.revision.0;
                    models[who].times.push((came, 0));
                }
                0 | 1 => {
                    let goes = if dice.roll(2) == 0 {
                        (user, GroupChange::Leave)
                    } else {
                        (owner, GroupChange::Remove { user })
                    };
                    let went = company.does(goes.0, goes.1).await.0.revision.0;
                    models[who].times.last_mut().expect("in it").1 = went;
                }
                2 if dice.roll(4) == 0 && !models[who].times.is_empty() => {
                    clear(&company, user).await;
                    let head = company.timeline().await.len() as u64;
                    let end = models[who].times.last().map_or(0, |(_, until)| if *until == 0 { head } else { *until });
                    models[who].times.iter_mut().for_each(|(since, _)| *since = (*since).max(end + 1));
                }
                3 if dice.roll(5) == 0 => {
                    let floor = models[0].floor + dice.roll(4);
                    let floor = stores.keeping.raise_floor(company.id, Seq(floor)).await.expect("answers");
                    models.iter_mut().for_each(|model| model.floor = floor.0);
                }
                _ => drop(company.say(&vec![owner; 1 + dice.roll(3) as usize]).await),
            }
            for (who, model) in models.iter().enumerate().filter(|(_, model)| !model.times.is_empty()) {
                compare(&company, company.users[who], model, &mut dice, &format!("{seed}, step {step}, {who}")).await;
            }
        }
    }
}

/// Where history is for all who comes back sees everything; the setting counts at the moment of joining, and what was
/// cleared stays gone.
pub async fn who_comes_back_to_a_group_that_shows_its_history_sees_all_of_it(stores: &Stores) {
    let company = Company::of(stores, 3).await;
    let [owner, one, two] = company.users[..] else { unreachable!("three people") };
    clear(&company, two).await;
    let cleared = company.timeline().await.len() as u64;
    let show = |history_for_all| {
        GroupChange::Settle(GroupSettings { history_for_all: Some(history_for_all), ..Default::default() })
    };
    company.say(&[owner]).await;
    for user in [one, two] {
        company.does(user, GroupChange::Leave).await;
    }
    company.say(&[owner; 2]).await;
    company.does(owner, show(true)).await;
    for user in [one, two] {
        company.does(user, join()).await;
    }
    let head = company.timeline().await.len() as u64;
    assert_eq!(walk(&company, one, 4).await[0], (1..=head).collect::<Vec<_>>());
    assert_eq!(walk(&company, two, 4).await[0], (cleared + 1..=head).collect::<Vec<_>>());
    company.does(owner, show(false)).await;
    let went = company.does(one, GroupChange::Leave).await.0.revision.0;
    company.say(&[owner]).await;
    let back = company.does(one, join()).await.0.revision.0;
    assert_eq!(walk(&company, one, 4).await[0], (1..=went).chain([back]).collect::<Vec<_>>());
}

/// What is about a message of an earlier time comes with it if it was said in one of the reader's times; and nothing comes
/// that is about what they do not see.
pub async fn what_is_about_an_earlier_time_is_seen_if_it_was_said_in_one(stores: &Stores) {
    let company = Company::of(stores, 2).await;
    let [owner, member] = company.users[..] else { unreachable!("two people") };
    let react = async |target: Seq| {
        let mut row = company.rows(&[owner]).await.remove(0);
        (row.message.kind, row.n) = (MessageKind::REACTION, row.n - 1);
        row.message.body = [&target.0.to_be_bytes()[..], b"x"].concat().into();
        company.commit(vec![row]).await.expect("places are free")[0].seq
    };
    let early = company.say(&[owner]).await[0].seq;
    let first = react(early).await;
    company.does(member, GroupChange::Leave).await;
    let between = company.say(&[owner]).await[0].seq;
    react(early).await;
    company.does(member, join()).await;
    let last = react(early).await;
    react(between).await;
    for limit in [1, 10] {
        let (mut found, mut after) = (Vec::new(), (Seq(0), Seq(0)));
        loop {
            let part = stores.history.follow_ups(member, company.id, Seq(1)..=Seq(99), after, limit).await;
            let part = part.expect("answers").expect("theirs");
            found.extend(seqs(&part.messages));
            match part.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(found, [first.0, last.0], "by {limit}");
    }
}

/// A message of a time that ended was said to whoever was there, however often they left since; how far they had got then is
/// what counts, and not that everything counts as read for who comes back.
pub async fn who_has_read_a_message_of_an_earlier_time_is_told_as_it_was_then(stores: &Stores) {
    let company = Company::of(stores, 4).await;
    let [owner, reader, other, stays] = company.users[..] else { unreachable!("four people") };
    let said = company.say(&[owner; 2]).await;
    let cursor =
        |user, seq: Seq| CursorWrite { conversation: company.id, user, cursors: Cursors { delivered: seq, read: seq } };
    let cursors = vec![cursor(reader, said[1].seq), cursor(other, said[0].seq)];
    stores.timeline.commit(PlaceBatch { rows: Vec::new(), cursors }).await.map_err(|(_, error)| error).expect("theirs");
    for user in [reader, other] {
        company.does(user, GroupChange::Leave).await;
    }
    let between = company.say(&[owner]).await[0].seq;
    for user in [reader, other] {
        company.does(user, join()).await;
        company.does(user, GroupChange::Leave).await;
        company.does(user, join()).await;
    }
    let asked = async |seq, asker, after, limit| {
        let by = stores.groups.read_by(company.id, seq, asker, after, limit).await.expect("answers");
        (by.of, by.read, by.delivered, by.readers.iter().map(|reader| reader.user.id).collect::<Vec<_>>())
    };
    for asker in [owner, reader, other, stays] {
        assert_eq!(asked(said[1].seq, asker, UserId(0), 10).await, (3, 1, 1, vec![reader, other, stays]), "{asker}");
        assert_eq!(asked(said[0].seq, asker, UserId(0), 10).await, (3, 2, 2, vec![reader, other, stays]), "{asker}");
    }
    assert_eq!(asked(said[0].seq, owner, reader, 1).await, (3, 2, 2, vec![other]));
    assert_eq!(asked(between, owner, UserId(0), 10).await, (1, 0, 0, vec![stays]));
    assert_eq!(asked(between, reader, UserId(0), 10).await, (0, 0, 0, vec![]), "they do not see it");
    clear(&company, reader).await;
    assert_eq!(asked(said[0].seq, reader, UserId(0), 10).await, (0, 0, 0, vec![]), "nor what they cleared");
    assert_eq!(asked(said[0].seq, owner, UserId(0), 10).await.0, 3, "it was said to them all the same");
}

/// Somebody comes and goes more often than is kept: the latest times are seen, and the present one; those of others stand.
pub async fn the_oldest_times_beyond_what_is_kept_are_forgotten(stores: &Stores) {
    let company = Company::of(stores, 3).await;
    let [_, often, once] = company.users[..] else { unreachable!("three people") };
    company.does(once, GroupChange::Leave).await;
    company.does(once, join()).await;
    let before = walk(&company, once, 500).await[0].clone();
    let mut seen = vec![2];
    for _ in 0..=GROUP_SPANS_MAX {
        let went = company.does(often, GroupChange::Leave).await.0.revision.0;
        seen.push(went);
        company.say(&[company.users[0]]).await;
        let users = vec![often];
        seen.push(company.by(Actor::Operator, GroupChange::Add { users }).await.0.revision.0);
    }
    let kept = seen.len() - 1 - 2 * GROUP_SPANS_MAX;
    let walked = walk(&company, often, 500).await;
    assert_eq!(walked[0], seen[kept..], "the first is gone");
    assert_eq!(walk(&company, once, 500).await[0][..before.len()], before);
}

/// Nothing of an account that is gone is left but the last time of each group.
pub async fn the_earlier_times_of_a_deleted_user_are_gone(stores: &Stores) {
    let company = Company::of(stores, 3).await;
    let [owner, gone, other] = company.users[..] else { unreachable!("three people") };
    for user in [gone, other] {
        company.does(user, GroupChange::Leave).await;
    }
    company.say(&[owner]).await;
    let mut back = Vec::new();
    for user in [gone, other] {
        back.push(company.does(user, join()).await.0.revision.0);
    }
    stores.directory.delete_user(gone, 50).await.expect("theirs");
    let head = company.timeline().await.len() as u64;
    assert_eq!(walk(&company, gone, 9).await[0], (back[0]..=head).collect::<Vec<_>>());
    assert_eq!(walk(&company, other, 9).await[0].first(), Some(&3), "others keep theirs");
}
