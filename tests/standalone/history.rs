//! History and retention on one node. What the facts are stands in `whimbrel_tests::history`; a cluster shows the same.

use whimbrel_core::Seq;
use whimbrel_tests::history::{self, KEEP, Past};
use whimbrel_tests::server::{Options, Server};

#[tokio::test]
async fn who_scrolls_back_sees_what_who_was_there_sees() -> anyhow::Result<()> {
    let server = Server::start().await?;
    history::who_scrolls_back_sees_what_who_was_there_sees(&server, &server).await
}

/// Killed with -9 while retention is at work: it goes on with the next start.
#[tokio::test]
async fn what_is_old_goes_and_a_device_that_was_away_jumps() -> anyhow::Result<()> {
    let set = KEEP.map(str::to_owned).to_vec();
    let mut server = Server::with(Options { set, ..Options::default() }).await?;
    let past = Past::of(&server, server.scratch()).await?;
    assert!(server.stop().await?.success());
    make_old(&server, &past)?;
    server.launch().await?;
    past.wait_begun().await;
    server.kill()?;
    server.launch().await?;
    past.ends_with_what_is_kept(&server).await
}

/// What was said up to there was said two hundred hours ago.
fn make_old(server: &Server, past: &Past) -> anyhow::Result<()> {
    let db = rusqlite::Connection::open(server.data().join("whimbrel.db"))?;
    let Seq(old) = past.old;
    let update = "UPDATE message SET at = at - 200 * 3600000 WHERE conv = ?1 AND seq <= ?2";
    let changed = db.execute(update, rusqlite::params![past.chat.as_bytes(), old as i64])?;
    assert_eq!(changed as u64, old);
    Ok(())
}
