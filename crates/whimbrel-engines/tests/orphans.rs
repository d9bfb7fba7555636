//! Nothing outlives its owner, also when that is killed with -9 and can tidy nothing.
//!
//! The owner is this test program once more, told by a variable to start servers and wait.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use whimbrel_engines::{Kind, Rabbit, Redis, RedisOptions, Sql, find};

const FOLDER: &str = "ENGINES_TEST_OWNER";
/// Far more than it takes: the end of a pipe and a signal.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// The owner, when it is one; a test of nothing otherwise.
#[tokio::test]
async fn owner() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let (redis, rabbit, sql) = (folder.join("redis"), folder.join("rabbit"), folder.join("sql"));
    let (redis, rabbit, sql) =
        tokio::join!(Redis::start(&redis, RedisOptions::default()), Rabbit::start(&rabbit), Sql::start(&sql));
    let (redis, rabbit, mut sql) = (redis.unwrap(), rabbit.unwrap(), sql.unwrap());
    // A frozen one goes too.
    sql.freeze().unwrap();
    println!("\npids {} {} {}", redis.pid().unwrap(), rabbit.pid().unwrap(), sql.pid().unwrap());
    std::future::pending::<()>().await;
}

#[test]
fn servers_end_with_an_owner_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let pids = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("pids ").map(str::to_owned));
    let pids = pids.expect("The owner ended before its servers stood");
    // Whoever works in the folder is one of the servers, their watchers, epmd, or what they started.
    let family = working_below(folder.path());
    assert!(pids.split(' ').all(|pid| family.iter().any(|member| member == pid)), "{pids} are not all of {family:?}");
    assert!(family.len() >= 7, "three servers, three watchers and epmd: {family:?}");

    owner.kill().unwrap();
    owner.wait().unwrap();
    let killed = Instant::now();
    while !working_below(folder.path()).is_empty() {
        assert!(killed.elapsed() < GONE_WITHIN, "still there: {:?}", working_below(folder.path()));
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("All gone {:?} after their owner", killed.elapsed());
}

/// The processes whose working folder is `folder` or below it.
fn working_below(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&folder)))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[tokio::test]
async fn what_was_found_once_is_found_again_without_a_look() {
    let first = find(Kind::Redis).await.unwrap();
    assert_eq!(find(Kind::Redis).await.unwrap().how, first.how);
    assert!(first.url.starts_with("redis://") && first.how.starts_with("Redis "), "{first:?}");
}
