//! Which roles there are.

use std::sync::Arc;
use std::time::Duration;

use redis::cmd;
use tokio::sync::watch::Receiver;
use uuid::Uuid;

use super::server::{Server, eventually, shared};
use crate::redis::{Member, RedisConfig, RoleName, Roster};

/// Leases that no test sees the end of, renewed often.
fn lasting(config: RedisConfig) -> RedisConfig {
    RedisConfig { lease: Duration::from_secs(600), lease_every: Duration::from_millis(20), ..config }
}

fn roster(config: RedisConfig) -> Arc<Roster> {
    Roster::new(config).expect("a configuration")
}

fn member(role: RoleName, number: u8) -> Member {
    let detail = [("machine".to_owned(), format!("m{number}"))].into();
    let address = format!("10.0.0.{number}:7400");
    Member { role, id: Uuid::from_bytes([number; 16]), address, protocol: 3, detail }
}

async fn shows(watched: &mut Receiver<Vec<Member>>, expected: &[Member]) {
    let wait = watched.wait_for(|members| members == expected);
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it comes").expect("it goes on");
}

#[tokio::test]
async fn members_are_listed_by_role_until_they_leave() {
    let (here, there) = (roster(lasting(shared())), RoleName::Transfer);
    let mut watched = here.watch(there);
    assert!(watched.borrow().is_empty());
    let (one, two, api) = (member(there, 1), member(there, 2), member(RoleName::Api, 3));
    let mut memberships = Vec::new();
    for member in [&two, &one, &api] {
        let mut membership = here.join(member.clone());
        membership.listed().await;
        memberships.push(membership);
    }
    assert_eq!(here.members(there).await.expect("answers"), [one.clone(), two.clone()]);
    assert_eq!(here.members(RoleName::Api).await.expect("answers"), [api]);
    assert_eq!(here.members(RoleName::Archiver).await.expect("answers"), []);
    shows(&mut watched, &[one.clone(), two]).await;
    memberships.remove(0).leave().await;
    assert_eq!(here.members(there).await.expect("answers"), std::slice::from_ref(&one));
    shows(&mut watched, &[one]).await;
}

/// Killed and started again at its address: the former one's lease stands for long, and still only the new one is listed.
#[tokio::test]
async fn a_transfer_that_is_started_again_takes_its_predecessors_place() {
    let (here, role) = (roster(lasting(shared())), RoleName::Transfer);
    let mut watched = here.watch(role);
    let (old, other) = (member(role, 7), member(role, 8));
    let new = Member { id: Uuid::from_bytes([1; 16]), ..old.clone() };
    let mut memberships = [here.join(old.clone()), here.join(other.clone())];
    for membership in &mut memberships {
        membership.listed().await;
    }
    shows(&mut watched, &[old, other.clone()]).await;
    let [killed, _stays] = memberships;
    drop(killed);
    let _started = here.join(new.clone());
    shows(&mut watched, &[new, other]).await;
}

/// Dropped is like killed: nobody says goodbye.
#[tokio::test]
async fn who_dies_runs_out_with_its_lease() {
    let config = RedisConfig { lease: Duration::from_millis(200), lease_every: Duration::from_millis(20), ..shared() };
    let here = roster(config);
    let mut watched = here.watch(RoleName::Connector);
    let mut membership = here.join(member(RoleName::Connector, 1));
    membership.listed().await;
    shows(&mut watched, &[member(RoleName::Connector, 1)]).await;
    drop(membership);
    shows(&mut watched, &[]).await;
    assert_eq!(here.members(RoleName::Connector).await.expect("answers"), []);
}

/// One member never comes back after it: it is still listed, as the others are at every moment.
#[tokio::test]
async fn an_emptied_redis_makes_nobody_forget_anybody() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(folder.path(), &[]);
    let here = roster(lasting(server.config()));
    let role = RoleName::Transfer;
    let everybody: Vec<Member> = (1..=3).map(|number| member(role, number)).collect();
    let mut memberships = Vec::new();
    for member in &everybody {
        let mut membership = here.join(member.clone());
        membership.listed().await;
        memberships.push(membership);
    }
    let mut watched = here.watch(role);
    shows(&mut watched, &everybody).await;
    drop(memberships.remove(0));
    for is_killed in [false, true] {
        if is_killed {
            server.kill();
            assert!(here.members(role).await.is_err());
            server.start_again();
        } else {
            server.ask::<()>(&cmd("FLUSHALL"));
        }
        // Those who live say so again, by themselves.
        eventually(async || here.members(role).await.is_ok_and(|members| members == everybody[1..])).await;
        // And the watch has read that, too.
        let polls = server_polls(&server);
        eventually(async || server_polls(&server) > polls + 10).await;
        assert!(!watched.has_changed().expect("it goes on"), "{:?}", watched.borrow_and_update());
    }
}

fn server_polls(server: &Server) -> u64 {
    let stats: String = server.ask(cmd("INFO").arg("commandstats"));
    let calls = |line: &str| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next()?.parse().ok();
    stats.lines().find_map(calls).expect("scripts are called")
}

/// The grace after an emptied Redis ends with a lease.
#[tokio::test]
async fn who_does_not_come_back_is_forgotten_a_lease_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), &[]);
    let config = RedisConfig { lease: Duration::from_millis(500), ..lasting(server.config()) };
    let (here, long) = (roster(config), roster(lasting(server.config())));
    let (goes, stays) = (member(RoleName::Api, 1), member(RoleName::Api, 2));
    let (mut going, mut staying) = (long.join(goes.clone()), long.join(stays.clone()));
    going.listed().await;
    staying.listed().await;
    let mut watched = here.watch(RoleName::Api);
    shows(&mut watched, &[goes, stays.clone()]).await;
    drop(going);
    server.ask::<()>(&cmd("FLUSHALL"));
    shows(&mut watched, &[stays]).await;
}

/// The last receiver goes, and the task with it; the next one starts anew.
#[tokio::test]
async fn nobody_polls_for_whom_nobody_watches() {
    let here = roster(lasting(shared()));
    drop(here.watch(RoleName::Api));
    eventually(async || here.watches() == 0).await;
    let mut membership = here.join(member(RoleName::Api, 1));
    membership.listed().await;
    let mut again = here.watch(RoleName::Api);
    shows(&mut again, &[member(RoleName::Api, 1)]).await;
}

/// Another version's entry, or a stranger's, hides nobody else.
#[tokio::test]
async fn entries_that_cannot_be_read_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), &[]);
    let here = roster(lasting(server.config()));
    let mut membership = here.join(member(RoleName::Archiver, 1));
    membership.listed().await;
    let entries = [("strange", "{"), ("newer", r#"{"role":"archiver","id":"x"}"#)];
    for (id, entry) in entries {
        server.ask::<()>(cmd("ZADD").arg("{whimbrel:0}:role:archiver").arg(u64::MAX >> 12).arg(id));
        server.ask::<()>(cmd("HSET").arg("{whimbrel:0}:role:archiver:is").arg(id).arg(entry));
    }
    assert_eq!(here.members(RoleName::Archiver).await.expect("answers"), [member(RoleName::Archiver, 1)]);
}
