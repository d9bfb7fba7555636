//! Messages between pairs of friends: how many a server makes durable, delivers and receipts for a second of its
//! processor time, and how long one takes.
//!
//! One-way is from the moment at which a message was due (in a closed loop: was written) to its receiver's having it
//! decoded, on one clock in one process. Every message is checked at its receiver: its bytes, its place, once, in order;
//! its place is compared with what its sender was told; and in the end every receipt has come.

mod client;
pub(super) mod pace;
mod receiving;
pub(super) mod sending;
pub(super) mod setup;
pub(super) mod shared;
mod verdict;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::DirectArgs;
use super::report::Report;
use super::target::Target;
use super::usage::{Process, Processes};
use crate::prove::progress;
use client::Talk;
use setup::Stage;
use shared::{Clock, Counts, Level, Plan, Shared};
use verdict::{Verdict, is_settled};

/// The clients' tasks; each gives its number and what it saw.
type Clients = JoinSet<anyhow::Result<(usize, Talk)>>;

/// Sessions start their load together, this long after the last was opened.
pub(super) const START_DELAY: Duration = Duration::from_millis(200);
/// After the load everything has to arrive within this.
pub(super) const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often counters are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What was measured, besides latencies.
struct Measured {
    before: Sample,
    after: Sample,
    settled: bool,
}

/// Counters and processor times at one moment.
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) counts: Counts,
    /// By kind of process.
    server_cpu: Option<BTreeMap<String, Duration>>,
    generator_cpu: Duration,
}

impl Sample {
    /// The server's processor time since another, by kind of process, seconds.
    pub(super) fn server_cpu_since(&self, before: &Self) -> Option<BTreeMap<String, f64>> {
        let (after, before) = (self.server_cpu.as_ref()?, before.server_cpu.as_ref()?);
        let used = |(kind, cpu): (&String, &Duration)| {
            (kind.clone(), cpu.saturating_sub(before.get(kind).copied().unwrap_or_default()).as_secs_f64())
        };
        Some(after.iter().map(used).collect())
    }

    /// The load generator's processor time since another, seconds.
    pub(super) fn generator_cpu_since(&self, before: &Self) -> f64 {
        (self.generator_cpu - before.generator_cpu).as_secs_f64()
    }
}

/// Runs it; fails when a message was not as it should be.
pub(super) async fn run(args: DirectArgs) -> anyhow::Result<ExitCode> {
    super::make_room(args.clients as usize)?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let bar = progress::bar(args.warmup + args.seconds);
    bar.set_message("starting");
    let target = Target::open(&args.target).await?;
    bar.set_message(format!("opening {} sessions", args.clients));
    let stage = Stage::open(&target, &args).await?;

    let clock = Clock(Instant::now() + START_DELAY);
    let second = 1_000_000;
    let plan = Plan {
        seed,
        bytes: args.bytes as usize,
        from_us: args.warmup * second,
        until_us: (args.warmup + args.seconds) * second,
    };
    let shared = Arc::new(Shared::new(plan, clock));
    let stop = CancellationToken::new();
    let (mut tasks, levels) = stage.start(&args, &shared, &stop);
    let measured = measure(&args, &target, &shared, &levels, &mut tasks, &bar).await?;
    stop.cancel();
    let talks = finish(tasks).await?;
    bar.finish_and_clear();
    target.close().await?;

    let verdict = Verdict::new(&talks, measured.settled);
    report(&args, seed, &measured, &shared, &verdict).print(args.json);
    for fault in verdict.faults() {
        eprintln!("error: {fault}");
    }
    Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits through warm-up, measurement and settling. Fails as soon as a client does.
async fn measure(
    args: &DirectArgs,
    target: &Target,
    shared: &Shared,
    levels: &[Arc<Level>],
    tasks: &mut Clients,
    bar: &ProgressBar,
) -> anyhow::Result<Measured> {
    let until = |us: u64| shared.clock.0 + Duration::from_micros(us);
    watch(until(shared.plan.from_us), shared, tasks, bar).await?;
    let before = sample(target, shared)?;
    watch(until(shared.plan.until_us), shared, tasks, bar).await?;
    let after = sample(target, shared)?;
    bar.set_message("waiting for everything to arrive");
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let mut settled = false;
    while !settled && Instant::now() < deadline {
        watch(Instant::now() + LOOK_EVERY, shared, tasks, bar).await?;
        settled = is_settled(levels, args.both);
    }
    Ok(Measured { before, after, settled })
}

/// Waits, shows how it goes, and notices a client that ends.
pub(super) async fn watch<T: 'static>(
    until: Instant,
    shared: &Shared,
    tasks: &mut JoinSet<anyhow::Result<T>>,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let end = tokio::time::sleep_until(until.into());
    tokio::pin!(end);
    let mut looks = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            () = &mut end => return Ok(()),
            Some(ended) = tasks.join_next() => {
                ended.context("A client of the load failed")??;
                anyhow::bail!("A client of the load ended before its time");
            }
            _ = looks.tick() => {
                let Counts { sent, delivered, receipts } = shared.counts();
                bar.set_position(shared.clock.now_us() / 1_000_000);
                bar.set_message(format!("{sent} sent, {delivered} delivered, {receipts} receipts"));
            }
        }
    }
}

pub(super) fn sample(target: &Target, shared: &Shared) -> anyhow::Result<Sample> {
    Ok(Sample {
        at: Instant::now(),
        counts: shared.counts(),
        server_cpu: target.processes.as_ref().map(Processes::cpu).transpose()?,
        generator_cpu: Process::own().cpu()?,
    })
}

/// The clients' books, in the order of their numbers.
async fn finish(mut tasks: Clients) -> anyhow::Result<Vec<Talk>> {
    let mut talks = Vec::with_capacity(tasks.len());
    while let Some(ended) = tasks.join_next().await {
        talks.push(ended.context("A client of the load failed")??);
    }
    talks.sort_by_key(|(index, _)| *index);
    Ok(talks.into_iter().map(|(_, talk)| talk).collect())
}

/// A quantile in milliseconds of a histogram of microseconds; nothing of an empty one.
pub(super) fn ms(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1000.0)
}

fn report(args: &DirectArgs, seed: u64, measured: &Measured, shared: &Shared, verdict: &Verdict) -> Report {
    let Measured { before, after, settled } = measured;
    let seconds = (after.at - before.at).as_secs_f64();
    let messages = after.counts.sent - before.counts.sent;
    let deliveries = after.counts.delivered - before.counts.delivered;
    let by_kind = after.server_cpu_since(before);
    let server_cpu = by_kind.as_ref().map(|by_kind| by_kind.values().sum::<f64>());
    let per_cpu = |count: u64| server_cpu.map(|cpu| count as f64 / cpu);
    let (one_way, sent) = shared.latencies();
    let mut report = Report::default();
    report
        .add("what", "direct")
        .add("version", env!("CARGO_PKG_VERSION"))
        .add("clients", args.clients)
        .add("senders", if args.both { args.clients } else { args.clients / 2 })
        .add("window", args.rate.is_none().then_some(args.window))
        .add("rate_per_s", args.rate)
        .add("bytes", args.bytes)
        .add("seed", seed)
        .measured("seconds", Some(seconds))
        .add("messages", messages)
        .add("deliveries", deliveries)
        .add("receipts", after.counts.receipts - before.counts.receipts)
        .measured("messages_per_s", Some(messages as f64 / seconds))
        .measured("messages_per_cpu_s", per_cpu(messages))
        .measured("deliveries_per_cpu_s", per_cpu(deliveries))
        .measured("server_cpu_s", server_cpu)
        .add("server_cpu_s_by_process", by_kind.filter(|kinds| kinds.len() > 1).map(|kinds| json!(kinds)))
        .measured("generator_cpu_s", Some(after.generator_cpu_since(before)))
        .measured("one_way_p50_ms", ms(&one_way, 0.5))
        .measured("one_way_p99_ms", ms(&one_way, 0.99))
        .measured("one_way_max_ms", ms(&one_way, 1.0))
        .measured("sent_p50_ms", ms(&sent, 0.5))
        .measured("sent_p99_ms", ms(&sent, 0.99))
        .add("retries", verdict.retries)
        .add("lost", verdict.lost)
        .add("doubled", verdict.doubled)
        .add("reordered", verdict.reordered)
        .add("corrupt", verdict.corrupt)
        .add("moved", verdict.moved)
        .add("settled", *settled);
    report
}
