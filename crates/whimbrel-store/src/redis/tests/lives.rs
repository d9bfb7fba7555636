//! Redis is emptied, or goes back in time; nobody is told too little.
//!
//! Lives begin with `routes_unsure` zero in these tests and go on with one of an hour: from then on a life that somebody
//! begins shows, for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::cmd;
use whimbrel_core::{ConnectorId, DeviceId, SessionId, UserId};

use super::server::{Server, eventually};
use crate::redis::{RedisConfig, RedisUserStatus};
use crate::{Route, StoreError, UserStatus};

pub(super) const CONNECTOR: ConnectorId = ConnectorId::from_bytes([9; 16]);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

fn route(device: u8) -> Route {
    Route { session: SessionId::generate(), device: DeviceId::from_bytes([device; 16]), connector: CONNECTOR, since: 1 }
}

pub(super) fn server(folder: &tempfile::TempDir) -> Server {
    Server::start(folder.path(), &["--enable-debug-command", "yes"])
}

/// A process that begins lives which are unsure for an hour, with a life that was begun sure.
pub(super) async fn settled(config: RedisConfig) -> RedisUserStatus {
    let config = RedisConfig { lease: HOUR, timeout: Duration::from_secs(10), ..config };
    let first = another(RedisConfig { routes_unsure: Duration::ZERO, ..config.clone() });
    first.renew(CONNECTOR).await.expect("answers");
    let status = another(config);
    status.locate(&[UserId(1)]).await.expect("sure");
    status
}

pub(super) fn another(config: RedisConfig) -> RedisUserStatus {
    RedisUserStatus::new(config).expect("a configuration")
}

pub(super) fn unsure_for_an_hour(server: &Server) -> RedisConfig {
    RedisConfig { routes_unsure: HOUR, ..server.config() }
}

pub(super) async fn register(status: &RedisUserStatus, user: u64) -> Route {
    let route = route(1);
    status.online(&[(UserId(user), route)]).await.expect("answers");
    route
}

fn is_rebuilding<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Unavailable(why)) if why.contains("routes are being rebuilt"))
}

/// Asked without pause from before the death to after it: an error each time, of being away, then of rebuilding.
#[tokio::test]
async fn a_redis_that_was_killed_and_came_back_empty_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = server(&folder);
    let status = settled(unsure_for_an_hour(&server)).await;
    let held = register(&status, 1).await;
    assert_eq!(status.locate(&[UserId(1)]).await.expect("sure")[0].to_vec(), [held]);
    let before = status.renew(CONNECTOR).await.expect("answers");
    assert_eq!(status.renew(CONNECTOR).await.expect("answers"), before, "it stands");
    server.kill();
    assert!(status.locate(&[UserId(1)]).await.is_err());
    server.start_again();
    eventually(async || {
        let located = status.locate(&[UserId(1)]).await;
        assert!(located.is_err(), "{located:?}");
        is_rebuilding(&located)
    })
    .await;
    assert!(is_rebuilding(&status.connectors().await), "an emptied Redis knows no connectors either");
    let after = status.renew(CONNECTOR).await.expect("answers");
    assert!(after.term != before.term && after.incarnation != before.incarnation);
}

/// All is asserted while routes are unsure; the first answer after it is whole.
#[tokio::test]
async fn routes_are_whole_once_they_are_sure_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let config = RedisConfig { routes_unsure: Duration::from_millis(300), lease: HOUR, ..server.config() };
    let status = another(RedisConfig { timeout: Duration::from_secs(10), ..config });
    assert!(is_rebuilding(&status.locate(&[UserId(1)]).await), "the first life is no better known than any other");
    eventually(async || status.locate(&[UserId(1)]).await.is_ok()).await;
    let before = status.renew(CONNECTOR).await.expect("answers");
    // A term is the server's millisecond, and an emptied server remembers none: within the same one it would give the same
    // term again. (The incarnation would be another one; that is what connectors go by then.)
    let millisecond = || {
        let (seconds, micros) = server.ask::<(u64, u64)>(cmd("TIME"));
        seconds * 1000 + micros / 1000
    };
    let renewed = millisecond();
    eventually(async || millisecond() > renewed).await;
    server.ask::<()>(cmd("FLUSHALL"));
    let after = status.renew(CONNECTOR).await.expect("answers");
    assert!(after.term != before.term && after.incarnation != before.incarnation);
    let held = register(&status, 1).await;
    let mut located = None;
    eventually(async || {
        located = status.locate(&[UserId(1)]).await.ok();
        located.is_some()
    })
    .await;
    assert_eq!(located.expect("sure")[0].to_vec(), [held]);
}

/// Some register, some locate what was registered before they asked, and then Redis is emptied in the middle: each
/// answer is whole or an error. Many rounds, because it is about what falls between two commands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_never_answers_with_too_few() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let whole = Arc::new(AtomicUsize::new(0));
    for round in 0..30 {
        let config = RedisConfig { prefix: format!("round{round}"), ..unsure_for_an_hour(&server) };
        let writer = Arc::new(settled(config.clone()).await);
        let first = (UserId(1), register(&writer, 1).await);
        let registered = Arc::new(Mutex::new(vec![first]));
        let writing = tokio::spawn({
            let (registered, writer) = (registered.clone(), writer.clone());
            async move {
                for user in 2.. {
                    let route = register(&writer, user).await;
                    registered.lock().push((UserId(user), route));
                }
            }
        });
        let readers: Vec<_> = (0..3)
            .map(|number| {
                let own = RedisConfig { timeout: Duration::from_secs(10), ..config.clone() };
                let reader = if number == 0 { writer.clone() } else { Arc::new(another(own)) };
                tokio::spawn(read_until_unsure(reader, registered.clone(), whole.clone()))
            })
            .collect();
        let enough = 20 * (round + 1);
        eventually(async || whole.load(Ordering::Relaxed) >= enough).await;
        server.ask::<()>(cmd("FLUSHALL"));
        for reader in readers {
            reader.await.expect("never too few");
        }
        writing.abort();
    }
}

async fn read_until_unsure(
    status: Arc<RedisUserStatus>,
    registered: Arc<Mutex<Vec<(UserId, Route)>>>,
    whole: Arc<AtomicUsize>,
) {
    loop {
        let expected: Vec<(UserId, Route)> = registered.lock().iter().rev().take(50).copied().collect();
        let users: Vec<UserId> = expected.iter().map(|(user, _)| *user).collect();
        match status.locate(&users).await {
            Ok(located) => {
                for ((user, route), held) in expected.iter().zip(located) {
                    assert!(held.contains(route), "user {user} is missing");
                }
                whole.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => return assert!(is_rebuilding::<()>(&Err(error))),
        }
    }
}

/// The server goes on with an older state and does not restart. Others have written more, since, than was lost.
#[tokio::test]
async fn a_snapshot_older_than_a_registration_is_noticed_by_who_registered() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let status = settled(unsure_for_an_hour(&server)).await;
    let other = another(unsure_for_an_hour(&server));
    register(&status, 1).await;
    register(&other, 2).await;
    server.ask::<()>(cmd("SAVE"));
    register(&status, 3).await;
    server.ask::<()>(cmd("DEBUG").arg("RELOAD").arg("NOSAVE"));
    for user in 4..10 {
        register(&other, user).await;
    }
    assert!(other.locate(&[UserId(3)]).await.expect("it lost nothing")[0].is_empty());
    let before = other.renew(CONNECTOR).await.expect("answers").incarnation;
    assert!(is_rebuilding(&status.locate(&[UserId(3)]).await));
    assert!(is_rebuilding(&other.locate(&[UserId(3)]).await));
    assert_ne!(other.renew(CONNECTOR).await.expect("answers").incarnation, before);
}

/// A life that others have left behind comes back whole, with everybody's beats.
#[tokio::test]
async fn an_older_life_does_not_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let status = settled(unsure_for_an_hour(&server)).await;
    register(&status, 1).await;
    server.ask::<()>(cmd("SAVE"));
    server.ask::<()>(cmd("FLUSHALL"));
    let later = another(RedisConfig { routes_unsure: Duration::ZERO, ..server.config() });
    later.renew(CONNECTOR).await.expect("answers");
    register(&later, 2).await;
    status.renew(CONNECTOR).await.expect("answers");
    assert!(status.locate(&[UserId(1)]).await.is_ok(), "a later life is taken as it is");
    server.ask::<()>(cmd("DEBUG").arg("RELOAD").arg("NOSAVE"));
    assert!(is_rebuilding(&status.locate(&[UserId(2)]).await));
}

/// It restarts with an older state, and everybody who registered died with it.
#[tokio::test]
async fn a_restart_is_another_life_also_for_those_who_know_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = server(&folder);
    let status = settled(unsure_for_an_hour(&server)).await;
    server.ask::<()>(cmd("SAVE"));
    register(&status, 1).await;
    drop(status);
    server.kill();
    server.start_again();
    let stranger = another(unsure_for_an_hour(&server));
    assert!(is_rebuilding(&stranger.locate(&[UserId(1)]).await));
}

/// Each process that writes leaves a beat behind: a life that has seen a thousand of them ends.
#[tokio::test]
async fn a_life_remembers_a_bounded_number_of_processes() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let status = settled(unsure_for_an_hour(&server)).await;
    let mut strangers = cmd("HSET");
    strangers.arg("{whimbrel:0}:life");
    (0..1001).for_each(|number| {
        strangers.arg(format!("stranger{number}")).arg(1);
    });
    server.ask::<()>(&strangers);
    assert!(status.locate(&[UserId(1)]).await.is_ok());
    let newcomer = another(RedisConfig { routes_unsure: Duration::ZERO, ..server.config() });
    newcomer.renew(CONNECTOR).await.expect("answers");
    assert!(server.ask::<usize>(cmd("HLEN").arg("{whimbrel:0}:life")) < 10);
}

/// The key is read by hand: what nobody finds any more is not kept for ever either. Forgotten by hand, too: an hour is long.
#[tokio::test]
async fn the_routes_of_a_forgotten_connector_are_swept_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let status = settled(unsure_for_an_hour(&server)).await;
    let dead = Route { connector: ConnectorId::from_bytes([8; 16]), ..route(2) };
    status.online(&[(UserId(1), dead)]).await.expect("answers");
    let held = || server.ask::<Vec<u8>>(cmd("GET").arg("{whimbrel:0}:user:1")).len() / 56;
    register(&status, 1).await;
    assert_eq!(held(), 2, "it may come back");
    status.renew(dead.connector).await.expect("answers");
    status.expel(&[dead.connector]).await.expect("answers");
    register(&status, 1).await;
    assert_eq!(held(), 2, "expelled, and it may come back");
    server.ask::<()>(cmd("ZREM").arg("{whimbrel:0}:leases").arg(&dead.connector.as_bytes()[..]));
    let stays = register(&status, 1).await;
    assert_eq!((held(), status.locate(&[UserId(1)]).await.expect("sure")[0].to_vec()), (1, vec![stays]));
}
