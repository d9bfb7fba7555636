//! A client whose store fails, and one that has nothing but its store.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use whimbrel_client::store::{Commit, ConversationRow, MemoryStore, Snapshot, Store, UploadRow};
use whimbrel_client::testing::FakeServer;
use whimbrel_client::{
    Client, ConnectionState, ConversationId, Credentials, Error, FirstSync, MessageId, Outcome, Seq, StoreError, UserId,
};
use whimbrel_core::Message;

const PATIENCE: Duration = Duration::from_secs(20);

/// A store that stops taking commits on demand.
#[derive(Default)]
struct Failing {
    inner: MemoryStore,
    fails: AtomicBool,
    failed: AtomicUsize,
}

#[async_trait]
impl Store for Failing {
    async fn credentials(&self) -> Result<Option<Credentials>, StoreError> {
        self.inner.credentials().await
    }

    async fn save_credentials(&self, credentials: &Credentials) -> Result<(), StoreError> {
        self.inner.save_credentials(credentials).await
    }

    async fn load(&self) -> Result<Snapshot, StoreError> {
        self.inner.load().await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Failed("as the test wants".into()));
        }
        self.inner.commit(commit).await
    }

    async fn conversations(&self) -> Result<Vec<ConversationRow>, StoreError> {
        self.inner.conversations().await
    }

    async fn messages(&self, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Message>, StoreError> {
        self.inner.messages(id, after, limit).await
    }

    async fn uploads(&self) -> Result<Vec<UploadRow>, StoreError> {
        self.inner.uploads().await
    }

    async fn follow_ups(&self, id: ConversationId, from: Seq, upto: Seq) -> Result<Vec<Message>, StoreError> {
        self.inner.follow_ups(id, from, upto).await
    }

    async fn erasures(&self, id: ConversationId) -> Result<Vec<Message>, StoreError> {
        self.inner.erasures(id).await
    }

    async fn last_messages(&self) -> Result<Vec<Message>, StoreError> {
        self.inner.last_messages().await
    }

    async fn find_message(&self, id: ConversationId, message: MessageId) -> Result<Option<Message>, StoreError> {
        self.inner.find_message(id, message).await
    }

    async fn count_incoming(&self, id: ConversationId, me: UserId, after: Seq, upto: Seq) -> Result<u64, StoreError> {
        self.inner.count_incoming(id, me, after, upto).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let wait = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

/// The call and the close are taken together, so the cursor is to be committed with the last words. The commit fails:
/// the server must not hear of a cursor that this device will not know of.
#[tokio::test]
async fn what_the_last_commit_did_not_store_is_not_told() {
    let server = FakeServer::start().await;
    let (alice, bob, chat) = server.friends("alice", "bob");
    let store = Arc::new(Failing::default());
    let builder = Client::builder(&server.api_url(), &server.server()).first_sync(FirstSync::Everything);
    let (client, _events) = builder.credentials(server.credentials(bob)).store(store.clone()).connect().await.unwrap();
    timeout(PATIENCE, client.wait_online()).await.unwrap().unwrap();
    server.say(chat, alice, "one");
    until("delivered", || server.cursors(chat, bob).delivered == Seq(1)).await;

    store.fails.store(true, Ordering::SeqCst);
    // One task on one thread: both calls wait before the driver takes the first.
    let (marked, ()) = tokio::join!(client.mark_read(chat, Seq(1)), client.close());
    assert!(matches!(marked, Err(Error::Closed(_))), "{marked:?}");
    assert_eq!(store.failed.load(Ordering::SeqCst), 1);
    until("the server has read all", || server.sessions() == 0).await;
    assert_eq!(server.cursors(chat, bob).read, Seq::ZERO);
}

/// The server is gone for good, and the store knows what became of the message.
#[tokio::test]
async fn who_asks_while_offline_is_answered_from_the_store() {
    let server = FakeServer::start().await;
    let (alice, bob, chat) = server.friends("alice", "bob");
    let builder = Client::builder(&server.api_url(), &server.server()).first_sync(FirstSync::Everything);
    let (client, _events) = builder.credentials(server.credentials(bob)).connect().await.unwrap();
    timeout(PATIENCE, client.wait_online()).await.unwrap().unwrap();
    let message = server.say(chat, alice, "one");
    until("delivered", || server.cursors(chat, bob).delivered == Seq(1)).await;
    drop(server);
    until("offline", || client.state() != ConnectionState::Online).await;

    let outcome = timeout(PATIENCE, client.sent(chat, message.message_id)).await.expect("it does not wait").unwrap();
    assert!(matches!(outcome, Outcome::Sent { seq: Seq(1), .. }), "{outcome:?}");
    let nothing = timeout(PATIENCE, client.sent(chat, MessageId::generate())).await.expect("it does not wait");
    assert!(matches!(nothing, Err(Error::UnknownMessage)), "{nothing:?}");
}
