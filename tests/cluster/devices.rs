//! People on different connectors.

use std::time::{SystemTime, UNIX_EPOCH};

use whimbrel_client::Event;
use whimbrel_core::{ConversationId, GoodbyeCode};
use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::people::{Device, friends};
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::Doors;
use whimbrel_tests::wait::{until, within};
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

    is_delivered(&writer, chat, &mut second).await
}

/// What is written comes to this session.
async fn is_delivered(writer: &Device, chat: ConversationId, at: &mut Raw) -> anyhow::Result<()> {
    let id = writer.client.send_text(chat, "to the second").await?;
    let is_it = |payload| match payload {
        ServerPayload::Deliver(deliver) => {
            deliver.messages.iter().any(|message| message.message_id[..] == id.as_bytes()[..]).then_some(())
        }
        ServerPayload::Goodbye(goodbye) => panic!("the second was sent away: {goodbye:?}"),
        _ => None,
    };
    within("the message at the second", at.find(is_it)).await
}

/// Ben's first connector is frozen with his session, he comes again through another one, and hangs up the first. Thawed,
/// the first one says goodbye for a session that is not the one; then it is killed, and its lease runs out. Each time
/// the second session is found, and it is found by its route: messages go to every connector only until routes are sure.
#[tokio::test]
async fn a_late_goodbye_takes_nothing_from_a_newer_session() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&TWO_OF_EACH).await?;
    cluster.launch("connector c").await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let writer = anna.device(&cluster.through("connector c")).await?;
    let chat = writer.with(&ben).await?;
    until("routes are sure", async || {
        let written = write(&writer, chat, 0..1).await;
        places(&writer, chat, &written).await;
        ["transfer 1", "transfer 2"].iter().any(|one| cluster.log(one).contains("says again who is where"))
    })
    .await;
    let access = ben.access(&cluster).await?;
    let first = Raw::attach(a.clients(), &access.token, access.device).await?;
    cluster.role("connector a").signal("STOP")?;
    let mut second = Raw::attach(b.clients(), &access.token, access.device).await?;
    is_delivered(&writer, chat, &mut second).await?;
    drop(first);
    cluster.role("connector a").signal("CONT")?;
    let metrics = format!("{}/metrics", cluster.role("connector a").health());
    until("nobody is at the first connector", async || {
        let answer = reqwest::get(&metrics).await.expect("answers").text().await.expect("text");
        answer.lines().any(|line| line == "whimbrel_connector_sessions 0")
    })
    .await;
    is_delivered(&writer, chat, &mut second).await?;
    cluster.role("connector a").kill();
    is_delivered(&writer, chat, &mut second).await?;
    until("two leases are left", async || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis().to_string();
        let count = cluster.redis.command(&["ZCOUNT", "{whimbrel:0}:leases", &now, "+inf"]).await;
        count.expect("answers") == "2"
    })
    .await;
    is_delivered(&writer, chat, &mut second).await
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
