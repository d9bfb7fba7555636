//! What placing and joining ask is found by key, however large a group is.

use rusqlite::Connection;

use super::super::groups::BY_KEY;
use super::super::{DATABASE_FILE, head, history, search, texts};
use super::open;

/// Every step of every plan is a search of an index, and of none of the large ones by its first column alone (which
/// would read all members of a group, or all messages of a conversation).
#[tokio::test]
async fn heads_standings_targets_and_joining_read_rows_by_key() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).close().await.expect("in order");
    let db = Connection::open(folder.path().join(DATABASE_FILE)).expect("a database");
    for statement in [head::HEAD, head::MEMBERS, head::STANDING, head::TARGET, history::EARLIER].iter().chain(BY_KEY) {
        let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).expect(statement);
        let count = explain.parameter_count();
        let steps = explain.query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get::<_, String>(3));
        for step in steps.expect(statement).map(|step| step.expect("a step")) {
            assert!(!step.contains("SCAN") && !step.contains("TEMP B-TREE"), "{statement}: {step}");
            let large =
                ["group_member", "message_place", " p ", " h ", "SEARCH t "].iter().any(|name| step.contains(name));
            let bound = step.contains("AND") || step.contains("group_member_role") || step.contains("follow_up");
            assert!(
                !large || bound || step.contains("SEARCH message USING COVERING INDEX message_place (conv=?)"),
                "{step}"
            );
        }
    }
}

/// A message with five thousand edits costs its followers as little as one with three; what a former version wrote, which
/// did not count, is counted.
#[tokio::test]
async fn the_last_follow_up_says_how_many_there_are() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).close().await.expect("in order");
    let db = Connection::open(folder.path().join(DATABASE_FILE)).expect("a database");
    let conv = [7_u8; 16];
    db.execute_batch("BEGIN").expect("answers");
    for (seq, follow_ups, counts) in [(1, 3, 1), (2, 5000, 1), (3, 5000, 0)] {
        let message = "INSERT INTO message (conv, seq, sender, device, message_id, kind, key_version, at, n, own, hash, body) \
             VALUES (?1, ?2, 1, zeroblob(16), randomblob(16), 1, 1, 1, 1, 1, zeroblob(32), x'01')";
        db.execute(message, rusqlite::params![conv, seq]).expect("written");
        let follow_up = "INSERT INTO follow_up (conv, target, seq, nth) VALUES (?1, ?2, ?3, ?4)";
        for nth in 1..=follow_ups {
            db.execute(follow_up, rusqlite::params![conv, seq, 10_000 * seq + nth, counts * nth]).expect("written");
        }
    }
    db.execute_batch("COMMIT").expect("answers");
    let mut target = db.prepare(head::TARGET).expect("a statement");
    let mut steps = Vec::new();
    for (seq, expected) in [(1, 3), (2, 5000), (3, 5000)] {
        let found: u32 = target.query_row(rusqlite::params![conv, seq], |row| row.get(4)).expect("a row");
        assert_eq!(found, expected);
        steps.push(target.reset_status(rusqlite::StatementStatus::VmStep));
    }
    assert_eq!(steps[0], steps[1]);
    assert!(steps[2] > 1000, "what is counted shows in this measure");
}

/// What a text's row does, and what a search reads, is found by key; candidates come out of the index in their order, and
/// nothing is sorted.
#[tokio::test]
async fn texts_are_found_by_key_and_come_out_of_the_index_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).close().await.expect("in order");
    let db = Connection::open(folder.path().join(DATABASE_FILE)).expect("a database");
    for statement in [
        texts::TEXT,
        texts::SAID_BY,
        texts::OLD,
        texts::LAST_ID,
        texts::FOLLOW_UPS,
        search::MATCHES,
        search::TEXTS,
        search::NEWEST,
        search::CONVERSATIONS,
    ] {
        let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).expect(statement);
        let count = explain.parameter_count();
        let steps = explain.query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get::<_, String>(3));
        for step in steps.expect(statement).map(|step| step.expect("a step")) {
            let by_word = step.contains("SCAN message_word VIRTUAL TABLE INDEX");
            assert!(by_word || !step.contains("SCAN"), "{statement}: {step}");
            assert!(!step.contains("TEMP B-TREE"), "{statement}: {step}");
            // The texts of a conversation are never read from their beginning.
            let bound = step.contains("rowid") || step.contains("AND") || step.contains("INTEGER PRIMARY KEY");
            assert!(!step.contains(" t ") && !step.contains("message_text ") || bound, "{statement}: {step}");
        }
    }
}
