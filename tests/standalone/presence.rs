//! Presence on one node. What the facts are stands in `whimbrel_tests::presence`; a cluster shows the same.

use whimbrel_tests::people::{Person, friends};
use whimbrel_tests::presence::{self, Offline, asked, last_seen, now_ms, told};
use whimbrel_tests::server::{Options, Server};
use whimbrel_tests::wait::until;

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

/// Killed with -9 while somebody has been here for long: they were last seen about then, and not when they came.
#[tokio::test]
async fn who_was_here_when_the_server_was_killed_was_last_seen_about_then() -> anyhow::Result<()> {
    let set = vec!["presence.last_seen_every=200ms".to_owned()];
    let mut server = Server::with(Options { set, ..Options::default() }).await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let b = ben.device(&server).await?;
    let came = now_ms();
    let a = anna.device(&server).await?;
    // It is written by and by: long after they came, and again.
    let mut written = came + 1000;
    for _ in 0..2 {
        until("that they are here is written", || async { kept(&server, &ben) > written }).await;
        written = kept(&server, &ben);
    }
    server.kill()?;
    let killed = now_ms();
    // Nobody says that they left.
    b.client.close().await;
    server.launch().await?;
    a.client.wait_online().await?;
    let seen = last_seen(&a, &ben).await?;
    assert!((written..=killed).contains(&seen), "{written} {seen} {killed}");
    Ok(())
}

/// What is kept of somebody, read beside the server.
fn kept(server: &Server, of: &Person) -> u64 {
    let db = rusqlite::Connection::open(server.data().join("whimbrel.db")).expect("a database");
    let read = "SELECT seen_at FROM presence WHERE user = ?1";
    db.query_row(read, [of.user.0 as i64], |row| row.get::<_, i64>(0)).map_or(0, i64::unsigned_abs)
}
