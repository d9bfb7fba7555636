//! Opening and migrating: what is said, and what is never said.

use super::fresh;

/// A new database is made, migrated and opened; migrating again does nothing.
#[tokio::test]
async fn a_database_is_made_migrated_and_opened() {
    let (store, database) = fresh().await;
    let mut steps = Vec::new();
    let again = super::migrate(&database.config(), &mut |step| steps.push(step.to_owned())).await.expect("answers");
    assert_eq!((again.from, again.to, steps), (2, 2, Vec::new()));
    store.close().await;
}
