//! Presence on one node. What the facts are stands in `whimbrel_tests::presence`; a cluster shows the same.

use whimbrel_tests::people::friends;
use whimbrel_tests::presence::{self, Offline, asked, last_seen, told};
use whimbrel_tests::server::Server;

#[tokio::test]
async fn a_friend_is_here_until_the_last_device_leaves() -> anyhow::Result<()> {
    let server = Server::start().await?;
    presence::a_friend_is_here_until_the_last_device_leaves(&server, &server).await
}

#[tokio::test]
async fn who_is_no_friend_is_unknown() -> anyhow::Result<()> {
    let server = Server::start().await?;
    presence::who_is_no_friend_is_unknown(&server, &server).await
}

#[tokio::test]
async fn who_is_invisible_looks_offline_and_gets_everything() -> anyhow::Result<()> {
    let server = Server::start().await?;
    presence::who_is_invisible_looks_offline_and_gets_everything(&server, &server).await
}

#[tokio::test]
async fn more_than_may_be_watched_is_refused() -> anyhow::Result<()> {
    presence::more_than_may_be_watched_is_refused(&Server::start().await?).await
}

#[tokio::test]
async fn who_flaps_is_told_once_a_round() -> anyhow::Result<()> {
    let server = Server::start().await?;
    presence::who_flaps_is_told_once_a_round(&server, &server).await
}

#[tokio::test]
async fn who_is_deleted_is_unknown() -> anyhow::Result<()> {
    presence::who_is_deleted_is_unknown(&Server::start().await?).await
}

/// Killed with -9, then stopped politely: what was known of who had left is known after it, and whoever watched watches
/// again without being asked.
#[tokio::test]
async fn last_seen_survives_a_restart() -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let a = anna.device(&server).await?;
    ben.device(&server).await?.client.close().await;
    let seen = last_seen(&a, &ben).await?;
    a.client.watch_presence(&[ben.user]).await?;
    assert_eq!(told(&a, &ben, Offline).await.last_seen, seen);
    for polite in [false, true] {
        if polite {
            server.stop().await?;
        } else {
            server.kill()?;
        }
        server.launch().await?;
        a.client.wait_online().await?;
        assert_eq!(asked(&a, &ben).await?.last_seen, seen);
    }
    let b = ben.device(&server).await?;
    told(&a, &ben, whimbrel_tests::presence::Online).await;
    // Who is here when it stops politely was seen then, and not before.
    server.stop().await?;
    b.client.close().await;
    server.launch().await?;
    a.client.wait_online().await?;
    assert!(last_seen(&a, &ben).await? > seen);
    Ok(())
}
