//! Erasing in a cluster, with two archivers at work. What the facts are stands in `whimbrel_tests::erasing`.

use sqlx::{ConnectOptions, Row, mysql::MySqlConnectOptions};
use tokio::sync::Mutex;
use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::erasing::{SLOWLY, Talk};
use whimbrel_tests::search::READABLE;
use whimbrel_tests::wait::until;

use crate::TWO_OF_EACH;

/// Bodies are readable: the server searches for whoever asks. One archiver is killed with -9 while they are at it.
#[tokio::test]
async fn what_one_said_is_gone_on_every_device() -> anyhow::Result<()> {
    let mut cluster = Cluster::with(&TWO_OF_EACH, &[&SLOWLY[..], &READABLE].concat()).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    let talk = Talk::of(&a, &b, cluster.scratch()).await?;
    talk.erase(&a).await?;
    talk.wait_begun().await;
    cluster.role("archiver 1").kill();
    talk.is_gone_everywhere(&b).await
}

/// The rows stand, and whoever placed them is killed before it heard that anybody was told: they are noted, and a transfer
/// tells them.
#[tokio::test]
async fn what_was_erased_by_an_archiver_that_died_is_told_all_the_same() -> anyhow::Result<()> {
    let mut cluster = Cluster::with(&TWO_OF_EACH, &SLOWLY[..1]).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    let talk = Talk::of(&a, &b, cluster.scratch()).await?;
    for transfer in ["transfer 1", "transfer 2"] {
        cluster.role(transfer).signal("STOP")?;
    }
    talk.erase(&a).await?;
    let options: MySqlConnectOptions = cluster.database_url().parse()?;
    let db = Mutex::new(options.connect().await?);
    let count = async |what| {
        let row = sqlx::query(what).fetch_one(&mut *db.lock().await).await.expect("the database answers");
        row.get::<i64, _>(0)
    };
    const STAND: &str = "SELECT COUNT(*) FROM message WHERE kind = 1006";
    const UNTOLD: &str =
        "SELECT COUNT(*) FROM untold u JOIN message m ON m.conv = u.conv AND m.seq = u.seq WHERE m.kind = 1006";
    until("both rows to stand", || async { count(STAND).await == 2 }).await;
    for archiver in ["archiver 1", "archiver 2"] {
        cluster.role(archiver).kill();
    }
    assert_eq!(count(UNTOLD).await, 2);
    for transfer in ["transfer 1", "transfer 2"] {
        cluster.role(transfer).signal("CONT")?;
    }
    until("a transfer to tell them", || async { count(UNTOLD).await == 0 }).await;
    talk.is_gone_everywhere(&b).await
}
