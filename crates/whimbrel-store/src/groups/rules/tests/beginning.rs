//! The beginning of a group, and what becomes of it when an account is deleted.

use whimbrel_core::ConversationId;
use whimbrel_core::limits::{GROUP_CHANGE_USERS_MAX, GROUP_MEMBERS_MAX, GROUPS_MAX};

use super::*;

fn begins(members: &[UserId], limit: u32, change: impl FnOnce(&mut Vec<Person>)) -> Decided {
    let mut people: Vec<Person> = [OWNER, ADMIN, ANN, BOB].into_iter().map(person).collect();
    people[1].friend = true;
    people[2].friend = true;
    change(&mut people);
    let new = NewGroup { members: members.to_vec(), member_limit: limit, ..new_group() };
    begin(ConversationId::from_bytes([1; 16]), new, &people, NOW)
}

#[test]
fn friends_are_in_a_new_group_and_others_are_invited() {
    let effect = begins(&[BOB, ANN, ADMIN, OWNER, ANN], 3, |_| {}).expect("it fits");
    let joined = [(OWNER, Role::Owner), (ADMIN, Role::Member), (ANN, Role::Member)];
    assert_eq!(effect.joined, joined.map(|(user, role)| Joiner { user, role, returns: false }));
    assert_eq!(effect.asked[0].user, BOB);
    assert_eq!((effect.group.size, effect.group.key_version, effect.new_key), (3, 1, true));
    assert_eq!(effect.told.expect("a row").users, [OWNER, ADMIN, ANN]);
    let busy = begins(&[ANN], 3, |people| people[2].groups = GROUPS_MAX).expect("it fits");
    assert_eq!((busy.joined.len(), busy.asked.len()), (1, 1));
    let blocks = begins(&[ANN], 3, |people| people[2].blocks = true).expect("it fits");
    assert_eq!((blocks.joined.len(), blocks.asked.len()), (1, 0));
}

#[test]
fn a_group_that_cannot_be_is_not_begun() {
    assert!(matches!(begins(&[ANN, ADMIN], 2, |_| {}), Err(GroupError::Full)));
    assert!(matches!(begins(&[NOBODY], 2, |_| {}), Err(GroupError::NoSuchUser)));
    assert!(matches!(begins(&[], 2, |people| people[0].groups = GROUPS_MAX), Err(GroupError::TooManyGroups)));
    for limit in [0, GROUP_MEMBERS_MAX + 1] {
        assert!(matches!(begins(&[], limit, |_| {}), Err(GroupError::NotApplicable(_))));
    }
    let many: Vec<UserId> = (10..=GROUP_CHANGE_USERS_MAX as u64 + 10).map(UserId).collect();
    assert!(matches!(begins(&many, 2, |_| {}), Err(GroupError::NotApplicable(_))));
}

#[test]
fn a_deleted_owner_leaves_the_group_to_an_heir_or_ends_it() {
    let group = stage().group;
    let effect = bereft(&group, ANN, Some(ADMIN), NOW);
    assert_eq!((effect.left, effect.roles, effect.group.owner), (vec![ANN], vec![], OWNER));
    let effect = bereft(&group, OWNER, Some(ADMIN), NOW);
    assert_eq!((effect.roles, effect.group.owner), (vec![(ADMIN, Role::Owner)], ADMIN));
    assert_eq!(effect.told.expect("a row").what, What::Left { heir: Some(ADMIN) });
    let effect = bereft(&group, OWNER, None, NOW);
    assert_eq!((effect.group.dissolved_at, effect.group.handle, effect.ends_requests), (Some(NOW), None, true));
    assert_eq!(effect.told.expect("a row").what, What::Dissolved);
}
