//! Presence: who is shown what is kept of whom, and when it changed.

use whimbrel_core::{Audience, MessageKind, Privacy, Sight, UserId};

use super::Stores;
use super::people::{befriend, people};
use crate::directory::RelationChange;
use crate::presence::PrivacyChange;

async fn sight(stores: &Stores, user: UserId, peer: UserId) -> Option<Sight> {
    stores.presences.sights(&[(user, peer)]).await.expect("answers").remove(0)
}

async fn hide(stores: &Stores, user: UserId, invisible: bool, now: u64) -> Privacy {
    let change = PrivacyChange { invisible: Some(invisible), ..PrivacyChange::default() };
    stores.presences.set_privacy(user, change, now).await.expect("their own").0
}

/// Friends see what is kept of each other; strangers, those who only asked, oneself, nobody, those who were friends, and
/// both sides of a block see nothing. All in one question, in its order.
pub async fn only_friends_who_do_not_block_each_other_are_shown_anything(stores: &Stores) {
    let users = people(&*stores.directory, "user", 5).await;
    let [me, friend, asked, blocking, former] = users[..] else { unreachable!("five people") };
    for other in [friend, blocking, former] {
        befriend(&*stores.directory, me, other).await;
    }
    let change = async |user, peer, change| {
        stores.directory.change_relation(user, peer, change, 9).await.expect("a change");
    };
    change(me, asked, RelationChange::Request { greeting: String::new() }).await;
    stores.presences.seen(&[(friend, 70), (asked, 70), (blocking, 70), (former, 70)], 70).await.expect("answers");
    let nobody = UserId(u64::from(u32::MAX));
    let all = [nobody, former, friend, blocking, me, asked, friend].map(|other| (me, other));
    let shown = async || {
        let sights = stores.presences.sights(&all).await.expect("answers");
        sights.into_iter().map(|sight| sight.map(|sight| sight.seen_at)).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, [None, Some(70), Some(70), Some(70), None, None, Some(70)]);
    change(former, me, RelationChange::Remove).await;
    change(blocking, me, RelationChange::Block).await;
    assert_eq!(shown().await, [None, None, Some(70), None, None, None, Some(70)]);
    assert_eq!(sight(stores, blocking, me).await, None, "who blocks sees nothing either");
    assert_eq!(sight(stores, friend, me).await, Some(Sight::default()), "of whom nothing is kept");
    assert_eq!(stores.presences.sights(&[]).await.expect("answers"), []);
}

/// An earlier time changes nothing, of however many it is told at once; who is invisible was seen when they became so,
/// and not after that.
pub async fn last_seen_only_grows_and_stands_still_for_the_invisible(stores: &Stores) {
    let users = people(&*stores.directory, "user", 1500).await;
    let [one, two, ..] = users[..] else { unreachable!("many people") };
    befriend(&*stores.directory, one, two).await;
    let seen = async |at| {
        let all: Vec<_> = users.iter().rev().map(|user| (*user, at)).collect();
        stores.presences.seen(&all, at).await.expect("answers");
        sight(stores, two, one).await.expect("a friend").seen_at
    };
    assert_eq!([seen(50).await, seen(40).await, seen(60).await], [50, 50, 60]);
    hide(stores, one, true, 70).await;
    assert_eq!(seen(80).await, 70);
    let hidden = Sight { invisible: true, last_seen_hidden: false, seen_at: 70 };
    assert_eq!(sight(stores, two, one).await, Some(hidden));
    hide(stores, one, false, 90).await;
    assert_eq!(
        sight(stores, two, one).await,
        Some(Sight { invisible: false, ..hidden }),
        "that alone is no sign of life"
    );
    assert_eq!(seen(100).await, 100);
}

/// As a sighting, of however many at once; and nobody has to look at them anew.
pub async fn who_is_here_is_seen_and_nothing_else_is_shown_of_them(stores: &Stores) {
    let users = people(&*stores.directory, "user", 1500).await;
    let [one, two, ..] = users[..] else { unreachable!("many people") };
    befriend(&*stores.directory, one, two).await;
    let seen_at = async || sight(stores, two, one).await.expect("a friend").seen_at;
    let here = async |at| {
        let all: Vec<_> = users.iter().rev().copied().collect();
        stores.presences.here(&all, at).await.expect("answers");
        seen_at().await
    };
    stores.presences.here(&[], 40).await.expect("answers");
    assert_eq!(
        [here(5_000_000).await, here(4_000_000).await, here(6_000_000).await],
        [5_000_000, 5_000_000, 6_000_000]
    );
    assert_eq!(stores.presences.stirred(1_000, 10).await.expect("answers"), []);
    stores.presences.seen(&[(one, 7_000_000)], 7_000_000).await.expect("answers");
    here(8_000_000).await;
    assert_eq!(stores.presences.stirred(6_500_000, 10).await.expect("answers"), [one, one], "a change stays one");
    hide(stores, one, true, 9_000_000).await;
    assert_eq!(here(9_500_000).await, 9_000_000, "who is invisible is not seen");
}

/// Part by part; a row of the private conversation for each change, and none for what is so already.
pub async fn how_one_is_seen_is_told_to_oneself_once(stores: &Stores) {
    let [me, ..] = people(&*stores.directory, "user", 2).await[..] else { unreachable!("two people") };
    assert_eq!(stores.presences.privacy(me).await.expect("answers"), Privacy::default());
    let invisible = PrivacyChange { invisible: Some(true), ..PrivacyChange::default() };
    let hidden = PrivacyChange { last_seen_hidden: Some(true), ..PrivacyChange::default() };
    for (change, becomes, rows) in [
        (invisible, Privacy { invisible: true, last_seen_hidden: false }, 1),
        (invisible, Privacy { invisible: true, last_seen_hidden: false }, 0),
        (hidden, Privacy { invisible: true, last_seen_hidden: true }, 1),
        (PrivacyChange::default(), Privacy { invisible: true, last_seen_hidden: true }, 0),
    ] {
        let (privacy, told) = stores.presences.set_privacy(me, change, 50).await.expect("their own");
        assert_eq!((privacy, told.len()), (becomes, rows));
        assert_eq!(stores.presences.privacy(me).await.expect("answers"), becomes);
        for row in told {
            assert_eq!((row.message.kind, row.audience), (MessageKind::ACCOUNT, Audience::One(me)));
            assert_eq!(row.message.body, r#"{"what":"presence"}"#);
        }
    }
    let nobody = UserId(u64::from(u32::MAX));
    assert!(stores.presences.set_privacy(nobody, hidden, 50).await.is_err());
}

/// Settings, sightings and both sides of a changed relation are found from their time on; what changed nothing is not.
pub async fn what_others_may_be_shown_anew_is_found_by_its_time(stores: &Stores) {
    let users = people(&*stores.directory, "user", 5).await;
    let [one, two, three, four, five] = users[..] else { unreachable!("five people") };
    befriend(&*stores.directory, one, two).await;
    let stirred = async |since| {
        let mut found = stores.presences.stirred(since, 100).await.expect("answers");
        found.sort_unstable();
        found.dedup();
        found
    };
    stores.presences.seen(&[(three, 1_000_000)], 1_000_000).await.expect("answers");
    hide(stores, four, true, 2_000_000).await;
    stores.presences.seen(&[(three, 900_000), (four, 3_000_000)], 3_000_000).await.expect("answers");
    stores.directory.change_relation(one, two, RelationChange::Block, 4_000_000).await.expect("a block");
    assert_eq!(stirred(1_000_000).await, [one, two, three, four]);
    assert_eq!(stirred(1_000_001).await, [one, two, four]);
    assert_eq!(stirred(2_500_000).await, [one, two]);
    assert_eq!(stirred(5_000_000).await, []);
    stores.presences.seen(&[(five, 6_000_000), (three, 6_000_000)], 6_000_000).await.expect("answers");
    assert_eq!(stores.presences.stirred(5_000_000, 1).await.expect("answers").len(), 2, "one row, told twice");
}
