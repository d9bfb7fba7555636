//! P8: a server that is told to stop loses nothing and tells its clients to come back.

use whimbrel_client::Outcome;
use whimbrel_core::GoodbyeCode;
use whimbrel_tests::people::friends;
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::Server;
use whimbrel_tests::wait::within;

/// The idea: SIGTERM while clients write. The process exits 0, a raw client is told MOVING, and after the next start
/// everything arrives once.
#[tokio::test]
async fn a_stop_under_load_exits_0_and_loses_nothing() -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (a, mut b) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = a.with(&ben).await?;
    let access = ben.access(&server).await?;
    let mut raw = Raw::attach(server.clients(), &access.token, access.device).await?;

    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(a.client.send_text(chat, &n.to_string()).await?);
    }
    let status = server.stop().await?;
    assert!(status.success(), "{status}\n{}", server.log());
    assert_eq!(raw.goodbye().await?, GoodbyeCode::MOVING.0);
    for n in 50..100 {
        ids.push(a.client.send_text(chat, &n.to_string()).await?);
    }
    server.launch().await?;
    for id in &ids {
        assert!(matches!(within("SENT", a.client.sent(chat, *id)).await?, Outcome::Sent { .. }));
    }
    let shown = b.messages(chat, 100).await;
    assert_eq!(shown.iter().map(|m| m.message_id).collect::<Vec<_>>(), ids);
    Ok(())
}
