//! What was copied answers as what it was copied from, and goes on from there.

use whimbrel_core::{Known, SyncQuestion, UserId};

use super::history::{History, history, open, token};
use super::{Database, copied};
use crate::conformance::{Lane, people};
use crate::directory::Refreshed;
use crate::{Directory, Groups, Presences, Settings, StoreError, Timeline};

fn from_zero(known: Vec<Known>) -> SyncQuestion {
    SyncQuestion { id: 1, after: None, until: None, known, only_known: false, max_messages: 10_000 }
}

/// Everything that can be asked about a user, as text; keys too, which `Debug` of a relation leaves out.
async fn all_of(timeline: &dyn Timeline, directory: &dyn Directory, user: UserId) -> Vec<String> {
    let views = timeline.sync(user, from_zero(Vec::new())).await.expect("answers").views;
    let known = views.iter().map(|view| Known {
        conversation: view.conversation,
        cursor: whimbrel_core::Seq(0),
        message_id: None,
    });
    let sync = timeline.sync(user, from_zero(known.collect())).await.expect("answers");
    let relations = directory.relations(user, UserId(0), 1000).await.expect("answers");
    let keys: Vec<_> = relations.iter().map(|relation| relation.keys.clone()).collect();
    let account = directory.user(user).await.expect("answers");
    vec![
        format!("{sync:?}"),
        format!("{relations:?}"),
        format!("{keys:?}"),
        format!("{account:?}"),
        format!("{:?}", directory.devices(user).await.expect("answers")),
        format!("{:?}", directory.password_hash(user).await.expect("answers")),
    ]
}

/// And about everything else.
async fn all(timeline: &dyn Timeline, directory: &dyn Directory, history: &History) -> Result<Vec<String>, StoreError> {
    let mut all = Vec::new();
    for user in &history.users {
        all.extend(all_of(timeline, directory, *user).await);
    }
    all.push(format!("{:?}", timeline.heads(&history.conversations).await?));
    all.push(format!("{:?}", timeline.find(&history.messages).await?));
    all.push(format!("{:?}", directory.members(&history.conversations).await?));
    all.push(format!("{:?}", directory.logged_in(&history.devices).await?));
    for conversation in &history.conversations {
        all.push(format!("{:?}", timeline.read(*conversation, whimbrel_core::Seq(0), 10_000).await?));
    }
    for handle in ["user.0", "user.6", "nobody"] {
        all.push(format!("{:?}", directory.user_by_handle(handle).await?));
    }
    Ok(all)
}

/// And about groups, settings and presence.
async fn all_groups(
    groups: &dyn Groups,
    settings: &dyn Settings,
    presences: &dyn Presences,
    history: &History,
) -> Result<Vec<String>, StoreError> {
    let mut all = vec![
        format!("{:?}", groups.rosters(&history.groups).await?),
        format!("{:?}", groups.group_by_handle("group").await?),
        format!("{:?}", groups.search_groups("0 ", None, 10).await?),
    ];
    for id in &history.groups {
        all.push(format!("{:?}", groups.group_members(*id, UserId(0), 100).await?));
        all.push(format!("{:?}", groups.group_requests(*id, UserId(0), 100).await?));
        for (seq, user) in (1..20).flat_map(|seq| history.users.iter().map(move |user| (seq, *user))) {
            all.push(format!("{:?}", groups.read_by(*id, whimbrel_core::Seq(seq), user, UserId(0), 100).await?));
        }
        for user in &history.users {
            let keys = groups.group_keys(*id, *user, 0, 100).await.map(|keys| keys.0);
            all.push(format!("{keys:?}"));
        }
    }
    for user in &history.users {
        all.push(format!("{:?}", groups.groups_of(*user, None, 100).await?));
        all.push(format!("{:?}", settings.settings_of(*user, None, 100).await?));
        all.push(format!("{:?}", presences.privacy(*user).await?));
        let pairs: Vec<_> = history.users.iter().map(|other| (*user, *other)).collect();
        all.push(format!("{:?}", presences.sights(&pairs).await?));
    }
    Ok(all)
}

/// The same questions to both; and none of the answers is empty for want of data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_answers_as_its_source() {
    let (history, database) = (history().await, Database::migrated().await);
    let copied = copied(history.folder.path(), &database).await;
    assert!(copied.tables.iter().all(|table| table.rows > 0 && table.written == table.rows), "{copied:?}");
    assert_eq!(copied.conversations, 8 + 7 + 2, "the private ones, those of friends, and groups");
    let (old, new) = (open(history.folder.path()), database.open().await);
    let mut ours = all(&old, &old, &history).await.expect("answers");
    let mut theirs = all(&new, &new, &history).await.expect("answers");
    let empty = ours.iter().filter(|answer| answer.as_str() == "[]" || answer.as_str() == "None");
    assert!(empty.count() * 5 < ours.len(), "there is something to compare");
    ours.extend(all_groups(&old, &old, &old, &history).await.expect("answers"));
    theirs.extend(all_groups(&new, &new, &new, &history).await.expect("answers"));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    new.close().await;
    old.close().await.expect("in order");
}

/// A token that was exchanged before the copy is known as a repeat and, later, as theft; the current one is good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_tokens_go_on_where_they_were() {
    let (history, database) = (history().await, Database::migrated().await);
    copied(history.folder.path(), &database).await;
    let store = database.open().await;
    let (user, device) = history.devices[0];
    let spent = token(device);
    let refresh = async |token, successor, now| store.refresh(token, successor, now, 10).await.expect("answers");
    assert_eq!(refresh(spent, [0xEE; 32], 55).await, Refreshed::Repeated { user, device });
    assert_eq!(refresh([0xEE; 32], [0xDD; 32], 70).await, Refreshed::Rotated { user, device });
    assert!(matches!(refresh(spent, [0xCC; 32], 90).await, Refreshed::Stolen { .. }));
    let (user, device) = history.devices[5];
    assert_eq!(refresh(token(device), [0xBB; 32], 90).await, Refreshed::Rotated { user, device });
    let logged_out = history.devices[3].1;
    assert_eq!(refresh(token(logged_out), [0xAA; 32], 90).await, Refreshed::Unknown);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_users_and_messages_come_behind_the_copied_ones() {
    let (history, database) = (history().await, Database::migrated().await);
    copied(history.folder.path(), &database).await;
    let store = database.open().await;
    let highest = history.users.iter().max().expect("there are some");
    let new = people(&store, "new", 2).await;
    assert_eq!(new, [UserId(highest.0 + 1), UserId(highest.0 + 2)]);
    let (one, two) = (history.users[0], history.users[1]);
    let mut lane = Lane::of(&store, history.conversations[0], one, two).await;
    let head = lane.seq;
    lane.say(&store, 3).await;
    let heads = store.heads(&history.conversations[..1]).await.expect("answers");
    assert_eq!(heads[0].as_ref().expect("there").seq.0, head + 3);
    crate::conformance::befriend(&store, new[0], one).await;
    store.close().await;
}
