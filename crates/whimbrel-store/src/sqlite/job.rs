//! A piece of work for the writer, and how its caller hears of it.
//!
//! A caller is answered exactly once: after the commit, with its own error, or, if the job is dropped without having
//! come so far, with "unavailable". Its input comes back with every answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::StoreError;

/// What the writer knows of a job.
pub(super) trait Job: Send {
    /// Does the work within a transaction. `false`: undo it; the caller is told its own error later.
    fn run(&mut self, db: &Connection) -> bool;
    /// Answers the caller: the transaction was committed, or it was not and why.
    fn finish(&mut self, lost: Option<&str>);
}

/// Input and result.
pub(super) type Reply<I, T, E> = (I, Result<T, E>);

/// A job with an input of its own, which is given back.
pub(super) struct Work<I, T, E: From<StoreError>, F> {
    input: Option<I>,
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: Option<oneshot::Sender<Reply<I, T, E>>>,
}

impl<I, T, E, F> Work<I, T, E, F>
where
    E: From<StoreError>,
    F: FnOnce(&Connection, &I) -> Result<T, E>,
{
    pub(super) fn new(input: I, work: F) -> (Self, oneshot::Receiver<Reply<I, T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Self { input: Some(input), work: Some(work), result: None, reply: Some(reply) }, answer)
    }
}

impl<I, T, E: From<StoreError>, F> Work<I, T, E, F> {
    /// Sends the answer, once. A caller that went away is no concern: its work stands.
    fn answer(&mut self, lost: Option<&str>) {
        let (Some(reply), Some(input)) = (self.reply.take(), self.input.take()) else { return };
        let result = match (self.result.take(), lost) {
            (Some(Ok(value)), None) => Ok(value),
            (Some(Err(own)), _) => Err(own),
            (_, why) => Err(StoreError::Unavailable(why.unwrap_or("the store is closed").into()).into()),
        };
        drop(reply.send((input, result)));
    }
}

impl<I, T, E, F> Job for Work<I, T, E, F>
where
    I: Send,
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&Connection, &I) -> Result<T, E> + Send,
{
    fn run(&mut self, db: &Connection) -> bool {
        let (Some(work), Some(input)) = (self.work.take(), &self.input) else { return false };
        // What a panic may leave half done is undone with the transaction; the statements reset themselves.
        let result = catch_unwind(AssertUnwindSafe(|| work(db, input))).unwrap_or_else(|_| {
            tracing::error!("a write failed by a fault of the program; it is undone");
            Err(StoreError::Unavailable("a fault of the program".into()).into())
        });
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(&mut self, lost: Option<&str>) {
        self.answer(lost);
    }
}

impl<I, T, E: From<StoreError>, F> Drop for Work<I, T, E, F> {
    fn drop(&mut self) {
        self.answer(Some("the store is closed"));
    }
}
