//! Searching on one node. What the facts are stands in `whimbrel_tests::search`; a cluster shows the same.

use whimbrel_client::{Search, SearchedBy};
use whimbrel_tests::people::people;
use whimbrel_tests::search::{self, Before, READABLE, Reader};
use whimbrel_tests::server::{Options, Server};

async fn readable() -> anyhow::Result<Server> {
    let mut set = READABLE.map(str::to_owned).to_vec();
    set.push("retention.pause=300ms".into());
    Server::with(Options { set, ..Options::default() }).await
}

#[tokio::test]
async fn what_is_sent_is_found_at_once() -> anyhow::Result<()> {
    let server = readable().await?;
    search::what_is_sent_is_found_at_once(&server, &server).await
}

/// A database from before there was searching; killed with -9 while its texts are taken up.
#[tokio::test]
async fn what_was_said_before_is_found_in_the_end() -> anyhow::Result<()> {
    let mut server = readable().await?;
    let before = Before::of(&server).await?;
    assert!(server.stop().await?.success());
    let db = rusqlite::Connection::open(server.data().join("whimbrel.db"))?;
    db.execute_batch(
        "BEGIN; DELETE FROM message_text; DELETE FROM text_walk; \
         INSERT INTO message_word (message_word) VALUES ('delete-all'); COMMIT",
    )?;
    drop(db);
    server.launch().await?;
    before.wait_begun(&server).await?;
    server.kill()?;
    server.launch().await?;
    before.ends_with_all(&server).await
}

/// An SDK has the server look, page after page, among more than the device has; and while the server is not there, it looks
/// at what the device has.
#[tokio::test]
async fn a_client_asks_the_server_and_without_it_its_own_device() -> anyhow::Result<()> {
    let mut server = readable().await?;
    let (anna, ben) = whimbrel_tests::people::friends(&server, "anna", "ben").await?;
    let device = anna.device(&server).await?;
    let chat = device.with(&ben).await?;
    let mut places = Vec::new();
    for number in 0..40 {
        let id = device.client.send_text(chat, &format!("harbour {number}")).await?;
        places.push(whimbrel_tests::groups::place(&device, chat, id).await);
    }
    places.reverse();
    // Another device has them all: this one need not begin with the first.
    let there = ben.device(&server).await?;
    whimbrel_tests::groups::stored(&there, chat, places[0]).await;
    there.client.mark_read(chat, places[0]).await?;
    there.client.advanced(chat, places[0]).await?;
    let recent = ben.recent(&server, 10).await?;
    let search = Search { conversation: Some(chat), sender: Some(anna.user), ..Search::new("HARBOUR")? };
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = recent.client.search(&search, next.as_ref(), 15).await?;
        assert_eq!(page.by, SearchedBy::Server);
        found.extend(page.hits.iter().map(|hit| hit.seq));
        match page.next {
            Some(place) => next = Some(place),
            None => break,
        }
    }
    assert_eq!(found, places);
    server.kill()?;
    let page = recent.client.search(&search, None, 100).await?;
    assert_eq!(page.by, SearchedBy::Device);
    assert_eq!(page.hits.iter().map(|hit| hit.seq).collect::<Vec<_>>(), places[..10]);
    Ok(())
}

/// With the defaults: bodies are encrypted, nothing is written that could be searched, and that is said.
#[tokio::test]
async fn where_bodies_are_encrypted_nothing_is_kept_to_be_searched() -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    let (anna, ben) = whimbrel_tests::people::friends(&server, "anna", "ben").await?;
    let device = anna.device(&server).await?;
    let chat = device.with(&ben).await?;
    let id = device.client.send_text(chat, "a secret harbour").await?;
    whimbrel_tests::groups::place(&device, chat, id).await;
    let cleo = people(&server, &["cleo"]).await?.remove(0);
    let (status, answer) = Reader::new(&server, &cleo).await?.asks(&server, &[("q", "harbour")]).await?;
    assert_eq!((status, &answer["code"]), (409, &"search_unavailable".into()));
    assert!(server.stop().await?.success());
    let db = rusqlite::Connection::open(server.data().join("whimbrel.db"))?;
    let texts: i64 = db.query_row("SELECT count(*) FROM message_text", [], |row| row.get(0))?;
    assert_eq!(texts, 0);
    Ok(())
}
