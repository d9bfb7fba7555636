//! Reads and transactions on a connection of the pool: bounded in time, and undone whole when they fail.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::Executor;
use sqlx::mysql::MySqlConnection;
use tokio::time::timeout;

use super::MySqlStore;
use super::error::Fault;
use super::pool::Session;
use crate::StoreError;

/// Attempts of a transaction that loses to others each time.
const ATTEMPTS: u32 = 6;
/// A server that needs longer to undo a transaction does it by losing the connection.
const UNDO_MAX: Duration = Duration::from_secs(1);

impl MySqlStore {
    /// Runs statements that need no common transaction, in the time that a call may take. The connection is used again
    /// only after success.
    pub(super) async fn read<T, E>(&self, work: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let mut session = self.pool.session().await?;
        let value = self.in_time(work(&mut session)).await??;
        session.done();
        Ok(value)
    }

    /// Begins a transaction (READ COMMITTED). [`Change::end`] ends it.
    pub(super) async fn begin(&self) -> Result<Change, StoreError> {
        let mut session = self.pool.session().await?;
        session.execute("START TRANSACTION").await?;
        Ok(Change { session })
    }

    /// Runs a transaction in the time that a call may take, and again from its beginning if it lost to another one.
    /// `Ok` is committed; after an error of the attempt's own nothing of it is there; [`StoreError::Unavailable`] may
    /// also mean that the commit's answer was lost.
    ///
    /// ```ignore
    /// self.retried(|| async {
    ///     let mut change = self.begin().await?;
    ///     let result = work(&mut change, &input).await;
    ///     change.end(result).await
    /// })
    /// ```
    pub(super) async fn retried<T, E, F>(&self, attempt: impl Fn() -> F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: Future<Output = Result<T, Fault<E>>>,
    {
        let mut lost = 0;
        loop {
            // A transaction whose time is over is dropped with its connection.
            match self.in_time(attempt()).await? {
                Err(Fault::Contended(_)) if lost + 1 < ATTEMPTS => {
                    lost += 1;
                    tokio::time::sleep(Duration::from_millis(rand::random_range(0..5 << lost))).await;
                }
                result => return result.map_err(Fault::into_answer),
            }
        }
    }

    /// Waits for the server no longer than [`MySqlConfig::answer_timeout`](super::MySqlConfig::answer_timeout).
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let limit = self.pool.config().answer_timeout;
        timeout(limit, work).await.map_err(|_| StoreError::Unavailable("the database did not answer in time".into()))
    }
}

/// An open transaction. Dropped without [`Change::end`], its connection is closed, and the server undoes it.
pub(super) struct Change {
    session: Session,
}

impl Change {
    /// Of its connection.
    pub(super) fn generation(&self) -> u64 {
        self.session.generation()
    }

    /// Commits what succeeded, and undoes what did not.
    pub(super) async fn end<T, E>(mut self, result: Result<T, Fault<E>>) -> Result<T, Fault<E>>
    where
        E: From<StoreError>,
    {
        match result {
            Ok(value) => {
                self.session.execute("COMMIT").await?;
                self.session.done();
                Ok(value)
            }
            Err(fault) => {
                undo(self.session).await;
                Err(fault)
            }
        }
    }
}

impl Deref for Change {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.session
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.session
    }
}

/// Takes back what was done on a connection that rests: for sure, because if the server does not say so it is closed.
pub(super) async fn undo(mut session: Session) {
    if let Ok(Ok(_)) = timeout(UNDO_MAX, session.execute("ROLLBACK")).await {
        session.done();
    }
}
