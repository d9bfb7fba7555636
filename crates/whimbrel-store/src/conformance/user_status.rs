//! UserStatus: who is where.

use whimbrel_core::{ConnectorId, DeviceId, SessionId, UserId};

use crate::user_status::{Route, UserStatus};

fn route(device: u8) -> Route {
    Route { session: SessionId::generate(), device: DeviceId::from_bytes([device; 16]), connector: CONNECTOR, since: 1 }
}

const CONNECTOR: ConnectorId = ConnectorId::from_bytes([9; 16]);

async fn lease(status: &dyn UserStatus) {
    status.renew(CONNECTOR).await.expect("answers");
}

async fn locate(status: &dyn UserStatus, user: u64) -> Vec<Route> {
    let mut routes = status.locate(&[UserId(user)]).await.expect("answers").remove(0).to_vec();
    routes.sort_by_key(|route| route.device);
    routes
}

/// A thousand users with one to three sessions; asked backwards, with strangers between.
pub async fn sessions_are_found_by_user_in_the_order_asked(status: &dyn UserStatus) {
    lease(status).await;
    let mut all = Vec::new();
    for user in 1..=1000 {
        all.extend((0..=user % 3).map(|number| (UserId(user), route(number as u8))));
    }
    let replaced = status.online(&all).await.expect("answers");
    assert!(replaced.len() == all.len() && replaced.iter().all(|routes| routes.is_empty()));
    let asked: Vec<UserId> = (1..=1100).rev().map(UserId).collect();
    let located = status.locate(&asked).await.expect("answers");
    assert_eq!(located.len(), asked.len());
    for (user, routes) in asked.into_iter().zip(located) {
        let mut expected: Vec<Route> = all.iter().filter(|(who, _)| *who == user).map(|(_, route)| *route).collect();
        let mut routes = routes.to_vec();
        expected.sort_by_key(|route| route.session);
        routes.sort_by_key(|route| route.session);
        assert_eq!(routes, expected);
    }
}

/// The former one is told, and not found any more; another device stays; also within one call.
pub async fn a_new_session_replaces_its_devices_former_one(status: &dyn UserStatus) {
    lease(status).await;
    let (former, other, latter, last) = (route(1), route(2), route(1), route(1));
    status.online(&[(UserId(1), former), (UserId(1), other), (UserId(2), route(1))]).await.expect("answers");
    let replaced = status.online(&[(UserId(1), latter), (UserId(1), last)]).await.expect("answers");
    assert_eq!(replaced.iter().map(|routes| routes.to_vec()).collect::<Vec<_>>(), [[former], [latter]]);
    assert_eq!(locate(status, 1).await, [last, other]);
    assert_eq!(locate(status, 2).await.len(), 1, "another user's device of the same id");
}

/// The goodbye of a replaced session, of a stranger's, and one that comes twice.
pub async fn a_late_offline_removes_nobody_else(status: &dyn UserStatus) {
    lease(status).await;
    let (former, latter) = (route(1), route(1));
    status.online(&[(UserId(1), former), (UserId(1), latter)]).await.expect("answers");
    let late = [(UserId(1), former.session), (UserId(2), latter.session)];
    status.offline(&late).await.expect("answers");
    assert_eq!(locate(status, 1).await, [latter]);
    for _ in 0..2 {
        status.offline(&[(UserId(1), latter.session)]).await.expect("answers");
        assert_eq!(locate(status, 1).await, []);
    }
}

/// Re-asserted: it replaces nobody, least of all itself.
pub async fn a_session_that_says_it_again_is_there_once(status: &dyn UserStatus) {
    lease(status).await;
    let route = route(1);
    for _ in 0..3 {
        let replaced = status.online(&[(UserId(1), route)]).await.expect("answers");
        assert!(replaced[0].is_empty());
        assert_eq!(locate(status, 1).await, [route]);
    }
}

/// It asserts its session after the newer one registered, as connectors do when they come back.
pub async fn an_older_session_of_a_device_does_not_come_back(status: &dyn UserStatus) {
    lease(status).await;
    let older = route(1);
    let newer = Route { since: older.since + 5, ..route(1) };
    status.online(&[(UserId(1), newer)]).await.expect("answers");
    let replaced = status.online(&[(UserId(1), older)]).await.expect("answers");
    assert_eq!(replaced[0].to_vec(), [older]);
    assert_eq!(locate(status, 1).await, [newer]);
}

/// Killed with a clock that was ahead: the device, which is elsewhere now, is not turned away for it.
pub async fn a_newer_session_without_a_lease_gives_way(status: &dyn UserStatus) {
    lease(status).await;
    let dead = Route { connector: ConnectorId::from_bytes([8; 16]), since: 9, ..route(1) };
    status.renew(dead.connector).await.expect("answers");
    status.online(&[(UserId(1), dead)]).await.expect("answers");
    status.expel(&[dead.connector]).await.expect("answers");
    let lives = route(1);
    let replaced = status.online(&[(UserId(1), lives)]).await.expect("answers");
    assert_eq!(replaced[0].to_vec(), [dead]);
    assert_eq!(locate(status, 1).await, [lives]);
}

/// Clocks may say anything: numbers that a float cannot tell apart, and the ends of the range.
pub async fn since_is_compared_to_the_last_bit(status: &dyn UserStatus) {
    lease(status).await;
    let pairs = [(u64::MAX - 1, u64::MAX), (1 << 53, (1 << 53) + 1), (u64::from(u32::MAX), 1 << 32), (0, 1)];
    for (user, (before, after)) in (1..).zip(pairs) {
        let (older, newer) = (Route { since: before, ..route(1) }, Route { since: after, ..route(1) });
        let replaced = status.online(&[(UserId(user), newer), (UserId(user), older)]).await.expect("answers");
        assert_eq!(replaced.iter().map(|routes| routes.to_vec()).collect::<Vec<_>>(), [vec![], vec![older]]);
        assert_eq!(locate(status, user).await, [newer]);
    }
}

/// Each comes, comes again, and goes, in another order than it came, and takes nobody else with it.
pub async fn a_user_has_many_devices(status: &dyn UserStatus) {
    lease(status).await;
    let mut held: Vec<Route> = (0..50).map(route).collect();
    for route in &held {
        status.online(&[(UserId(1), *route)]).await.expect("answers");
    }
    assert_eq!(locate(status, 1).await, held);
    let again = Route { since: 2, ..route(20) };
    let replaced = status.online(&[(UserId(1), again)]).await.expect("answers");
    assert_eq!(replaced[0].to_vec(), [std::mem::replace(&mut held[20], again)]);
    while !held.is_empty() {
        assert_eq!(locate(status, 1).await, held);
        let gone = held.remove(held.len() / 2);
        status.offline(&[(UserId(1), gone.session)]).await.expect("answers");
    }
    assert_eq!(locate(status, 1).await, []);
}

/// Killed, or expelled by those who do not reach it: nobody is sent there until it says again that it lives.
pub async fn sessions_of_a_connector_without_a_lease_are_not_found(status: &dyn UserStatus) {
    let (here, there) = (route(1), Route { connector: ConnectorId::from_bytes([8; 16]), ..route(2) });
    status.online(&[(UserId(1), here), (UserId(1), there)]).await.expect("answers");
    assert_eq!(locate(status, 1).await, []);
    let first = status.renew(CONNECTOR).await.expect("answers");
    assert_eq!(locate(status, 1).await, [here]);
    let other = status.renew(there.connector).await.expect("answers");
    assert_eq!(locate(status, 1).await, [here, there]);
    status.expel(&[there.connector]).await.expect("answers");
    assert_eq!(locate(status, 1).await, [here]);
    assert_eq!(status.connectors().await.expect("answers"), [CONNECTOR]);
    let again = status.renew(CONNECTOR).await.expect("answers");
    assert_eq!(again, first, "it stood all the while");
    // Each answer may be lost, and then the next one has to say the same.
    let back = status.renew(there.connector).await.expect("answers");
    assert_ne!(back.term, other.term);
    assert_eq!(status.renew(there.connector).await.expect("answers"), back);
    assert_eq!(locate(status, 1).await, [here, there]);
}
