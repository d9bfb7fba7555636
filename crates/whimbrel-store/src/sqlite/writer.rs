//! The writer: one thread, one connection, and one commit for everything that waits.
//!
//! Nobody is answered before the commit is on disk. A job that fails undoes itself and nothing else; a commit that
//! fails fails all of its jobs. No timer: a group is what gathered while the last one was committed.

use std::path::Path;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::mpsc;

use super::checkpoint::Checkpoints;
use super::job::{Job, Work};
use super::value::run;
use super::{SqliteConfig, open};
use crate::StoreError;

/// The way to the writer thread.
pub(super) struct Writer {
    /// `None` once closed.
    jobs: RwLock<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Opens the database for writing, and makes or migrates it first.
    pub(super) fn start(path: &Path, config: &SqliteConfig) -> Result<Self, StoreError> {
        let db = open::writer(path, config)?;
        let checkpoints = Checkpoints::start(&db, path, config)?;
        let (jobs, waiting) = mpsc::channel(config.write_queue.max(1));
        let group_max = config.group_max.max(1);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || serve(&db, waiting, group_max, checkpoints))
            .map_err(|e| StoreError::Unavailable(format!("no thread for the writer: {e}")))?;
        Ok(Self { jobs: RwLock::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work` on the writer thread, and answers once it is committed.
    pub(super) async fn write<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write_with((), |db, ()| work(db)).await.1
    }

    /// The same for work with an input that the caller wants back whatever happens.
    pub(super) async fn write_with<I, T, E, F>(&self, input: I, work: F) -> (I, Result<T, E>)
    where
        I: Default + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection, &I) -> Result<T, E> + Send + 'static,
    {
        let (job, answer) = Work::new(input, work);
        let sender = self.jobs.read().clone();
        // A job that is not taken is dropped, and answers for itself.
        match sender {
            Some(sender) => drop(sender.send(Box::new(job)).await),
            None => drop(job),
        }
        answer.await.unwrap_or_else(|_| {
            (I::default(), Err(StoreError::Unavailable("the writer ended without an answer".into()).into()))
        })
    }

    /// Jobs in the queue.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.jobs.read().as_ref().map_or(0, |jobs| jobs.max_capacity() - jobs.capacity())
    }

    /// Takes no more jobs, finishes those that wait, and ends the thread.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        self.jobs.write().take();
        match self.thread.lock().take().map(JoinHandle::join) {
            Some(Err(_)) => Err(StoreError::Unavailable("the writer ended by a fault of the program".into())),
            _ => Ok(()),
        }
    }
}

/// The thread: until the last sender is gone.
fn serve(db: &Connection, mut waiting: mpsc::Receiver<Box<dyn Job>>, group_max: usize, mut checkpoints: Checkpoints) {
    let mut group = Vec::with_capacity(group_max);
    while waiting.blocking_recv_many(&mut group, group_max) > 0 {
        let lost = commit(db, &mut group).err().map(|error| error.to_string());
        if lost.is_some() && !db.is_autocommit() && run(db, "ROLLBACK", []).is_err() {
            tracing::error!("a failed write could not be undone; the next one will find out");
        }
        for mut job in group.drain(..) {
            job.finish(lost.as_deref());
        }
        checkpoints.after_commit(db);
    }
    checkpoints.finish(db);
}

/// One transaction for all of them.
fn commit(db: &Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    run(db, "BEGIN IMMEDIATE", [])?;
    if let [job] = group {
        // Alone, the transaction itself is what a failing job undoes. SQLite may have undone it already.
        let keep = job.run(db);
        if keep {
            run(db, "COMMIT", [])?;
        } else if !db.is_autocommit() {
            run(db, "ROLLBACK", [])?;
        }
        return Ok(());
    }
    for job in group {
        run(db, "SAVEPOINT job", [])?;
        if !job.run(db) {
            run(db, "ROLLBACK TO job", [])?;
        }
        run(db, "RELEASE job", [])?;
    }
    run(db, "COMMIT", [])?;
    Ok(())
}
