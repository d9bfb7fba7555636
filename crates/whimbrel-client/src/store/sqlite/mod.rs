//! A store in one SQLite file, on a thread of its own.
//!
//! WAL with synchronous FULL: what a commit returned for survives power loss, so a draft that [`Client::send`] took and
//! a message that was acknowledged as delivered are there afterwards. The file is locked while it is open: a second
//! client on it would send the same drafts and hand out the same places.
//!
//! [`Client::send`]: crate::Client::send

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use whimbrel_core::{ConversationId, Message, MessageId, Seq, UserId};

use super::{Commit, ConversationRow, Snapshot, Store, UploadRow};
use crate::account::Credentials;
use crate::error::StoreError;

mod groups;
mod read;
mod schema;
mod uploads;
mod write;

/// Jobs that wait for the store's thread.
const JOBS_MAX: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A store in a file.
#[derive(Debug)]
pub struct SqliteStore {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    ended: tokio::sync::watch::Receiver<bool>,
}

impl SqliteStore {
    /// Opens the file, or makes it with mode 0600.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when it cannot be opened or another process has it open, [`StoreError::Unreadable`] when
    /// it is no such store or one of another version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let path: PathBuf = path.into();
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let (opened, ready) = oneshot::channel();
        let (end, ended) = tokio::sync::watch::channel(false);
        std::thread::Builder::new()
            .name("whimbrel-store".into())
            .spawn(move || {
                work(&path, queue, opened);
                end.send_replace(true);
            })
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        ready.await.map_err(|_| StoreError::Closed)??;
        Ok(Self { jobs: Mutex::new(Some(jobs)), ended })
    }

    /// Runs a job on the store's thread. It is run to its end also when the caller stops waiting.
    async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let jobs = self.jobs.lock().clone().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let _ = reply.send(job(connection));
        });
        jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// The thread: opens, then works until nobody can ask any more.
fn work(path: &Path, mut queue: mpsc::Receiver<Job>, opened: oneshot::Sender<Result<(), StoreError>>) {
    let mut connection = match schema::open(path) {
        Ok(connection) => connection,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let _ = opened.send(Ok(()));
    while let Some(job) = queue.blocking_recv() {
        job(&mut connection);
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the device's store did not close cleanly");
    }
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}

#[async_trait]
impl Store for SqliteStore {
    async fn credentials(&self) -> Result<Option<Credentials>, StoreError> {
        self.call(|connection| read::credentials(connection)).await
    }

    async fn save_credentials(&self, credentials: &Credentials) -> Result<(), StoreError> {
        let credentials = credentials.clone();
        self.call(move |connection| write::credentials(connection, &credentials)).await
    }

    async fn load(&self) -> Result<Snapshot, StoreError> {
        self.call(|connection| read::snapshot(connection)).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.call(move |connection| write::commit(connection, commit).map_err(failed)).await
    }

    async fn conversations(&self) -> Result<Vec<ConversationRow>, StoreError> {
        self.call(|connection| read::conversations(connection)).await
    }

    async fn messages(
        &self,
        conversation: ConversationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.call(move |connection| read::messages(connection, conversation, after, limit)).await
    }

    async fn uploads(&self) -> Result<Vec<UploadRow>, StoreError> {
        self.call(|connection| uploads::read(connection).map_err(failed)).await
    }

    async fn follow_ups(&self, conversation: ConversationId, from: Seq, upto: Seq) -> Result<Vec<Message>, StoreError> {
        self.call(move |connection| read::follow_ups(connection, conversation, from, upto)).await
    }

    async fn erasures(&self, conversation: ConversationId) -> Result<Vec<Message>, StoreError> {
        self.call(move |connection| read::erasures(connection, conversation)).await
    }

    async fn last_messages(&self) -> Result<Vec<Message>, StoreError> {
        self.call(|connection| read::last_messages(connection)).await
    }

    async fn find_message(
        &self,
        conversation: ConversationId,
        message_id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        self.call(move |connection| read::find_message(connection, conversation, message_id)).await
    }

    async fn count_incoming(
        &self,
        conversation: ConversationId,
        me: UserId,
        after: Seq,
        upto: Seq,
    ) -> Result<u64, StoreError> {
        self.call(move |connection| read::count_incoming(connection, conversation, me, after, upto)).await
    }

    async fn close(&self) {
        self.jobs.lock().take();
        // Jobs that were queued before are still done: the thread ends when the last sender is gone.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}
