//! What the suite cannot see of searching on MySQL and MariaDB.

use std::sync::Arc;

use sqlx::Executor;

use super::super::directory::tests::stores_of;
use super::fresh;
use crate::conformance::cases;

#[tokio::test]
async fn texts_from_before_are_taken_up() {
    let (store, database) = fresh().await;
    let past = database.connect().await;
    let past = tokio::sync::Mutex::new(past);
    let stores = stores_of(Arc::new(store), Box::new(database));
    // As if the schema had just come: no text, and nothing taken up.
    cases::texts_from_before_are_taken_up(&stores, async || {
        let mut db = past.lock().await;
        db.execute("DELETE FROM message_text").await.expect("written");
        db.execute("DELETE FROM text_walk").await.expect("written");
    })
    .await;
}
