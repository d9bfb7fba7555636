//! Groups whose members are on different connectors. What the facts are stands in `whimbrel_tests::groups`; one node shows
//! the same.

use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::{groups, returns, streams};

use crate::TWO_OF_EACH;

#[tokio::test]
async fn live_and_synced_devices_show_one_picture() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    groups::live_and_synced_devices_show_one_picture(&a, &b).await
}

#[tokio::test]
async fn who_is_removed_gets_what_was_placed_before_and_nothing_after() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    groups::who_is_removed_gets_what_was_placed_before_and_nothing_after(&a, &b).await
}

#[tokio::test]
async fn an_edit_stands_before_the_recall_or_not_at_all() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    groups::edit_against_recall(&a, &b).await
}

#[tokio::test]
async fn unread_counts_are_exact() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    groups::unread_counts_are_exact(&a, &b).await
}

#[tokio::test]
async fn a_mute_runs_out() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    groups::a_mute_runs_out(&cluster.through("connector a")).await
}

#[tokio::test]
async fn a_large_group_takes_joins_during_fan_out_over_two_connectors() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    groups::a_large_group_with_joins_during_fan_out(&a, &b, 500).await
}

#[tokio::test]
async fn what_has_ended_grows_no_more() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    streams::what_has_ended_grows_no_more(&a, &b).await
}

#[tokio::test]
async fn who_comes_back_has_nothing_that_was_taken_back_meanwhile() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    returns::who_comes_back_has_nothing_that_was_taken_back_meanwhile(&a, &b).await
}

#[tokio::test]
async fn who_comes_back_scrolls_to_what_they_saw_before() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    returns::who_comes_back_scrolls_to_what_they_saw_before(&a, &b).await
}

#[tokio::test]
async fn who_comes_back_does_not_get_back_what_they_cleared() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    returns::who_comes_back_does_not_get_back_what_they_cleared(&a, &b).await
}

#[tokio::test]
async fn who_comes_back_reads_the_files_of_their_times() -> anyhow::Result<()> {
    let cluster = Cluster::start(&TWO_OF_EACH).await?;
    let (a, b) = (cluster.through("connector a"), cluster.through("connector b"));
    returns::who_comes_back_reads_the_files_of_their_times(&a, &b).await
}
