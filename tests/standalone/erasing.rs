//! Erasing on one node. What the facts are stands in `whimbrel_tests::erasing`; a cluster shows the same.

use whimbrel_tests::erasing::{SLOWLY, Talk};
use whimbrel_tests::server::{Options, Server};

/// Bodies are sealed: who searches looks at what their own device has. The live device is told while its session lasts.
#[tokio::test]
async fn what_one_said_is_gone_on_every_device() -> anyhow::Result<()> {
    let set = SLOWLY.map(str::to_owned).to_vec();
    let server = Server::with(Options { set, ..Options::default() }).await?;
    let mut talk = Talk::of(&server, &server, server.scratch()).await?;
    talk.erase(&server).await?;
    talk.is_told().await;
    talk.is_gone_everywhere(&server).await
}

/// Killed with -9 while it is at it: it goes on with the next start, and each conversation is told once.
#[tokio::test]
async fn killed_while_it_erases_it_tells_it_after_the_next_start() -> anyhow::Result<()> {
    let set = SLOWLY.map(str::to_owned).to_vec();
    let mut server = Server::with(Options { set, ..Options::default() }).await?;
    let talk = Talk::of(&server, &server, server.scratch()).await?;
    talk.erase(&server).await?;
    talk.wait_begun().await;
    server.kill()?;
    server.launch().await?;
    talk.is_gone_everywhere(&server).await
}
