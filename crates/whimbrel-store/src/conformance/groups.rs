//! Groups: what they are called, how one comes in, and who may what.

use futures_util::future::join_all;
use whimbrel_core::limits::{GROUPS_MAX, SMALL_GROUP};
use whimbrel_core::{ConversationId, Cursors, Members, Role, Seq, Speak, Standing, UserId};

use super::Stores;
use super::company::{Company, join, new_group};
use super::people::{befriend, people};
use crate::groups::{Actor, GroupChange, GroupError, GroupSettings, JoinMode, RequestKind};
use crate::{CursorWrite, PlaceBatch};

/// Friends are in it, others are invited, and what is stored is what was asked for.
pub async fn a_group_begins_with_friends_and_invites_others(stores: &Stores) {
    let users = people(&*stores.directory, "user", 3).await;
    let [owner, friend, stranger] = users[..] else { unreachable!("three people") };
    befriend(&*stores.directory, owner, friend).await;
    let mut new = new_group(owner);
    new.handle = Some("birds".into());
    new.announcement = "hoo \"hoo\"".into();
    new.members = vec![stranger, friend];
    let (group, rows) = stores.groups.create_group(new.clone(), 10).await.expect("it fits");
    assert_eq!(stores.groups.group(group.id).await.expect("answers"), Some(group.clone()));
    assert_eq!((group.name, group.announcement, group.handle), (new.name, new.announcement, new.handle));
    assert_eq!((group.owner, group.size, group.revision, group.key_version), (owner, 2, Seq(1), 1));
    assert_eq!((group.created_at, group.dissolved_at, group.muted_until), (10, None, 0));
    assert_eq!(rows[0].message.seq, Seq(1));
    let body = format!(r#"{{"what":"created","by":{owner},"users":[{owner},{friend}]}}"#);
    assert_eq!(rows[0].message.body, body);
    let roles = stores.groups.group_members(group.id, UserId(0), 10).await.expect("answers");
    let roles: Vec<_> = roles.into_iter().map(|member| (member.user.id, member.role, member.joined_at)).collect();
    assert_eq!(roles, [(owner, Role::Owner, 10), (friend, Role::Member, 10)]);
    let invited = stores.groups.requests_of(stranger, None, 10).await.expect("answers");
    assert_eq!((invited.len(), invited[0].group, invited[0].by), (1, group.id, owner));
    assert_eq!((invited[0].kind, invited[0].group_name.as_str()), (RequestKind::Invited, "Birds"));
}

/// By handle, by the name from any of its words on, in pages; not when it is not listed or has ended; and no letter means "anything".
pub async fn groups_are_found_by_handle_and_name(stores: &Stores) {
    let owner = people(&*stores.directory, "user", 1).await[0];
    let mut ids = Vec::new();
    for (name, handle, listed) in
        [("Owls", None, true), ("owls 100%", Some("night"), true), ("Owls too", None, false), ("Larks", None, true)]
    {
        let mut new = new_group(owner);
        (new.name, new.handle, new.listed) = (name.into(), handle.map(Into::into), listed);
        ids.push(stores.groups.create_group(new, 10).await.expect("it fits").0.id);
    }
    let find = async |text: &str, after, limit| {
        let found = stores.groups.search_groups(text, after, limit).await.expect("answers");
        found.into_iter().map(|group| group.id).collect::<Vec<_>>()
    };
    assert_eq!(find("owls", None, 10).await, ids[..2]);
    assert_eq!(find("owls", None, 1).await, ids[..1]);
    assert_eq!(find("owls", Some(ids[0]), 10).await, ids[1..2]);
    assert_eq!(find("night", None, 10).await, ids[1..2]);
    assert_eq!((find("100", None, 10).await, find("OWLS 1", None, 10).await), (ids[1..2].to_vec(), ids[1..2].to_vec()));
    assert_eq!((find("wls", None, 10).await, find("owls x", None, 10).await), (vec![], vec![]));
    assert!(!find("%", None, 10).await.contains(&ids[0]));
    assert_eq!(find("_wls", None, 10).await, []);
    let by_handle = stores.groups.group_by_handle("night").await.expect("answers").expect("there");
    assert_eq!(by_handle.id, ids[1]);
    stores.groups.change_group(ids[1], Actor::User(owner), GroupChange::Dissolve, 20).await.expect("the owner's");
    assert_eq!(find("owls", None, 10).await, ids[..1]);
    assert_eq!(stores.groups.group_by_handle("night").await.expect("answers"), None);
    let listed = stores.groups.groups_of(owner, Some(ids[0]), 2).await.expect("answers");
    assert_eq!(listed.iter().map(|one| one.group.id).collect::<Vec<_>>(), ids[1..3]);
    assert_eq!((listed[0].role, listed[0].until, listed[0].group.dissolved_at), (Role::Owner, Seq::ZERO, Some(20)));
}

/// What finds a group changes with it, whatever else there is; and each is shown once, page by page, also where several
/// words of one name begin alike, or where the last one of a page has another name by now.
pub async fn what_finds_a_group_changes_with_its_name(stores: &Stores) {
    let owner = people(&*stores.directory, "user", 1).await[0];
    let mut ids = Vec::new();
    for name in ["Bird, birds and birders", "Birds", "A bird", "The birders", "Fish"] {
        let mut new = new_group(owner);
        new.name = name.into();
        ids.push(stores.groups.create_group(new, 10).await.expect("it fits").0.id);
    }
    let find = async |text: &str, after, limit| {
        let found = stores.groups.search_groups(text, after, limit).await.expect("answers");
        found.into_iter().map(|group| group.id).collect::<Vec<_>>()
    };
    let settle = async |id, settings: GroupSettings| {
        let change = GroupChange::Settle(settings);
        stores.groups.change_group(id, Actor::User(owner), change, 20).await.expect("the owner's");
    };
    // The terms: bird, bird birds and birders, birders, birds.
    let [several, birds, a_bird, the_birders, fish] = ids[..] else { unreachable!("five groups") };
    let all = [a_bird, several, the_birders, birds];
    assert_eq!(find("bird", None, 10).await, all);
    for limit in 1..=4 {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = find("bird", after, limit).await;
            after = page.last().copied();
            paged.extend_from_slice(&page);
            if page.len() < limit {
                break;
            }
        }
        assert_eq!(paged, all, "pages of {limit}");
    }
    settle(a_bird, GroupSettings { name: Some("An insect".into()), ..Default::default() }).await;
    assert_eq!(find("bird", Some(a_bird), 10).await, all[1..], "nothing is left out");
    assert_eq!((find("insect", None, 10).await, find("a b", None, 10).await), (vec![a_bird], vec![]));
    settle(birds, GroupSettings { listed: Some(false), ..Default::default() }).await;
    assert_eq!(find("bird", None, 10).await, [several, the_birders]);
    settle(birds, GroupSettings { listed: Some(true), handle: Some(Some("b.one".into())), ..Default::default() }).await;
    assert_eq!((find("b one", None, 10).await, find("birds", None, 10).await.contains(&birds)), (vec![birds], true));
    settle(birds, GroupSettings { handle: Some(None), announcement: Some("b one".into()), ..Default::default() }).await;
    assert_eq!(find("b one", None, 10).await, []);
    stores.directory.delete_user(owner, 40).await.expect("there");
    assert_eq!((find("bird", None, 10).await, find("fish", None, 10).await.contains(&fish)), (vec![], false));
}

/// Taken by a group that stands; free when it gave it up or ended.
pub async fn a_handle_is_one_groups_until_it_is_given_up(stores: &Stores) {
    let company = Company::new(stores, 1, |new| new.handle = Some("birds".into())).await;
    let owner = company.users[0];
    let again = || {
        let mut new = new_group(owner);
        new.handle = Some("birds".into());
        new
    };
    assert!(matches!(stores.groups.create_group(again(), 10).await, Err(GroupError::HandleTaken)));
    let (other, _) = stores.groups.create_group(new_group(owner), 10).await.expect("it fits");
    let take = GroupChange::Settle(GroupSettings { handle: Some(Some("birds".into())), ..Default::default() });
    let taken = stores.groups.change_group(other.id, Actor::User(owner), take.clone(), 20).await;
    assert!(matches!(taken, Err(GroupError::HandleTaken)));
    let give_up = GroupChange::Settle(GroupSettings { handle: Some(None), ..Default::default() });
    company.does(owner, give_up).await;
    stores.groups.change_group(other.id, Actor::User(owner), take, 20).await.expect("it is free");
    stores.groups.change_group(other.id, Actor::User(owner), GroupChange::Dissolve, 20).await.expect("the owner's");
    stores.groups.create_group(again(), 10).await.expect("it is free again");
}

/// Each refusal once, past the rules' own tests: so the engine gives the rules what they ask for; and after each the
/// group and its timeline are as before.
pub async fn what_does_not_fit_is_refused_by_name(stores: &Stores) {
    let company = Company::new(stores, 6, |new| {
        new.join = JoinMode::Approval;
        new.member_limit = 3;
        new.listed = false;
    })
    .await;
    let [owner, one, two, three, four, gone] = company.users[..] else { unreachable!("six people") };
    company.by(Actor::Operator, GroupChange::Add { users: vec![one, two] }).await;
    company.does(three, join()).await;
    let before = (company.group().await, company.timeline().await.len());
    stores.directory.delete_user(gone, 15).await.expect("there");

    use GroupError::{Forbidden, Full, NoSuchGroup, NoSuchUser, NotApplicable, NotMember};
    let refusal = |by, change| company.refusal(by, change);
    let remove = |user| GroupChange::Remove { user };
    assert!(matches!(refusal(owner, GroupChange::Approve { user: three }).await, Full));
    assert!(matches!(refusal(three, join()).await, NotApplicable(_)));
    assert!(matches!(refusal(one, join()).await, NotApplicable(_)));
    assert!(matches!(refusal(four, GroupChange::Leave).await, NoSuchGroup));
    assert!(matches!(refusal(three, GroupChange::Leave).await, Forbidden(_)));
    assert!(matches!(refusal(gone, join()).await, NoSuchUser));
    assert!(matches!(refusal(UserId(999_999), join()).await, NoSuchUser));
    assert!(matches!(refusal(owner, GroupChange::Invite { users: vec![gone] }).await, NoSuchUser));
    assert!(matches!(refusal(owner, remove(four)).await, NotMember));
    assert!(matches!(refusal(one, remove(two)).await, Forbidden(_)));
    assert!(matches!(refusal(owner, GroupChange::Leave).await, Forbidden(_)));
    assert!(matches!(refusal(one, GroupChange::Dissolve).await, Forbidden(_)));
    let nowhere = stores.groups.change_group(ConversationId::generate(), Actor::User(one), join(), 20).await;
    assert!(matches!(nowhere, Err(NoSuchGroup)));
    assert_eq!((company.group().await, company.timeline().await.len()), before);
}

/// Two admins say yes: one is heard. Who waits is listed on both sides, but for a proposal, of which the one named knows
/// nothing until it is an invitation.
pub async fn what_waits_is_listed_and_answered_once(stores: &Stores) {
    let company = Company::new(stores, 5, |new| new.join = JoinMode::Approval).await;
    let [owner, admin, member, asks, proposed] = company.users[..] else { unreachable!("five people") };
    company.by(Actor::Operator, GroupChange::Add { users: vec![admin, member] }).await;
    company.does(owner, GroupChange::SetRole { user: admin, role: Role::Admin }).await;
    let (_, rows) = company.does(asks, join()).await;
    let told: Vec<_> = rows.iter().map(|row| row.message.sender).collect();
    assert_eq!(told, [asks, owner, admin], "and nobody else, and no row in the group");
    company.does(member, GroupChange::Invite { users: vec![proposed] }).await;
    let waiting = stores.groups.group_requests(company.id, UserId(0), 10).await.expect("answers");
    let waiting: Vec<_> =
        waiting.iter().map(|one| (one.user.id, one.kind, one.by, one.message.as_str(), one.at)).collect();
    let expected = [(asks, RequestKind::Asked, asks, "hello", 20), (proposed, RequestKind::Proposed, member, "", 20)];
    assert_eq!(waiting, expected);
    assert_eq!(stores.groups.requests_of(asks, None, 10).await.expect("answers").len(), 1);
    assert_eq!(stores.groups.requests_of(asks, Some(company.id), 10).await.expect("answers"), []);
    assert_eq!(stores.groups.requests_of(proposed, None, 10).await.expect("answers"), []);

    let yes = [owner, admin].map(|by| {
        let change = GroupChange::Approve { user: asks };
        stores.groups.change_group(company.id, Actor::User(by), change, 20)
    });
    let answers = join_all(yes).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().any(|answer| matches!(answer, Err(GroupError::NotApplicable(_)))));

    company.does(admin, GroupChange::Approve { user: proposed }).await;
    let invited = stores.groups.requests_of(proposed, None, 10).await.expect("answers");
    assert_eq!((invited[0].kind, invited[0].by), (RequestKind::Invited, member));
    company.does(proposed, join()).await;
    assert_eq!(stores.groups.group_requests(company.id, UserId(0), 10).await.expect("answers"), []);
    assert_eq!(company.group().await.size, 5);
}

/// A block is kept: who blocks the inviter is not invited, and nobody is told why.
pub async fn who_blocks_the_inviter_is_not_invited(stores: &Stores) {
    let company = Company::new(stores, 2, |_| {}).await;
    let [owner, blocker] = company.users[..] else { unreachable!("two people") };
    let block = crate::directory::RelationChange::Block;
    stores.directory.change_relation(blocker, owner, block, 5).await.expect("it fits");
    let (_, rows) = company.does(owner, GroupChange::Invite { users: vec![blocker] }).await;
    assert_eq!(rows, []);
    assert_eq!(stores.groups.requests_of(blocker, None, 10).await.expect("answers"), []);
}

/// What an archiver asks before it places: roles and mutes as they stand, nothing for who is gone, nothing of other
/// conversations; a mute "for good" stays that. A mute is not ended by going and coming back.
pub async fn standings_are_those_of_the_last_change(stores: &Stores) {
    let company = Company::of(stores, 4).await;
    let [owner, one, two, gone] = company.users[..] else { unreachable!("four people") };
    company.does(gone, GroupChange::Leave).await;
    company.does(owner, GroupChange::SetRole { user: one, role: Role::Admin }).await;
    company.does(one, GroupChange::Mute { user: two, until: u64::MAX }).await;
    company.does(one, GroupChange::MuteAll { until: u64::MAX }).await;
    // The group began with the first row, and each of the others came with one.
    let of = |role, muted_until, sees_from| Some(Standing { role, muted_until, sees_from: Seq(sees_from) });
    let private = people(&*stores.directory, "other", 1).await[0];
    let asked = [(company.id, two), (company.id, gone), (company.id, owner), (ConversationId::generate(), one)];
    let standings = stores.timeline.standings(&asked).await.expect("answers");
    assert_eq!(standings, [of(Role::Member, u64::MAX, 3), None, of(Role::Owner, 0, 1), None]);
    let heads = stores.timeline.heads(&[company.id]).await.expect("answers");
    let Some(Members::Group(group)) = heads[0].as_ref().map(|head| head.members.clone()) else {
        panic!("a group: {heads:?}")
    };
    assert_eq!((group.muted_until, group.size, group.dissolved), (u64::MAX, 3, false));
    assert_eq!(
        (group.revision, Some(group.revision)),
        (company.group().await.revision, heads[0].as_ref().map(|h| h.seq))
    );
    assert_eq!(group.may_speak(standings[2], 1), Speak::Allowed);
    assert_eq!(group.may_speak(standings[0], 1), Speak::Muted);
    let members = stores.directory.members(&[company.id]).await.expect("answers");
    assert_eq!(members, [Some(Members::Group(group))]);

    company.does(two, GroupChange::Leave).await;
    company.does(two, join()).await;
    company.does(owner, GroupChange::Dissolve).await;
    let standings = stores.timeline.standings(&[(company.id, two), (company.id, private)]).await.expect("answers");
    assert_eq!(standings, [of(Role::Member, u64::MAX, 10), None]);
    let heads = stores.timeline.heads(&[company.id]).await.expect("answers");
    let Some(Members::Group(group)) = heads[0].as_ref().map(|head| head.members.clone()) else { panic!("a group") };
    assert!(group.dissolved);
}

/// Counted where the rules ask for it; groups that ended, and those that one left, take no room.
pub async fn nobody_is_in_more_groups_than_one_may_be(stores: &Stores) {
    let company = Company::of(stores, 2).await;
    let [owner, other] = company.users[..] else { unreachable!("two people") };
    let mut last = None;
    // As many at once as wait for each other no longer than for a connection, all being the same user's.
    for _ in 0..GROUPS_MAX / 9 {
        let created = join_all((0..9).map(|_| stores.groups.create_group(new_group(other), 10))).await;
        last = created.into_iter().map(|created| created.expect("there is room").0.id).last();
    }
    let last = last.expect("many");
    assert!(matches!(stores.groups.create_group(new_group(other), 10).await, Err(GroupError::TooManyGroups)));
    company.does(other, GroupChange::Leave).await;
    company.does(other, join()).await;
    company.does(owner, GroupChange::Remove { user: other }).await;
    stores.groups.create_group(new_group(other), 10).await.expect("one fewer");
    assert!(matches!(company.refusal(other, join()).await, GroupError::TooManyGroups));
    stores.groups.change_group(last, Actor::User(other), GroupChange::Dissolve, 20).await.expect("the owner's");
    company.does(other, join()).await;
}

/// Of those to whom it was said and who did not say it: also of who left since, and not of who came later.
pub async fn who_has_read_a_message_is_counted_among_those_to_whom_it_was_said(stores: &Stores) {
    let company = Company::of(stores, 5).await;
    let [owner, one, two, gone, late] = company.users[..] else { unreachable!("five people") };
    company.does(late, GroupChange::Leave).await;
    let said = company.say(&[owner]).await[0].seq;
    company.does(gone, GroupChange::Leave).await;
    company.does(late, join()).await;
    let cursors = [(one, said.0, said.0), (two, said.0, 1), (late, said.0, said.0)];
    let cursors = cursors.map(|(user, delivered, read)| CursorWrite {
        conversation: company.id,
        user,
        cursors: Cursors { delivered: Seq(delivered), read: Seq(read) },
    });
    let batch = PlaceBatch { rows: Vec::new(), cursors: cursors.to_vec() };
    stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("members' cursors");
    let by = stores.groups.read_by(company.id, said, owner, UserId(0), 10).await.expect("answers");
    assert_eq!((by.of, by.read, by.delivered), (3, 1, 2));
    assert_eq!(by.readers.iter().map(|reader| reader.user.id).collect::<Vec<_>>(), [one, two, gone]);
    assert!(by.readers[0].cursors.read == said && by.readers[1].cursors.delivered == said);
    let page = stores.groups.read_by(company.id, said, owner, one, 1).await.expect("answers");
    assert_eq!((page.of, page.readers.len(), page.readers[0].user.id), (3, 1, two));
    for nothing in [Seq(1), Seq(999)] {
        let nobody = stores.groups.read_by(company.id, nothing, owner, UserId(0), 10).await.expect("answers");
        assert_eq!(nobody, crate::groups::ReadBy::default());
    }
    let crowd = people(&*stores.directory, "crowd", SMALL_GROUP as usize).await;
    company.by(Actor::Operator, GroupChange::Add { users: crowd }).await;
    let by = stores.groups.read_by(company.id, said, owner, UserId(0), 10).await.expect("answers");
    assert_eq!((by.of, by.read, by.delivered), (3, 1, 0), "nobody's DELIVERED in a large group");
    assert!(by.readers.iter().all(|reader| reader.cursors.delivered == Seq::ZERO));
}

/// Who came afterwards sees nothing of the message, unless history is for all; who left before it, neither. They are told
/// nothing, and are not counted although their cursors are beyond it.
pub async fn who_does_not_see_a_message_is_not_told_who_has_read_it(stores: &Stores) {
    let company = Company::of(stores, 5).await;
    let [owner, one, left, late, history] = company.users[..] else { unreachable!("five people") };
    for user in [left, late, history] {
        company.does(user, GroupChange::Leave).await;
    }
    let said = company.say(&[owner]).await[0].seq;
    company.does(late, join()).await;
    let all = GroupSettings { history_for_all: Some(true), ..Default::default() };
    company.does(owner, GroupChange::Settle(all)).await;
    company.does(history, join()).await;
    let asked = async |asker| {
        let by = stores.groups.read_by(company.id, said, asker, UserId(0), 10).await.expect("answers");
        (by.of, by.read, by.readers.iter().map(|reader| reader.user.id).collect::<Vec<_>>())
    };
    for told in [owner, one, history] {
        assert_eq!(asked(told).await, (1, 0, vec![one]), "{told}");
    }
    for not_told in [late, left, UserId(9999)] {
        assert_eq!(asked(not_told).await, (0, 0, vec![]), "{not_told}");
    }
    let goes = company.does(one, GroupChange::Leave).await.0.revision;
    assert_eq!(asked(one).await, (1, 0, vec![one]), "who has left since still sees it");
    assert!(goes > said);
}
