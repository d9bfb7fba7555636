//! A transfer as the application holds it: progress, pause, cancel, the end.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use whimbrel_core::FileId;

use crate::error::Error;

/// What a transfer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Looks at the file.
    Preparing,
    /// Bytes move.
    Moving,
    /// It waits for [`FileTransfer::resume`].
    Paused,
    /// The server cannot be reached, or is busy: it is tried again.
    Waiting,
    /// The whole is checked.
    Checking,
    /// It is over.
    Over,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it does.
    pub stage: Stage,
    /// Bytes that have arrived.
    pub done: u64,
    /// All bytes.
    pub total: u64,
}

/// What the application wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Go,
    Pause,
    Cancel,
}

/// A file on its way. Dropping this lets it go on.
#[derive(Debug)]
pub struct FileTransfer<T> {
    file: FileId,
    progress: watch::Receiver<Progress>,
    wish: watch::Sender<Wish>,
    task: JoinHandle<Result<T, Error>>,
}

/// The transfer's own side.
pub(super) struct Reins {
    progress: watch::Sender<Progress>,
    wish: watch::Receiver<Wish>,
}

impl<T: Send + 'static> FileTransfer<T> {
    /// Runs a transfer in the background.
    pub(super) fn start<F>(file: FileId, total: u64, work: impl FnOnce(Reins) -> F) -> Self
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (progress, seen) = watch::channel(Progress { stage: Stage::Preparing, done: 0, total });
        let (wish, wanted) = watch::channel(Wish::Go);
        let task = tokio::spawn(work(Reins { progress, wish: wanted }));
        Self { file, progress: seen, wish, task }
    }

    /// What the server calls the file.
    pub fn file(&self) -> FileId {
        self.file
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until that changes; `None`: it is over.
    pub async fn changed(&mut self) -> Option<Progress> {
        self.progress.changed().await.ok()?;
        Some(*self.progress.borrow_and_update())
    }

    /// Holds it until [`FileTransfer::resume`].
    pub fn pause(&self) {
        self.want(Wish::Pause);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.want(Wish::Go);
    }

    /// Gives it up: [`FileTransfer::finished`] then says [`Error::Cancelled`], unless it was over before.
    pub fn cancel(&self) {
        self.want(Wish::Cancel);
    }

    /// Who cancelled cannot take it back.
    fn want(&self, wish: Wish) {
        self.wish.send_if_modified(|now| {
            let changes = *now != Wish::Cancel && *now != wish;
            if changes {
                *now = wish;
            }
            changes
        });
    }

    /// Waits for its end: the message's id, or the place of what was fetched.
    ///
    /// # Errors
    /// What it failed with.
    pub async fn finished(self) -> Result<T, Error> {
        let Self { task, wish, .. } = self;
        let done = task.await;
        drop(wish);
        done.unwrap_or_else(|error| Err(Error::File(std::io::Error::other(error))))
    }
}

impl Reins {
    /// Tells how far it is.
    pub(super) fn at(&self, stage: Stage, done: u64) {
        self.progress.send_modify(|progress| {
            progress.stage = stage;
            progress.done = done;
        });
    }

    /// Another number of bytes than was thought.
    pub(super) fn total(&self, total: u64) {
        self.progress.send_modify(|progress| progress.total = total);
    }

    /// Waits while it is to pause.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(super) async fn may_go(&mut self, done: u64) -> Result<(), Error> {
        loop {
            let wish = *self.wish.borrow_and_update();
            match wish {
                Wish::Go => return Ok(()),
                Wish::Cancel => return Err(Error::Cancelled),
                Wish::Pause => {
                    self.at(Stage::Paused, done);
                    // Nobody holds it any more: it goes on.
                    if self.wish.changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Waits until it is to pause, or cancelled.
    pub(super) async fn stops(&mut self) {
        if self.wish.wait_for(|wish| *wish != Wish::Go).await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits so long, unless it is cancelled meanwhile.
    pub(super) async fn wait(&mut self, time: std::time::Duration) -> Result<(), Error> {
        let cancelled = async {
            while self.wish.changed().await.is_ok() {
                if *self.wish.borrow() == Wish::Cancel {
                    return;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = cancelled => Err(Error::Cancelled),
        }
    }
}

impl Drop for Reins {
    fn drop(&mut self) {
        self.progress.send_modify(|progress| progress.stage = Stage::Over);
    }
}
