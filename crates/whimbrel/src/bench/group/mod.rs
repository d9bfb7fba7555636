//! Messages to a group whose members are all online: how many deliveries a server makes for a second of its processor
//! time, and how long it takes until the last member has a message.
//!
//! Every message is checked at every member: its bytes, its place, once, in its sender's order; its place is compared with
//! what its sender was told. Members say how far they are (DELIVERED and READ) at most once a second each: cursors are
//! cumulative, and a thousand people do not answer every message at once.

mod arrivals;
mod large;
mod member;
mod run;
mod setup;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::ProgressBar;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::GroupArgs;
use super::direct::shared::{Clock, Counts, Level, Plan, Shared};
use super::direct::{LOOK_EVERY, SETTLE_TIMEOUT, START_DELAY, Sample, ms, sample, watch};
use super::report::Report;
use super::target::Target;
use crate::prove::progress;
use arrivals::Arrivals;
pub(super) use large::run as run_large;
use member::Talk;
use setup::Stage;

/// The members' tasks; each gives its number and what it saw.
type Members = JoinSet<anyhow::Result<(usize, Talk)>>;

/// Runs it; fails when a message was not as it should be.
pub(super) async fn run(args: GroupArgs) -> anyhow::Result<ExitCode> {
    super::make_room(args.members as usize)?;
    anyhow::ensure!(args.senders <= args.members, "There are more --senders than --members");
    let seed = args.seed.unwrap_or_else(rand::random);
    let bar = progress::bar(args.warmup + args.seconds);
    bar.set_message("starting");
    let target = Target::open(&args.target).await?;
    bar.set_message(format!("a group of {} members, and as many sessions", args.members));
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
    let arrivals = Arc::new(Arrivals::new(args.senders as usize, args.members - 1));
    let stop = CancellationToken::new();
    let (mut tasks, levels) = stage.start(&args, &shared, &arrivals, &stop);
    let (samples, settled) = measure(&target, &shared, &levels, &mut tasks, &bar).await?;
    stop.cancel();
    let talks = finish(tasks).await?;
    bar.finish_and_clear();
    target.close().await?;

    let verdict = Verdict::new(&talks, settled);
    report(&args, seed, &samples, &shared, &arrivals, &verdict).print(args.json);
    for fault in verdict.faults() {
        eprintln!("error: {fault}");
    }
    Ok(if verdict.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits through warm-up, measurement and settling. Fails as soon as a member does.
async fn measure(
    target: &Target,
    shared: &Shared,
    levels: &[Arc<Level>],
    tasks: &mut Members,
    bar: &ProgressBar,
) -> anyhow::Result<([Sample; 2], bool)> {
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
        settled = is_settled(levels);
    }
    Ok(([before, after], settled))
}

/// Whether nothing is under way any more, and every member has what all the others sent.
fn is_settled(levels: &[Arc<Level>]) -> bool {
    let sent: u64 = levels.iter().map(|level| level.sent.load(Ordering::Relaxed)).sum();
    levels.iter().all(|level| {
        let (own, received) = (level.sent.load(Ordering::Relaxed), level.received.load(Ordering::Relaxed));
        level.quiet.load(Ordering::Relaxed) && own + received == sent
    })
}

/// The members' books, in the order of their numbers.
async fn finish(mut tasks: Members) -> anyhow::Result<Vec<Talk>> {
    let mut talks = Vec::with_capacity(tasks.len());
    while let Some(ended) = tasks.join_next().await {
        talks.push(ended.context("A member failed")??);
    }
    talks.sort_by_key(|(index, _)| *index);
    Ok(talks.into_iter().map(|(_, talk)| talk).collect())
}

/// What was found wrong, all members together.
#[derive(Debug, Default)]
struct Verdict {
    lost: u64,
    doubled: u64,
    reordered: u64,
    corrupt: u64,
    /// Members that have a message of a sender at another place than that was told.
    moved: u64,
    retries: u64,
    unsettled: bool,
}

impl Verdict {
    /// Compares what each member has with what each sender was told.
    fn new(talks: &[Talk], settled: bool) -> Self {
        let mut verdict = Self { unsettled: !settled, ..Self::default() };
        let senders: Vec<_> = talks.iter().filter_map(|talk| talk.sending.as_ref()).collect();
        verdict.retries = senders.iter().map(|sending| sending.retries).sum();
        for (index, talk) in talks.iter().enumerate() {
            verdict.doubled += talk.run.doubled;
            verdict.reordered += talk.run.reordered;
            verdict.corrupt += talk.run.corrupt;
            for (sender, sending) in senders.iter().enumerate().filter(|(sender, _)| *sender != index) {
                let (received, check) = talk.run.of(sender);
                verdict.lost += sending.sent.saturating_sub(received);
                verdict.moved += u64::from(received == sending.sent && check != sending.check);
            }
        }
        verdict
    }

    /// What was wrong, in sentences.
    fn faults(&self) -> Vec<String> {
        let counted = [
            (self.lost, "deliveries of messages that were answered SENT did not come"),
            (self.doubled, "messages stand at two places"),
            (self.reordered, "messages arrived behind a later one of their sender"),
            (self.corrupt, "bodies arrived that were not sent so"),
            (self.moved, "members have a sender's messages at other places than it was told"),
        ];
        let mut faults: Vec<_> =
            counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if self.unsettled {
            faults.push("not everything was answered and delivered in time after the load".to_owned());
        }
        faults
    }
}

fn report(
    args: &GroupArgs,
    seed: u64,
    [before, after]: &[Sample; 2],
    shared: &Shared,
    arrivals: &Arrivals,
    verdict: &Verdict,
) -> Report {
    let seconds = (after.at - before.at).as_secs_f64();
    let since = |part: fn(&Counts) -> u64| part(&after.counts) - part(&before.counts);
    let (messages, deliveries) = (since(|counts| counts.sent), since(|counts| counts.delivered));
    let by_kind = after.server_cpu_since(before);
    let server_cpu = by_kind.as_ref().map(|by_kind| by_kind.values().sum::<f64>());
    let (one_way, sent) = shared.latencies();
    let last = arrivals.latencies();
    let mut report = Report::default();
    report
        .add("what", "group")
        .add("version", env!("CARGO_PKG_VERSION"))
        .add("members", args.members)
        .add("senders", args.senders)
        .add("window", args.rate.is_none().then_some(args.window))
        .add("rate_per_s", args.rate)
        .add("bytes", args.bytes)
        .add("seed", seed)
        .measured("seconds", Some(seconds))
        .add("messages", messages)
        .add("deliveries", deliveries)
        .measured("messages_per_s", Some(messages as f64 / seconds))
        .measured("deliveries_per_s", Some(deliveries as f64 / seconds))
        .measured("deliveries_per_cpu_s", server_cpu.map(|cpu| deliveries as f64 / cpu))
        .measured("server_cpu_s", server_cpu)
        .add("server_cpu_s_by_process", by_kind.filter(|kinds| kinds.len() > 1).map(|kinds| json!(kinds)))
        .measured("generator_cpu_s", Some(after.generator_cpu_since(before)))
        .measured("last_member_p50_ms", ms(&last, 0.5))
        .measured("last_member_p99_ms", ms(&last, 0.99))
        .measured("last_member_max_ms", ms(&last, 1.0))
        .measured("one_way_p50_ms", ms(&one_way, 0.5))
        .measured("one_way_p99_ms", ms(&one_way, 0.99))
        .measured("sent_p50_ms", ms(&sent, 0.5))
        .measured("sent_p99_ms", ms(&sent, 0.99))
        .add("retries", verdict.retries)
        .add("lost", verdict.lost)
        .add("doubled", verdict.doubled)
        .add("reordered", verdict.reordered)
        .add("corrupt", verdict.corrupt)
        .add("moved", verdict.moved)
        .add("settled", !verdict.unsettled);
    report
}
