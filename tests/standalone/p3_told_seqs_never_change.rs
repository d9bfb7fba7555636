//! P3: a told seq never changes; a database restored from a backup is noticed.

use whimbrel_client::Event;
use whimbrel_tests::people::friends;
use whimbrel_tests::server::Server;
use whimbrel_tests::wait::within;

/// The idea: back up, go on talking, put the backup back. The places beyond it are given out again to other messages.
/// A device that holds the old ones must notice, drop its run and show what the server holds now.
#[tokio::test]
async fn a_device_notices_a_server_that_was_restored_from_a_backup() -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (mut a, mut b) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = a.with(&ben).await?;
    a.client.send_text(chat, "kept").await?;
    b.messages(chat, 1).await;

    let copy = server.scratch().join("copy");
    server.back_up(&copy)?;
    for text in ["gone", "gone too"] {
        a.client.send_text(chat, text).await?;
    }
    b.messages(chat, 3).await;
    a.messages(chat, 3).await;
    a.client.close().await;

    server.kill()?;
    server.put_back(&copy)?;
    server.launch().await?;
    // Another device takes the place of "gone", so that the old device's cursor points at another message.
    let mut c = anna.device(&server).await?;
    for text in ["new", "new too", "and more"] {
        let id = c.client.send_text(chat, text).await?;
        within("SENT", c.client.sent(chat, id)).await?;
    }
    b.find("a reset", |event| {
        matches!(event, Event::ConversationReset { conversation } if *conversation == chat).then_some(())
    })
    .await;
    b.find("the last message", |event| match event {
        Event::Message(m) => (m.text() == Some("and more")).then_some(()),
        _ => None,
    })
    .await;
    let held = b.client.messages(chat, whimbrel_core::Seq::ZERO, 100).await?;
    let held: Vec<_> = held.iter().filter_map(|m| m.text()).collect();
    assert_eq!(held, ["kept", "new", "new too", "and more"]);
    c.messages(chat, 4).await;
    Ok(())
}
