//! What placing and joining ask is found by key, however large a group is.

use rusqlite::Connection;

use super::super::groups::BY_KEY;
use super::super::{DATABASE_FILE, head};
use super::open;

/// Every step of every plan is a search of an index, and of none of the large ones by its first column alone (which
/// would read all members of a group, or all messages of a conversation).
#[tokio::test]
async fn heads_standings_targets_and_joining_read_rows_by_key() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).close().await.expect("in order");
    let db = Connection::open(folder.path().join(DATABASE_FILE)).expect("a database");
    for statement in [head::HEAD, head::MEMBERS, head::STANDING, head::TARGET].iter().chain(BY_KEY) {
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
