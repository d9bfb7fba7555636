//! People on different connectors.

use whimbrel_client::Event;
use whimbrel_core::GoodbyeCode;
use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::people::friends;
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::Doors;
use whimbrel_tests::wait::within;
use whimbrel_wire::frame::ServerPayload;

use crate::{TWO_OF_EACH, places, shown_once, write};

/// Anna has a device on each connector, Ben on one: what is said on any of them is the same on all, and what Anna reads on
/// one is read on the other.
#[tokio::test]
async fn devices_on_different_connectors_stay_in_step() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let (mut here, mut there) = (anna.device(&a).await?, anna.device(&b).await?);
    let mut ben_device = ben.device(&b).await?;
    let chat = here.with(&ben).await?;

    let mut ids = write(&here, chat, 0..10).await;
    let mut seqs = places(&here, chat, &ids).await;
    ids.extend(write(&ben_device, chat, 10..20).await);
    seqs.extend(places(&ben_device, chat, &ids[10..]).await);
    for device in [&mut here, &mut there, &mut ben_device] {
        shown_once(device, chat, &ids, &seqs).await;
    }

    let last = seqs[19];
    here.client.mark_read(chat, last).await?;
    let is_read = |event: &Event, who| match event {
        Event::Receipt { conversation, user, cursors } => {
            (*conversation == chat && *user == who && cursors.read >= last).then_some(())
        }
        _ => None,
    };
    ben_device.find("Anna's READ at Ben's", |event| is_read(event, anna.user)).await;
    there.find("Anna's READ at her other device", |event| is_read(event, anna.user)).await;
    Ok(())
}

/// The same device logs in on another connector: the first session is told so, and its end there takes nothing away from
/// the second.
#[tokio::test]
async fn a_second_login_on_another_connector_replaces_the_first() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let writer = anna.device(&b).await?;
    let chat = writer.with(&ben).await?;
    let access = ben.access(&cluster).await?;
    let mut first = Raw::attach(a.clients(), &access.token, access.device).await?;
    let mut second = Raw::attach(b.clients(), &access.token, access.device).await?;
    assert_eq!(within("the first one's goodbye", first.goodbye()).await?, GoodbyeCode::REPLACED.0);
    drop(first);

    let id = writer.client.send_text(chat, "to the second").await?;
    let delivered = within(
        "the message at the second",
        second.find(|payload| match payload {
            ServerPayload::Deliver(deliver) => Some(deliver.messages[0].message_id.clone()),
            _ => None,
        }),
    );
    assert_eq!(delivered.await?[..], id.as_bytes()[..]);
    Ok(())
}

/// Logged out by REST: the session ends wherever it is, and its token opens nothing any more.
#[tokio::test]
async fn a_device_that_is_logged_out_is_cut_off_on_its_connector() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (anna, _) = friends(&cluster, "anna", "ben").await?;
    let access = anna.access(&cluster).await?;
    for connector in ["connector a", "connector b"] {
        let door = cluster.through(connector).clients();
        let mut raw = Raw::attach(door, &access.token, access.device).await?;
        if connector == "connector b" {
            let url = format!("{}/v1/logout", cluster.api());
            let answer = reqwest::Client::new().post(url).bearer_auth(&access.token).send().await?;
            assert!(answer.status().is_success(), "{}", answer.text().await?);
            assert_eq!(within("the goodbye", raw.goodbye()).await?, GoodbyeCode::LOGGED_OUT.0);
            let mut again = Raw::connect(door).await?;
            again.hello(&access.token, access.device).await?;
            assert_eq!(within("the second goodbye", again.goodbye()).await?, GoodbyeCode::LOGGED_OUT.0);
        }
    }
    Ok(())
}
