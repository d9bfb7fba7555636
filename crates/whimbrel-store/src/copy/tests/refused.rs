//! What a copy refuses, with its sentences, and that it leaves it as it is.

use super::super::table::TABLES;
use super::super::{CopyError, Moment, PageSize, copy, run};
use super::history::{history, open};
use super::{Database, copied, refusal};
use crate::conformance::people;

/// One column of one row of each table is changed; the row and the column are named, and no value is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_differs_is_refused_by_name() {
    let (history, database) = (history().await, Database::migrated().await);
    copied(history.folder.path(), &database).await;
    let cases = [
        ("user", "display_name = 'secret words'", "WHERE id = 2", "user (id 2) is another there: display_name"),
        ("user", "password_hash = NULL", "WHERE id = 1", "user (id 1) is another there: password_hash"),
        ("device", "seen_at = seen_at + 1", "WHERE user = 3", "is another there: seen_at"),
        ("spent_token", "spent_at = 1", "", "is another there: spent_at"),
        ("conversation", "floor = 1", "WHERE kind = 1", "is another there: floor"),
        ("member", "`read` = `read` + 1", "WHERE user = 1", "is another there: read"),
        (
            "relation",
            "greeting = 'secret words'",
            "WHERE user = 8 AND peer = 1",
            "relation (user 8, peer 1) is another there: greeting",
        ),
        ("relation_key", "wrapped = x'00'", "", "is another there: wrapped"),
        ("chat_group", "name = 'secret words'", "WHERE size = 4", "is another there: name"),
        ("group_member", "muted_until = 1", "WHERE user = 4", "is another there: muted_until"),
        ("group_request", "message = 'secret words'", "", "is another there: message"),
        ("presence", "seen_at = 1", "WHERE invisible = 1", "is another there: seen_at"),
        ("setting", "draft = 'secret words'", "WHERE user = 2", "is another there: draft"),
        ("message", "body = 'secret words'", "WHERE seq = 3", ", seq 3) is another there: body"),
        ("message", "seq = 1000", "WHERE seq = 4", ", seq 4), it has message ("),
    ];
    for (table, change, which, expected) in cases {
        database
            .run(&format!("CREATE TABLE kept AS SELECT * FROM `{table}`; UPDATE `{table}` SET {change} {which}"))
            .await;
        let before = database.contents().await;
        let why = refusal(history.folder.path(), &database).await;
        assert!(why.contains(expected), "{table} {change}: {why}");
        assert!(!why.contains("secret"), "{why}");
        assert_eq!(database.contents().await, before, "nothing is written");
        database
            .run(&format!("DELETE FROM `{table}`; INSERT INTO `{table}` SELECT * FROM kept; DROP TABLE kept"))
            .await;
    }
    assert_eq!(copied(history.folder.path(), &database).await.written(), 0, "all is as it was");
}

/// In every table: a row more is foreign, and one less, with others behind it, is no beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_too_many_and_holes_are_refused() {
    let (history, database) = (history().await, Database::migrated().await);
    copied(history.folder.path(), &database).await;
    for table in super::TABLES {
        let (name, key) = (table.name, table.columns[0].name);
        database.run(&format!("CREATE TABLE kept AS SELECT * FROM `{name}`")).await;
        database.run(&format!("DELETE FROM `{name}` ORDER BY `{key}` LIMIT 1")).await;
        let why = refusal(history.folder.path(), &database).await;
        assert!(
            why.contains(&format!("{name} (")) && why.contains("the source has") || why.contains("lacks rows"),
            "{why}"
        );
        database.run(&format!("INSERT IGNORE INTO `{name}` SELECT * FROM kept; DROP TABLE kept")).await;
    }
    let more = [
        (
            "user",
            "INSERT INTO user SELECT 999, 'more', '', '', NULL, private_conversation, 1, NULL FROM user LIMIT 1",
            "user (id 999)",
        ),
        (
            "device",
            "INSERT INTO device VALUES (999, x'01010101010101010101010101010101', '', '', 1, 1, NULL)",
            "device (user 999",
        ),
        (
            "spent_token",
            "INSERT INTO spent_token SELECT REPEAT(x'ff', 32), user, device, successor, 1 FROM spent_token LIMIT 1",
            "spent_token (hash ffff",
        ),
        ("member", "INSERT INTO member SELECT 999, conv, 0, 0, 1, 0, 0, 0, 0 FROM member LIMIT 1", "member (user 999"),
        ("follow_up", "INSERT INTO follow_up SELECT conv, target, 999, nth FROM follow_up LIMIT 1", "seq 999)"),
        ("mark", "INSERT INTO mark SELECT conv, target, 999 FROM mark LIMIT 1", "seq 999)"),
        (
            "message",
            "INSERT INTO message SELECT REPEAT(x'ff', 16), 1, 1, device, message_id, 1, 1, 1, 1, 1, hash, '' FROM message LIMIT 1",
            "message (conv ffffffff-ffff",
        ),
    ];
    for (table, insert, expected) in more {
        database.run(&format!("CREATE TABLE kept AS SELECT * FROM `{table}`; {insert}")).await;
        let why = refusal(history.folder.path(), &database).await;
        assert!(why.contains(expected) && why.contains("the source has"), "{table}: {why}");
        database
            .run(&format!("DELETE FROM `{table}`; INSERT INTO `{table}` SELECT * FROM kept; DROP TABLE kept"))
            .await;
    }
    assert_eq!(copied(history.folder.path(), &database).await.written(), 0, "all is as it was");
}

/// After the whole copy, and after half of one: a cluster that has served is not written over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_has_served_is_refused() {
    let history = history().await;
    for stop in [None, Some(12)] {
        let database = Database::migrated().await;
        let mut left = stop.unwrap_or(usize::MAX);
        let mut end = |moment: Moment| {
            left -= usize::from(moment == Moment::Committed);
            if left == 0 { Err(CopyError::Target("interrupted".into())) } else { Ok(()) }
        };
        let size = PageSize { rows: 10, bytes: 10_000 };
        let part = run(history.folder.path(), &database.config(), size, &|_| {}, &mut end).await;
        assert_eq!(part.is_ok(), stop.is_none());
        let store = database.open().await;
        people(&store, "new", 1).await;
        store.close().await;
        let before = database.contents().await;
        let why = refusal(history.folder.path(), &database).await;
        assert!(why.contains("empty database"), "{why}");
        assert_eq!(database.contents().await, before, "nothing is written");
    }
    let database = Database::migrated().await;
    database.run("INSERT INTO logged_out (user, at) VALUES (1, 1)").await;
    let why = refusal(history.folder.path(), &database).await;
    assert!(why.contains("logged_out") && why.contains("has served"), "{why}");
}

/// The standalone server was started again after the copy had begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_has_gone_on_is_noticed() {
    let (history, database) = (history().await, Database::migrated().await);
    copied(history.folder.path(), &database).await;
    let store = open(history.folder.path());
    people(&store, "late", 1).await;
    store.close().await.expect("in order");
    let why = refusal(history.folder.path(), &database).await;
    assert!(why.contains("lacks rows of user"), "{why}");
}

/// Somebody writes into the target while it is copied to: where no copied row meets theirs, the counts tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_appear_meanwhile_are_noticed_at_the_end() {
    for (change, expected) in [
        (
            "INSERT INTO user VALUES (999, 'more', '', '', NULL, x'01010101010101010101010101010101', 1, NULL)",
            "user has 9 rows there, and 8",
        ),
        ("UPDATE message SET n = n + 1", "ends with seq"),
    ] {
        let (history, database) = (history().await, Database::migrated().await);
        let (handle, config) = (tokio::runtime::Handle::current(), database.config());
        let mut commits = 0;
        let mut meddle = |moment: Moment| {
            commits += u32::from(moment == Moment::Committed);
            // The last commit: the tables take one each.
            if moment == Moment::Committed && commits == TABLES.len() as u32 {
                tokio::task::block_in_place(|| handle.block_on(database.run(change)));
            }
            Ok(())
        };
        let size = PageSize { rows: 1000, bytes: 1 << 20 };
        let result = run(history.folder.path(), &config, size, &|_| {}, &mut meddle).await;
        let Err(CopyError::Unequal(why)) = result else { panic!("{result:?}") };
        assert!(why.contains(expected), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_schemas_are_refused_with_a_sentence() {
    let (history, database) = (history().await, Database::named());
    let result = async |expected: [&str; 2]| {
        let why = copy(history.folder.path(), &database.config(), |_| {}).await.expect_err("refused").to_string();
        assert!(expected.iter().all(|words| why.contains(words)), "{why}");
    };
    result(["there is no database", "whimbrel migrate"]).await;
    crate::mysql::migrate(&database.config(), &mut |_| {}).await.expect("a good server");
    database.run("UPDATE schema_version SET number = 1").await;
    result(["has number 1", "whimbrel migrate"]).await;
    database.run("UPDATE schema_version SET number = 99").await;
    result(["has number 99", "newer program"]).await;
    let open = || rusqlite::Connection::open(super::super::database_file(history.folder.path())).expect("a database");
    let known: u32 = open().pragma_query_value(None, "user_version", |row| row.get(0)).expect("a number");
    database.run(&format!("UPDATE schema_version SET number = {known}")).await;
    let set = |number: u32| open().pragma_update(None, "user_version", number).expect("a number");
    set(1);
    let older = format!("has number 1, and this version of the program copies {known}");
    result([&older, "start the standalone server"]).await;
    set(99);
    result(["has number 99", "newer program"]).await;
    set(known);
    copied(history.folder.path(), &database).await;
}

/// What no version wrote: MySQL would fill it up or cut it off without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_would_change_on_the_way_are_refused() {
    let (history, database) = (history().await, Database::migrated().await);
    let file = super::super::database_file(history.folder.path());
    let db = rusqlite::Connection::open(&file).expect("a database");
    db.execute(
        "UPDATE device SET refresh_hash = x'0102' WHERE user = 1 AND id = (SELECT max(id) FROM device WHERE user = 1)",
        [],
    )
    .expect("changed");
    drop(db);
    let why = copy(&file, &database.config(), |_| {}).await.expect_err("refused").to_string();
    assert!(why.contains("device (user 1") && why.contains("bytes of another length in refresh_hash"), "{why}");
    let nowhere = copy(&file.with_file_name("nothing"), &database.config(), |_| {}).await.expect_err("nothing there");
    assert!(matches!(&nowhere, CopyError::Source(why) if why.contains("there is no database")), "{nowhere}");
}
