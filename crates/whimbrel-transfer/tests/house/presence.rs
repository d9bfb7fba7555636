//! Who is here, and when they were last: what connectors are answered, and what is written down.

use std::time::Duration;

use whimbrel_core::UserId;
use whimbrel_rpc::{Stirred, Stirring, Transfer};
use whimbrel_store::presence::PrivacyChange;
use whimbrel_store::{Presences, UserStatus};

use crate::support::{House, config};

/// Far above what anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn stirred(house: &House, users: &[UserId], since: u64) -> Stirred {
    let stirring = Stirring { users: users.to_vec(), since, gone: Vec::new() };
    house.transfer.stirred(stirring).await.unwrap()
}

async fn seen_at(house: &House, watcher: UserId, of: UserId) -> u64 {
    house.transfer.sights(vec![(watcher, of)]).await.unwrap()[0].unwrap().seen_at
}

/// Waits until something later than `after` is written of a user.
async fn written(house: &House, watcher: UserId, of: UserId, after: u64) -> u64 {
    let looking = async {
        loop {
            let at = seen_at(house, watcher, of).await;
            if at > after {
                return at;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it is written")
}

/// Whoever has a session is here, and gone with the last of them; while nobody knows who is where, nobody is said to be.
#[tokio::test]
async fn who_has_a_session_is_here() {
    let house = House::usual();
    let (ann, bob, _) = house.pair().await;
    let other = house.session(bob.user).await;
    let both = [bob.user, ann.user];
    let here = async |users: &[UserId]| stirred(&house, users, 0).await.here;
    let mut all = both.to_vec();
    all.sort_unstable();
    assert_eq!(here(&both).await, Some(all.clone()));
    house.transfer.detach(vec![bob]).await;
    assert_eq!(here(&both).await, Some(all));
    house.transfer.detach(vec![other]).await;
    assert_eq!(here(&both).await, Some(vec![ann.user]));
    house.status.unsure.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(here(&both).await, None);
    assert_eq!(here(&[]).await, Some(Vec::new()), "of nobody everything is known");
}

/// What has changed since is named among those who are asked for; without a time nothing is looked for.
#[tokio::test]
async fn changes_are_named_among_those_who_are_asked_for() {
    let house = House::usual();
    let users = house.users(3).await;
    house.befriend(users[0], users[1]).await;
    let first = stirred(&house, &users, 0).await;
    assert_eq!(first.changed, Some(vec![]));
    let change = PrivacyChange { invisible: Some(true), ..PrivacyChange::default() };
    for user in &users[1..] {
        house.store.set_privacy(*user, change, first.as_of).await.unwrap();
    }
    let asked = [users[0], users[2]];
    let second = stirred(&house, &asked, first.as_of).await;
    assert_eq!(second.changed, Some(vec![users[2]]), "and not those of whom nobody asks");
    assert!(second.as_of >= first.as_of);
    let much_later = first.as_of + 3_600_000;
    assert_eq!(stirred(&house, &users, much_later).await.changed, Some(vec![]));
}

/// A session's end is written soon, and again at the end of the minute if they come and go; one that stays, when the
/// minute is over; what a connector saw itself, as that; and when the transfer stops, everything.
#[tokio::test]
async fn when_somebody_was_here_last_is_written_down() {
    let quick = Duration::from_millis(10);
    let house = House::new(
        whimbrel_transfer::Config { last_seen_delay: quick, last_seen_every: Duration::from_millis(200), ..config() },
        8,
        3,
    );
    let (ann, bob, _) = house.pair().await;
    let came = written(&house, ann.user, bob.user, 0).await;
    house.transfer.detach(vec![bob]).await;
    let left = written(&house, ann.user, bob.user, came).await;
    let gone = vec![(bob.user, left + 1)];
    house.transfer.stirred(Stirring { users: vec![bob.user], since: 0, gone }).await.unwrap();
    assert_eq!(written(&house, ann.user, bob.user, left).await, left + 1);
    let again = house.session(bob.user).await;
    house.transfer.detach(vec![again]).await;
    house.transfer.stop().await;
    assert!(seen_at(&house, ann.user, bob.user).await > left + 1);
}

/// Of who stays it is written again and again, without a change to be told; who left through another transfer, which this
/// one was not told of, is not written any more, and neither is anybody while it is not known who is here.
#[tokio::test]
async fn who_stays_was_last_seen_not_long_ago() {
    let every = Duration::from_millis(20);
    let house = House::new(whimbrel_transfer::Config { last_seen_every: every, ..config() }, 8, 3);
    let (ann, bob, _) = house.pair().await;
    let mut last = 0;
    for _ in 0..3 {
        last = written(&house, ann.user, bob.user, last).await;
    }
    house.status.offline(&[(bob.user, bob.session)]).await.unwrap();
    // Ann stays, and is written in the same rounds: two of them after Bob's route is gone.
    let mut anns = seen_at(&house, bob.user, ann.user).await;
    for _ in 0..2 {
        anns = written(&house, bob.user, ann.user, anns).await;
    }
    let bobs = seen_at(&house, ann.user, bob.user).await;
    for _ in 0..3 {
        anns = written(&house, bob.user, ann.user, anns).await;
    }
    assert_eq!(seen_at(&house, ann.user, bob.user).await, bobs);
    let asked = house.store.stirred(last, 10).await.unwrap();
    assert_eq!(asked, [], "nobody has to look at them anew");
}

/// Whatever a connector says of its clock, nobody was here in the future.
#[tokio::test]
async fn nobody_was_here_in_the_future() {
    let house = House::new(whimbrel_transfer::Config { last_seen_delay: Duration::from_millis(5), ..config() }, 8, 3);
    let users = house.users(2).await;
    house.befriend(users[0], users[1]).await;
    let gone = vec![(users[1], u64::MAX / 2)];
    let asked = Stirring { users: vec![users[1]], since: 0, gone };
    let as_of = house.transfer.stirred(asked).await.unwrap().as_of;
    assert_eq!(written(&house, users[0], users[1], 0).await, as_of);
}
