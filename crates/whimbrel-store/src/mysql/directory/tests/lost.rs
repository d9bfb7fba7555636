//! A connection that breaks at the worst moment: the answer to COMMIT is lost, or COMMIT itself.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::super::tests::{TestDatabase, keyring};
use super::{MySqlStore, count, log_in};
use crate::conformance::people;
use crate::directory::DirectoryError;
use crate::{Directory, StoreError};

/// A packet that says COMMIT, and not that committed rows are to be read.
const QUERY: &[u8] = b"\x03COMMIT";

/// What happens to a COMMIT on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    /// The server carries it out; its answer is lost.
    Unanswered,
    /// It never gets there.
    Lost,
}

/// Stands between a store and its server.
async fn between(server: SocketAddr, fate: watch::Receiver<Fate>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay(client, server, fate.clone()));
        }
    });
    address
}

async fn relay(mut client: TcpStream, server: SocketAddr, fate: watch::Receiver<Fate>) {
    let mut server = TcpStream::connect(server).await.expect("a server");
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    let mut mute = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let is_commit = up[..count].windows(QUERY.len()).any(|word| word == QUERY);
                let fate = *fate.borrow();
                if is_commit && fate == Fate::Lost {
                    return;
                }
                mute = is_commit && fate == Fate::Unanswered;
                if server.write_all(&up[..count]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if mute || client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Both ways the caller hears the same, that nobody knows; it was made once or not at all, never twice, and the store
/// goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_commit_was_not_answered_is_unknown_and_never_made_twice() {
    let database = TestDatabase::migrated().await;
    let mut db = database.connect().await;
    let host = database.server.split('@').next_back().expect("a host").to_owned();
    let server = tokio::net::lookup_host(&host).await.expect("a host").next().expect("an address");
    let (tell, fate) = watch::channel(Fate::Arrives);
    let through = between(server, fate).await;
    let mut config = database.config();
    let user_info = database.server.trim_end_matches(&host).to_owned();
    config.url = secrecy::SecretString::from(format!("{user_info}{through}/{}", database.name));
    let store = MySqlStore::open(config, keyring()).await.expect("through the middle");
    let user = people(&store, "user", 1).await[0];
    for (fate, devices) in [(Fate::Unanswered, 1), (Fate::Lost, 1), (Fate::Unanswered, 2)] {
        tell.send(fate).expect("the relay listens");
        let number = 10 + devices as u8 + u8::from(fate == Fate::Lost) * 10;
        let answer = store.log_in(vec![log_in(user, number, None)]).await;
        assert!(matches!(&answer, Err(StoreError::Unavailable(why)) if why.contains("unknown")), "{answer:?}");
        assert_eq!(count(&mut db, "SELECT COUNT(*) FROM device").await, devices, "{fate:?}");
        assert_eq!(count(&mut db, "SELECT COUNT(*) FROM message").await, devices, "told with it, and once");
        assert_eq!(count(&mut db, "SELECT COUNT(*) FROM untold").await, devices);
    }
    tell.send(Fate::Arrives).expect("the relay listens");
    store.log_in(vec![log_in(user, 99, None)]).await.expect("answers").remove(0).expect("room");
    assert!(matches!(
        store.log_out(user, Some(log_in(user, 98, None).device), 5).await,
        Err(DirectoryError::NoSuchDevice)
    ));
}
