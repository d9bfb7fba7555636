//! Presence over two connectors, and what becomes of it when connectors and engines die. What the facts are stands in
//! `whimbrel_tests::presence`; one node shows the same.

use std::time::{Duration, Instant};

use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::people::friends;
use whimbrel_tests::presence::{self, Offline, Online, Unknown, asked, told, took};

use crate::{ONE_OF_EACH, TWO_OF_EACH};

/// Within this everybody who was on a killed connector is offline for all, and presence is right again after Redis was
/// lost (P6).
const WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_friend_is_here_until_the_last_device_leaves() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    presence::a_friend_is_here_until_the_last_device_leaves(&a, &b).await
}

#[tokio::test]
async fn who_is_no_friend_is_unknown() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    presence::who_is_no_friend_is_unknown(&a, &b).await
}

#[tokio::test]
async fn who_is_invisible_looks_offline_and_gets_everything() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    presence::who_is_invisible_looks_offline_and_gets_everything(&a, &b).await
}

#[tokio::test]
async fn who_flaps_is_told_once_a_round() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    presence::who_flaps_is_told_once_a_round(&a, &b).await
}

/// The idea: a killed connector says no goodbye for anybody; its lease does, by running out. When its people were seen
/// last is what another connector saw, and is kept.
#[tokio::test]
async fn a_killed_connectors_users_are_offline_for_all_within_ten_seconds() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let a = anna.device(&cluster.through("connector a")).await?;
    a.client.watch_presence(&[ben.user]).await?;
    let b = ben.device(&cluster.through("connector b")).await?;
    told(&a, &ben, Online).await;
    let killed = Instant::now();
    cluster.role("connector b").kill();
    let after = took(&a, &ben, Offline, killed).await;
    assert!(after < WITHIN, "{after:?}");
    let seen = a.client.presence(ben.user).last_seen;
    assert!(seen > 0);
    let kept = presence::last_seen(&a, &ben).await?;
    assert!(kept.abs_diff(seen) < 10_000, "{kept} {seen}");
    drop(b);
    Ok(())
}

/// Redis dead: everybody is unknown. Back and empty, and emptied while it runs: everybody is who
/// they are again, without logging in anew.
#[tokio::test]
async fn without_redis_presence_is_unknown_and_right_again_after_it() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let a = anna.device(&cluster.through("connector a")).await?;
    a.client.watch_presence(&[ben.user]).await?;
    let b = ben.device(&cluster.through("connector b")).await?;
    told(&a, &ben, Online).await;
    let killed = Instant::now();
    cluster.redis.kill();
    let after = took(&a, &ben, Unknown, killed).await;
    assert!(after < WITHIN, "{after:?}");
    assert_eq!(asked(&a, &ben).await?.state, Unknown);
    cluster.redis.restart().await?;
    // Its connectors assert their sessions first; nobody is thought away meanwhile.
    told(&a, &ben, Online).await;
    cluster.redis.flush_all().await?;
    until_right(&a, &ben).await?;
    drop(b);
    Ok(())
}

/// Presence may be wrong for a while after Redis was emptied; then it stays right.
async fn until_right(a: &whimbrel_tests::people::Device, ben: &whimbrel_tests::people::Person) -> anyhow::Result<()> {
    let emptied = Instant::now();
    whimbrel_tests::wait::until("REST and the socket agree again", async || {
        let rest = asked(a, ben).await.expect("it answers").state;
        emptied.elapsed() > WITHIN && rest == Online && a.client.presence(ben.user).state == Online
    })
    .await;
    Ok(())
}

/// MySQL dead: what may be shown of whom is known to those who watch already; who comes and goes is told.
#[tokio::test]
async fn without_the_database_coming_and_going_is_told() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&ONE_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let a = anna.device(&cluster).await?;
    a.client.watch_presence(&[ben.user]).await?;
    let b = ben.device(&cluster).await?;
    told(&a, &ben, Online).await;
    cluster.sql.kill();
    b.client.close().await;
    assert!(told(&a, &ben, Offline).await.last_seen > 0);
    cluster.sql.restart().await?;
    let _again = ben.device(&cluster).await?;
    told(&a, &ben, Online).await;
    Ok(())
}
