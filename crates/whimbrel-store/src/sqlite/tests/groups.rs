//! The writer: jobs that share a commit.

use std::path::PathBuf;
use std::sync::mpsc;

use rusqlite::Connection;

use super::super::{DATABASE_FILE, SqliteStore};
use super::open;
use crate::{Directory, StoreError};

type Answer = tokio::task::JoinHandle<Result<(), StoreError>>;

/// A store whose writer is busy until told, so that everything submitted meanwhile becomes one group.
struct Held {
    store: SqliteStore,
    path: PathBuf,
    release: mpsc::Sender<()>,
    holding: Answer,
    _folder: tempfile::TempDir,
}

impl Held {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        store.shared.writer.write(|db| made(db, "CREATE TABLE tick (name TEXT)")).await.expect("made");
        let (release, held) = mpsc::channel::<()>();
        let (running, runs) = tokio::sync::oneshot::channel();
        let holding = submit(&store, move |_| {
            running.send(()).expect("somebody waits");
            held.recv().map_err(|e| StoreError::Unavailable(e.to_string()))
        });
        runs.await.expect("it runs");
        Self { store, path: folder.path().join(DATABASE_FILE), release, holding, _folder: folder }
    }

    /// Submits in this order, lets the writer go, and returns the answers.
    async fn run(self, jobs: Vec<Job>) -> (Vec<Result<(), StoreError>>, Vec<String>) {
        let mut answers = Vec::new();
        for (submitted, job) in jobs.into_iter().enumerate() {
            answers.push(submit(&self.store, job));
            // One after the other into the queue; the level to wait for is the queue's length.
            while self.store.shared.writer.waiting() <= submitted {
                tokio::task::yield_now().await;
            }
        }
        self.release.send(()).expect("the writer waits");
        self.holding.await.expect("no panic").expect("it did nothing");
        let mut results = Vec::new();
        for answer in answers {
            results.push(answer.await.expect("no panic"));
        }
        self.store.ping().await.expect("the writer lives");
        (results, marks(&self.path))
    }
}

type Job = Box<dyn FnOnce(&Connection) -> Result<(), StoreError> + Send>;

fn submit(store: &SqliteStore, job: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static) -> Answer {
    let store = store.clone();
    tokio::spawn(async move { store.shared.writer.write(job).await })
}

fn made(db: &Connection, sql: &str) -> Result<(), StoreError> {
    Ok(db.execute_batch(sql)?)
}

fn mark(name: &'static str) -> Job {
    Box::new(move |db| made(db, &format!("INSERT INTO tick VALUES ('{name}')")))
}

/// What another connection sees.
fn marks(path: &PathBuf) -> Vec<String> {
    let db = Connection::open(path).expect("there");
    let mut names = db.prepare("SELECT name FROM tick ORDER BY rowid").expect("a table");
    names.query_map([], |row| row.get(0)).expect("rows").map(|name| name.expect("text")).collect()
}

/// Between two good jobs one that fails and one that panics, each after having written: only their own rows are
/// missing. The last job looks from outside: nothing is visible before the group's one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_job_undoes_itself_and_nothing_else() {
    let held = Held::new().await;
    let path = held.path.clone();
    let fails = |db: &Connection| {
        made(db, "INSERT INTO tick VALUES ('fails')")?;
        Err(StoreError::Corrupt("its own reason".into()))
    };
    let panics = |db: &Connection| {
        made(db, "INSERT INTO tick VALUES ('panics')")?;
        panic!("on purpose")
    };
    let looks = move |_: &Connection| {
        let seen = marks(&path);
        if seen.is_empty() { Ok(()) } else { Err(StoreError::Corrupt(format!("{seen:?} before the commit"))) }
    };
    let jobs = vec![mark("one"), Box::new(fails), Box::new(panics), mark("two"), Box::new(looks)];
    let (results, marks) = held.run(jobs).await;
    assert!(results[0].is_ok() && results[3].is_ok() && results[4].is_ok(), "{results:?}");
    assert!(matches!(&results[1], Err(StoreError::Corrupt(why)) if why == "its own reason"));
    assert!(matches!(&results[2], Err(StoreError::Unavailable(_))));
    assert_eq!(marks, ["one", "two"]);
}

/// A job ends the transaction behind the writer's back, as SQLite does when the disk is full, or breaks it and leaves it
/// open: everybody in the group hears that nothing is certain, nothing is there, and the next write is as if nothing
/// had been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_transaction_fails_all_of_its_jobs() {
    for how in ["ROLLBACK", "RELEASE job"] {
        let held = Held::new().await;
        let jobs = vec![mark("one"), Box::new(move |db: &Connection| made(db, how)) as Job, mark("two")];
        let store = held.store.clone();
        let (results, marks) = held.run(jobs).await;
        assert!(results.iter().all(|result| matches!(result, Err(StoreError::Unavailable(_)))), "{results:?}");
        assert_eq!(marks, [""; 0]);
        store.shared.writer.write(mark("after")).await.expect("the writer goes on");
    }
}

/// The same for a job that is alone, and for one that only fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_alone_that_fails_leaves_nothing() {
    let held = Held::new().await;
    let lost: Job = Box::new(|db| made(db, "INSERT INTO tick VALUES ('x'); ROLLBACK"));
    let (results, marks) = held.run(vec![lost]).await;
    assert!(matches!(results[0], Err(StoreError::Unavailable(_))) && marks.is_empty());
    let held = Held::new().await;
    let fails: Job = Box::new(|db| made(db, "INSERT INTO tick VALUES ('x'); INSERT INTO nowhere VALUES (1)"));
    let (results, marks) = held.run(vec![fails]).await;
    assert!(results[0].is_err() && marks.is_empty());
}

/// Closed while jobs wait: they are done and answered; what comes later is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_what_waits() {
    let held = Held::new().await;
    let waiting = [submit(&held.store, mark("one")), submit(&held.store, mark("two"))];
    while held.store.shared.writer.waiting() < 2 {
        tokio::task::yield_now().await;
    }
    let closing = tokio::spawn({
        let store = held.store.clone();
        async move { store.close().await }
    });
    held.release.send(()).expect("the writer waits");
    closing.await.expect("no panic").expect("an end in order");
    for answer in waiting {
        answer.await.expect("no panic").expect("it was submitted before");
    }
    assert_eq!(marks(&held.path).len(), 2);
    let late = held.store.shared.writer.write(mark("late")).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))));
}
