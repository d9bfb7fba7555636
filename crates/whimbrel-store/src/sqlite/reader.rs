//! The readers: a few threads with connections that cannot write, and one bounded queue before them.
//!
//! Every read runs in a transaction of its own, so that all its statements see one state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{SqliteConfig, open, value};
use crate::StoreError;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The way to the reader threads.
pub(super) struct Readers {
    /// `None` once closed.
    reads: RwLock<Option<mpsc::Sender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(super) fn start(path: &Path, config: &SqliteConfig) -> Result<Self, StoreError> {
        let (reads, waiting) = mpsc::channel(config.read_queue.max(1));
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::new();
        for number in 0..config.readers.max(1) {
            let db = open::reader(path, config)?;
            let waiting = Arc::clone(&waiting);
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || serve(&db, &waiting))
                .map_err(|e| StoreError::Unavailable(format!("no thread for a reader: {e}")))?;
            threads.push(thread);
        }
        Ok(Self { reads: RwLock::new(Some(reads)), threads: Mutex::new(threads) })
    }

    /// Runs `work` on a reader thread, against one state of the database.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |db| drop(reply.send(snapshot(db, work))));
        let sender = self.reads.read().clone();
        let closed = || StoreError::Unavailable("the store is closed".into());
        sender.ok_or_else(closed)?.send(read).await.map_err(|_| closed())?;
        answer.await.map_err(|_| StoreError::Unavailable("a read failed by a fault of the program".into()))?
    }

    /// Takes no more reads, finishes those that wait, and ends the threads.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        self.reads.write().take();
        for thread in self.threads.lock().drain(..) {
            thread.join().map_err(|_| StoreError::Unavailable("a reader ended by a fault of the program".into()))?;
        }
        Ok(())
    }
}

/// The thread: one of them waits in the queue, the others wait for its place.
fn serve(db: &Connection, waiting: &Mutex<mpsc::Receiver<Read>>) {
    loop {
        let next = waiting.lock().blocking_recv();
        let Some(read) = next else { return };
        if catch_unwind(AssertUnwindSafe(|| read(db))).is_err() {
            tracing::error!("a read failed by a fault of the program");
        }
        if !db.is_autocommit() {
            drop(value::run(db, "ROLLBACK", []));
        }
    }
}

fn snapshot<T>(db: &Connection, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
    value::run(db, "BEGIN", [])?;
    let result = work(db);
    value::run(db, "COMMIT", [])?;
    result
}
