//! What locating costs: µs per call by how many users it names, and how much of that is this process's CPU and Redis's.
//!
//! `cargo run --release -p whimbrel-store --example locate_cost [-- URL [SECONDS]]`
//!
//! 10,000 users with one session each, 16 callers at a time. The line with no users is the least that any cache could come
//! to that asks Redis, as it must, whether what it holds still counts.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use whimbrel_core::{ConnectorId, DeviceId, SessionId, UserId};
use whimbrel_store::redis::{RedisConfig, RedisUserStatus};
use whimbrel_store::{Route, UserStatus};

const USERS: u64 = 10_000;
const CALLERS: u64 = 16;
const SIZES: [u64; 5] = [0, 1, 8, 32, 128];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "redis://127.0.0.1:6379".into());
    let time = Duration::from_secs(arguments.next().map_or(Ok(3), |text| text.parse())?);
    let prefix = format!("locate_cost.{}", std::process::id());
    let config = RedisConfig { prefix, routes_unsure: Duration::ZERO, ..RedisConfig::new(url) };
    let status = Arc::new(RedisUserStatus::new(RedisConfig { lease: time * 10, ..config })?);
    let connector = ConnectorId::generate();
    status.renew(connector).await?;
    let route = || Route { session: SessionId::generate(), device: DeviceId::generate(), connector, since: 1 };
    let sessions: Vec<_> = (0..USERS).map(|user| (UserId(user), route())).collect();
    status.online(&sessions).await?;

    println!("{:>6} {:>10} {:>14} {:>10}", "users", "µs/call", "own CPU µs", "calls/s");
    for size in SIZES {
        let (begun, cpu) = (Instant::now(), own_cpu());
        let calls: u64 =
            try_join_all((0..CALLERS).map(|caller| calls(&status, caller, size, time))).await?.iter().sum();
        let per_call = |time: Duration| time.as_secs_f64() * 1e6 / calls as f64;
        let elapsed = begun.elapsed();
        let rate = calls as f64 / elapsed.as_secs_f64();
        println!("{size:>6} {:>10.1} {:>14.1} {rate:>10.0}", per_call(elapsed), per_call(own_cpu() - cpu));
    }
    let goodbyes: Vec<_> = sessions.iter().map(|(user, route)| (*user, route.session)).collect();
    status.offline(&goodbyes).await?;
    status.expel(&[connector]).await?;
    Ok(())
}

async fn calls(status: &RedisUserStatus, caller: u64, size: u64, time: Duration) -> Result<u64, Box<dyn Error>> {
    let begun = Instant::now();
    let (mut calls, mut next) = (0, caller * 1000);
    while begun.elapsed() < time {
        if size == 0 {
            status.connectors().await?;
        } else {
            let users: Vec<UserId> = (0..size).map(|number| UserId((next + number * 7) % USERS)).collect();
            status.locate(&users).await?;
        }
        (calls, next) = (calls + 1, next + 61);
    }
    Ok(calls)
}

/// What this process has used; zero where there is no `/proc`.
fn own_cpu() -> Duration {
    let Ok(stat) = std::fs::read_to_string("/proc/self/schedstat") else { return Duration::ZERO };
    stat.split_whitespace().next().and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_nanos)
}
