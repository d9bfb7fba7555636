//! What a row costs: µs per row of `commit`, by the number of rows that share it: CPU time (Linux), and the time that
//! passed, which is mostly the disk's.
//!
//! `cargo run --release -p whimbrel-store --example place_cost [-- FOLDER [SECONDS [PAGE_SIZE]]]`: SQLite; the CPU time is
//! the writer's.
//!
//! `cargo run --release -p whimbrel-store --example place_cost -- mysql://user@host/database [SECONDS [PID]]`: MySQL or
//! MariaDB, whose database is made; the CPU time is this process's, and that of the server with this process id.
//!
//! 200 direct conversations, bodies of 100 bytes, every commit on disk before the next begins.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use whimbrel_core::{ConversationId, DeviceId, Message, MessageId, MessageKind, Seq, UserId};
use whimbrel_store::directory::{NewUser, RelationChange};
use whimbrel_store::mysql::{self, MySqlConfig, MySqlStore};
use whimbrel_store::sqlite::{SqliteConfig, SqliteStore};
use whimbrel_store::{Directory, Keyring, MasterKey, NewRow, PlaceBatch, Timeline};

const CONVERSATIONS: usize = 200;
const SIZES: [usize; 6] = [1, 5, 16, 64, 256, 512];

/// A conversation as its archiver would remember it.
struct Lane {
    conversation: ConversationId,
    users: [UserId; 2],
    own: [u64; 2],
    seq: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next();
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let seconds = Duration::from_secs(seconds);
    let keyring = Arc::new(Keyring::new(MasterKey::generate(), Vec::new())?);
    if let Some(url) = place.as_deref().filter(|place| place.starts_with("mysql:")) {
        let server = arguments.next();
        let config = MySqlConfig::new(url.into());
        mysql::migrate(&config, &mut |step| eprintln!("{step}")).await?;
        let store = MySqlStore::open(config, keyring).await?;
        let own = || tasks_time(Path::new("/proc/self/task"), "");
        let theirs = || {
            server.as_ref().map_or(Duration::ZERO, |pid| tasks_time(&PathBuf::from(format!("/proc/{pid}/task")), ""))
        };
        measure(&store, &store, seconds, &[("own", &own), ("server", &theirs)]).await?;
        store.close().await;
        return Ok(());
    }
    let page_size: u32 = arguments.next().map_or(Ok(SqliteConfig::default().page_size), |text| text.parse())?;
    let folder = place.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("place_cost.{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let store = SqliteStore::open(&folder, keyring, SqliteConfig { page_size, ..SqliteConfig::default() })?;
    let writer = || tasks_time(Path::new("/proc/self/task"), "store-writer");
    measure(&store, &store, seconds, &[("writer", &writer)]).await?;
    store.close().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

type Clock<'a> = (&'static str, &'a dyn Fn() -> Duration);

async fn measure(
    timeline: &dyn Timeline,
    directory: &dyn Directory,
    seconds: Duration,
    clocks: &[Clock<'_>],
) -> Result<(), Box<dyn Error>> {
    let mut lanes = lanes(directory).await?;
    let names: String = clocks.iter().map(|(name, _)| format!(" {name:>9}")).collect();
    println!("{:>5} {:>9} {:>9} {:>9} {:>9}  CPU µs/row:{names}", "rows", "µs/row", "rows/s", "p99 ms", "max ms");
    for size in SIZES {
        let mut times = Vec::new();
        let mut lane = 0;
        let cpu: Vec<Duration> = clocks.iter().map(|(_, clock)| clock()).collect();
        let begun = Instant::now();
        while begun.elapsed() < seconds {
            let rows = (0..size).map(|_| {
                lane = (lane + 1) % CONVERSATIONS;
                lanes[lane].next()
            });
            let batch = PlaceBatch { rows: rows.collect(), cursors: Vec::new() };
            let started = Instant::now();
            timeline.commit(batch).await.map_err(|(_, error)| error)?;
            times.push(started.elapsed());
        }
        let used = clocks.iter().zip(cpu).map(|((_, clock), before)| clock() - before);
        report(size, &mut times, used);
    }
    Ok(())
}

fn report(size: usize, times: &mut [Duration], cpu: impl Iterator<Item = Duration>) {
    let total: Duration = times.iter().sum();
    times.sort();
    let rows = (times.len() * size) as f64;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let cpu: String = cpu.map(|cpu| format!(" {:>9.1}", cpu.as_secs_f64() * 1e6 / rows)).collect();
    println!(
        "{size:>5} {:>9.1} {:>9.0} {:>9.2} {:>9.2}             {cpu}",
        total.as_secs_f64() * 1e6 / rows,
        rows / total.as_secs_f64(),
        ms(times[times.len() * 99 / 100]),
        ms(times[times.len() - 1]),
    );
}

/// What the threads in this folder of `/proc` have used; those of this name, or all. Zero where there is no `/proc`.
fn tasks_time(tasks: &Path, name: &str) -> Duration {
    let Ok(tasks) = std::fs::read_dir(tasks) else { return Duration::ZERO };
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let named = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let times = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        (name.is_empty() || named.trim() == name).then_some(())?;
        times.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// 200 pairs of friends.
async fn lanes(store: &dyn Directory) -> Result<Vec<Lane>, Box<dyn Error>> {
    let users = (0..2 * CONVERSATIONS).map(|number| NewUser {
        // Other names each time: a database may be there already.
        handle: format!("u{}.{number}", std::process::id()),
        display_name: String::new(),
        password_hash: None,
    });
    let mut ids = Vec::new();
    for user in store.create_users(users.collect(), 1).await? {
        ids.push(user?.id);
    }
    let mut lanes = Vec::new();
    for pair in ids.chunks(2) {
        let (one, two) = (pair[0], pair[1]);
        store.change_relation(one, two, RelationChange::Request { greeting: String::new() }, 1).await?;
        let (relation, _) = store.change_relation(two, one, RelationChange::Accept, 1).await?;
        let conversation = relation.conversation.ok_or("friends have a conversation")?;
        lanes.push(Lane { conversation, users: [one, two], own: [0, 0], seq: 1 });
    }
    Ok(lanes)
}

impl Lane {
    fn next(&mut self) -> NewRow {
        self.seq += 1;
        let side = (self.seq % 2) as usize;
        self.own[side] += 1;
        let message = Message {
            conversation: self.conversation,
            seq: Seq(self.seq),
            sender: self.users[side],
            device: DeviceId::from_bytes([1; 16]),
            message_id: MessageId::generate(),
            kind: MessageKind::TEXT,
            key_version: 1,
            body: Bytes::from_static(&[7; 100]),
            at: self.seq,
        };
        NewRow { message, hash: [9; 32], n: self.seq - 1, own: self.own[side], in_group: false }
    }
}
