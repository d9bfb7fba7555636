//! P1: SENT is answered only once the message is on disk at its place; from then on a kill -9 changes nothing.

use std::time::Duration;

use whimbrel_client::{Event, Outcome};
use whimbrel_core::Seq;
use whimbrel_tests::gate::FsyncGate;
use whimbrel_tests::people::friends;
use whimbrel_tests::server::{Options, Server};
use whimbrel_tests::wait::within;

/// The idea: hold the server's fsync. While it is held, the message is in the kernel's cache at most, so neither may
/// its sender be told SENT nor its recipient see it; once it returns, both happen. A server that answers before the
/// commit, or commits without fsync, fails here, although a kill -9 would not notice (the kernel keeps its cache).
#[tokio::test]
async fn nobody_hears_of_a_message_before_its_fsync_returned() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let gate = FsyncGate::new(scratch.path())?;
    let server = Server::with(Options { environment: gate.environment(), ..Options::default() }).await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (sender, mut recipient) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = sender.with(&ben).await?;
    recipient.with(&anna).await?;

    gate.shut()?;
    let id = sender.client.send_text(chat, "is it safe?").await?;
    gate.somebody_waits().await;
    // The server stands in fsync now. Whatever it would say too early has this long to arrive.
    let early = tokio::time::timeout(Duration::from_millis(400), sender.client.sent(chat, id)).await;
    assert!(early.is_err(), "SENT before the fsync returned: {early:?}");
    recipient.look().await;
    assert_eq!(recipient.shown(chat), [], "delivered before the fsync returned");

    gate.open()?;
    let outcome = within("SENT", sender.client.sent(chat, id)).await?;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    let shown = recipient.messages(chat, 1).await;
    assert_eq!(shown[0].message_id, id);
    Ok(())
}

/// The idea: kill -9 right after SENT, start again on the same data, and ask a device that never saw it.
#[tokio::test]
async fn a_message_told_sent_survives_kill_9() -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let sender = anna.device(&server).await?;
    let chat = sender.with(&ben).await?;

    let mut told = Vec::new();
    for round in 0..3 {
        let id = sender.client.send_text(chat, &format!("round {round}")).await?;
        let Outcome::Sent { seq, .. } = within("SENT", sender.client.sent(chat, id)).await? else { panic!("not sent") };
        server.kill()?;
        told.push((seq, id));
        server.launch().await?;
    }

    let mut fresh = ben.device(&server).await?;
    let shown = fresh.messages(chat, 3).await;
    assert_eq!(shown.iter().map(|m| (m.seq, m.message_id)).collect::<Vec<_>>(), told);
    assert!(told.is_sorted_by_key(|(seq, _)| *seq) && told[0].0 > Seq::ZERO);
    Ok(())
}

/// The idea: what is in the outbox while the server is dead is neither lost nor doubled when it is back.
#[tokio::test]
async fn what_was_under_way_when_the_server_died_is_sent_once_it_is_back() -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (mut sender, mut recipient) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = sender.with(&ben).await?;

    let mut ids = Vec::new();
    for n in 0..200 {
        if n == 60 || n == 130 {
            server.kill()?;
        }
        ids.push(sender.client.send_text(chat, &n.to_string()).await?);
        if n == 90 || n == 160 {
            server.launch().await?;
        }
    }
    let shown = recipient.messages(chat, 200).await;
    assert_eq!(shown.iter().map(|m| m.message_id).collect::<Vec<_>>(), ids, "sent order, each once");
    sender.messages(chat, 200).await;
    let last = *ids.last().expect("sent some");
    sender
        .find("the last SENT", |e| matches!(e, Event::Sent { message_id, .. } if *message_id == last).then_some(()))
        .await;
    assert_eq!(sender.client.outbox_len().await?, 0);
    Ok(())
}
