//! The tables named here are the schemas': what a later migration adds is not forgotten.

use std::collections::BTreeSet;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use super::super::table::{EMPTY, MADE_ANEW, TABLES};
use super::Database;
use super::history::open;

/// With the tables that an index keeps for itself.
fn is_left_out(table: &str) -> bool {
    EMPTY.contains(&table) || MADE_ANEW.iter().any(|made| table.starts_with(made))
}

type Columns = BTreeSet<(String, String)>;

fn known() -> Columns {
    let all = TABLES.iter().flat_map(|table| table.columns.iter().map(move |column| (table.name, column.name)));
    all.map(|(table, column)| (table.to_owned(), column.to_owned())).collect()
}

#[tokio::test]
async fn every_column_of_the_sqlite_schema_is_copied() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).close().await.expect("in order");
    let db = rusqlite::Connection::open(super::super::database_file(folder.path())).expect("a database");
    let text = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' \
                AND t.name NOT LIKE 'sqlite_%'";
    let mut read = db.prepare(text).expect("a statement");
    let rows = read.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).expect("rows");
    let rows = rows.map(|row| row.expect("a row")).filter(|(table, _)| !is_left_out(table));
    assert_eq!(rows.collect::<Columns>(), known());
}

#[tokio::test]
async fn every_column_of_the_mysql_schema_is_copied() {
    let database = Database::migrated().await;
    let options: MySqlConnectOptions = format!("{}/{}", database.server, database.name).parse().expect("a good URL");
    let mut db = options.connect().await.expect("a good server");
    let text = "SELECT CAST(TABLE_NAME AS CHAR), CAST(COLUMN_NAME AS CHAR) FROM information_schema.COLUMNS \
                WHERE TABLE_SCHEMA = DATABASE()";
    let rows = db.fetch_all(AssertSqlSafe(text.to_owned())).await.expect("rows");
    let rows = rows.iter().map(|row| (row.get::<String, _>(0), row.get::<String, _>(1)));
    let own = |table: &str| !is_left_out(table) && table != "schema_version";
    assert_eq!(rows.filter(|(table, _)| own(table)).collect::<Columns>(), known());
}
