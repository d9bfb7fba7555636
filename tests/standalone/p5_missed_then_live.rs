//! P5: what was missed, then what is live; whatever the timing, nothing falls between.

use whimbrel_tests::people::friends;
use whimbrel_tests::server::Server;

/// The idea: one side never stops writing; devices of the other attach at arbitrary moments of that stream, fresh ones
/// and one that keeps coming back. Each must show every message once and in order, wherever its sync met the stream.
#[tokio::test]
async fn a_device_that_attaches_in_the_middle_of_a_stream_misses_nothing() -> anyhow::Result<()> {
    const MESSAGES: usize = 600;
    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let a = anna.device(&server).await?;
    let chat = a.with(&ben).await?;
    let store = server.scratch().join("ben.db");
    let access = ben.access(&server).await?;
    let device = access.device;

    let writer = tokio::spawn(async move {
        for n in 0..MESSAGES {
            a.client.send_text(chat, &n.to_string()).await?;
            if n % 20 == 0 {
                tokio::task::yield_now().await;
            }
        }
        anyhow::Ok(a)
    });
    let mut fresh = Vec::new();
    let mut again = Vec::new();
    for _ in 0..8 {
        fresh.push(ben.device(&server).await?);
        let access = ben.access_for(&server, device).await?;
        let mut visit = ben.open(&server, access, Some(&store)).await?;
        visit.look().await;
        visit.client.close().await;
        visit.look().await;
        again.extend(visit.shown(chat));
    }
    let _a = writer.await??;
    for device in &mut fresh {
        let list = device.messages(chat, MESSAGES).await;
        let texts: Vec<_> = list.iter().filter_map(|m| m.text().map(str::to_owned)).collect();
        assert_eq!(texts, (0..MESSAGES).map(|n| n.to_string()).collect::<Vec<_>>());
    }
    let access = ben.access_for(&server, device).await?;
    let mut last = ben.open(&server, access, Some(&store)).await?;
    again.extend(last.messages(chat, MESSAGES - again.len()).await);
    let texts: Vec<_> = again.iter().filter_map(|m| m.text().map(str::to_owned)).collect();
    assert_eq!(texts, (0..MESSAGES).map(|n| n.to_string()).collect::<Vec<_>>(), "over all its visits");
    Ok(())
}
