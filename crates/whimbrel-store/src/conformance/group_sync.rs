//! Groups in sync: each user sees the rows of their own time.

use whimbrel_core::{ConversationKind, Cursors, Known, Seq, SyncQuestion};

use super::Stores;
use super::company::{Company, join, seqs};
use super::people::people;
use super::sync::everything;
use crate::groups::{GroupChange, GroupSettings};
use crate::{CursorWrite, PlaceBatch};

/// From the row with which one came to the row with which one went, both included; what was said before and after is
/// not there, whatever the device says that it has; and what is shown of the end is the end of that time.
pub async fn who_left_sees_their_time_and_nothing_after_it(stores: &Stores) {
    let company = Company::new(stores, 2, |_| {}).await;
    let [owner, other] = company.users[..] else { unreachable!("two people") };
    company.say(&[owner; 3]).await;
    company.does(other, join()).await;
    company.say(&[owner, other]).await;
    let view = company.view(other, 0).await.expect("theirs");
    assert_eq!((view.kind, view.peer), (ConversationKind::Group, None));
    assert_eq!((view.floor, view.head, view.complete), (Seq(4), Seq(7), true));
    assert_eq!(seqs(&view.messages), [5, 6, 7]);
    let end = company.does(owner, GroupChange::Remove { user: other }).await.0.revision;
    company.say(&[owner; 4]).await;
    let all = company.timeline().await;
    for cursor in [0, 5, 7, 8] {
        let view = company.view(other, cursor).await.expect("still theirs");
        assert_eq!((view.floor, view.head, view.reset, view.complete), (Seq(4), end, false, true));
        assert_eq!(view.messages, all[cursor.max(4) as usize..8]);
        assert_eq!(view.head_at, all[7].at);
    }
    let mine = company.view(owner, 0).await.expect("theirs");
    assert_eq!((mine.floor, mine.head, mine.messages.len()), (Seq::ZERO, Seq(12), 12));
    let unasked = stores.timeline.sync(other, everything()).await.expect("answers");
    let view = unasked.views.iter().find(|view| view.conversation == company.id).expect("still theirs");
    assert_eq!((view.head, view.complete), (end, false));

    let back = company.does(other, join()).await.0.revision;
    company.say(&[owner]).await;
    let known = Known { conversation: company.id, cursor: end, message_id: Some(all[7].message_id) };
    let question = SyncQuestion { known: vec![known], ..everything() };
    let again = stores.timeline.sync(other, question).await.expect("answers");
    let view = again.views.iter().find(|view| view.conversation == company.id).expect("theirs");
    assert_eq!((view.floor, view.head, view.reset), (Seq(back.0 - 1), back.next(), false));
    assert_eq!(seqs(&view.messages), [back.0, back.0 + 1]);
}

/// Where history is for all, those who come see all of it, read and delivered up to their coming.
pub async fn history_for_all_shows_what_was_before(stores: &Stores) {
    let company = Company::new(stores, 3, |new| new.history_for_all = true).await;
    let [owner, one, two] = company.users[..] else { unreachable!("three people") };
    company.say(&[owner; 3]).await;
    company.does(one, join()).await;
    let view = company.view(one, 0).await.expect("theirs");
    assert_eq!((view.floor, view.messages.len(), view.unread), (Seq::ZERO, 5, 0));
    assert_eq!(view.own, Cursors { delivered: Seq(4), read: Seq(4) });
    let hide = GroupSettings { history_for_all: Some(false), ..Default::default() };
    company.does(owner, GroupChange::Settle(hide)).await;
    company.does(two, join()).await;
    assert_eq!(company.view(two, 0).await.expect("theirs").floor, Seq(6));
    assert_eq!(company.view(one, 0).await.expect("theirs").floor, Seq::ZERO);
}

/// Who never was in it is told nothing of it, and neither is who only asked or was asked.
pub async fn groups_of_others_are_not_answered(stores: &Stores) {
    let company = Company::new(stores, 2, |_| {}).await;
    let [owner, invited] = company.users[..] else { unreachable!("two people") };
    company.does(owner, GroupChange::Invite { users: vec![invited] }).await;
    let stranger = people(&*stores.directory, "stranger", 1).await[0];
    for user in [invited, stranger] {
        assert_eq!(company.view(user, 0).await, None);
        assert_eq!(stores.groups.groups_of(user, None, 10).await.expect("answers"), []);
    }
}

/// Of who left up to that row; of strangers not at all; and the audience is the group's.
pub async fn cursors_in_groups_end_with_the_time_of_their_user(stores: &Stores) {
    let company = Company::of(stores, 3).await;
    let [owner, goes, stays] = company.users[..] else { unreachable!("three people") };
    let stranger = people(&*stores.directory, "stranger", 1).await[0];
    let end = company.does(goes, GroupChange::Leave).await.0.revision;
    let head = company.say(&[owner, stays]).await[1].seq;
    let cursors = [goes, stranger, stays].map(|user| CursorWrite {
        conversation: company.id,
        user,
        cursors: Cursors { delivered: Seq(900), read: Seq(900) },
    });
    let batch = PlaceBatch { rows: Vec::new(), cursors: cursors.to_vec() };
    let (_, moved) = stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("a good batch");
    let ends: Vec<_> = moved.iter().map(|moved| (moved.user, moved.cursors.read, moved.cursors.delivered)).collect();
    assert_eq!(ends, [(goes, end, end), (stays, head, head)]);
    let revision = company.group().await.revision;
    assert!(moved.iter().all(|moved| moved.audience == whimbrel_core::Audience::Group { revision, size: 2 }));
}
