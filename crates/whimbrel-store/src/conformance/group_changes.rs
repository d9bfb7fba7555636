//! Groups: what a change leaves in the timeline, in rosters and in private conversations; keys.

use whimbrel_core::{Audience, MessageKind, Role, Roster, RosterChange, Seq, UserId};

use super::Stores;
use super::company::{Company, join, new_group};
use super::people::{befriend, people};
use crate::CommitError;
use crate::directory::Rows;
use crate::groups::{Actor, GroupChange, GroupError, GroupSettings};

/// The one row of the group, which every change that members can see has.
fn row(rows: &Rows) -> &whimbrel_core::PlacedRow {
    let mut own = rows.iter().filter(|row| row.message.kind == MessageKind::GROUP);
    let row = own.next().expect("a row");
    assert!(own.next().is_none(), "one row");
    row
}

/// Whom the change is told in their private conversations.
fn told(rows: &Rows) -> Vec<UserId> {
    let private = rows.iter().filter(|row| row.message.kind != MessageKind::GROUP);
    let told = private.map(|row| {
        assert_eq!((row.message.kind, row.audience), (MessageKind::MEMBERSHIP, Audience::One(row.message.sender)));
        row.message.sender
    });
    told.collect()
}

/// Every kind of change: one row at the head, which says what happened and is the new revision; a roster that applies
/// what came with the rows is the one that is stored; and who is told besides.
pub async fn a_change_is_one_row_that_says_who_came_and_went(stores: &Stores) {
    let users = people(&*stores.directory, "user", 4).await;
    let [owner, one, two, three] = users[..] else { unreachable!("four people") };
    let (group, rows) = stores.groups.create_group(new_group(owner), 10).await.expect("it fits");
    let company = Company { stores, id: group.id, users: users.clone() };
    let mut roster = Roster::default();
    assert!(roster.apply(row(&rows).change.as_ref().expect("who is in it")));
    let (op, user) = (Actor::Operator, Actor::User);
    let name = GroupSettings { name: Some("Owls".into()), ..Default::default() };
    type Step = (Actor, GroupChange, String, Vec<UserId>, Vec<UserId>, Vec<UserId>);
    let steps: Vec<Step> = vec![
        (user(one), join(), format!(r#""joined","by":{one},"users":[{one}]"#), vec![one], vec![], vec![one]),
        (
            op,
            GroupChange::Add { users: vec![three, two, one] },
            format!(r#""added","by":0,"users":[{two},{three}]"#),
            vec![two, three],
            vec![],
            vec![two, three],
        ),
        (
            user(owner),
            GroupChange::Settle(name),
            format!(r#""settings","by":{owner},"changed":["name"]"#),
            vec![],
            vec![],
            vec![],
        ),
        (
            user(owner),
            GroupChange::SetRole { user: one, role: Role::Admin },
            format!(r#""role","by":{owner},"users":[{one}],"role":"admin""#),
            vec![],
            vec![],
            vec![one],
        ),
        (
            user(one),
            GroupChange::Mute { user: two, until: 99 },
            format!(r#""muted","by":{one},"users":[{two}],"until":99"#),
            vec![],
            vec![],
            vec![two],
        ),
        (
            user(one),
            GroupChange::MuteAll { until: 99 },
            format!(r#""all_muted","by":{one},"until":99"#),
            vec![],
            vec![],
            vec![],
        ),
        (
            user(one),
            GroupChange::Remove { user: two },
            format!(r#""removed","by":{one},"users":[{two}]"#),
            vec![],
            vec![two],
            vec![two],
        ),
        (
            user(three),
            GroupChange::Leave,
            format!(r#""left","by":{three},"users":[{three}]"#),
            vec![],
            vec![three],
            vec![three],
        ),
        (user(two), join(), format!(r#""joined","by":{two},"users":[{two}]"#), vec![two], vec![], vec![two]),
        (
            user(owner),
            GroupChange::Transfer { to: one },
            format!(r#""owner","by":{owner},"users":[{one}]"#),
            vec![],
            vec![],
            vec![owner, one],
        ),
        (user(one), GroupChange::Dissolve, format!(r#""dissolved","by":{one}"#), vec![], vec![], vec![]),
    ];
    for (by, change, body, joined, left, concerns) in steps {
        let speaker = company.say(&[owner]).await[0].seq;
        let before = company.group().await;
        let (after, rows) = company.by(by, change.clone()).await;
        let row = row(&rows);
        let seq = speaker.next();
        assert_eq!((row.message.seq, after.revision, row.message.conversation), (seq, seq, company.id), "{change:?}");
        assert_eq!(row.message.body, format!(r#"{{"what":{body}}}"#));
        assert_eq!(row.message.sender, if let Actor::User(by) = by { by } else { UserId(0) });
        assert_eq!(row.audience, Audience::Group { revision: seq, size: after.size });
        let expected = RosterChange { after: before.revision, at: seq, joined, left };
        assert_eq!(row.change.as_deref(), Some(&expected), "{change:?}");
        assert!(roster.apply(&expected));
        assert_eq!(roster, company.roster().await, "{change:?}");
        assert_eq!(told(&rows), concerns, "{change:?}");
        assert_eq!(after, company.group().await);
        assert_eq!(after.size as usize, company.members().await.len());
        assert_eq!(company.timeline().await.last(), Some(&row.message));
    }
    let rosters = stores.groups.rosters(&[whimbrel_core::ConversationId::generate(), company.id]).await;
    assert_eq!(rosters.expect("answers"), [None, Some(roster)]);
}

/// Any change of a group is a row, also one that brings and takes nobody: who remembers the head from before it
/// collides.
pub async fn a_stale_archiver_collides_with_a_change_of_the_group(stores: &Stores) {
    let company = Company::of(stores, 2).await;
    let [owner, one] = company.users[..] else { unreachable!("two people") };
    for change in [
        GroupChange::Mute { user: one, until: u64::MAX },
        GroupChange::MuteAll { until: u64::MAX },
        GroupChange::SetRole { user: one, role: Role::Admin },
        GroupChange::Remove { user: one },
    ] {
        let stale = company.rows(&[one, owner]).await;
        company.does(owner, change.clone()).await;
        let result = company.commit(stale).await;
        assert!(matches!(result, Err(CommitError::SeqTaken)), "{change:?}: {result:?}");
    }
    company.say(&[owner]).await;
    let batch = company.timeline().await;
    assert!(batch.iter().zip(1..).all(|(row, seq)| row.seq == Seq(seq)), "without holes");
}

/// A new key with every leaving; each sees those of their own time, and of all times where history is for all.
pub async fn keys_are_of_the_time_in_which_one_is_in_the_group(stores: &Stores) {
    let company = Company::of(stores, 4).await;
    let [owner, stays, goes, late] = company.users[..] else { unreachable!("four people") };
    let keys = async |user, after, limit| {
        let keys = stores.groups.group_keys(company.id, user, after, limit).await;
        keys.expect("theirs").0.into_iter().map(|(version, _)| version).collect::<Vec<_>>()
    };
    assert_eq!(keys(goes, 0, 10).await, [1]);
    company.does(goes, GroupChange::Leave).await;
    company.does(owner, GroupChange::Remove { user: late }).await;
    assert_eq!(company.group().await.key_version, 3);
    assert_eq!((keys(goes, 0, 10).await, keys(late, 0, 10).await), (vec![1], vec![1, 2]));
    assert_eq!((keys(stays, 0, 10).await, keys(stays, 1, 1).await), (vec![1, 2, 3], vec![2]));
    company.does(goes, join()).await;
    assert_eq!(keys(goes, 0, 10).await, [1, 3], "who comes back has those of both times, and none between");
    assert_eq!((keys(goes, 0, 1).await, keys(goes, 1, 10).await, keys(goes, 3, 10).await), (vec![1], vec![3], vec![]));
    let all = GroupSettings { history_for_all: Some(true), ..Default::default() };
    company.does(owner, GroupChange::Settle(all)).await;
    company.does(late, join()).await;
    assert_eq!(keys(late, 0, 10).await, [1, 2, 3]);
    let both = [stays, late].map(|user| stores.groups.group_keys(company.id, user, 0, 10));
    let both = futures_util::future::join_all(both).await;
    assert_eq!(both[0].as_ref().expect("theirs"), both[1].as_ref().expect("theirs"), "one key for each version");
    let different: std::collections::BTreeSet<_> =
        both[0].as_ref().expect("theirs").0.iter().map(|key| key.1).collect();
    assert_eq!(different.len(), 3);
    let stranger = people(&*stores.directory, "stranger", 1).await[0];
    let refused = stores.groups.group_keys(company.id, stranger, 0, 10).await;
    assert!(matches!(refused, Err(GroupError::NotMember)));
    let nowhere = stores.groups.group_keys(whimbrel_core::ConversationId::generate(), owner, 0, 10).await;
    assert!(matches!(nowhere, Err(GroupError::NoSuchGroup)));
    stores.directory.rewrap_keys().await.expect("answers");
    assert_eq!(keys(late, 0, 10).await, [1, 2, 3]);
}

/// More versions than a pair of friends has keys: groups have no end of them.
pub async fn a_group_has_as_many_keys_as_members_left(stores: &Stores) {
    let company = Company::of(stores, 2).await;
    let other = company.users[1];
    for _ in 0..=whimbrel_core::limits::KEY_VERSIONS_MAX {
        company.does(other, GroupChange::Leave).await;
        company.does(other, join()).await;
    }
    let version = company.group().await.key_version;
    assert_eq!(version, whimbrel_core::limits::KEY_VERSIONS_MAX + 2);
    let keys = stores.groups.group_keys(company.id, other, 0, 1000).await.expect("theirs");
    let oldest = version - u32::try_from(whimbrel_core::limits::GROUP_SPANS_MAX).expect("not many");
    assert_eq!(keys.0.iter().map(|(version, _)| *version).collect::<Vec<_>>(), (oldest..=version).collect::<Vec<_>>());
}

/// An account with groups of its own and of others: the oldest admin inherits, else the oldest member, else the group
/// ends; and what it asked for is gone.
pub async fn a_deleted_user_leaves_every_group_and_an_heir_takes_theirs(stores: &Stores) {
    let users = people(&*stores.directory, "user", 4).await;
    let [owner, one, two, admin] = users[..] else { unreachable!("four people") };
    let mut companies = Vec::new();
    for _ in 0..4 {
        let (group, _) = stores.groups.create_group(new_group(owner), 10).await.expect("it fits");
        companies.push(Company { stores, id: group.id, users: users.clone() });
    }
    let [by_admin, by_member, alone, others] = &companies[..] else { unreachable!("four groups") };
    for user in [two, one, admin] {
        let group = by_admin.id;
        stores.groups.change_group(group, Actor::User(user), join(), 30 - user.0).await.expect("open");
    }
    by_admin.does(owner, GroupChange::SetRole { user: admin, role: Role::Admin }).await;
    for (user, now) in [(one, 16), (two, 15)] {
        stores.groups.change_group(by_member.id, Actor::User(user), join(), now).await.expect("open");
    }
    others.does(two, join()).await;
    others.does(owner, GroupChange::Transfer { to: two }).await;
    let mut closed = new_group(one);
    closed.members = vec![owner];
    let (closed, _) = stores.groups.create_group(closed, 10).await.expect("it fits");

    let rows = stores.directory.delete_user(owner, 40).await.expect("there");
    let own: Vec<_> = rows.iter().filter(|row| row.message.kind == MessageKind::GROUP).collect();
    assert_eq!(own.len(), 4);
    assert!(own.iter().all(|row| row.change.as_ref().is_some_and(|change| change.left == [owner])));
    assert_eq!(by_admin.group().await.owner, admin);
    assert_eq!(by_member.group().await.owner, two);
    assert_eq!(alone.group().await.dissolved_at, Some(40));
    assert_eq!((others.group().await.owner, others.group().await.size), (two, 1));
    for (company, left) in [(by_admin, 3), (by_member, 2), (alone, 0)] {
        assert_eq!(company.group().await.size, left);
        assert!(!company.members().await.contains(&owner));
        let owners = stores.groups.group_members(company.id, UserId(0), 10).await.expect("answers");
        assert!(left == 0 || owners.iter().filter(|member| member.role == Role::Owner).count() == 1);
        assert_eq!(company.group().await.key_version, 2);
    }
    assert_eq!(stores.groups.group_requests(closed.id, UserId(0), 10).await.expect("answers"), []);
    let body = &own.iter().find(|row| row.message.conversation == by_admin.id).expect("a row").message.body;
    assert_eq!(*body, format!(r#"{{"what":"left","by":{owner},"users":[{owner}],"owner":{admin}}}"#));
}

/// A thousand in one change: one row, one revision, everybody told; and the roster is right.
pub async fn a_thousand_are_added_in_one_change(stores: &Stores) {
    let crowd = people(&*stores.directory, "crowd", 1000).await;
    let company = Company::new(stores, 1, |_| {}).await;
    let begun = std::time::Instant::now();
    let (group, rows) = company.by(Actor::Operator, GroupChange::Add { users: crowd.clone() }).await;
    // Generous for a slow machine, and far from what a statement for each member and a scan would take.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert_eq!((group.size, group.revision, rows.len()), (1001, Seq(2), 1001));
    assert_eq!(row(&rows).change.as_ref().expect("who came").joined, crowd);
    assert_eq!(company.members().await.len(), 1001);
    assert_eq!(company.roster().await.audience(Seq(2)).count(), 1001);
    let page = stores.groups.group_members(company.id, crowd[499], 100).await.expect("answers");
    assert_eq!(page.iter().map(|member| member.user.id).collect::<Vec<_>>(), crowd[500..600]);
}

/// Who asked, and is invited, when a group ends: nobody waits any more, and all are told, each once. Of a proposal that is
/// the member who made it: whom it names has never heard of it.
pub async fn a_group_that_ends_keeps_nobody_waiting(stores: &Stores) {
    let company = Company::new(stores, 6, |new| new.join = crate::groups::JoinMode::Approval).await;
    let [owner, asks, invited, member, one, two] = company.users[..] else { unreachable!("six people") };
    befriend(&*stores.directory, owner, invited).await;
    company.by(Actor::Operator, GroupChange::Add { users: vec![member] }).await;
    company.does(asks, join()).await;
    company.does(owner, GroupChange::Invite { users: vec![invited] }).await;
    company.does(member, GroupChange::Invite { users: vec![one, two] }).await;
    let (_, rows) = company.does(owner, GroupChange::Dissolve).await;
    let mut all = told(&rows);
    all.sort_unstable();
    assert_eq!(all, [asks, invited, member]);
    for user in [asks, invited] {
        assert_eq!(stores.groups.requests_of(user, None, 10).await.expect("answers"), []);
    }
    assert_eq!(stores.groups.group_requests(company.id, UserId(0), 10).await.expect("answers"), []);
    // Whoever is not in it does not learn that it was.
    assert!(matches!(company.refusal(invited, join()).await, GroupError::NoSuchGroup));
}
