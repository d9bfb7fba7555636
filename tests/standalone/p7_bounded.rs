//! P7: a slow or hostile client costs what the limits say, and nobody else notices.

use anyhow::Context;
use whimbrel_core::GoodbyeCode;
use whimbrel_tests::people::friends;
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::{Options, Server};
use whimbrel_wire::frame::ServerPayload;

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

/// The idea: a friend attaches a device that does not read, and 24 MB are said past it: more than its mailbox (1 MiB)
/// and the kernel's socket buffers hold. The chat's other device gets all of it meanwhile. When the stuck device reads at
/// last, it finds a part, and then a poke (or a goodbye) instead of the rest: nothing was piled up for it.
#[tokio::test]
async fn a_client_that_does_not_read_is_bounded_and_disturbs_nobody() -> anyhow::Result<()> {
    const MESSAGES: usize = 800;
    // Whoever is silent, or acknowledges nothing, is shut out after half a minute: on a busy machine that is before all is
    // said, and another bound than the one that is looked at here.
    let set = ["bytes_per_second=0B", "silence=30m", "ack_timeout=1m", "ack_timeouts=20"];
    let set = set.map(|setting| format!("clients.{setting}")).to_vec();
    let server = Server::with(Options { set, ..Options::default() }).await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (a, mut b) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = a.with(&ben).await?;
    let access = ben.access(&server).await?;
    let mut stuck = Raw::attach(server.clients(), &access.token, access.device).await?;

    let body = "x".repeat(30_000);
    for said in 1..=MESSAGES {
        a.client.send_text(chat, &body).await?;
        if said % 50 == 0 {
            b.messages(chat, said).await;
        }
    }
    let mut delivered = 0;
    let end = loop {
        match stuck.next().await?.context("the server closed without a word")? {
            // Each is acknowledged: otherwise the window may be full before the poke's turn comes.
            ServerPayload::Deliver(deliver) => {
                delivered += deliver.messages.len();
                stuck.acknowledge().await?;
            }
            ServerPayload::Poke(_) => break "a poke",
            ServerPayload::Goodbye(goodbye) if goodbye.code == GoodbyeCode::TOO_SLOW.0 => break "a goodbye",
            _ => {}
        }
    };
    assert!(delivered < MESSAGES, "{end} after {delivered} messages");
    Ok(())
}
