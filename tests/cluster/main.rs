//! Roles in processes of their own, on private engines: what a cluster does beyond what one node does.

mod devices;
mod engines_away;
mod erasing;
mod files;
mod groups;
mod history;
mod operators;
mod presence;
mod roles_away;
mod search;
mod shares;

use whimbrel_core::{ConversationId, MessageId, Seq};
use whimbrel_tests::people::Device;
use whimbrel_tests::wait::within;

/// Two of each role that can be doubled.
pub(crate) const TWO_OF_EACH: [&str; 7] =
    ["connector a", "connector b", "transfer 1", "transfer 2", "archiver 1", "archiver 2", "api 1"];
/// The least that works.
pub(crate) const ONE_OF_EACH: [&str; 4] = ["connector a", "transfer 1", "archiver 1", "api 1"];

/// Writes these texts without waiting.
pub(crate) async fn write(device: &Device, chat: ConversationId, texts: std::ops::Range<usize>) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for text in texts {
        ids.push(device.client.send_text(chat, &text.to_string()).await.expect("the outbox has room"));
    }
    ids
}

/// Waits until all are answered SENT; their places, in the order of the ids.
pub(crate) async fn places(device: &Device, chat: ConversationId, ids: &[MessageId]) -> Vec<Seq> {
    let mut places = Vec::new();
    for id in ids {
        match within("SENT", device.client.sent(chat, *id)).await.expect("it is known") {
            whimbrel_client::Outcome::Sent { seq, .. } => places.push(seq),
            other => panic!("instead of SENT: {other:?}"),
        }
    }
    places
}

/// Waits until the device was shown so many messages; they are these, each once, in order, at the places told.
pub(crate) async fn shown_once(device: &mut Device, chat: ConversationId, ids: &[MessageId], places: &[Seq]) {
    let shown = device.messages(chat, ids.len()).await;
    assert_eq!(shown.iter().map(|message| message.message_id).collect::<Vec<_>>(), ids);
    assert_eq!(shown.iter().map(|message| message.seq).collect::<Vec<_>>(), places);
    assert!(places.is_sorted(), "{places:?}");
}

/// Whether this message has no answer yet, asked without waiting for one.
pub(crate) async fn is_unanswered(device: &mut Device, id: MessageId) -> bool {
    device.look().await;
    !device
        .seen
        .iter()
        .any(|event| matches!(event, whimbrel_client::Event::Sent { message_id, .. } if *message_id == id))
}
