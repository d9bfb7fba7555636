//! Each server is started, frozen, killed and started again, and what it says it kept is there.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use sqlx::{Connection, MySqlConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use whimbrel_engines::{Instance, Persistence, Rabbit, Recipe, Redis, RedisOptions, Sql};

fn has_ended(pid: u32) -> bool {
    // A zombie has ended too; only init is slow to notice.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// Nothing listens once it was killed, and a frozen one takes connections without a word.
async fn freezes_and_dies<R: Recipe>(server: &mut Instance<R>, greeting: &[u8]) {
    let address = format!("127.0.0.1:{}", server.port());
    server.freeze().unwrap();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(greeting).await.unwrap();
    let mut byte = [0];
    let silent = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut byte)).await;
    assert!(silent.is_err(), "{} answers while frozen", R::NAME);
    server.thaw().unwrap();
    assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "{} does not go on", R::NAME);

    let pid = server.pid().unwrap();
    server.freeze().unwrap();
    server.kill();
    assert!(has_ended(pid) && !server.runs(), "{} outlives kill", R::NAME);
    assert!(server.pid().is_err() && server.freeze().is_err());
    assert!(TcpStream::connect(&address).await.is_err(), "{} listens after kill", R::NAME);
}

#[tokio::test]
async fn redis_forgets_or_goes_back_to_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let options = RedisOptions { persistence: Persistence::Snapshots };
    let mut redis = Redis::start(&folder.path().join("redis"), options).await.unwrap();
    println!("Redis started in {:?}", started.elapsed());
    redis.command(&["SET", "a", "1"]).await.unwrap();
    let first = redis.save().await.unwrap();
    redis.command(&["SET", "a", "2"]).await.unwrap();
    let second = redis.save().await.unwrap();
    redis.command(&["SET", "a", "3"]).await.unwrap();

    freezes_and_dies(&mut redis, b"PING\r\n").await;
    let url = redis.url();
    redis.restart().await.unwrap();
    assert_eq!(redis.url(), url);
    assert_eq!(redis.command(&["GET", "a"]).await.unwrap(), "2", "a killed one keeps what was saved");
    redis.restore_snapshot(&first).await.unwrap();
    assert_eq!(redis.command(&["GET", "a"]).await.unwrap(), "1");
    redis.restore_snapshot(&second).await.unwrap();
    assert_eq!(redis.command(&["GET", "a"]).await.unwrap(), "2");
    redis.command(&["SET", "a", "4"]).await.unwrap();
    redis.stop().await.unwrap();
    redis.restart().await.unwrap();
    assert_eq!(redis.command(&["GET", "a"]).await.unwrap(), "4", "a polite stop saves");
    redis.flush_all().await.unwrap();
    assert_eq!(redis.command(&["DBSIZE"]).await.unwrap(), "0");

    let mut forgetful = Redis::start(&folder.path().join("forgetful"), RedisOptions::default()).await.unwrap();
    assert_ne!(forgetful.port(), redis.port());
    forgetful.command(&["SET", "a", "1"]).await.unwrap();
    forgetful.stop().await.unwrap();
    forgetful.restart().await.unwrap();
    assert!(forgetful.command(&["GET", "a"]).await.is_err(), "persistence is off");
    assert!(forgetful.save().await.is_err());
}

#[tokio::test]
async fn sql_keeps_what_was_committed_and_keeps_users_apart() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let mut sql = Sql::start(folder.path()).await.unwrap();
    println!("SQL installed and started in {:?}", started.elapsed());
    let mut root = MySqlConnection::connect(&sql.url()).await.unwrap();
    for statement in
        ["CREATE DATABASE whimbrel_life", "CREATE TABLE whimbrel_life.kept (a INT)", "CREATE DATABASE other"]
    {
        sqlx::raw_sql(statement).execute(&mut root).await.unwrap();
    }
    let mut user = MySqlConnection::connect(&sql.user_url("whimbrel_life")).await.unwrap();
    sqlx::raw_sql("INSERT INTO kept VALUES (7)").execute(&mut user).await.unwrap();
    sqlx::raw_sql("CREATE DATABASE whimbrel_other").execute(&mut user).await.unwrap();
    assert!(MySqlConnection::connect(&sql.user_url("other")).await.is_err(), "the user is kept out of other databases");
    let empty = format!("mysql://root@127.0.0.1:{}", sql.port());
    assert!(MySqlConnection::connect(&empty).await.is_err(), "root has no password");

    freezes_and_dies(&mut sql, b"").await;
    let (url, started) = (sql.user_url("whimbrel_life"), Instant::now());
    sql.restart().await.unwrap();
    println!("SQL started again in {:?}", started.elapsed());
    let mut user = MySqlConnection::connect(&url).await.unwrap();
    let kept: i32 = sqlx::query_scalar("SELECT a FROM kept").fetch_one(&mut user).await.unwrap();
    assert_eq!(kept, 7);
    sql.stop().await.unwrap();
    assert!(!sql.runs());
}

/// Two at once, beside whatever else runs on this machine. What a node starts has sessions of its own, so it is listed
/// before the kill and looked for after it.
#[tokio::test]
async fn two_rabbits_live_side_by_side_and_one_is_killed_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let started = Instant::now();
    let (one, two) = tokio::join!(Rabbit::start(&one), Rabbit::start(&two));
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    println!("Two RabbitMQ started at once in {:?}", started.elapsed());
    let pid = one.pid().unwrap();
    assert_eq!(
        std::fs::read_to_string(one.folder().join("pid")).unwrap().trim(),
        pid.to_string(),
        "the node is not the child"
    );
    let family = descendants(pid);
    assert!(family.len() > 2, "a node starts others: {family:?}");

    freezes_and_dies(&mut one, b"AMQP\x00\x00\x09\x01").await;
    let killed = Instant::now();
    while !family.iter().all(|pid| has_ended(*pid)) {
        assert!(killed.elapsed() < Duration::from_secs(20), "some outlive their node: {family:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(two.runs(), "the other one died too");
    let (url, started) = (one.url(), Instant::now());
    one.restart().await.unwrap();
    println!("RabbitMQ started again in {:?}", started.elapsed());
    assert_eq!(one.url(), url);
    two.stop().await.unwrap();
    assert!(one.runs() && !two.runs());
}

/// All processes that this one started, and those that they did.
fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, parent))
        })
        .collect();
    let mut family = vec![pid];
    let mut at = 0;
    while at < family.len() {
        let children = parents.iter().filter(|(_, parent)| *parent == family[at]).map(|(child, _)| *child);
        family.extend(children.collect::<Vec<_>>());
        at += 1;
    }
    family.split_off(1)
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dump.rdb"), "no snapshot").unwrap();
    let error = Redis::start(folder.path(), RedisOptions::default()).await.unwrap_err().to_string();
    assert!(error.starts_with("Redis ended with exit status: 1:"), "{error}");
    assert!(error.contains("loading the DB"), "the log's end is not in: {error}");
}
