//! Roles that come and go.

use whimbrel_core::GoodbyeCode;
use whimbrel_rpc::grpc::{Announcer, Limits, PROTOCOL, Role, Security, TransferAt};
use whimbrel_tests::cluster::{Cluster, SECRET};
use whimbrel_tests::people::friends;
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::Doors;
use whimbrel_tests::wait::{until, within};

use crate::{ONE_OF_EACH, TWO_OF_EACH, places, shown_once, write};

/// One more of each role is started and the first of each is told to stop, one after another, while people write: whoever
/// came last does the work, and nobody noticed.
#[tokio::test]
async fn every_role_can_be_replaced_while_people_write() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&ONE_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    cluster.launch("connector b").await?;
    let (a, mut b) =
        (anna.device(&cluster.through("connector b")).await?, ben.device(&cluster.through("connector b")).await?);
    let chat = a.with(&ben).await?;
    let (mut ids, mut seqs) = (Vec::new(), Vec::new());
    for (round, (old, new)) in
        [("transfer 1", "transfer 2"), ("archiver 1", "archiver 2"), ("connector a", "connector c"), ("api 1", "api 2")]
            .into_iter()
            .enumerate()
    {
        cluster.launch(new).await?;
        let written = write(&a, chat, round * 20..round * 20 + 20).await;
        cluster.role(old).stop().await?;
        let after = write(&a, chat, round * 20 + 1000..round * 20 + 1005).await;
        ids.extend(written.into_iter().chain(after));
        seqs.extend(places(&a, chat, &ids[seqs.len()..]).await);
    }
    shown_once(&mut b, chat, &ids, &seqs).await;
    let mut fresh = ben.device(&cluster.through("connector c")).await?;
    shown_once(&mut fresh, chat, &ids, &seqs).await;
    Ok(())
}

/// A connector that is told to stop tells its clients to move, and they find the other one.
#[tokio::test]
async fn a_stopping_connector_sends_its_clients_away() -> anyhow::Result<()> {
    let mut cluster = Cluster::with(&TWO_OF_EACH, &["clients.drain_spread=100ms"]).await?;
    let (anna, _) = friends(&cluster, "anna", "ben").await?;
    let access = anna.access(&cluster).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    let mut raw = Raw::attach(a.clients(), &access.token, access.device).await?;
    cluster.role("connector a").signal("TERM")?;
    assert_eq!(within("the goodbye", raw.goodbye()).await?, GoodbyeCode::MOVING.0);
    Raw::attach(b.clients(), &access.token, access.device).await?;
    cluster.role("connector a").ended().await?;
    Ok(())
}

/// A role of a neighbouring version is let in, one of a later version is not, and the transfer says why.
#[tokio::test]
async fn only_neighbouring_versions_run_together() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&["connector a", "transfer 1"]).await?;
    let log = cluster.log("transfer 1");
    let id = log.split(", id ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("it says its id");
    let transfer = TransferAt { id: id.parse()?, address: cluster.role("transfer 1").door().to_string() };
    let of = |protocol| {
        let limits = Limits { protocol, ..Limits::default() };
        let announcer = Announcer::with(Security { secret: SECRET.into(), tls: None }, Role::Api, limits);
        announcer.set(vec![transfer.clone()]);
        announcer
    };
    let (near, far) = (of(PROTOCOL + 1), of(PROTOCOL + 2));
    until("the neighbour is let in", async || near.reachable() == 1).await;
    until("the log says why", async || cluster.log("transfer 1").contains("only neighbouring versions run together"))
        .await;
    assert_eq!(far.reachable(), 0);
    Ok(())
}

/// A role with another secret is let in by nobody, and says why it is not ready.
#[tokio::test]
async fn a_role_with_another_secret_is_refused() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&ONE_OF_EACH).await?;
    cluster.settings.push("cluster.secret=another-secret-of-enough-characters".to_owned());
    cluster.begin("connector b")?;
    until("the log says why", || {
        let log = cluster.log("connector b");
        async move { log.contains("secret") }
    })
    .await;
    let ready = reqwest::get(format!("{}/readyz", cluster.role("connector b").health())).await?;
    assert_eq!(ready.status().as_u16(), 503);
    Ok(())
}
