//! Groups: the unread count against a naive recount.

use hashbrown::HashMap;
use whimbrel_core::{Cursors, Message, MessageKind, Seq, UserId};

use super::Stores;
use super::company::{Company, join};
use super::people::Dice;
use crate::groups::GroupChange;
use crate::settings::SettingChange;
use crate::{CursorWrite, PlaceBatch};

/// What is known of a user without asking: when they came and went, and how far they have read.
#[derive(Debug, Clone, Copy)]
struct Model {
    since: u64,
    /// 0: they are in it.
    until: u64,
    read: u64,
}

/// Random histories: messages of several in batches, follow-ups (which do not count), people who come, go and come
/// back, cursors that move by a little or to the end, also in the batch of a message, and histories that are cleared.
/// After every step everybody's count is that of a recount of all rows.
pub async fn unread_in_groups_is_what_a_recount_says(stores: &Stores) {
    for seed in 1..=6 {
        history(stores, seed).await;
    }
}

async fn history(stores: &Stores, seed: u64) {
    let users = super::people::people(&*stores.directory, &format!("seed{seed}."), 5).await;
    let new = super::company::new_group(users[0]);
    let (group, _) = stores.groups.create_group(new, 10).await.expect("it fits");
    let company = Company { stores, id: group.id, users: users.clone() };
    let mut dice = Dice::new(seed);
    let mut models: HashMap<UserId, Model> = [(users[0], Model { since: 1, until: 0, read: 0 })].into();
    for step in 0..60 {
        act(&company, &mut dice, &mut models).await;
        let rows = company.timeline().await;
        for (user, model) in &models {
            let view = company.view(*user, 0).await.expect("theirs");
            let said = recount(&rows, *user, *model);
            assert_eq!(view.unread, said, "seed {seed}, step {step}, user {user}, {model:?}");
            assert_eq!(view.own.read, Seq(model.read), "seed {seed}, step {step}, user {user}");
            let end = if model.until == 0 { rows.len() as u64 } else { model.until };
            assert_eq!((view.floor.0, view.head.0), ((model.since - 1).min(end), end));
        }
    }
}

async fn act(company: &Company<'_>, dice: &mut Dice, models: &mut HashMap<UserId, Model>) {
    let user = company.users[dice.roll(company.users.len() as u64) as usize];
    let head = company.timeline().await.len() as u64;
    let is_in = models.get(&user).is_some_and(|model| model.until == 0);
    match dice.roll(8) {
        0 if !is_in => {
            let seq = company.does(user, join()).await.0.revision.0;
            models.insert(user, Model { since: seq, until: 0, read: seq - 1 });
        }
        0 if user != company.users[0] => {
            let seq = company.does(user, GroupChange::Leave).await.0.revision.0;
            models.get_mut(&user).expect("in it").until = seq;
        }
        1 if models.contains_key(&user) => {
            let change = SettingChange { clear: true, ..Default::default() };
            let settings = &company.stores.settings;
            settings.change_setting(user, company.id, change, 30).await.expect("answers").expect("theirs");
            let model = models.get_mut(&user).expect("known");
            model.read = if model.until == 0 { head } else { model.until };
            model.since = model.since.max(model.read + 1);
        }
        2 | 3 => {
            let to = match dice.roll(3) {
                0 => head,
                1 => models.get(&user).map_or(1, |model| model.read + 1 + dice.roll(2)),
                _ => 1 + dice.roll(head),
            };
            let rows =
                if dice.roll(2) == 0 { company.rows(&speakers(company, dice, models)).await } else { Vec::new() };
            advance(company, user, to, rows, models).await;
        }
        _ => {
            let speakers = speakers(company, dice, models);
            let mut rows = company.rows(&speakers).await;
            if dice.roll(3) == 0 {
                // The last is a reaction instead: it does not count.
                let last = rows.last_mut().expect("somebody speaks");
                last.message.kind = MessageKind::REACTION;
                last.message.body = [&1_u64.to_be_bytes()[..], b"body"].concat().into();
                last.n -= 1;
            }
            company.commit(rows).await.expect("places are free");
        }
    }
}

/// One to four of those who are in it, some of them more than once.
fn speakers(company: &Company<'_>, dice: &mut Dice, models: &HashMap<UserId, Model>) -> Vec<UserId> {
    let inside: Vec<UserId> =
        company.users.iter().copied().filter(|user| models.get(user).is_some_and(|model| model.until == 0)).collect();
    (0..=dice.roll(4)).map(|_| inside[dice.roll(inside.len() as u64) as usize]).collect()
}

async fn advance(
    company: &Company<'_>,
    user: UserId,
    to: u64,
    rows: Vec<crate::NewRow>,
    models: &mut HashMap<UserId, Model>,
) {
    let cursors = Cursors { delivered: Seq(to), read: Seq(to) };
    let cursors = vec![CursorWrite { conversation: company.id, user, cursors }];
    let batch = PlaceBatch { rows, cursors };
    let (_, moved) = company.stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("a good batch");
    assert_eq!(moved.len(), usize::from(models.contains_key(&user)));
    let head = company.timeline().await.len() as u64;
    if let Some(model) = models.get_mut(&user) {
        let end = if model.until == 0 { head } else { model.until };
        model.read = model.read.max(to.min(end));
    }
}

fn recount(rows: &[Message], user: UserId, model: Model) -> u64 {
    let theirs = |row: &&Message| row.seq.0 > model.read && (model.until == 0 || row.seq.0 <= model.until);
    let unread = rows.iter().filter(theirs).filter(|row| row.sender != user && row.kind.is_countable());
    unread.count() as u64
}
