//! P2: one order without holes, the same on every device; each message once; retries are recognised.

use bytes::Bytes;
use whimbrel_core::{ConversationId, MessageId};
use whimbrel_tests::people::{TEXT, friends};
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::Server;
use whimbrel_wire::frame::{ClientPayload, ServerPayload};
use whimbrel_wire::proto::{Answer, Draft, Outcome, Send};

/// The idea: both sides write at the same time from two devices each; all four devices must show one list, which has
/// every place once, and each sender's messages in their sending order.
#[tokio::test]
async fn all_devices_of_both_sides_show_the_same_gapless_order() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let mut devices = Vec::new();
    for person in [&anna, &anna, &ben, &ben] {
        devices.push(person.device(&server).await?);
    }
    let chat = devices[0].with(&ben).await?;
    devices[2].with(&anna).await?;
    let each = 100;
    for n in 0..each {
        for (d, device) in devices.iter().enumerate() {
            device.client.send_text(chat, &format!("{d} {n}")).await?;
        }
    }
    let mut lists = Vec::new();
    for device in &mut devices {
        lists.push(device.messages(chat, 4 * each).await);
    }
    for list in &lists {
        assert!(list.windows(2).all(|pair| pair[1].seq == pair[0].seq.next()), "a hole or a repeat");
        assert_eq!(*list, lists[0], "another order on another device");
        for d in 0..4 {
            let own: Vec<_> =
                list.iter().filter_map(|m| m.text()).filter(|t| t.starts_with(&format!("{d} "))).collect();
            assert_eq!(own, (0..each).map(|n| format!("{d} {n}")).collect::<Vec<_>>(), "sending order of device {d}");
        }
    }
    Ok(())
}

fn draft(id: MessageId, body: &str) -> Draft {
    Draft {
        message_id: Bytes::copy_from_slice(id.as_bytes()),
        kind: TEXT.0,
        key_version: 1,
        body: Bytes::from(body.to_owned()),
    }
}

async fn answers(raw: &mut Raw, chat: ConversationId, drafts: Vec<Draft>) -> anyhow::Result<Vec<Answer>> {
    let count = drafts.len();
    raw.send(ClientPayload::Send(Send { conversation_id: Bytes::copy_from_slice(chat.as_bytes()), drafts })).await?;
    let mut answers = Vec::new();
    while answers.len() < count {
        answers.extend(
            raw.find(|payload| match payload {
                ServerPayload::Answers(found) => Some(found.answers),
                _ => None,
            })
            .await?,
        );
    }
    Ok(answers)
}

/// The idea: the same bytes again, in the same session, in a new one, and doubled within one frame: one place.
#[tokio::test]
async fn a_retry_is_answered_with_the_first_ones_seq() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let chat = anna.device(&server).await?.with(&ben).await?;
    let access = anna.access(&server).await?;
    let mut raw = Raw::attach(server.clients(), &access.token, access.device).await?;

    let id = MessageId::generate();
    let first = answers(&mut raw, chat, vec![draft(id, "once")]).await?;
    assert_eq!(first[0].outcome, Outcome::Sent as i32);
    let again = answers(&mut raw, chat, vec![draft(id, "once")]).await?;
    assert_eq!(again, first, "in the same session");
    let mut raw = Raw::attach(server.clients(), &access.token, access.device).await?;
    let again = answers(&mut raw, chat, vec![draft(id, "once"), draft(MessageId::generate(), "next")]).await?;
    assert_eq!(again[0], first[0], "in a new session");
    assert_eq!(again[1].seq, first[0].seq + 1, "the retry took no place");
    Ok(())
}

/// The idea: another body under a used id is a fault of the client, and is told so; the first message stays.
#[tokio::test]
async fn the_same_id_with_another_body_is_a_conflict() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let chat = anna.device(&server).await?.with(&ben).await?;
    let access = anna.access(&server).await?;
    let mut raw = Raw::attach(server.clients(), &access.token, access.device).await?;

    let id = MessageId::generate();
    let first = answers(&mut raw, chat, vec![draft(id, "one")]).await?;
    let other = answers(&mut raw, chat, vec![draft(id, "two")]).await?;
    assert_eq!(other[0].outcome, Outcome::Conflict as i32);
    let again = answers(&mut raw, chat, vec![draft(id, "one")]).await?;
    assert_eq!(again, first);
    Ok(())
}

/// The idea: a stranger, an ended friendship and a block are refused by name, and nothing is placed.
#[tokio::test]
async fn only_friends_who_do_not_block_each_other_may_speak() -> anyhow::Result<()> {
    use whimbrel_client::Outcome as Sdk;
    use whimbrel_core::Refusal;
    use whimbrel_tests::wait::within;

    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (a, b) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = a.with(&ben).await?;
    let say = async |text: &str| -> anyhow::Result<Sdk> {
        let id = a.client.send_text(chat, text).await?;
        Ok(within("an answer", a.client.sent(chat, id)).await?)
    };
    assert!(matches!(say("hello").await?, Sdk::Sent { .. }));
    b.client.rest().block(anna.user).await?;
    assert_eq!(say("are you there?").await?, Sdk::Refused(Refusal::Blocked));
    b.client.rest().unblock(anna.user).await?;
    assert!(matches!(say("again").await?, Sdk::Sent { .. }));
    b.client.rest().remove_friend(anna.user).await?;
    assert_eq!(say("why?").await?, Sdk::Refused(Refusal::NotFriends));

    let stranger = whimbrel_tests::people::people(&server, &["carl"]).await?.remove(0);
    let access = stranger.access(&server).await?;
    let mut raw = Raw::attach(server.clients(), &access.token, access.device).await?;
    let refused = answers(&mut raw, chat, vec![draft(MessageId::generate(), "hi")]).await?;
    assert_eq!((refused[0].outcome, refused[0].refusal), (Outcome::Refused as i32, Refusal::NotMember.number()));
    Ok(())
}
