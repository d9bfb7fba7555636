//! P4: receipts are true, only grow, and arrive in the end; unread counts are exact.

use whimbrel_client::Event;
use whimbrel_core::{ConversationId, Cursors, Seq, UserId};
use whimbrel_tests::people::{Device, friends};
use whimbrel_tests::server::Server;
use whimbrel_tests::wait::{until, within};

async fn receipt(device: &mut Device, chat: ConversationId, user: UserId, wanted: impl Fn(Cursors) -> bool) -> Cursors {
    device
        .find("a receipt", |event| match event {
            Event::Receipt { conversation, user: who, cursors } if *conversation == chat && *who == user => {
                wanted(*cursors).then_some(*cursors)
            }
            _ => None,
        })
        .await
}

async fn unread(device: &Device, chat: ConversationId) -> anyhow::Result<u64> {
    let all = device.client.conversations().await?;
    Ok(all.iter().find(|c| c.id == chat).map_or(0, |c| c.unread))
}

/// The idea: nothing is DELIVERED while the recipient has no device; it is once a device stored it; READ comes only
/// when the user reads.
#[tokio::test]
async fn delivered_comes_when_a_device_stored_it_and_read_when_the_user_read_it() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let mut a = anna.device(&server).await?;
    let chat = a.with(&ben).await?;
    let id = a.client.send_text(chat, "hello").await?;
    let whimbrel_client::Outcome::Sent { seq, .. } = within("SENT", a.client.sent(chat, id)).await? else { panic!() };
    a.look().await;
    let early = a
        .seen
        .iter()
        .any(|e| matches!(e, Event::Receipt { user, cursors, .. } if *user == ben.user && cursors.delivered >= seq));
    assert!(!early, "DELIVERED without a device");

    let mut b = ben.device(&server).await?;
    b.messages(chat, 1).await;
    let cursors = receipt(&mut a, chat, ben.user, |c| c.delivered >= seq).await;
    assert!(cursors.read < seq, "READ before anybody read: {cursors:?}");
    b.client.mark_read(chat, seq).await?;
    let cursors = receipt(&mut a, chat, ben.user, |c| c.read >= seq).await;
    assert_eq!(cursors, Cursors { delivered: seq, read: seq }, "no further than what exists");
    Ok(())
}

/// The idea: the sender is away while the recipient reads, and the server is killed as well; the next sync tells.
#[tokio::test]
async fn receipts_reach_a_sender_who_was_offline() -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let a = anna.device(&server).await?;
    let mut b = ben.device(&server).await?;
    let chat = b.with(&anna).await?;
    let id = a.client.send_text(chat, "read this when I am gone").await?;
    within("SENT", a.client.sent(chat, id)).await?;
    a.client.close().await;

    let seq = b.messages(chat, 1).await[0].seq;
    b.client.mark_read(chat, seq).await?;
    // Durable, as the recipient was told: only then may the server die.
    within("the cursor is durable", b.client.advanced(chat, seq)).await?;
    server.kill()?;
    server.launch().await?;

    let a = anna.device(&server).await?;
    until("READ in the sender's list", || async {
        let all = a.client.conversations().await.unwrap_or_default();
        all.iter().any(|c| c.id == chat && c.peer_cursors.read >= seq)
    })
    .await;
    Ok(())
}

/// The idea: own messages never count; reading on one device is reading on all; a fresh device agrees.
#[tokio::test]
async fn unread_counts_are_exact_on_every_device() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (mut a, mut phone, mut laptop) =
        (anna.device(&server).await?, ben.device(&server).await?, ben.device(&server).await?);
    let chat = a.with(&ben).await?;
    phone.with(&anna).await?;
    for text in ["1", "2", "3"] {
        a.client.send_text(chat, text).await?;
    }
    let third = a.messages(chat, 3).await[2].seq;
    laptop.messages(chat, 3).await;
    phone.messages(chat, 3).await;
    laptop.client.send_text(chat, "mine").await?;
    a.client.send_text(chat, "4").await?;
    for device in [&mut a, &mut phone, &mut laptop] {
        device.messages(chat, 5).await;
    }
    assert_eq!(unread(&a, chat).await?, 1, "one of the other's, none of one's own");
    assert_eq!((unread(&phone, chat).await?, unread(&laptop, chat).await?), (4, 4));

    phone.client.mark_read(chat, third).await?;
    for device in [&phone, &laptop] {
        until("one unread", || async { unread(device, chat).await.is_ok_and(|count| count == 1) }).await;
    }
    within("durable", phone.client.advanced(chat, third)).await?;
    let fresh = ben.device(&server).await?;
    assert_eq!(unread(&fresh, chat).await?, 1);
    Ok(())
}

/// The idea: a client that claims to have read the future is believed up to the head and no further.
#[tokio::test]
async fn a_cursor_beyond_the_head_is_told_to_nobody() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (mut a, b) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = a.with(&ben).await?;
    let access = ben.access(&server).await?;
    let mut raw = whimbrel_tests::raw::Raw::attach(server.clients(), &access.token, access.device).await?;
    a.client.send_text(chat, "only this").await?;
    let seq = a.messages(chat, 1).await[0].seq;
    let cursor = whimbrel_wire::proto::Cursor {
        conversation_id: bytes::Bytes::copy_from_slice(chat.as_bytes()),
        delivered: 1_000_000,
        read: 1_000_000,
    };
    let advance = whimbrel_wire::proto::Advance { cursors: vec![cursor] };
    raw.send(whimbrel_wire::frame::ClientPayload::Advance(advance)).await?;
    let cursors = receipt(&mut a, chat, ben.user, |c| c.read > Seq::ZERO && c.read >= seq).await;
    assert_eq!(cursors, Cursors { delivered: seq, read: seq });
    drop(b);
    Ok(())
}
