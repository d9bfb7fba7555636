//! Files in a cluster. What the facts are stands in `whimbrel_tests::files`; one node shows the same.

use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::files;

use crate::{ONE_OF_EACH, TWO_OF_EACH};

#[tokio::test]
async fn a_file_comes_out_as_it_was() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    files::a_file_comes_out_as_it_was(&a, &b).await
}

#[tokio::test]
async fn a_link_ends_with_what_one_may_see() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    files::a_link_ends_with_what_one_may_see(&a, &b).await
}

#[tokio::test]
async fn a_readable_picture_loses_its_place_at_the_server() -> anyhow::Result<()> {
    let cluster = Cluster::with(&ONE_OF_EACH, &["messages.bodies_readable=true"]).await?;
    files::a_readable_picture_loses_its_place_at_the_server(&cluster.through("connector a")).await
}
