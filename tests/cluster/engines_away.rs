//! The degraded-mode contract, row by row: engines.

use whimbrel_client::{Event, GroupAction, Outcome, Refusal};
use whimbrel_core::{ConversationId, Seq, UserId};
use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::groups::{group_of, outcome, place, stored};
use whimbrel_tests::people::{Device, friends, people};
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::Doors;
use whimbrel_tests::wait::{until, within};

use crate::{ONE_OF_EACH, TWO_OF_EACH, is_unanswered, places, shown_once, write};

async fn is_read(device: &mut Device, chat: ConversationId, who: UserId, upto: Seq) {
    let reads = |event: &Event| match event {
        Event::Receipt { conversation, user, cursors } => {
            (*conversation == chat && *user == who && cursors.read >= upto).then_some(())
        }
        _ => None,
    };
    device.find("a live READ", reads).await;
}

/// Redis dead, then back and empty, then emptied, then back at an older snapshot: messages go to every connector, live, all
/// the time, and who logs in meanwhile is served as well.
#[tokio::test]
async fn without_redis_messages_are_live_everywhere() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let (a, mut b) =
        (anna.device(&cluster.through("connector a")).await?, ben.device(&cluster.through("connector b")).await?);
    let chat = a.with(&ben).await?;
    let snapshot = cluster.redis.save().await?;
    let (mut ids, mut seqs) = (Vec::new(), Vec::new());
    for step in 0..4 {
        match step {
            0 => cluster.redis.kill(),
            1 => cluster.redis.restart().await?,
            2 => cluster.redis.flush_all().await?,
            _ => cluster.redis.restore_snapshot(&snapshot).await?,
        }
        let new = write(&a, chat, step * 5..step * 5 + 5).await;
        seqs.extend(places(&a, chat, &new).await);
        ids.extend(new);
        shown_once(&mut b, chat, &ids, &seqs).await;
        // Somebody who comes now gets what was and what follows.
        let mut late = ben.device(&cluster.through("connector a")).await?;
        shown_once(&mut late, chat, &ids, &seqs).await;
        ids.extend(write(&a, chat, 100 + step..101 + step).await);
        seqs.extend(places(&a, chat, &ids[ids.len() - 1..]).await);
        shown_once(&mut late, chat, &ids, &seqs).await;
        late.client.close().await;
    }
    shown_once(&mut b, chat, &ids, &seqs).await;
    Ok(())
}

/// RabbitMQ dead: what is placed is read and synced, receipts are live, REST answers; nothing is answered SENT. Back:
/// everything waiting is placed once, in order, and read cursors are durable.
#[tokio::test]
async fn without_rabbitmq_sends_wait_and_everything_else_goes_on() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&ONE_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let (mut a, mut b) = (anna.device(&cluster).await?, ben.device(&cluster).await?);
    let chat = a.with(&ben).await?;
    let mut ids = write(&a, chat, 0..5).await;
    let mut seqs = places(&a, chat, &ids).await;
    shown_once(&mut b, chat, &ids, &seqs).await;

    cluster.rabbit.kill();
    let new = write(&a, chat, 5..10).await;
    b.client.mark_read(chat, seqs[4]).await?;
    is_read(&mut a, chat, ben.user, seqs[4]).await;
    let mut fresh = ben.device(&cluster).await?;
    shown_once(&mut fresh, chat, &ids, &seqs).await;
    let access = anna.access(&cluster).await?;
    let me = reqwest::Client::new().get(format!("{}/v1/me", cluster.api())).bearer_auth(&access.token).send().await?;
    assert!(me.status().is_success(), "{}", me.status());
    let new_friends = friends(&cluster, "carol", "dora").await?;
    assert!(new_friends.0.device(&cluster).await?.with(&new_friends.1).await.is_ok());
    for id in &new {
        assert!(is_unanswered(&mut a, *id).await);
    }

    cluster.rabbit.restart().await?;
    seqs.extend(places(&a, chat, &new).await);
    ids.extend(new);
    shown_once(&mut b, chat, &ids, &seqs).await;
    shown_once(&mut fresh, chat, &ids, &seqs).await;
    within("the cursor is kept", b.client.advanced(chat, seqs[4])).await?;
    // Whoever comes now is told by the database alone.
    until("a new device knows what was read", async || {
        let newest = ben.device(&cluster).await.expect("it logs in");
        let known = newest.client.conversations().await.expect("a store");
        known.iter().any(|one| one.id == chat && one.own.read == seqs[4])
    })
    .await;
    Ok(())
}

/// RabbitMQ dead: groups are made and change all the same, since a change is the API's own transaction, and everybody hears
/// of it live. What is said in them waits, and is judged by what the group is when it gets its place.
#[tokio::test]
async fn without_rabbitmq_groups_change_and_what_is_said_in_them_waits() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&ONE_OF_EACH).await?;
    let all = people(&cluster, &["ada", "bea", "cid"]).await?;
    let (mut ada, bea) = (all[0].device(&cluster).await?, all[1].device(&cluster).await?);
    let cid = all[2].device(&cluster).await?;
    cluster.rabbit.kill();
    let chat = group_of(&cluster, &ada, &all).await?;
    for device in [&ada, &bea, &cid] {
        stored(device, chat, Seq(1)).await;
    }
    let (by_ada, by_cid) = (ada.client.send_text(chat, "one").await?, cid.client.send_text(chat, "two").await?);
    let removed = ada.client.act_in_group(chat, &GroupAction::Remove(all[2].user)).await?.revision;
    for device in [&ada, &bea, &cid] {
        stored(device, chat, removed).await;
    }
    assert_eq!(removed, Seq(2), "nothing that was said has a place");
    assert!(is_unanswered(&mut ada, by_ada).await);

    cluster.rabbit.restart().await?;
    assert_eq!(place(&ada, chat, by_ada).await, Seq(3));
    assert_eq!(outcome(&cid, chat, by_cid).await, Outcome::Refused(Refusal::NotMember));
    stored(&bea, chat, Seq(3)).await;
    Ok(())
}

/// The database dead: open sessions stay, receipts are live, nothing is answered SENT and nobody logs in; what was logged
/// is placed when it is back, in order.
#[tokio::test]
async fn without_the_database_sessions_stay_and_nothing_is_answered_sent() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&ONE_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let (mut a, mut b) = (anna.device(&cluster).await?, ben.device(&cluster).await?);
    let access = ben.access(&cluster).await?;
    let chat = a.with(&ben).await?;
    let mut ids = write(&a, chat, 0..5).await;
    let mut seqs = places(&a, chat, &ids).await;
    shown_once(&mut b, chat, &ids, &seqs).await;

    cluster.sql.kill();
    let new = write(&a, chat, 5..10).await;
    b.client.mark_read(chat, seqs[4]).await?;
    is_read(&mut a, chat, ben.user, seqs[4]).await;
    let mut raw = Raw::connect(cluster.clients()).await?;
    raw.hello(&access.token, access.device).await?;
    let code = within("the refusal of a login", raw.goodbye()).await?;
    assert_eq!(code, whimbrel_core::GoodbyeCode::UNAVAILABLE.0);
    for id in &new {
        assert!(is_unanswered(&mut a, *id).await);
    }

    cluster.sql.restart().await?;
    seqs.extend(places(&a, chat, &new).await);
    ids.extend(new);
    shown_once(&mut b, chat, &ids, &seqs).await;
    Ok(())
}
