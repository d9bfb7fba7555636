//! What a row costs: µs per row of `commit`, by the number of rows that share it: the writer's CPU time (Linux), and the
//! time that passed, which is mostly the disk's.
//!
//! `cargo run --release -p whimbrel-store --example place_cost [-- FOLDER [SECONDS [PAGE_SIZE]]]`
//!
//! 200 direct conversations, bodies of 100 bytes, every commit on disk before the next begins.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use whimbrel_core::{ConversationId, DeviceId, Message, MessageId, MessageKind, Seq, UserId};
use whimbrel_store::directory::{NewUser, RelationChange};
use whimbrel_store::sqlite::{SqliteConfig, SqliteStore};
use whimbrel_store::{Directory, Keyring, MasterKey, NewRow, PlaceBatch, Timeline};

const CONVERSATIONS: usize = 200;
const SIZES: [usize; 4] = [1, 16, 64, 256];

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
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let page_size: u32 = arguments.next().map_or(Ok(SqliteConfig::default().page_size), |text| text.parse())?;
    let folder = folder.join(format!("place_cost.{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;

    let keyring = Arc::new(Keyring::new(MasterKey::generate(), Vec::new())?);
    let store = SqliteStore::open(&folder, keyring, SqliteConfig { page_size, ..SqliteConfig::default() })?;
    let mut lanes = lanes(&store).await?;
    println!("{:>5} {:>11} {:>9} {:>9} {:>9} {:>9}", "rows", "CPU µs/row", "µs/row", "rows/s", "p99 ms", "max ms");
    for size in SIZES {
        let mut times = Vec::new();
        let mut lane = 0;
        let (begun, cpu) = (Instant::now(), cpu_time());
        while begun.elapsed() < Duration::from_secs(seconds) {
            let rows = (0..size).map(|_| {
                lane = (lane + 1) % CONVERSATIONS;
                lanes[lane].next()
            });
            let batch = PlaceBatch { rows: rows.collect(), cursors: Vec::new() };
            let started = Instant::now();
            store.commit(batch).await.map_err(|(_, error)| error)?;
            times.push(started.elapsed());
        }
        report(size, &mut times, cpu_time() - cpu);
    }
    store.close().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn report(size: usize, times: &mut [Duration], cpu: Duration) {
    let total: Duration = times.iter().sum();
    times.sort();
    let rows = (times.len() * size) as f64;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{size:>5} {:>11.1} {:>9.1} {:>9.0} {:>9.2} {:>9.2}",
        cpu.as_secs_f64() * 1e6 / rows,
        total.as_secs_f64() * 1e6 / rows,
        rows / total.as_secs_f64(),
        ms(times[times.len() * 99 / 100]),
        ms(times[times.len() - 1]),
    );
}

/// What the writer thread has used; zero where there is no `/proc`.
fn cpu_time() -> Duration {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let times = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        (name.trim() == "store-writer").then_some(())?;
        times.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// 200 pairs of friends.
async fn lanes(store: &SqliteStore) -> Result<Vec<Lane>, Box<dyn Error>> {
    let users = (0..2 * CONVERSATIONS).map(|number| NewUser {
        handle: format!("user{number}"),
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
        NewRow { message, hash: [9; 32], n: self.seq - 1, own: self.own[side] }
    }
}
