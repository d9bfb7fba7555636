//! Groups on one node. What the facts are stands in `whimbrel_tests::groups`; a cluster shows the same.

use whimbrel_tests::server::Server;
use whimbrel_tests::{groups, returns, streams};

#[tokio::test]
async fn live_and_synced_devices_show_one_picture() -> anyhow::Result<()> {
    let server = Server::start().await?;
    groups::live_and_synced_devices_show_one_picture(&server, &server).await
}

#[tokio::test]
async fn who_is_removed_gets_what_was_placed_before_and_nothing_after() -> anyhow::Result<()> {
    let server = Server::start().await?;
    groups::who_is_removed_gets_what_was_placed_before_and_nothing_after(&server, &server).await
}

#[tokio::test]
async fn an_edit_stands_before_the_recall_or_not_at_all() -> anyhow::Result<()> {
    let server = Server::start().await?;
    groups::edit_against_recall(&server, &server).await
}

#[tokio::test]
async fn a_mute_runs_out() -> anyhow::Result<()> {
    groups::a_mute_runs_out(&Server::start().await?).await
}

#[tokio::test]
async fn unread_counts_are_exact() -> anyhow::Result<()> {
    let server = Server::start().await?;
    groups::unread_counts_are_exact(&server, &server).await
}

#[tokio::test]
async fn a_group_of_ten_thousand_takes_joins_during_fan_out() -> anyhow::Result<()> {
    let server = Server::start().await?;
    // With the others who come, as many as a group may have unless it is given another limit.
    groups::a_large_group_with_joins_during_fan_out(&server, &server, 9_990).await
}

#[tokio::test]
async fn a_forwarded_message_outlives_its_source() -> anyhow::Result<()> {
    groups::a_forwarded_message_outlives_its_source(&Server::start().await?).await
}

#[tokio::test]
async fn what_has_ended_grows_no_more() -> anyhow::Result<()> {
    let server = Server::start().await?;
    streams::what_has_ended_grows_no_more(&server, &server).await
}

#[tokio::test]
async fn who_comes_back_has_nothing_that_was_taken_back_meanwhile() -> anyhow::Result<()> {
    let server = Server::start().await?;
    returns::who_comes_back_has_nothing_that_was_taken_back_meanwhile(&server, &server).await
}

#[tokio::test]
async fn who_comes_back_scrolls_to_what_they_saw_before() -> anyhow::Result<()> {
    let server = Server::start().await?;
    returns::who_comes_back_scrolls_to_what_they_saw_before(&server, &server).await
}

#[tokio::test]
async fn who_comes_back_does_not_get_back_what_they_cleared() -> anyhow::Result<()> {
    let server = Server::start().await?;
    returns::who_comes_back_does_not_get_back_what_they_cleared(&server, &server).await
}

#[tokio::test]
async fn who_comes_back_reads_the_files_of_their_times() -> anyhow::Result<()> {
    let server = Server::start().await?;
    returns::who_comes_back_reads_the_files_of_their_times(&server, &server).await
}
