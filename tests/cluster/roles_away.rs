//! The degraded-mode contract, row by row: roles.

use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::people::friends;
use whimbrel_tests::server::Doors;

use crate::{ONE_OF_EACH, TWO_OF_EACH, is_unanswered, places, shown_once, write};

/// One connector: everything else goes on at once; its clients come back elsewhere and have missed nothing.
#[tokio::test]
async fn a_killed_connector_takes_nothing_with_it() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let access = anna.access(&cluster).await?;
    let (device, token) = (access.device, access.token.clone());
    let store = cluster.scratch().join("anna.db");
    let on_a = anna.open(&a, access, Some(&store)).await?;
    let mut ben_device = ben.device(&b).await?;
    let chat = on_a.with(&ben).await?;
    let mut ids = write(&on_a, chat, 0..5).await;
    let mut seqs = places(&on_a, chat, &ids).await;

    cluster.role("connector a").kill();
    ids.extend(write(&ben_device, chat, 5..10).await);
    // Nobody waits for the dead one.
    seqs.extend(places(&ben_device, chat, &ids[5..]).await);
    on_a.client.close().await;
    let mut on_b = anna.open(&b, whimbrel_tests::people::Access { device, token }, Some(&store)).await?;
    let missed = on_b.messages(chat, 5).await;
    assert_eq!(missed.iter().map(|message| message.message_id).collect::<Vec<_>>(), ids[5..]);
    shown_once(&mut ben_device, chat, &ids, &seqs).await;
    Ok(())
}

/// One transfer, with sends under way in it (nothing is placed meanwhile): they go to the other one and get one place
/// each. Both transfers have their turn, so that whichever had the conversation dies; then both freeze, one after another.
#[tokio::test]
async fn sends_under_way_in_a_dead_or_frozen_transfer_get_one_place_each() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let (a, mut b) = (anna.device(&cluster).await?, ben.device(&cluster.through("connector b")).await?);
    let chat = a.with(&ben).await?;
    let (mut ids, mut seqs) = (Vec::new(), Vec::new());
    let turns = [("transfer 1", "KILL"), ("transfer 2", "KILL"), ("transfer 1", "STOP"), ("transfer 2", "STOP")];
    for (round, (transfer, how)) in turns.into_iter().enumerate() {
        for archiver in ["archiver 1", "archiver 2"] {
            cluster.role(archiver).signal("STOP")?;
        }
        let new = write(&a, chat, round * 20..round * 20 + 20).await;
        match how {
            "KILL" => cluster.role(transfer).kill(),
            _ => cluster.role(transfer).signal(how)?,
        }
        for archiver in ["archiver 1", "archiver 2"] {
            cluster.role(archiver).signal("CONT")?;
        }
        seqs.extend(places(&a, chat, &new).await);
        ids.extend(new);
        match how {
            "KILL" => cluster.launch(transfer).await?,
            _ => cluster.role(transfer).signal("CONT")?,
        }
    }
    shown_once(&mut b, chat, &ids, &seqs).await;
    Ok(())
}

/// One archiver of two, killed; then the other one, frozen: placing goes on, and the frozen one's return changes nothing.
#[tokio::test]
async fn an_archiver_that_dies_or_freezes_is_replaced() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let (a, mut b) = (anna.device(&cluster).await?, ben.device(&cluster.through("connector b")).await?);
    let chat = a.with(&ben).await?;
    let mut ids = write(&a, chat, 0..5).await;
    let mut seqs = places(&a, chat, &ids).await;
    for (round, (archiver, how)) in
        [("archiver 1", "KILL"), ("archiver 2", "KILL"), ("archiver 1", "STOP"), ("archiver 2", "STOP")]
            .iter()
            .enumerate()
    {
        let from = 5 + round * 5;
        let mut new = write(&a, chat, from..from + 2).await;
        match *how {
            "KILL" => cluster.role(archiver).kill(),
            _ => cluster.role(archiver).signal("STOP")?,
        }
        new.extend(write(&a, chat, from + 2..from + 5).await);
        seqs.extend(places(&a, chat, &new).await);
        ids.extend(new);
        match *how {
            "KILL" => cluster.launch(archiver).await?,
            _ => cluster.role(archiver).signal("CONT")?,
        }
    }
    shown_once(&mut b, chat, &ids, &seqs).await;
    Ok(())
}

/// All archivers: what was placed can be read and synced, nothing is answered SENT; when one is back, everything is
/// placed, in order.
#[tokio::test]
async fn without_archivers_history_is_there_and_sends_wait() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&ONE_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let (mut a, mut b) = (anna.device(&cluster).await?, ben.device(&cluster).await?);
    let chat = a.with(&ben).await?;
    let mut ids = write(&a, chat, 0..5).await;
    let mut seqs = places(&a, chat, &ids).await;
    shown_once(&mut b, chat, &ids, &seqs).await;

    cluster.role("archiver 1").kill();
    let new = write(&a, chat, 5..10).await;
    // A whole login and sync later nothing is answered: there was all the time in the world.
    let mut fresh = ben.device(&cluster).await?;
    shown_once(&mut fresh, chat, &ids, &seqs).await;
    for id in &new {
        assert!(is_unanswered(&mut a, *id).await);
    }
    cluster.launch("archiver 1").await?;
    seqs.extend(places(&a, chat, &new).await);
    ids.extend(new);
    shown_once(&mut b, chat, &ids, &seqs).await;
    shown_once(&mut fresh, chat, &ids, &seqs).await;
    Ok(())
}

/// An API that dies between a change's commit and its telling: the change is told all the same. Both transfers are frozen
/// so that nothing can be told; the API is killed; then they go on.
#[tokio::test]
async fn a_change_whose_api_died_is_told_all_the_same() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&TWO_OF_EACH).await?;
    cluster.launch("api 2").await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    // The friend is told by a message, and asks the other API for the rest.
    let mut b = ben.device(&cluster.by("connector b", "api 2")).await?;
    let access = anna.access(&cluster).await?;
    for transfer in ["transfer 1", "transfer 2"] {
        cluster.role(transfer).signal("STOP")?;
    }
    let url = format!("{}/v1/me", cluster.api());
    let change = reqwest::Client::new()
        .patch(url)
        .bearer_auth(&access.token)
        .json(&serde_json::json!({ "display_name": "Anna the changed" }))
        .timeout(std::time::Duration::from_secs(2));
    assert!(change.send().await.is_err(), "it was told while nobody could tell");
    cluster.role("api 1").kill();
    for transfer in ["transfer 1", "transfer 2"] {
        cluster.role(transfer).signal("CONT")?;
    }
    b.find("the change at the friend's", |event| {
        matches!(event, whimbrel_client::Event::RelationChanged(relation) if relation.peer.display_name == "Anna the changed").then_some(())
    })
    .await;
    Ok(())
}
