//! Opening and migrating: what is said, and what is never said.

use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::super::{MySqlConfig, MySqlStore, OpenError, migrate};
use super::{TestDatabase, fresh, keyring};
use crate::testing;

async fn refused(url: String) -> OpenError {
    MySqlStore::open(MySqlConfig::new(SecretString::from(url)), keyring()).await.expect_err("it cannot be opened")
}

/// A new database is made, migrated and opened; migrating again does nothing.
#[tokio::test]
async fn a_database_is_made_migrated_and_opened() {
    let (store, database) = fresh().await;
    let mut steps = Vec::new();
    let again = migrate(&database.config(), &mut |step| steps.push(step.to_owned())).await.expect("answers");
    assert_eq!((again.to - again.from, steps), (0, Vec::new()));
    store.close().await;
}

/// Each fault is named, with where and whose it is; the password is not.
#[tokio::test]
async fn what_is_wrong_is_named() {
    let database = TestDatabase::migrated().await;
    let place = database.server.rsplit('@').next().expect("a place").to_owned();
    let wrong = |error: OpenError, words: &[&str]| {
        let OpenError::Wrong(said) = &error else { panic!("{error:?}") };
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!said.contains("geheim"), "{said}");
    };
    let by = |login: &str| refused(testing::database_url(&format!("mysql://{login}@{place}"), &database.name));
    let database_url = testing::database_url(&database.server, &database.name);
    wrong(by("nobody.here:geheim").await, &["refuses the user nobody.here"]);
    wrong(
        refused(testing::database_url(&database.server, "wb_nowhere")).await,
        &["no database wb_nowhere", "whimbrel migrate"],
    );
    wrong(refused(testing::database_url(&database.server, "")).await, &["names no database"]);
    wrong(refused("mysql://root:geheim@:x/y".into()).await, &["cannot be read"]);
    // On a socket there is nothing to protect, and who may is the system's to say.
    if !database_url.contains('?') {
        wrong(by("root:geheim").await, &["refuses the user root", &place]);
        wrong(refused(format!("{database_url}?ssl-mode=REQUIRED")).await, &["TLS"]);
    }
    wrong(
        refused(testing::database_url(&database.server, "mysql")).await,
        &["mysql has no schema yet", "whimbrel migrate"],
    );
}

/// Nobody listens, and nobody answers: both are said in a few seconds, and both may become better.
#[tokio::test]
async fn away_is_told_from_wrong_and_soon() {
    let begun = Instant::now();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = nobody.local_addr().expect("a port");
    let closed = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("a port")
    };
    for address in [closed, silent] {
        let error = refused(format!("mysql://root:geheim@{address}/whimbrel")).await;
        assert!(matches!(&error, OpenError::Away(said) if said.contains(&address.to_string())), "{error:?}");
        assert!(!error.to_string().contains("geheim"));
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}
