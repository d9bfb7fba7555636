//! The database file: made, opened again, refused, copied while it is written, and with a floor.

use rusqlite::Connection;
use whimbrel_core::{Known, Seq, SyncQuestion};

use super::super::backup::in_steps;
use super::super::{BackupProgress, DATABASE_FILE, SqliteConfig, SqliteStore, backup};
use super::{keyring, open};
use crate::conformance::{Lane, people};
use crate::{StoreError, Timeline};

fn refused(folder: &std::path::Path) -> String {
    match SqliteStore::open(folder, keyring(), SqliteConfig::default()) {
        Err(StoreError::Corrupt(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Written, closed, opened: all is there, and nothing lies beside the file.
#[tokio::test]
async fn what_was_committed_is_there_after_closing_and_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    let said = lane.say(&store, 5).await;
    store.close().await.expect("an end in order");
    assert!(matches!(store.heads(&[lane.conversation]).await, Err(StoreError::Unavailable(_))));
    let files: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|f| f.file_name()).collect();
    assert_eq!(files, [DATABASE_FILE]);
    let again = open(folder.path());
    assert_eq!(again.read(lane.conversation, Seq(1), 10).await.expect("answers"), said);
}

/// A commit that was answered is on disk: WAL, and an fsync with each commit.
#[tokio::test]
async fn every_commit_is_synced() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let pragmas = store.shared.writer.write(|db| {
        let sync: i64 = db.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok::<_, StoreError>((sync, mode))
    });
    assert_eq!(pragmas.await.expect("answers"), (2, "wal".to_owned()), "2 is FULL");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(DATABASE_FILE);
    let text = "this is no database, however long one looks at it. ".repeat(100);
    std::fs::write(&path, &text).expect("written");
    assert!(refused(folder.path()).contains("not a database"));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), text);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = Connection::open(folder.path().join(DATABASE_FILE)).expect("made");
    other.execute_batch("CREATE TABLE recipe (name TEXT)").expect("made");
    assert!(refused(folder.path()).contains("another program"));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).close().await.expect("an end in order");
    let newer = Connection::open(folder.path().join(DATABASE_FILE)).expect("there");
    newer.pragma_update(None, "user_version", 999).expect("written");
    drop(newer);
    assert!(refused(folder.path()).contains("999"));
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    people(&store, "user", 1).await;
    for file in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
        let mode = file.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.file_name());
    }
}

/// Messages are committed between every two steps of the copy. It never begins again, and it is of the moment at which
/// it began: it opens as a store, is sound, and holds exactly what was committed before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_store_that_is_written_is_of_one_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    lane.say(&store, 500).await;
    let before = store.read(lane.conversation, Seq::ZERO, 1000).await.expect("answers");
    let (from, to) = (folder.path().join(DATABASE_FILE), target.path().join(DATABASE_FILE));
    let handle = tokio::runtime::Handle::current();
    let (conversation, writer) = (lane.conversation, store.clone());
    let copied = tokio::task::spawn_blocking(move || {
        let mut steps = Vec::new();
        in_steps(&from, &to, 8, |step| {
            assert!(steps.last().is_none_or(|last: &BackupProgress| last.done < step.done), "it began again");
            steps.push(step);
            handle.block_on(lane.say(&writer, 3));
        })?;
        assert!(matches!(backup(&from, &to, |_| ()), Err(StoreError::Unavailable(_))), "never over another file");
        assert!(to.exists());
        Ok::<_, StoreError>(steps)
    });
    let steps = copied.await.expect("no panic").expect("a copy");
    let total = steps[0].total;
    let expected = (1..=total.div_ceil(8)).map(|step| BackupProgress { done: (step * 8).min(total), total });
    assert!(steps.len() > 5);
    assert_eq!(steps, expected.collect::<Vec<_>>());

    let copy = open(target.path());
    assert_eq!(copy.read(conversation, Seq::ZERO, 1000).await.expect("answers"), before);
    let sound = copy
        .shared
        .readers
        .read(|db| Ok(db.pragma_query_value(None, "integrity_check", |row| row.get::<_, String>(0))?));
    assert_eq!(sound.await.expect("answers"), "ok");
}

#[test]
fn a_backup_of_nothing_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("missing.db"), folder.path().join("copy.db"));
    assert!(backup(&from, &to, |_| ()).is_err());
    assert!(!to.exists() && !from.exists());
}

/// The floor is 6 of 10; five rows are gone and the sixth still stands, as may happen: a device below jumps and gets
/// nothing from there, one above goes on.
#[tokio::test]
async fn a_device_below_the_floor_jumps() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    lane.say(&store, 9).await;
    let rows = store.read(lane.conversation, Seq::ZERO, 100).await.expect("answers");
    let emptied = store.shared.writer.write(move |db| {
        db.execute("UPDATE conversation SET floor = 6 WHERE id = ?1", [lane.conversation.as_bytes()])?;
        Ok::<_, StoreError>(
            db.execute("DELETE FROM message WHERE conv = ?1 AND seq <= 5", [lane.conversation.as_bytes()])?,
        )
    });
    assert_eq!(emptied.await.expect("answers"), 5);
    for (cursor, from) in [(0, 6), (3, 6), (6, 6), (8, 8), (10, 10)] {
        let message_id = (cursor > 0).then(|| rows[cursor - 1].message_id);
        let known = vec![Known { conversation: lane.conversation, cursor: Seq(cursor as u64), message_id }];
        let question = SyncQuestion { id: 1, after: None, until: None, known, only_known: true, max_messages: 100 };
        let view = store.sync(users[0], question).await.expect("answers").views.remove(0);
        assert_eq!((view.floor, view.reset, view.complete), (Seq(6), false, true), "cursor {cursor}");
        assert_eq!(view.messages, rows[from..], "cursor {cursor}");
    }
}

/// A log of 16 pages under a hundred commits of one page and more: it begins anew again and again instead of growing,
/// and everything is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_stays_near_its_measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = SqliteConfig { wal_bytes: 16 * 4096, ..SqliteConfig::default() };
    let store = SqliteStore::open(folder.path(), keyring(), config).expect("a good folder");
    let users = people(&store, "user", 2).await;
    let mut lane = Lane::new(&store, &store, users[0], users[1]).await;
    for _ in 0..100 {
        lane.say(&store, 10).await;
    }
    let log = folder.path().join(format!("{DATABASE_FILE}-wal"));
    let len = std::fs::metadata(log).expect("it is there while the store is open").len();
    assert!((1..512 * 1024).contains(&len), "{len} bytes");
    let rows = store.read(lane.conversation, Seq::ZERO, 10_000).await.expect("answers");
    assert_eq!(rows.len() as u64, lane.seq);
}
