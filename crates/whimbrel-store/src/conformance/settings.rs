//! Settings: how one user has conversations shown.

use bytes::Bytes;
use whimbrel_core::{
    Audience, ConversationId, ConversationKind, Cursors, MessageKind, Seq, SyncQuestion, UserId, View,
};

use super::Stores;
use super::company::{Company, join};
use super::people::{Lane, people};
use super::sync::everything;
use crate::groups::GroupChange;
use crate::settings::{Setting, SettingChange};

async fn change(stores: &Stores, user: UserId, id: ConversationId, change: SettingChange) -> Setting {
    let done = stores.settings.change_setting(user, id, change, 50).await.expect("answers");
    let (setting, rows) = done.expect("their conversation");
    assert!(rows.len() <= 1);
    for row in rows {
        assert_eq!((row.message.kind, row.audience), (MessageKind::SETTING, Audience::One(user)));
        assert_eq!(row.message.body, format!(r#"{{"conversation":"{id}"}}"#));
        assert_eq!(row.message.sender, user);
    }
    setting
}

async fn view(stores: &Stores, user: UserId, id: ConversationId) -> View {
    let known = whimbrel_core::Known { conversation: id, cursor: Seq::ZERO, message_id: None };
    let question = SyncQuestion { known: vec![known], only_known: true, ..everything() };
    stores.timeline.sync(user, question).await.expect("answers").views.remove(0)
}

/// Part by part, each kept beside the others; each change is a row of the user's own, what is so already is none; and the
/// other user has settings of their own.
pub async fn settings_are_kept_and_told_to_their_user(stores: &Stores) {
    let users = people(&*stores.directory, "user", 2).await;
    let lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    let (me, id) = (users[0], lane.conversation);
    let draft = Bytes::from_static(b"be");
    let steps = [
        SettingChange { pinned_at: Some(7), ..Default::default() },
        SettingChange { muted_until: Some(u64::MAX), ..Default::default() },
        SettingChange { archived: Some(true), ..Default::default() },
        SettingChange { draft: Some((3, draft.clone())), ..Default::default() },
    ];
    for (step, expected) in steps.into_iter().zip(1..) {
        let (_, rows) =
            stores.settings.change_setting(me, id, step.clone(), 50).await.expect("answers").expect("theirs");
        assert_eq!(rows.len(), 1, "step {expected}");
        let (_, rows) = stores.settings.change_setting(me, id, step, 60).await.expect("answers").expect("theirs");
        assert_eq!(rows, [], "step {expected} again");
    }
    let whole = Setting {
        conversation: id,
        pinned_at: 7,
        muted_until: u64::MAX,
        archived: true,
        draft_key_version: 3,
        draft,
        cleared: Seq::ZERO,
        hidden: Seq::ZERO,
        changed_at: 50,
    };
    assert_eq!(
        stores.settings.settings(me, &[ConversationId::generate(), id]).await.expect("answers"),
        [None, Some(whole.clone())]
    );
    assert_eq!(stores.settings.settings_of(me, None, 10).await.expect("answers"), [whole]);
    assert_eq!(stores.settings.settings_of(me, Some(id), 10).await.expect("answers"), []);
    assert_eq!(stores.settings.settings(users[1], &[id]).await.expect("answers"), [None]);
    let nothing = SettingChange { draft: Some((3, Bytes::new())), pinned_at: Some(0), ..Default::default() };
    let setting = change(stores, me, id, nothing).await;
    assert_eq!((setting.pinned_at, setting.draft_key_version, setting.draft.len()), (0, 0, 0));
    assert_eq!(setting.muted_until, u64::MAX, "what is not named stays");
}

/// Nobody's, another's, and one's private conversation: no settings. An empty change makes none.
pub async fn settings_are_of_conversations_that_one_is_in(stores: &Stores) {
    let users = people(&*stores.directory, "user", 3).await;
    let lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
    let all = stores.timeline.sync(users[0], everything()).await.expect("answers").views;
    let private =
        all.iter().find(|view| view.kind == ConversationKind::Private).expect("everyone has one").conversation;
    let pin = || SettingChange { pinned_at: Some(7), ..Default::default() };
    for (user, id) in [(users[2], lane.conversation), (users[0], ConversationId::generate()), (users[0], private)] {
        assert!(stores.settings.change_setting(user, id, pin(), 50).await.expect("answers").is_none());
    }
    let empty = stores.settings.change_setting(users[0], lane.conversation, SettingChange::default(), 50).await;
    assert_eq!(empty.expect("answers").expect("theirs").1, []);
    assert_eq!(stores.settings.settings_of(users[0], None, 10).await.expect("answers"), []);
}

/// Pages by conversation.
pub async fn settings_are_listed_in_order(stores: &Stores) {
    let users = people(&*stores.directory, "user", 5).await;
    let mut ids = Vec::new();
    for other in &users[1..] {
        let lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], *other).await;
        change(stores, users[0], lane.conversation, SettingChange { archived: Some(true), ..Default::default() }).await;
        ids.push(lane.conversation);
    }
    ids.sort_unstable();
    let of = async |after, limit| {
        let page = stores.settings.settings_of(users[0], after, limit).await.expect("answers");
        page.into_iter().map(|setting| setting.conversation).collect::<Vec<_>>()
    };
    assert_eq!(of(None, 3).await, ids[..3]);
    assert_eq!(of(Some(ids[2]), 3).await, ids[3..]);
}

/// Cleared: nothing of before is seen or unread, in a direct conversation and in a group, and the other still sees all;
/// what comes later is there. Deleted: the same, and hidden up to there.
pub async fn what_is_cleared_is_gone_for_its_user_only(stores: &Stores) {
    let company = Company::of(stores, 2).await;
    let [other, me] = company.users[..] else { unreachable!("two people") };
    let mut lane = Lane::new(&*stores.timeline, &*stores.directory, other, me).await;
    for delete in [false, true] {
        lane.say(&*stores.timeline, 3).await;
        company.say(&[other, other, me]).await;
        for id in [lane.conversation, company.id] {
            let before = view(stores, other, id).await;
            assert!(view(stores, me, id).await.unread > 0);
            let end = before.head;
            let setting = change(stores, me, id, SettingChange { clear: !delete, delete, ..Default::default() }).await;
            assert_eq!((setting.cleared, setting.hidden), (end, if delete { end } else { Seq::ZERO }));
            let mine = view(stores, me, id).await;
            assert_eq!((mine.floor, mine.head, mine.unread, mine.complete), (end, end, 0, true));
            assert_eq!((mine.messages.len(), mine.own), (0, Cursors { delivered: end, read: end }));
            let theirs = view(stores, other, id).await;
            assert_eq!((theirs.floor, theirs.unread), (before.floor, before.unread));
            assert_eq!(theirs.messages, before.messages);
            let again = SettingChange { clear: true, ..Default::default() };
            let (_, rows) = stores.settings.change_setting(me, id, again, 60).await.expect("answers").expect("theirs");
            assert_eq!(rows, []);
        }
        lane.say(&*stores.timeline, 1).await;
        company.say(&[other]).await;
        for id in [lane.conversation, company.id] {
            let mine = view(stores, me, id).await;
            assert_eq!(mine.messages.len(), 1);
            assert_eq!(mine.messages[0].seq, mine.head);
        }
        assert_eq!(view(stores, me, company.id).await.unread, 1);
    }
}

/// A group that was left and deleted is not listed any more; coming back to one with its history for all does not bring
/// back what was cleared.
pub async fn what_is_cleared_does_not_come_back(stores: &Stores) {
    let company = Company::new(stores, 2, |new| new.history_for_all = true).await;
    let [owner, me] = company.users[..] else { unreachable!("two people") };
    company.say(&[owner]).await;
    company.does(me, join()).await;
    let end = company.does(me, GroupChange::Leave).await.0.revision;
    company.say(&[owner]).await;
    assert_eq!(stores.groups.groups_of(me, None, 10).await.expect("answers")[0].until, end);
    let setting = change(stores, me, company.id, SettingChange { delete: true, ..Default::default() }).await;
    assert_eq!((setting.cleared, setting.hidden), (end, end), "as far as they see it");
    assert_eq!(stores.groups.groups_of(me, None, 10).await.expect("answers"), []);
    company.does(me, join()).await;
    let mine = view(stores, me, company.id).await;
    assert_eq!((mine.floor, mine.messages.len(), mine.unread), (end, 2, 0));
    assert_eq!(stores.groups.groups_of(me, None, 10).await.expect("answers").len(), 1);
}
