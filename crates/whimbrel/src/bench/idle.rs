//! Sessions that say nothing: what one costs in memory, and in processor time for its heartbeats.
//!
//! Memory is the growth of the server's resident memory over the measured sessions, opened in [`STEPS`] equal steps: the
//! median step counts, so that pages which an allocator gives back or takes once do not. What a server allocates once
//! would be counted, so some thousand sessions are open before. What was given back could be used again and hide what an
//! open session takes, so those stay open, and a private server is restarted once the accounts are made. (A server that
//! is not private cannot be restarted from here, and may show too little.)

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use whimbrel_core::SyncQuestion;
use whimbrel_wire::ServerPayload;

use super::args::IdleArgs;
use super::report::Report;
use super::session::Session;
use super::target::{TOKEN_TTL, Target};
use super::usage::{Memory, Process};
use crate::prove::accounts::Account;
use crate::prove::progress;

/// Steps in which the measured sessions are opened: an odd number, so that one of them is the median.
const STEPS: usize = 5;
/// Sessions that are being opened at the same time.
const OPENING_MAX: usize = 128;
/// Sessions from one loopback address: well below the number of ports that systems give out.
const PER_ADDRESS: usize = 20_000;
/// Memory is steady when this many looks in a row differ by less than [`STEADY_BYTES`].
const STEADY_LOOKS: usize = 4;
const STEADY_BYTES: u64 = 128 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Memory that is not steady after this is taken as it is.
const STEADY_TIMEOUT: Duration = Duration::from_secs(30);

/// Open sessions, each in a task of its own.
struct Crowd {
    servers: Vec<SocketAddr>,
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    opened: Arc<AtomicU64>,
    count: usize,
}

/// Runs it; fails when a session does not stay open.
pub(super) async fn run(args: IdleArgs) -> anyhow::Result<ExitCode> {
    let (clients, warm) = (args.clients as usize, args.warm as usize);
    super::make_room(clients + warm)?;
    let bar = progress::bar((clients + warm) as u64);
    bar.set_message("starting, and making accounts");
    let mut target = Target::open(&args.target).await?;
    let users = target.accounts.users(clients + warm).await?;
    let mut accounts = target.accounts.devices(&users, TOKEN_TTL).await?;
    let mut measured = accounts.split_off(warm);
    target.refresh().await?;

    let mut crowd = Crowd::new(target.servers.clone());
    bar.set_message("sessions to warm up");
    crowd.open(accounts, &bar).await?;
    let mut steps = vec![steady(&target, &bar).await?];
    let mut opening = Duration::ZERO;
    while !measured.is_empty() {
        bar.set_message("sessions");
        let rest = measured.split_off(measured.len().min(clients.div_ceil(STEPS)));
        let began = Instant::now();
        crowd.open(std::mem::replace(&mut measured, rest), &bar).await?;
        opening += began.elapsed();
        steps.push(steady(&target, &bar).await?);
    }
    let watched = watch(&args, &target, &mut crowd, &bar).await?;
    bar.finish_and_clear();
    let ended = crowd.close().await?;
    target.close().await?;
    report(&args, &steps, opening, watched, ended).print(args.json);
    if ended > 0 {
        bail!("{ended} sessions ended by themselves");
    }
    Ok(ExitCode::SUCCESS)
}

impl Crowd {
    fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
            opened: Arc::new(AtomicU64::new(0)),
            count: 0,
        }
    }

    /// Opens a session for each account; returns when all have finished their first sync.
    async fn open(&mut self, accounts: Vec<Account>, bar: &ProgressBar) -> anyhow::Result<()> {
        let turns = Arc::new(Semaphore::new(OPENING_MAX));
        let (ready, mut readies) = mpsc::channel(OPENING_MAX);
        let count = accounts.len();
        for account in accounts {
            let server = self.servers[self.count % self.servers.len()];
            let from = source(server, self.count);
            let (turns, stop, ready) = (turns.clone(), self.stop.clone(), ready.clone());
            self.count += 1;
            self.tasks.spawn(async move {
                let turn = turns.acquire_owned().await?;
                let mut session = Session::open(server, from, &account).await?;
                drop(account);
                first_sync(&mut session).await?;
                drop(turn);
                ready.send(()).await?;
                drop(ready);
                idle(session, stop).await
            });
        }
        drop(ready);
        for _ in 0..count {
            tokio::select! {
                Some(()) = readies.recv() => bar.inc(1),
                Some(ended) = self.tasks.join_next() => {
                    ended.context("A session's task failed")??;
                    bail!("A session ended while others were opened");
                }
            }
        }
        self.opened.fetch_add(count as u64, Ordering::Relaxed);
        Ok(())
    }

    /// How many have ended by themselves so far, and why the last one did.
    fn ended(&mut self) -> (u64, Option<anyhow::Error>) {
        let (mut count, mut why) = (0, None);
        while let Some(ended) = self.tasks.try_join_next() {
            count += 1;
            why = ended.map_err(anyhow::Error::from).and_then(|ended| ended).err();
        }
        (count, why)
    }

    /// Says goodbye everywhere; how many had ended before.
    async fn close(mut self) -> anyhow::Result<u64> {
        let (ended, why) = self.ended();
        if let Some(why) = why {
            eprintln!("error: a session ended: {why:#}");
        }
        self.stop.cancel();
        while let Some(left) = self.tasks.join_next().await {
            left.context("A session's task failed")??;
        }
        Ok(ended)
    }
}

/// The address to connect from: another one whenever the ports of the last are nearly used up.
fn source(server: SocketAddr, index: usize) -> Option<IpAddr> {
    let turn = u8::try_from(index / PER_ADDRESS).ok().filter(|turn| *turn > 0)?;
    (server.ip() == Ipv4Addr::LOCALHOST).then(|| Ipv4Addr::new(127, 0, 1, turn).into())
}

async fn first_sync(session: &mut Session) -> anyhow::Result<()> {
    session.put_sync(SyncQuestion {
        id: 0,
        after: None,
        until: None,
        known: Vec::new(),
        only_known: false,
        max_messages: 0,
    });
    session.flush().await?;
    let mut synced = false;
    while !synced {
        let frames = session.frames().await?;
        session.hear(frames, |payload| {
            synced |= matches!(payload, ServerPayload::Synced(_));
            Ok(())
        })?;
    }
    Ok(())
}

/// Does nothing but what the protocol asks for: acknowledgements and heartbeats.
async fn idle(mut session: Session, stop: CancellationToken) -> anyhow::Result<()> {
    let every = session.idle_every();
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    let stopped = stop.cancelled();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            frames = session.frames() => session.hear(frames?, |_| Ok(()))?,
            _ = ticks.tick() => {
                session.put_idle();
                session.flush().await?;
            }
            () = &mut stopped => break,
        }
    }
    session.leave().await;
    Ok(())
}

/// The server's memory once it does not change any more; `None` when its process is not known.
async fn steady(target: &Target, bar: &ProgressBar) -> anyhow::Result<Option<Memory>> {
    let Some(process) = &target.processes else { return Ok(None) };
    bar.set_message("waiting until memory is steady");
    let began = Instant::now();
    let mut last = process.memory()?;
    let mut steady = 0;
    while steady < STEADY_LOOKS && began.elapsed() < STEADY_TIMEOUT {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = process.memory()?;
        steady = if now.resident.abs_diff(last.resident) < STEADY_BYTES { steady + 1 } else { 0 };
        last = now;
    }
    Ok(Some(last))
}

/// Processor time over a while in which nothing happens but heartbeats, the server's and this process's.
async fn watch(
    args: &IdleArgs,
    target: &Target,
    crowd: &mut Crowd,
    bar: &ProgressBar,
) -> anyhow::Result<Option<(Duration, Duration, Duration)>> {
    let (Some(processes), 1..) = (&target.processes, args.seconds) else { return Ok(None) };
    let cpu = || -> anyhow::Result<Duration> { Ok(processes.cpu()?.values().sum()) };
    let (server, own, began) = (cpu()?, Process::own().cpu()?, Instant::now());
    bar.reset();
    bar.set_length(args.seconds);
    while began.elapsed() < Duration::from_secs(args.seconds) {
        tokio::time::sleep(LOOK_EVERY).await;
        bar.set_position(began.elapsed().as_secs());
        bar.set_message(format!("{} idle sessions", crowd.opened.load(Ordering::Relaxed)));
    }
    Ok(Some((cpu()? - server, Process::own().cpu()? - own, began.elapsed())))
}

fn report(
    args: &IdleArgs,
    steps: &[Option<Memory>],
    opening: Duration,
    watched: Option<(Duration, Duration, Duration)>,
    ended: u64,
) -> Report {
    let clients = f64::from(args.clients);
    let per_step = clients / (steps.len() - 1) as f64;
    let grown = |part: fn(&Memory) -> u64| -> Option<Vec<f64>> {
        let sizes: Vec<f64> = steps.iter().map(|memory| Some(part(memory.as_ref()?) as f64)).collect::<Option<_>>()?;
        let mut grown: Vec<f64> = sizes.windows(2).map(|two| (two[1] - two[0]) / per_step).collect();
        grown.sort_by(f64::total_cmp);
        Some(grown)
    };
    let median = |part| grown(part).map(|grown| grown[grown.len() / 2]);
    let resident = grown(|memory| memory.resident).unwrap_or_default();
    let sessions = clients + f64::from(args.warm);
    let per_minute =
        watched.map(|(server, _, time)| server.as_secs_f64() * 1e6 / sessions / (time.as_secs_f64() / 60.0));
    let mib = |memory: Option<&Option<Memory>>| Some(memory?.as_ref()?.resident as f64 / f64::from(1 << 20));
    let mut report = Report::default();
    report
        .add("what", "idle")
        .add("version", env!("CARGO_PKG_VERSION"))
        .add("clients", args.clients)
        .add("warm_clients", args.warm)
        .measured("bytes_per_connection", median(|memory| memory.resident))
        .measured("bytes_per_connection_least_step", resident.first().copied())
        .measured("bytes_per_connection_most_step", resident.last().copied())
        .measured("proportional_bytes_per_connection", median(|memory| memory.proportional))
        .measured("anonymous_bytes_per_connection", median(|memory| memory.anonymous))
        .measured("server_resident_before_mib", mib(steps.first()))
        .measured("server_resident_after_mib", mib(steps.last()))
        .measured("connects_per_s", Some(clients / opening.as_secs_f64()))
        .measured("server_cpu_us_per_session_minute", per_minute)
        .measured("watched_s", watched.map(|(.., time)| time.as_secs_f64()))
        .measured("server_cpu_s", watched.map(|(server, ..)| server.as_secs_f64()))
        .measured("generator_cpu_s", watched.map(|(_, own, _)| own.as_secs_f64()))
        .add("ended", ended);
    report
}
