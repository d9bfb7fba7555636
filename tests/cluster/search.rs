//! Searching in a cluster, with two of each role. What the facts are stands in `whimbrel_tests::search`.

use sqlx::{ConnectOptions, Executor, mysql::MySqlConnectOptions};
use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::search::{self, Before, READABLE};

use crate::TWO_OF_EACH;

#[tokio::test]
async fn what_is_sent_is_found_at_once() -> anyhow::Result<()> {
    let cluster = Cluster::with(&TWO_OF_EACH, &READABLE).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    search::what_is_sent_is_found_at_once(&a, &b).await
}

/// A database from before there was searching: one archiver is killed with -9 while both take its texts up.
#[tokio::test]
async fn what_was_said_before_is_found_in_the_end() -> anyhow::Result<()> {
    let mut cluster = Cluster::with(&TWO_OF_EACH, &[READABLE[0], "retention.pause=300ms"]).await?;
    let door = cluster.through("connector a");
    let before = Before::of(&door).await?;
    let options: MySqlConnectOptions = cluster.database_url().parse()?;
    let mut db = options.connect().await?;
    for archiver in ["archiver 1", "archiver 2"] {
        cluster.role(archiver).kill();
    }
    db.execute("DELETE FROM message_text").await?;
    db.execute("DELETE FROM text_walk").await?;
    for archiver in ["archiver 1", "archiver 2"] {
        cluster.launch(archiver).await?;
    }
    before.wait_begun(&door).await?;
    cluster.role("archiver 1").kill();
    before.ends_with_all(&door).await
}
