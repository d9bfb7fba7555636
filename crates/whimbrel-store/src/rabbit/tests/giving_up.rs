//! A subscription that is given up before the broker's answer to it has come.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::partition::Subscription;
use super::super::topology;
use super::*;

/// Class and method of `basic.consume`, as a frame has them.
const CONSUME: [u8; 4] = [0, 60, 0, 20];

/// Passes bytes on. Once somebody has subscribed, it holds what the broker answers until it is let go.
struct Held {
    port: u16,
    release: watch::Sender<bool>,
}

impl Held {
    async fn before(broker: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let ((hold, held), (release, mut released)) = (watch::channel(false), watch::channel(false));
        tokio::spawn(async move {
            let (near, _) = listener.accept().await.expect("a client");
            let far = TcpStream::connect(broker).await.expect("the broker");
            let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
            let asking = async move {
                let mut bytes = vec![0; 16 * 1024];
                while let Ok(length @ 1..) = near_in.read(&mut bytes).await {
                    if bytes[..length].windows(CONSUME.len()).any(|window| window == CONSUME) {
                        hold.send_replace(true);
                    }
                    if far_out.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            };
            let answering = async move {
                let mut bytes = vec![0; 16 * 1024];
                while let Ok(length @ 1..) = far_in.read(&mut bytes).await {
                    if *held.borrow() {
                        drop(released.wait_for(|released| *released).await);
                    }
                    if near_out.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            };
            tokio::join!(asking, answering);
        });
        Self { port, release }
    }
}

/// An archiver that loses its database drops its consumer at whatever it is about, also while it takes a partition up
/// again. If the broker's answer comes afterwards, nobody may be left there who gets records and never takes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_in_the_middle_of_subscribing_gets_no_records() {
    let config = config(1);
    let _cleanup = Cleanup(config.clone(), 1);
    let log = RabbitLog::open(config.clone()).await.expect("a broker");
    let target = config.target().expect("an URL");
    let held = Held::before((target.authority.host.clone(), target.authority.port)).await;
    let mut through = target;
    (through.authority.host, through.authority.port) = ("127.0.0.1".into(), held.port);
    let connection = super::super::connect::connect(&config, &through, "test").await.expect("a broker");

    let looking = raw(&config).await;
    let consumers = async || {
        let queue = topology::look(&looking, config.log_queue(0)).await.expect("answers");
        queue.expect("is there").consumer_count()
    };
    tokio::select! {
        _ = Subscription::open(&config, &connection, 0) => panic!("the answer is held"),
        () = until("the broker has a consumer", async || consumers().await == 1) => {}
    }
    held.release.send_replace(true);
    until("it has none any more", async || consumers().await == 0).await;

    // The connection is there all the while, and used for others.
    append_all(&log, 0, 0..3).await;
    let mut next = log.consume().await.expect("a broker");
    assert_eq!(numbers(&take(&mut *next, 3).await), [0, 1, 2]);
    assert!(connection.status().connected());
}
