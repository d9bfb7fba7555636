//! What a row costs; for people.

use std::time::Instant;

use super::history::open;
use super::{Database, copied};
use crate::conformance::{Lane, befriend, people};
use crate::{PlaceBatch, Timeline};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; run with --release --run-ignored=only"]
async fn two_hundred_thousand_messages() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let users = people(&store, "user", 201).await;
    let mut lanes = Vec::new();
    for other in &users[1..] {
        befriend(&store, users[0], *other).await;
        let relation = crate::Directory::relation(&store, users[0], *other).await.expect("answers").expect("friends");
        lanes.push(Lane::of(&store, relation.conversation.expect("friends"), users[0], *other).await);
    }
    for round in 0..500 {
        let rows = lanes.iter_mut().flat_map(|lane| [lane.row(round % 2), lane.row(0)]).collect::<Vec<_>>();
        let mut rows = rows;
        rows.iter_mut().for_each(|row| row.message.body = vec![round as u8; 120].into());
        let batch = PlaceBatch { rows, cursors: Vec::new() };
        store.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    }
    store.close().await.expect("in order");
    let database = Database::migrated().await;
    for what in ["copied", "compared"] {
        let begun = Instant::now();
        let rows = copied(folder.path(), &database).await.rows();
        let seconds = begun.elapsed().as_secs_f64();
        println!("{rows} rows {what} in {seconds:.1} s: {:.0} rows/s", rows as f64 / seconds);
    }
}
