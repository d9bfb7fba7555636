//! Redis is away, freezes, refuses, forgets scripts, or holds what this program did not write.

use std::time::Duration;

use redis::cmd;
use whimbrel_core::UserId;

use super::lives::{CONNECTOR, another, register, server, settled, unsure_for_an_hour};
use super::server::eventually;
use crate::redis::RedisConfig;
use crate::{StoreError, UserStatus};

/// Stopped, not dead: its socket is open and takes everything. A thousand calls would take minutes if each waited.
#[tokio::test]
async fn a_frozen_redis_is_waited_for_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    settled(unsure_for_an_hour(&server)).await;
    let status = another(RedisConfig { timeout: Duration::from_secs(1), ..unsure_for_an_hour(&server) });
    let held = register(&status, 1).await;
    server.signal("STOP");
    let at_one_time = (0..100).map(|_| status.locate(&[UserId(1)]));
    let late = tokio::time::timeout(Duration::from_secs(30), futures_util::future::join_all(at_one_time)).await;
    for outcome in late.expect("all wait for the same") {
        let error = outcome.expect_err("no answer").to_string();
        assert!(error.contains("locate: no answer in 1s"), "{error}");
    }
    let all = async {
        for _ in 0..1000 {
            let error = status.online(&[(UserId(1), held)]).await.expect_err("away").to_string();
            assert!(error.contains("online: away"), "{error}");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("nobody waits any more");
    server.signal("CONT");
    eventually(async || status.locate(&[UserId(1)]).await.is_ok_and(|located| located[0].contains(&held))).await;
}

/// Nothing listens there; and then something does.
#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_found_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = server(&folder);
    server.kill();
    let status = another(RedisConfig { routes_unsure: Duration::ZERO, ..server.config() });
    for _ in 0..2 {
        let error = status.renew(CONNECTOR).await.expect_err("away").to_string();
        assert!(error.contains("Redis, renew: "), "{error}");
    }
    server.start_again();
    eventually(async || status.renew(CONNECTOR).await.is_ok()).await;
}

/// It reads and does not write, so that leases run out and cannot be renewed: that must not look like nobody is online.
#[tokio::test]
async fn a_redis_that_refuses_writes_answers_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    settled(unsure_for_an_hour(&server)).await;
    let status = another(RedisConfig { lease_every: Duration::ZERO, ..unsure_for_an_hour(&server) });
    status.locate(&[UserId(1)]).await.expect("sure");
    for (name, refusing, taking) in [("min-replicas-to-write", "1", "0"), ("maxmemory", "1", "0")] {
        server.ask::<()>(cmd("CONFIG").arg("SET").arg(name).arg(refusing));
        assert!(status.locate(&[UserId(1)]).await.is_err(), "{name}");
        server.ask::<()>(cmd("CONFIG").arg("SET").arg(name).arg(taking));
        eventually(async || status.locate(&[UserId(1)]).await.is_ok()).await;
    }
}

/// Scripts are not kept over a restart, nor when somebody clears them.
#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_sent_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let status = settled(unsure_for_an_hour(&server)).await;
    for user in 1..4 {
        server.ask::<()>(cmd("SCRIPT").arg("FLUSH"));
        let held = register(&status, user).await;
        server.ask::<()>(cmd("SCRIPT").arg("FLUSH"));
        assert_eq!(status.locate(&[UserId(user)]).await.expect("sure")[0].to_vec(), [held]);
    }
}

/// Somebody else's value under a user's key, of another kind and of another length.
#[tokio::test]
async fn what_this_program_did_not_write_is_said_to_be_unreadable() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let status = settled(unsure_for_an_hour(&server)).await;
    let held = register(&status, 1).await;
    server.ask::<()>(cmd("SET").arg("{whimbrel:0}:user:2").arg("short"));
    assert!(matches!(status.locate(&[UserId(2)]).await, Err(StoreError::Corrupt(_))));
    server.ask::<()>(cmd("DEL").arg("{whimbrel:0}:leases"));
    server.ask::<()>(cmd("SET").arg("{whimbrel:0}:leases").arg("strange"));
    assert!(matches!(status.renew(CONNECTOR).await, Err(StoreError::Corrupt(_))));
    server.ask::<()>(cmd("DEL").arg("{whimbrel:0}:leases"));
    status.renew(CONNECTOR).await.expect("the connection is the same");
    assert_eq!(status.locate(&[UserId(1)]).await.expect("sure")[0].to_vec(), [held]);
}
