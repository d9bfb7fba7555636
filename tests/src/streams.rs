//! Facts of messages that grow, the same for a single node and for a cluster.

use whimbrel_client::{Content, MessageId, Outcome, Refusal};

use crate::groups::{group_of, outcome, picture, place, stored};
use crate::people::{Device, people};
use crate::server::Doors;

/// The idea: two streams, of which one is finished and one taken back. Everything that is said to them afterwards, by who
/// began them on another device or by somebody else, is refused by name; and a device that was there all the time and
/// one that syncs in the end show the same two.
///
/// # Errors
/// Of the server.
pub async fn what_has_ended_grows_no_more(here: &impl Doors, there: &impl Doors) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea"]).await?;
    let ada = all[0].device(here).await?;
    let chat = group_of(here, &ada, &all).await?;
    let (other, bea) = (all[0].device(there).await?, all[1].device(there).await?);
    let finished = place(&ada, chat, ada.client.open_stream(chat, "one").await?).await;
    let taken = place(&ada, chat, ada.client.open_stream(chat, "two").await?).await;
    for device in [&other, &bea] {
        stored(device, chat, taken).await;
    }
    for seq in [finished, taken] {
        place(&other, chat, other.client.append(chat, seq, ", more").await?).await;
    }
    let refused = async |device: &Device, id: MessageId| match outcome(device, chat, id).await {
        Outcome::Refused(why) => why,
        other => panic!("instead of a refusal: {other:?}"),
    };
    for id in [bea.client.append(chat, finished, "!").await?, bea.client.finish(chat, finished, "mine").await?] {
        assert_eq!(refused(&bea, id).await, Refusal::NotYours);
    }
    place(&ada, chat, ada.client.finish(chat, finished, "one, more.").await?).await;
    let last = place(&ada, chat, ada.client.recall(chat, taken).await?).await;
    for device in [&ada, &other] {
        for (seq, why) in [(finished, Refusal::Finished), (taken, Refusal::Recalled)] {
            for id in [device.client.append(chat, seq, "!").await?, device.client.finish(chat, seq, "else").await?] {
                assert_eq!(refused(device, id).await, why);
            }
        }
    }
    let fresh = all[1].device(here).await?;
    let mut pictures = Vec::new();
    for device in [&ada, &other, &bea, &fresh] {
        stored(device, chat, last).await;
        pictures.push(picture(device, chat).await);
    }
    let seen: Vec<_> = pictures[0].iter().skip(1).map(|item| (item.content.clone(), item.grows)).collect();
    assert_eq!(seen, [(Content::Text("one, more.".into()), false), (Content::Gone, false)]);
    assert!(pictures.iter().all(|picture| *picture == pictures[0]), "{pictures:?}");
    Ok(())
}
