//! P7: a slow or hostile client costs what the limits say, and nobody else notices.

use whimbrel_core::GoodbyeCode;
use whimbrel_tests::people::friends;
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::{Options, Server};

/// The idea: every kind of bad input gets its named goodbye, while a chat beside it goes on.
#[tokio::test]
async fn bad_input_gets_a_named_goodbye_and_disturbs_nobody() -> anyhow::Result<()> {
    let set = vec!["clients.hello_timeout=300ms".to_owned(), "clients.frame_timeout=300ms".to_owned()];
    let server = Server::with(Options { set, ..Options::default() }).await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (a, mut b) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = a.with(&ben).await?;
    let access = anna.access(&server).await?;

    let before_hello: [(&str, &[u8], GoodbyeCode); 5] = [
        ("an oversized length", &[0xff; 4], GoodbyeCode::FRAME_TOO_LARGE),
        ("an empty frame", &[0; 4], GoodbyeCode::BAD_FRAME),
        ("garbage", b"\0\0\0\x04\xff\xff\xff\xff", GoodbyeCode::BAD_FRAME),
        ("a frame before Hello", &[0, 0, 0, 4, 8, 1, 0x7a, 0], GoodbyeCode::UNEXPECTED_FRAME),
        ("silence", b"", GoodbyeCode::HELLO_TIMEOUT),
    ];
    for (n, (what, bytes, code)) in before_hello.into_iter().enumerate() {
        let mut raw = Raw::connect(server.clients()).await?;
        raw.bytes(bytes).await?;
        assert_eq!(raw.goodbye().await?, code.0, "{what}");
        a.client.send_text(chat, what).await?;
        assert_eq!(b.messages(chat, n + 1).await[n].text(), Some(what));
    }
    let after_hello: [(&str, &[u8], GoodbyeCode); 4] = [
        ("an unknown frame", &[0, 0, 0, 6, 8, 1, 0xfa, 0x7f, 1, 0], GoodbyeCode::UNKNOWN_FRAME),
        ("a number ahead of its turn", &[0, 0, 0, 4, 8, 9, 0x72, 0], GoodbyeCode::OUT_OF_TURN),
        ("an acknowledgement of what was never sent", &[0, 0, 0, 3, 0x10, 0xff, 1], GoodbyeCode::WINDOW_VIOLATED),
        ("half a frame, then silence", &[0, 0, 0, 9, 8], GoodbyeCode::FRAME_TIMEOUT),
    ];
    for (what, bytes, code) in after_hello {
        let mut raw = Raw::attach(server.clients(), &access.token, access.device).await?;
        raw.bytes(bytes).await?;
        assert_eq!(raw.goodbye().await?, code.0, "{what}");
    }
    Ok(())
}

/// The idea: a friend attaches a device that never reads, and 12 MB are said past it. The chat's other device gets all
/// of it, and the server's memory grows by no more than the mailbox may hold (1 MiB) and what an allocator needs. A
/// first round of the same length without the stuck device fills caches and pools.
#[tokio::test]
async fn a_client_that_never_reads_is_bounded_and_disturbs_nobody() -> anyhow::Result<()> {
    const ROUND: usize = 400;
    let server =
        Server::with(Options { set: vec!["clients.bytes_per_second=0B".to_owned()], ..Options::default() }).await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (a, mut b) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = a.with(&ben).await?;
    let body = "x".repeat(30_000);
    let mut said = 0;
    let mut round = async || -> anyhow::Result<usize> {
        for _ in 0..ROUND {
            said += 1;
            a.client.send_text(chat, &body).await?;
            if said % 50 == 0 {
                b.messages(chat, said).await;
            }
        }
        resident(server.pid()?)
    };
    let before = round().await?;
    let access = ben.access(&server).await?;
    let stuck = Raw::attach(server.clients(), &access.token, access.device).await?;
    let grown = round().await?.saturating_sub(before);
    assert!(grown < 6 * 1024 * 1024, "the server grew by {grown} bytes");
    drop(stuck);
    Ok(())
}

fn resident(pid: u32) -> anyhow::Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}
