//! P6: dead sessions are noticed, and a late goodbye removes only its own session.

use whimbrel_core::GoodbyeCode;
use whimbrel_tests::people::friends;
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::{Options, Server};
use whimbrel_tests::wait::within;
use whimbrel_wire::frame::ServerPayload;

/// The idea: the same device opens a second session; the first is told REPLACED, and ending the first afterwards must
/// not make the device unreachable.
#[tokio::test]
async fn a_second_login_takes_over_and_the_firsts_end_does_not_evict_it() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let a = anna.device(&server).await?;
    let chat = a.with(&ben).await?;
    let access = ben.access(&server).await?;
    let mut first = Raw::attach(server.clients(), &access.token, access.device).await?;
    let mut second = Raw::attach(server.clients(), &access.token, access.device).await?;
    assert_eq!(first.goodbye().await?, GoodbyeCode::REPLACED.0);
    assert!(first.next().await?.is_none(), "the first connection is closed");
    drop(first);

    let id = a.client.send_text(chat, "to the second").await?;
    within("SENT", a.client.sent(chat, id)).await?;
    let delivered = second
        .find(|payload| match payload {
            ServerPayload::Deliver(deliver) => Some(deliver.messages[0].message_id.clone()),
            _ => None,
        })
        .await?;
    assert_eq!(delivered[..], id.as_bytes()[..]);
    Ok(())
}

/// The idea: a peer that falls silent without closing is told so and gone within the announced time.
#[tokio::test]
async fn a_silent_peer_is_gone_within_the_announced_time() -> anyhow::Result<()> {
    let set = vec!["clients.heartbeat=200ms".to_owned(), "clients.silence=500ms".to_owned()];
    let server = Server::with(Options { set, ..Options::default() }).await?;
    let (anna, _) = friends(&server, "anna", "ben").await?;
    let access = anna.access(&server).await?;
    let mut raw = Raw::attach(server.clients(), &access.token, access.device).await?;
    assert_eq!(raw.goodbye().await?, GoodbyeCode::SILENT.0);
    Ok(())
}
