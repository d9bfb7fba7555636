//! Facts of those who leave a group and come back, the same for a single node and for a cluster.

use whimbrel_client::{Content, GroupAction, Seq};

use crate::groups::{group_of, place, stored};
use crate::people::{Device, people};
use crate::server::Doors;

/// The idea: somebody is sent away, and what was said before is taken back meanwhile. Their device keeps what it was told;
/// once they are back it has nothing of the time before, and so nothing that was taken back: as a device that syncs from zero.
///
/// # Errors
/// Of the server.
pub async fn who_comes_back_has_nothing_that_was_taken_back_meanwhile(
    here: &impl Doors,
    there: &impl Doors,
) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea"]).await?;
    let (ada, bea) = (all[0].device(here).await?, all[1].device(there).await?);
    let chat = group_of(here, &ada, &all).await?;
    let said = place(&ada, chat, ada.client.send_text(chat, "secret").await?).await;
    let gone = ada.client.act_in_group(chat, &GroupAction::Remove(all[1].user)).await?.revision;
    stored(&bea, chat, gone).await;
    place(&ada, chat, ada.client.recall(chat, said).await?).await;
    let texts = async |device: &Device| {
        let rows = device.client.messages(chat, Seq::ZERO, 100).await.expect("the store answers");
        let text = |content| if let Content::Text(text) = content { Some(text) } else { None };
        (rows.first().map(|row| row.seq), rows.into_iter().filter_map(|row| text(row.content)).collect::<Vec<_>>())
    };
    assert_eq!(texts(&bea).await.1, ["secret"], "who is away hears nothing");

    ada.client.act_in_group(chat, &GroupAction::Invite(vec![all[1].user])).await?;
    let back = bea.client.act_in_group(chat, &GroupAction::Join { message: String::new() }).await?.revision;
    let last = place(&ada, chat, ada.client.send_text(chat, "hello again").await?).await;
    let fresh = all[1].device(here).await?;
    for device in [&bea, &fresh] {
        stored(device, chat, last).await;
        assert_eq!(texts(device).await, (Some(back), vec!["hello again".to_owned()]));
    }
    Ok(())
}
