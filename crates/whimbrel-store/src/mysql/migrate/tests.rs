use std::fs;
use std::path::Path;

use super::super::tests::{TestDatabase, keyring};
use super::super::{MySqlStore, OpenError};
use super::*;

fn names(engine: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(engine);
    let files = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Both engines have files of the same numbers and names, and this program has all of them.
#[test]
fn both_engines_have_the_same_migrations() {
    assert_eq!(names("mysql"), names("sqlite"));
    assert_eq!(names("mysql").len(), MIGRATIONS.len());
    assert!(names("mysql").iter().zip(1..).all(|(name, number)| name.starts_with(&format!("{number:04}_"))));
}

#[test]
fn files_are_cut_into_statements() {
    let file = "-- one; two;\nCREATE TABLE a (\n    -- a key;\n    b INT\n);\n\nDROP TABLE c;\n";
    assert_eq!(statements(file), ["CREATE TABLE a (\n    b INT\n)", "DROP TABLE c"]);
    let expand = |one: &String| one.starts_with("CREATE TABLE ") || one.starts_with("ALTER TABLE ");
    assert!(MIGRATIONS.iter().all(|migration| statements(migration).iter().all(expand)));
}

/// What takes a statement back: tables, columns and keys that it made are gone.
fn undo(statement: &str) -> String {
    let mut words = statement.split_whitespace();
    let verb = words.next();
    let table = words.nth(1).expect("CREATE TABLE name, ALTER TABLE name");
    if verb == Some("CREATE") {
        return format!("DROP TABLE {table}");
    }
    let drops = ["COLUMN", "KEY"].map(|thing| {
        let add = format!("ADD {thing} ");
        let added = statement.split(&add).skip(1);
        added
            .map(|name| format!("DROP {thing} {}", name.split_whitespace().next().expect("a name")))
            .collect::<Vec<_>>()
    });
    let drops = drops.concat();
    format!("ALTER TABLE {table} {}", drops.join(", "))
}

async fn open(database: &TestDatabase) -> Result<(), OpenError> {
    MySqlStore::open(database.config(), keyring()).await.map(drop)
}

/// Every column and key of a database, as the server describes them.
async fn schema(db: &mut MySqlConnection) -> Vec<String> {
    let described = "SELECT CONCAT_WS(' ', table_name, column_name, ordinal_position, column_type, is_nullable, \
         column_default, collation_name) FROM information_schema.columns WHERE table_schema = DATABASE() \
         UNION ALL SELECT CONCAT_WS(' ', table_name, index_name, seq_in_index, column_name, non_unique, index_type) \
         FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY 1";
    let rows: Vec<(Vec<u8>,)> = sqlx::query_as(described).fetch_all(db).await.expect("answers");
    rows.into_iter().map(|(row,)| String::from_utf8(row).expect("text")).collect()
}

/// At every statement: interrupted before it, while it was carried out, and before it was counted. Migrating again ends
/// with the whole schema; until then nobody opens it.
#[tokio::test]
async fn an_interrupted_migration_goes_on() {
    let database = TestDatabase::migrated().await;
    let (mut db, target) = (database.connect().await, Target::of(&database.config()).expect("a good URL"));
    let wanted = schema(&mut db).await;
    let whole: Vec<_> = MIGRATIONS.iter().map(|migration| statements(migration)).collect();
    take_back(&mut db, whole.iter().flatten()).await;
    write_state(&mut db, State { number: 0, done: 0, begun: false }).await.expect("answers");
    for number in 0..MIGRATIONS.len() {
        // File by file: those that come later are not there, and those before are not looked at again.
        let files = &MIGRATIONS[..=number];
        run(&mut db, &target, files, &mut |_| {}).await.expect("the next file");
        let made = schema(&mut db).await;
        for done in 0..whole[number].len() {
            for (begun, carried_out) in [(false, false), (true, false), (true, true)] {
                take_back(&mut db, &whole[number][done + usize::from(carried_out)..]).await;
                let state = State { number: number as u32, done: done as u32, begun };
                write_state(&mut db, state).await.expect("answers");
                assert!(
                    matches!(open(&database).await, Err(OpenError::Wrong(why)) if why.contains("whimbrel migrate"))
                );
                run(&mut db, &target, files, &mut |_| {}).await.expect("it goes on");
                assert_eq!(schema(&mut db).await, made, "file {}, statement {done}", number + 1);
            }
        }
    }
    assert_eq!(schema(&mut db).await, wanted);
    open(&database).await.expect("whole");
}

/// Takes statements back, the last one first.
async fn take_back<'a>(db: &mut MySqlConnection, done: impl IntoIterator<Item = &'a String>) {
    for statement in done.into_iter().collect::<Vec<_>>().into_iter().rev() {
        db.execute(sqlx::raw_sql(AssertSqlSafe(undo(statement)))).await.expect("it is there");
    }
}

/// From before there were terms, and more than are written at once: what is listed and stands gets its own, also when the
/// first try was interrupted among them.
#[tokio::test]
async fn groups_from_before_are_found() {
    let database = TestDatabase::migrated().await;
    let mut db = database.connect().await;
    let number = WITH_TERMS as usize - 1;
    let later: Vec<_> = MIGRATIONS[number..].iter().flat_map(|migration| statements(migration)).collect();
    take_back(&mut db, &later).await;
    let row = |id: u32, name: &str, listed: u8, ended: &str| {
        format!("(UNHEX('{id:032x}'),'{name}','','',1,1,{listed},0,10,1,1,{ended})")
    };
    let listed = (1..=520).map(|id| row(id, "Night Birds", 1, "NULL"));
    let rows: Vec<_> = listed.chain([row(600, "Hidden", 0, "NULL"), row(601, "Former", 1, "9")]).collect();
    let insert = "INSERT INTO chat_group (conv,name,avatar,announcement,owner,join_mode,listed,history_for_all,\
         member_limit,size,created_at,dissolved_at) VALUES ";
    db.execute(sqlx::raw_sql(AssertSqlSafe(format!("{insert}{}", rows.join(","))))).await.expect("rows");
    let state = State { number: number as u32, done: 0, begun: false };
    let whole = State { done: statements(MIGRATIONS[number]).len() as u32, ..state };
    for (state, lose) in [(state, None), (whole, Some("DELETE FROM group_term WHERE term = 'birds' LIMIT 300"))] {
        if let Some(lose) = lose {
            take_back(&mut db, &later[statements(MIGRATIONS[number]).len()..]).await;
            db.execute(lose).await.expect("there are some");
        }
        write_state(&mut db, state).await.expect("answers");
        migrate(&database.config(), &mut |_| {}).await.expect("it goes on");
        let counts = "SELECT CONVERT(term USING utf8mb4), COUNT(*) FROM group_term GROUP BY term ORDER BY term";
        let counts: Vec<(String, i64)> = sqlx::query_as(counts).fetch_all(&mut db).await.expect("answers");
        assert_eq!(counts, [("birds".to_owned(), 520), ("night birds".to_owned(), 520)]);
    }
}

/// A table of somebody else's in the way is no work of ours: it stops, and says where.
#[tokio::test]
async fn a_foreign_table_is_not_taken_for_our_own() {
    let database = TestDatabase::migrated().await;
    let mut db = database.connect().await;
    write_state(&mut db, State { number: 0, done: 3, begun: false }).await.expect("answers");
    let stopped = migrate(&database.config(), &mut |_| {}).await;
    assert!(
        matches!(&stopped, Err(OpenError::Wrong(why)) if why.contains("stopped at \"CREATE TABLE conversation")),
        "{stopped:?}"
    );
}

/// Eight nodes at once on an empty server: all end well, and one of them did it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_may_migrate_at_once() {
    let database = TestDatabase::named();
    let nodes = (0..8).map(|_| {
        let config = database.config();
        tokio::spawn(async move { migrate(&config, &mut |_| {}).await })
    });
    let results = futures_util::future::join_all(nodes.collect::<Vec<_>>()).await;
    let from: Vec<u32> = results.into_iter().map(|node| node.expect("no panic").expect("migrated").from).collect();
    assert_eq!(from.iter().filter(|number| **number == 0).count(), 1, "{from:?}");
    open(&database).await.expect("whole");
}

/// Another program's number: refused by both, and nothing is changed.
#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = TestDatabase::migrated().await;
    let mut db = database.connect().await;
    let newer = State { number: known(MIGRATIONS) + 1, done: 0, begun: false };
    write_state(&mut db, newer).await.expect("answers");
    for refused in [open(&database).await.err(), migrate(&database.config(), &mut |_| {}).await.err()] {
        assert!(matches!(&refused, Some(OpenError::Wrong(why)) if why.contains("use a newer program")), "{refused:?}");
    }
    let target = Target::of(&database.config()).expect("a good URL");
    assert_eq!(read_state(&mut db, &target).await.expect("answers"), Some(newer));
}
