//! Files on one node. What most of the facts are stands in `whimbrel_tests::files`; a cluster shows the same.

use whimbrel_client::{Sending, Stage};
use whimbrel_tests::files::{self, attachment, content, fetched, written};
use whimbrel_tests::people::friends;
use whimbrel_tests::server::{Options, Server};
use whimbrel_tests::wait::within;

#[tokio::test]
async fn a_file_comes_out_as_it_was() -> anyhow::Result<()> {
    let server = Server::start().await?;
    files::a_file_comes_out_as_it_was(&server, &server).await?;
    // Nothing of what was sent rests readable, and what is in the folder is named by nobody outside.
    let piece = &content(65_537)[1000..1064];
    for path in below(&server.data()) {
        let bytes = std::fs::read(&path)?;
        assert!(!bytes.windows(piece.len()).any(|window| window == piece), "{}", path.display());
    }
    Ok(())
}

fn below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(below(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn a_link_ends_with_what_one_may_see() -> anyhow::Result<()> {
    let server = Server::start().await?;
    files::a_link_ends_with_what_one_may_see(&server, &server).await
}

#[tokio::test]
async fn a_transfer_pauses_and_is_cancelled() -> anyhow::Result<()> {
    files::a_transfer_pauses_and_is_cancelled(&Server::start().await?).await
}

#[tokio::test]
async fn a_picture_comes_small_and_without_its_place() -> anyhow::Result<()> {
    files::a_picture_comes_small_and_without_its_place(&Server::start().await?).await
}

#[tokio::test]
async fn a_readable_picture_loses_its_place_at_the_server() -> anyhow::Result<()> {
    let set = vec!["messages.bodies_readable=true".to_owned()];
    let server = Server::with(Options { set, ..Options::default() }).await?;
    files::a_readable_picture_loses_its_place_at_the_server(&server).await
}

#[tokio::test]
async fn a_transfer_goes_on_when_the_server_was_killed_in_its_middle() -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    let (ada, bea) = friends(&server, "ada", "bea").await?;
    let (one, mut two) = (ada.device(&server).await?, bea.device(&server).await?);
    let chat = one.with(&bea).await?;
    let bytes = content(16_000_000);
    let path = written(server.scratch(), "large.bin", &bytes)?;
    let mut sending = one.client.send_file(chat, Sending::new(&path)).await?;
    within("some of it", async {
        while sending.progress().done < 2_000_000 {
            sending.changed().await.expect("it is not over");
        }
    })
    .await;
    server.kill()?;
    assert!(sending.progress().done < bytes.len() as u64);
    server.launch().await?;
    within("the upload", sending.finished()).await?;
    let attachment = attachment(&mut two, chat, 1).await;
    let to = server.scratch().join("fetched");
    let mut fetching = two.client.fetch_file(&attachment, &to);
    within("some of it", async {
        while fetching.progress().done < 2_000_000 {
            fetching.changed().await.expect("it is not over");
        }
    })
    .await;
    server.kill()?;
    server.launch().await?;
    within("the download", fetching.finished()).await?;
    assert_eq!(std::fs::read(to)?, bytes);
    Ok(())
}

/// The client ends in the middle of an upload, without a word; another one on the same store goes on, from where the
/// server is, and says it once. A file that is another one by then is not sent.
#[tokio::test]
async fn an_upload_goes_on_when_the_client_was_killed_in_its_middle() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (ada, bea) = friends(&server, "ada", "bea").await?;
    let mut two = bea.device(&server).await?;
    let store = server.scratch().join("store");
    let access = ada.access(&server).await?;
    let (device, token) = (access.device, access.token.clone());
    let again = || whimbrel_tests::people::Access { device, token: token.clone() };
    let one = ada.open(&server, access, Some(&store)).await?;
    let chat = one.with(&bea).await?;
    let bytes = content(8_000_000);
    let paths = [written(server.scratch(), "large.bin", &bytes)?, written(server.scratch(), "other.bin", &bytes)?];
    let mut files = Vec::new();
    for path in &paths {
        let mut sending = one.client.send_file(chat, Sending::new(path)).await?;
        within("some of it", async {
            while sending.progress().done < 2_000_000 {
                sending.changed().await.expect("it is not over");
            }
            sending.pause();
            while sending.progress().stage != Stage::Paused {
                sending.changed().await.expect("it is not over");
            }
        })
        .await;
        files.push(sending);
    }
    one.client.close().await;
    drop(one);
    std::fs::write(&paths[1], content(8_000_001).split_at(1).1)?;
    let one = ada.open(&server, again(), Some(&store)).await?;
    assert_eq!(one.client.unfinished_files().await?.len(), 2);
    let received = one.client.rest().file(files[0].file()).await?.received;
    assert!(received >= 2_000_000 && received < bytes.len() as u64, "{received}");
    let mut going = one.client.resume_files().await?.into_iter();
    let (first, second) = (going.next().expect("two"), going.next().expect("two"));
    within("the upload", first.finished()).await?;
    let changed = within("its end", second.finished()).await;
    assert!(matches!(changed, Err(whimbrel_client::Error::FileChanged)), "{changed:?}");
    assert!(one.client.unfinished_files().await?.is_empty());
    let attachment = attachment(&mut two, chat, 1).await;
    assert_eq!(fetched(&two, &attachment, &server.scratch().join("fetched")).await?, bytes);
    two.look().await;
    assert_eq!(two.shown(chat).len(), 1, "it was said once");
    Ok(())
}

/// Where bodies rest readable, files do too: what the server has already is there at once.
#[tokio::test]
async fn a_readable_file_that_is_there_already_does_not_travel_again() -> anyhow::Result<()> {
    let set = vec!["messages.bodies_readable=true".to_owned()];
    let server = Server::with(Options { set, ..Options::default() }).await?;
    let (ada, bea) = friends(&server, "ada", "bea").await?;
    let (mut one, two) = (ada.device(&server).await?, bea.device(&server).await?);
    let chat = one.with(&bea).await?;
    let bytes = content(10_000_000);
    let path = written(server.scratch(), "large.bin", &bytes)?;
    within("the upload", two.client.send_file(chat, Sending::new(&path)).await?.finished()).await?;
    let kept = below(&server.data().join("files")).len();
    let sending = one.client.send_file(chat, Sending::new(&path)).await?;
    within("the proof", sending.finished()).await?;
    assert_eq!(below(&server.data().join("files")).len(), kept, "nothing was sent");
    for count in 1..=2 {
        let attachment = attachment(&mut one, chat, count).await;
        assert!(attachment.key.is_none());
        let to = server.scratch().join(format!("fetched{count}"));
        assert_eq!(fetched(&one, &attachment, &to).await?, bytes);
    }
    Ok(())
}
