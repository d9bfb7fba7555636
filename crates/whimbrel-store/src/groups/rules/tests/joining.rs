//! Coming in: asking, inviting, the answers.

use whimbrel_core::limits::{GROUP_REQUESTS_MAX, GROUPS_MAX};

use super::super::super::words::Told;
use super::*;

#[test]
fn joining_is_at_once_where_it_is_open_or_invited_and_asks_where_it_is_not() {
    let open = || stage().with(|stage| stage.group.join = JoinMode::Open);
    for (stage, user) in [(open(), EVE), (open(), ASKS), (open(), GONE), (stage(), INVITED)] {
        let effect = stage.does(user, join());
        assert_eq!(effect.told, Some(Told { what: What::Joined, users: vec![user] }));
        assert_eq!(effect.joined, [Joiner { user, role: Role::Member, returns: user == GONE }]);
        assert_eq!((effect.group.size, effect.group.key_version, effect.new_key), (5, 3, false));
        assert_eq!(effect.answered.is_empty(), user == EVE || user == GONE);
    }
    for user in [EVE, GONE, PROPOSED] {
        let effect = stage().does(user, join());
        assert_eq!(effect.asked, [Request { user, kind: RequestKind::Asked, by: user, message: "hello".into() }]);
        assert!(effect.told.is_none() && effect.joined.is_empty() && effect.tells_answerers);
    }
    for user in [ANN, OWNER, ASKS] {
        stage().does_not_fit(user, join());
    }
}

#[test]
fn a_group_by_invitation_is_joined_by_nobody_else() {
    let closed = || stage().with(|stage| stage.group.join = JoinMode::Invitation);
    assert!(matches!(closed().why(EVE, join()), GroupError::NoSuchGroup));
    closed().forbids(GONE, join());
    closed().with(|stage| stage.group.listed = true).forbids(EVE, join());
    assert_eq!(closed().does(INVITED, join()).joined.len(), 1);
    assert_eq!(closed().does(ANN, invite(&[EVE])).asked[0].kind, RequestKind::Invited);
}

#[test]
fn nobody_comes_into_a_full_group_or_has_more_groups_than_one_may_have() {
    let full = || stage().with(|stage| stage.group.member_limit = 4);
    let busy = |user: UserId| stage().with(|stage| stage.person(user).groups = GROUPS_MAX);
    let ways = [
        (Actor::User(INVITED), join(), INVITED),
        (Actor::User(ADMIN), GroupChange::Approve { user: ASKS }, ASKS),
        (Actor::User(ADMIN), invite(&[ASKS]), ASKS),
        (Actor::Operator, add(&[EVE]), EVE),
    ];
    for (by, change, user) in ways {
        assert!(matches!(full().why_of(by, change.clone()), GroupError::Full), "{change:?}");
        assert!(matches!(busy(user).why_of(by, change.clone()), GroupError::TooManyGroups), "{change:?}");
    }
    assert!(full().does(ADMIN, invite(&[EVE])).joined.is_empty(), "an invitation takes no room");
}

#[test]
fn requests_that_wait_are_bounded_and_one_that_is_there_takes_no_more_room() {
    let crowded = || stage().with(|stage| stage.waiting = GROUP_REQUESTS_MAX);
    assert!(matches!(crowded().why(EVE, join()), GroupError::TooManyRequests));
    assert!(matches!(crowded().why(ANN, invite(&[EVE])), GroupError::TooManyRequests));
    assert_eq!(crowded().does(PROPOSED, join()).asked.len(), 1);
    assert_eq!(crowded().does(ADMIN, invite(&[PROPOSED])).asked.len(), 1);
}

#[test]
fn invitations_of_members_are_proposals_where_joining_needs_a_yes() {
    let effect = stage().does(ANN, invite(&[EVE, BOB, EVE]));
    let request = |kind, by| Request { user: EVE, kind, by, message: String::new() };
    assert_eq!(effect.asked, [request(RequestKind::Proposed, ANN)]);
    assert!(effect.tells_answerers && effect.concerns.is_empty(), "who is proposed hears nothing yet");
    let effect = stage().does(ADMIN, invite(&[EVE]));
    assert_eq!((effect.asked, effect.concerns), (vec![request(RequestKind::Invited, ADMIN)], vec![EVE]));
    let effect = stage().run(Actor::Operator, &invite(&[EVE])).expect("it fits");
    assert_eq!(effect.asked, [request(RequestKind::Invited, UserId(0))]);
    for users in [&[BOB][..], &[INVITED], &[PROPOSED], &[ASKS]] {
        stage().does_not_fit(ANN, invite(users));
    }
    assert!(matches!(stage().why(ANN, invite(&[EVE, NOBODY])), GroupError::NoSuchUser));
}

#[test]
fn an_admin_who_invites_somebody_who_asked_says_yes() {
    let effect = stage().does(ADMIN, invite(&[ASKS, EVE]));
    assert_eq!((effect.joined.len(), effect.asked.len(), effect.answered), (1, 1, vec![ASKS]));
    assert_eq!(effect.told.expect("a row").what, What::Joined);
}

#[test]
fn who_blocks_the_inviter_is_passed_over_without_a_word() {
    let blocks = stage().with(|stage| stage.person(EVE).blocks = true);
    assert_eq!(blocks.does(ADMIN, invite(&[EVE])), Effect::on(&blocks.group));
}

#[test]
fn a_request_is_answered_once() {
    let effect = stage().does(ADMIN, GroupChange::Approve { user: ASKS });
    assert_eq!((effect.joined.len(), effect.answered, effect.concerns), (1, vec![ASKS], vec![ASKS]));
    let answered = stage().with(|stage| {
        let person = stage.person(ASKS);
        person.request = None;
        person.member = Some(MemberRow { role: Role::Member, until: Seq::ZERO, muted_until: 0 });
    });
    answered.does_not_fit(OWNER, GroupChange::Approve { user: ASKS });
    answered.does_not_fit(OWNER, GroupChange::Reject { user: ASKS });
    for user in [EVE, INVITED, ANN, NOBODY] {
        stage().does_not_fit(ADMIN, GroupChange::Approve { user });
    }
}

#[test]
fn a_proposal_that_is_approved_is_an_invitation_by_who_made_it() {
    let effect = stage().does(ADMIN, GroupChange::Approve { user: PROPOSED });
    let invited = Request { user: PROPOSED, kind: RequestKind::Invited, by: ANN, message: String::new() };
    assert_eq!((effect.asked, effect.concerns), (vec![invited], vec![PROPOSED]));
    assert!(effect.joined.is_empty() && effect.told.is_none());
}

#[test]
fn who_began_it_takes_it_back_and_admins_reject_anything() {
    for (by, user, told) in [
        (ADMIN, ASKS, ASKS),
        (ADMIN, INVITED, INVITED),
        (ADMIN, PROPOSED, ANN),
        (ANN, INVITED, INVITED),
        (ANN, PROPOSED, ANN),
    ] {
        let effect = stage().does(by, GroupChange::Reject { user });
        assert_eq!((effect.answered, effect.concerns, effect.told), (vec![user], vec![told], None));
    }
    stage().forbids(BOB, GroupChange::Reject { user: INVITED });
    stage().forbids(BOB, GroupChange::Reject { user: EVE });
    stage().does_not_fit(ADMIN, GroupChange::Reject { user: EVE });
}

#[test]
fn one_declines_what_one_asked_or_was_asked() {
    let effect = stage().does(ASKS, GroupChange::Decline);
    assert!(effect.answered == [ASKS] && effect.tells_answerers);
    let effect = stage().does(INVITED, GroupChange::Decline);
    assert_eq!((effect.answered, effect.concerns), (vec![INVITED], vec![INVITED, ANN]));
    stage().does_not_fit(ANN, GroupChange::Decline);
    stage().does_not_fit(GONE, GroupChange::Decline);
    for user in [EVE, PROPOSED] {
        assert!(matches!(stage().why(user, GroupChange::Decline), GroupError::NoSuchGroup));
    }
}
