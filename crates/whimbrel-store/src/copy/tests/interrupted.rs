//! Interrupted anywhere, a copy goes on; done, it does nothing.

use std::sync::Mutex;

use super::super::{CopyError, Moment, PageSize, Progress, Step, run};
use super::history::history;
use super::{Database, copied};

/// Small, so that there are many boundaries, and different from the tables' sizes.
const SMALL: PageSize = PageSize { rows: 37, bytes: 20_000 };

/// Ends the copy at each moment of each transaction in turn, always with what the former attempt left: so each boundary
/// is met, before the commit and after it, and every attempt goes on from there. At the end it is what an uninterrupted
/// copy is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_interrupted_anywhere_goes_on_to_the_same() {
    let (history, whole, database) = (history().await, Database::migrated().await, Database::migrated().await);
    copied(history.folder.path(), &whole).await;
    let (mut attempts, mut moments, mut written) = (0, 0, 0);
    let done = loop {
        // Every transaction is tried twice: the first attempt ends before its commit, the second behind it.
        let stop = if attempts % 2 == 0 { Moment::Written } else { Moment::Committed };
        attempts += 1;
        let mut end = |moment: Moment| {
            moments += 1;
            if moment == stop { Err(CopyError::Target("interrupted".into())) } else { Ok(()) }
        };
        match run(history.folder.path(), &database.config(), SMALL, &|_| {}, &mut end).await {
            Ok(done) => break done,
            Err(CopyError::Target(why)) => assert_eq!(why, "interrupted"),
            Err(other) => panic!("{other}"),
        }
        let rows: u64 = database.contents().await.iter().map(|(rows, _)| rows).sum();
        assert_eq!(rows > written, stop == Moment::Committed, "what was committed stays, and nothing else");
        written = rows;
    };
    assert!(attempts > 20, "{attempts} boundaries");
    assert_eq!((done.written(), moments), (0, attempts / 2 * 3), "the last attempt finds everything there");
    assert_eq!(database.contents().await, whole.contents().await);
}

/// Ends an attempt after `n` commits for every `n`, each in a fresh database, and runs it whole afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_number_of_commits_the_rest_is_copied_once() {
    let (history, whole) = (history().await, Database::migrated().await);
    let all = copied(history.folder.path(), &whole).await.rows();
    let expected = whole.contents().await;
    let database = Database::migrated().await;
    for commits in 1.. {
        for table in super::TABLES {
            database.run(&format!("TRUNCATE `{}`", table.name)).await;
        }
        let mut left = commits;
        let mut end = |moment: Moment| {
            left -= u32::from(moment == Moment::Committed);
            if left == 0 { Err(CopyError::Target("interrupted".into())) } else { Ok(()) }
        };
        let first = run(history.folder.path(), &database.config(), SMALL, &|_| {}, &mut end).await;
        let there: u64 = database.contents().await.iter().map(|(rows, _)| rows).sum();
        // With other sizes: the boundaries of the first attempt mean nothing to the second.
        let other = PageSize { rows: 64, bytes: 9_000 };
        let second = run(history.folder.path(), &database.config(), other, &|_| {}, &mut |_| Ok(())).await;
        assert_eq!(second.expect("a copy").written(), all - there);
        assert_eq!(database.contents().await, expected, "after {commits} commits");
        if first.is_ok() {
            assert!(commits > 8, "{commits}");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_done_is_found_done() {
    let (history, database) = (history().await, Database::migrated().await);
    let first = copied(history.folder.path(), &database).await;
    let before = database.contents().await;
    let again = copied(&super::super::database_file(history.folder.path()), &database).await;
    assert_eq!((first.written(), again.written()), (first.rows(), 0));
    assert_eq!((again.rows(), again.conversations), (first.rows(), first.conversations));
    assert_eq!(database.contents().await, before);
}

/// Every table is told to its last row, in every step that it takes part in, and nothing goes backwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_to_the_end_of_every_table() {
    let (history, database) = (history().await, Database::migrated().await);
    for step in [Step::Copying, Step::Comparing] {
        let told: Mutex<Vec<Progress>> = Mutex::default();
        let note = |progress| told.lock().expect("nobody panics").push(progress);
        run(history.folder.path(), &database.config(), SMALL, &note, &mut |_| Ok(())).await.expect("a copy");
        let told = told.into_inner().expect("nobody panics");
        for table in super::TABLES {
            for step in [step, Step::Verifying] {
                let of: Vec<_> = told.iter().filter(|said| said.table == table.name && said.step == step).collect();
                assert!(of.is_sorted_by(|one, two| one.done <= two.done), "{of:?}");
                let last = of.last().expect("it is told");
                assert_eq!(last.done, last.total, "{last:?}");
            }
        }
    }
}
