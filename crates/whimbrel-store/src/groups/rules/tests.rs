//! Every refusal by its name, and what the changes that are not refused lead to.

mod beginning;
mod joining;

use whimbrel_core::limits::{GROUP_CHANGE_USERS_MAX, GROUP_MEMBERS_MAX};
use whimbrel_core::{ConversationId, Role, Seq, UserId};

use super::super::words::What;
use super::super::{Actor, Group, GroupChange, GroupError, GroupSettings, JoinMode, NewGroup, RequestKind};
use super::*;
use crate::keeping::Keep;

const OWNER: UserId = UserId(1);
const ADMIN: UserId = UserId(2);
const ANN: UserId = UserId(3);
const BOB: UserId = UserId(4);
/// Was in it, and left.
const GONE: UserId = UserId(5);
/// Nothing to do with it.
const EVE: UserId = UserId(6);
/// Asked, invited, proposed.
const ASKS: UserId = UserId(7);
const INVITED: UserId = UserId(8);
const PROPOSED: UserId = UserId(9);
/// No account.
const NOBODY: UserId = UserId(99);

const NOW: u64 = 1000;

struct Stage {
    group: Group,
    people: Vec<Person>,
    waiting: u64,
}

fn stage() -> Stage {
    let new = new_group();
    let group = Group {
        id: ConversationId::from_bytes([1; 16]),
        handle: Some("birds".into()),
        name: new.name,
        avatar: String::new(),
        announcement: String::new(),
        owner: OWNER,
        join: JoinMode::Approval,
        listed: false,
        history_for_all: false,
        member_limit: 10,
        size: 4,
        muted_until: 0,
        revision: Seq(5),
        key_version: 3,
        created_at: 1,
        dissolved_at: None,
        keep: Keep::default(),
    };
    let member = |role, until| Some(MemberRow { role, until: Seq(until), muted_until: 0 });
    let request = |kind, by| Some(RequestRow { kind, by });
    let people = vec![
        Person { member: member(Role::Owner, 0), ..person(OWNER) },
        Person { member: member(Role::Admin, 0), ..person(ADMIN) },
        Person { member: member(Role::Member, 0), ..person(ANN) },
        Person { member: member(Role::Member, 0), ..person(BOB) },
        Person { member: member(Role::Member, 4), ..person(GONE) },
        person(EVE),
        Person { request: request(RequestKind::Asked, ASKS), ..person(ASKS) },
        Person { request: request(RequestKind::Invited, ANN), ..person(INVITED) },
        Person { request: request(RequestKind::Proposed, ANN), ..person(PROPOSED) },
    ];
    Stage { group, people, waiting: 3 }
}

fn person(user: UserId) -> Person {
    Person { user, member: None, request: None, groups: 1, blocks: false, friend: false }
}

fn new_group() -> NewGroup {
    NewGroup {
        owner: OWNER,
        handle: None,
        name: "Birds".into(),
        avatar: String::new(),
        announcement: String::new(),
        join: JoinMode::Open,
        listed: true,
        history_for_all: false,
        member_limit: 10,
        members: Vec::new(),
    }
}

impl Stage {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn person(&mut self, user: UserId) -> &mut Person {
        self.people.iter_mut().find(|person| person.user == user).expect("on the stage")
    }

    /// As an engine does it.
    fn run(&self, by: Actor, change: &GroupChange) -> Decided {
        let needs = needs(by, change)?;
        let people: Vec<Person> =
            self.people.iter().filter(|person| needs.people.contains(&person.user)).copied().collect();
        let scene = Scene { group: &self.group, by, people: &people, waiting: self.waiting, now: NOW };
        decide(&scene, change)
    }

    fn does(&self, by: UserId, change: GroupChange) -> Effect {
        self.run(Actor::User(by), &change).unwrap_or_else(|refusal| panic!("{change:?} by {by}: {refusal}"))
    }

    fn why(&self, by: UserId, change: GroupChange) -> GroupError {
        self.why_of(Actor::User(by), change)
    }

    fn why_of(&self, by: Actor, change: GroupChange) -> GroupError {
        match self.run(by, &change) {
            Err(refusal) => refusal,
            Ok(effect) => panic!("{change:?} by {by:?} was not refused: {effect:?}"),
        }
    }

    #[track_caller]
    fn forbids(&self, by: UserId, change: GroupChange) {
        let why = self.why(by, change.clone());
        assert!(matches!(why, GroupError::Forbidden(_)), "{change:?} by {by}: {why}");
    }

    #[track_caller]
    fn does_not_fit(&self, by: UserId, change: GroupChange) {
        let why = self.why(by, change.clone());
        assert!(matches!(why, GroupError::NotApplicable(_)), "{change:?} by {by}: {why}");
    }
}

fn join() -> GroupChange {
    GroupChange::Join { message: "hello".into() }
}

fn invite(users: &[UserId]) -> GroupChange {
    GroupChange::Invite { users: users.to_vec() }
}

fn add(users: &[UserId]) -> GroupChange {
    GroupChange::Add { users: users.to_vec() }
}

fn named(name: &str) -> GroupChange {
    GroupChange::Settle(GroupSettings { name: Some(name.into()), ..Default::default() })
}

/// Every change that a user can ask for, about Bob.
fn all() -> Vec<GroupChange> {
    vec![
        named("x"),
        GroupChange::Leave,
        invite(&[EVE]),
        GroupChange::Approve { user: ASKS },
        GroupChange::Reject { user: ASKS },
        add(&[EVE]),
        GroupChange::Remove { user: BOB },
        GroupChange::SetRole { user: BOB, role: Role::Admin },
        GroupChange::Transfer { to: BOB },
        GroupChange::Mute { user: BOB, until: 2000 },
        GroupChange::MuteAll { until: 2000 },
        GroupChange::Dissolve,
    ]
}

#[test]
fn who_is_not_in_it_changes_nothing_and_who_may_not_know_of_it_does_not_learn_that_it_is_there() {
    for change in all() {
        assert!(matches!(stage().why(EVE, change.clone()), GroupError::NoSuchGroup), "{change:?}");
        assert!(matches!(stage().why(PROPOSED, change.clone()), GroupError::NoSuchGroup), "{change:?}");
        for knows in [GONE, ASKS, INVITED] {
            stage().forbids(knows, change.clone());
        }
        stage().with(|stage| stage.group.listed = true).forbids(EVE, change.clone());
        assert!(matches!(stage().why(NOBODY, change), GroupError::NoSuchUser));
    }
}

#[test]
fn a_member_does_what_members_may_an_admin_more_and_the_owner_all() {
    for (index, change) in all().into_iter().enumerate() {
        let allowed = [OWNER, ADMIN, ANN].map(|by| match stage().run(Actor::User(by), &change) {
            Ok(_) => true,
            Err(GroupError::Forbidden(_)) => false,
            Err(other) => panic!("{change:?} by {by}: {other}"),
        });
        let expected = match index {
            1 => [false, true, true],
            2 => [true, true, true],
            5 => [false, false, false],
            7 | 8 | 11 => [true, false, false],
            _ => [true, true, false],
        };
        assert_eq!(allowed, expected, "{change:?}");
    }
}

#[test]
fn the_operator_does_what_an_owner_may_and_adds_but_is_in_no_group() {
    for change in all() {
        let done = stage().run(Actor::Operator, &change);
        assert_eq!(done.is_ok(), change != GroupChange::Leave, "{change:?}");
    }
    for change in [join(), GroupChange::Decline, GroupChange::Leave] {
        assert!(matches!(stage().why_of(Actor::Operator, change), GroupError::NotApplicable(_)));
    }
    assert!(matches!(stage().why_of(Actor::Operator, add(&[ANN])), GroupError::NotApplicable(_)));
    assert!(matches!(stage().why_of(Actor::Operator, add(&[NOBODY])), GroupError::NoSuchUser));
    let added = stage().run(Actor::Operator, &add(&[EVE, ANN, GONE, EVE])).expect("it fits");
    assert_eq!(added.told.expect("a row").users, [GONE, EVE]);
    assert_eq!(added.group.size, 6);
}

#[test]
fn who_goes_takes_no_key_along_and_the_owner_does_not_go() {
    for (by, change) in [(ANN, GroupChange::Leave), (ADMIN, GroupChange::Remove { user: ANN })] {
        let effect = stage().does(by, change);
        assert_eq!((effect.left, effect.concerns), (vec![ANN], vec![ANN]));
        assert_eq!((effect.group.size, effect.group.key_version, effect.new_key), (3, 4, true));
    }
    stage().forbids(OWNER, GroupChange::Leave);
    let given = stage().does(OWNER, GroupChange::Transfer { to: ANN });
    assert_eq!(given.roles, [(OWNER, Role::Admin), (ANN, Role::Owner)]);
    assert_eq!(given.group.owner, ANN);
    let after = stage().with(|stage| {
        stage.group.owner = ANN;
        stage.person(OWNER).member.as_mut().expect("a member").role = Role::Admin;
        stage.person(ANN).member.as_mut().expect("a member").role = Role::Owner;
    });
    assert_eq!(after.does(OWNER, GroupChange::Leave).left, [OWNER]);
    after.forbids(ANN, GroupChange::Leave);
}

#[test]
fn only_those_of_a_higher_role_send_away_and_mute() {
    for (by, user) in [(ADMIN, OWNER), (ANN, BOB)] {
        stage().forbids(by, GroupChange::Remove { user });
        stage().forbids(by, GroupChange::Mute { user, until: 2000 });
    }
    stage().forbids(ADMIN, GroupChange::Mute { user: ADMIN, until: 2000 });
    assert!(matches!(stage().why_of(Actor::Operator, GroupChange::Remove { user: OWNER }), GroupError::Forbidden(_)));
    stage().does_not_fit(ADMIN, GroupChange::Remove { user: ADMIN });
    assert_eq!(stage().does(OWNER, GroupChange::Remove { user: ADMIN }).left, [ADMIN]);
}

#[test]
fn who_is_not_in_it_is_not_sent_away_muted_or_given_anything() {
    for user in [EVE, GONE, ASKS, NOBODY] {
        for change in [
            GroupChange::Remove { user },
            GroupChange::SetRole { user, role: Role::Admin },
            GroupChange::Transfer { to: user },
            GroupChange::Mute { user, until: 2000 },
        ] {
            assert!(matches!(stage().why(OWNER, change), GroupError::NotMember));
        }
    }
}

#[test]
fn roles_change_once_and_there_is_one_owner() {
    let set = |user, role| GroupChange::SetRole { user, role };
    assert_eq!(stage().does(OWNER, set(ANN, Role::Admin)).roles, [(ANN, Role::Admin)]);
    for change in [
        set(ANN, Role::Member),
        set(ADMIN, Role::Admin),
        set(ANN, Role::Owner),
        set(OWNER, Role::Admin),
        GroupChange::Transfer { to: OWNER },
    ] {
        stage().does_not_fit(OWNER, change);
    }
}

#[test]
fn a_mute_that_is_over_is_none() {
    let mute = |until| GroupChange::Mute { user: ANN, until };
    let until = |muted_until| {
        stage().with(|stage| stage.person(ANN).member.as_mut().expect("a member").muted_until = muted_until)
    };
    assert_eq!(stage().does(ADMIN, mute(u64::MAX)).muted, Some((ANN, u64::MAX)));
    assert_eq!(until(2000).does(ADMIN, mute(3000)).muted, Some((ANN, 3000)));
    assert_eq!(until(2000).does(ADMIN, mute(NOW)).muted, Some((ANN, 0)), "a time that is over ends it");
    stage().does_not_fit(ADMIN, mute(0));
    until(2000).does_not_fit(ADMIN, mute(2000));
    until(NOW).does_not_fit(ADMIN, mute(0));

    let all = |until| GroupChange::MuteAll { until };
    let muted = |muted_until| stage().with(|stage| stage.group.muted_until = muted_until);
    assert_eq!(stage().does(ADMIN, all(2000)).group.muted_until, 2000);
    assert_eq!(muted(2000).does(ADMIN, all(0)).group.muted_until, 0);
    stage().does_not_fit(ADMIN, all(NOW));
    muted(2000).does_not_fit(ADMIN, all(2000));
}

#[test]
fn settings_say_what_changed_and_a_limit_is_not_below_the_members() {
    let settle = |settings| GroupChange::Settle(settings);
    let all = GroupSettings {
        handle: Some(None),
        name: Some("Owls".into()),
        avatar: Some("https://a".into()),
        announcement: Some("hoo".into()),
        join: Some(JoinMode::Open),
        listed: Some(true),
        history_for_all: Some(true),
        keep: Some(Keep { age_ms: 5, messages: 7 }),
        member_limit: Some(4),
    };
    let effect = stage().does(OWNER, settle(all));
    let changed =
        ["handle", "name", "avatar", "announcement", "join", "listed", "history_for_all", "member_limit", "keep"];
    assert_eq!(effect.told.expect("a row").what, What::Settings { changed: changed.to_vec() });
    assert_eq!((effect.group.handle, effect.group.name.as_str()), (None, "Owls"));
    let effect = stage().does(ADMIN, named("Owls"));
    assert_eq!(effect.told.expect("a row").what, What::Settings { changed: vec!["name"] });
    stage().does_not_fit(ADMIN, named("Birds"));
    stage().does_not_fit(ADMIN, settle(GroupSettings::default()));
    for limit in [0, 3, GROUP_MEMBERS_MAX + 1] {
        stage().does_not_fit(ADMIN, settle(GroupSettings { member_limit: Some(limit), ..Default::default() }));
    }
}

#[test]
fn what_was_dissolved_does_not_change_any_more() {
    let effect = stage().does(OWNER, GroupChange::Dissolve);
    assert_eq!((effect.group.dissolved_at, effect.group.handle, effect.ends_requests), (Some(NOW), None, true));
    let ended = stage().with(|stage| stage.group.dissolved_at = Some(1));
    for change in all().into_iter().chain([join(), GroupChange::Decline]) {
        ended.does_not_fit(OWNER, change);
    }
}

#[test]
fn one_change_names_somebody_and_not_too_many() {
    let many: Vec<UserId> = (0..=GROUP_CHANGE_USERS_MAX as u64).map(UserId).collect();
    for users in [&[][..], &many] {
        stage().does_not_fit(ADMIN, invite(users));
        assert!(matches!(stage().why_of(Actor::Operator, add(users)), GroupError::NotApplicable(_)));
    }
}
