//! History and retention in a cluster, with two archivers at work. What the facts are stands in `whimbrel_tests::history`.

use sqlx::{ConnectOptions, mysql::MySqlConnectOptions};
use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::history::{self, KEEP, Past};

use crate::TWO_OF_EACH;

#[tokio::test]
async fn who_scrolls_back_sees_what_who_was_there_sees() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    history::who_scrolls_back_sees_what_who_was_there_sees(&a, &b).await
}

/// Two archivers at once; one of them is killed with -9 while they are at it.
#[tokio::test]
async fn what_is_old_goes_and_a_device_that_was_away_jumps() -> anyhow::Result<()> {
    let mut cluster = Cluster::with(&TWO_OF_EACH, &KEEP).await?;
    let door = cluster.through("connector a");
    let past = Past::of(&door, cluster.scratch()).await?;
    let options: MySqlConnectOptions = cluster.database_url().parse()?;
    let mut db = options.connect().await?;
    let update = "UPDATE message SET at = at - 200 * 3600000 WHERE conv = ? AND seq <= ?";
    let update = sqlx::query(update).bind(&past.chat.as_bytes()[..]).bind(past.old.0).execute(&mut db).await?;
    assert_eq!(update.rows_affected(), past.old.0);
    past.wait_begun().await;
    cluster.role("archiver 1").kill();
    past.ends_with_what_is_kept(&door).await
}
