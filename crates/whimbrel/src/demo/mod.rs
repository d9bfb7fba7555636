//! `whimbrel demo`: a standalone server on a temporary folder, with people to log in as and bots that check themselves;
//! or the same people and bots on a server that runs already.

mod bots;
mod counters;
mod people;
mod screen;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use whimbrel_api::MetricsAccess;

use crate::config::Config;
use crate::config::sections::{Log, LogFormat};
use crate::house::admin::{self, Admin};
use crate::house::{panics, secret_file, signal, telemetry};
use crate::roles::standalone;
use bots::{Doors, Flock};
use counters::{Counters, LOST_AFTER};
use people::Everybody;
use screen::Style;

/// How long the last receipts are waited for when all messages have come. In the group they are asked for, and hold from
/// when they are durable, up to a second after they were given.
const RECEIPTS: Duration = Duration::from_secs(5);

/// The flags of `whimbrel demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Bots that chat with each other
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=people::BOTS.len() as i64))]
    bots: u8,
    /// Messages a second that the bots write, all together
    #[arg(long, default_value_t = 20.0, value_parser = rate)]
    rate: f64,
    /// End after this many seconds (otherwise with Ctrl-C)
    #[arg(long)]
    seconds: Option<u64>,
    /// Where clients connect; another free port if it is taken
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7100")]
    listen: SocketAddr,
    /// Where REST answers; another free port if it is taken
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7180")]
    http: SocketAddr,
    /// Let the people and bots use a server that runs already: where its clients connect
    #[arg(long, value_name = "HOST:PORT", requires_all = ["api", "admin_key_file"], conflicts_with_all = ["listen", "http"])]
    join: Option<String>,
    /// With --join: where its REST answers
    #[arg(long, value_name = "URL", requires = "join")]
    api: Option<String>,
    /// With --join: the file whose first line is its administrator's key
    #[arg(long, value_name = "FILE", requires = "join")]
    admin_key_file: Option<PathBuf>,
    /// With --join: the people's password is the first line of this file (otherwise a new one)
    #[arg(long, value_name = "FILE", requires = "join")]
    password_file: Option<PathBuf>,
    /// With --join: /readyz here says whether messages flow and every promise was kept
    #[arg(long, value_name = "IP:PORT", requires = "join")]
    health: Option<SocketAddr>,
    /// Print an object a line instead of text
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  whimbrel demo
  whimbrel demo --rate 500 --seconds 30      exits with 1 if a message was lost, doubled or reordered
  whimbrel demo --join localhost:7100 --api http://localhost:7180 --admin-key-file admin.key

Then, in another terminal:
  whimbrel chat --handle alice";

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.1..=10_000.0).contains(&rate) => Ok(rate),
        _ => Err("a number from 0.1 to 10000".to_owned()),
    }
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = signal::stop_token()?;
    panics::end_the_process();
    if let (Some(clients), Some(api), Some(key)) = (&args.join, &args.api, &args.admin_key_file) {
        let doors = Doors { api: api.trim_end_matches('/').to_owned(), clients: clients.clone() };
        let admin_key = secret_file::read_first_line(key).context("--admin-key-file")?;
        telemetry::init_log(&Log { filter: "warn".to_owned(), format: LogFormat::Text });
        let clean = open(&args, doors, &admin_key, None, stop).await?;
        return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let folder = tempfile::Builder::new().prefix("whimbrel-demo-").tempdir().context("no temporary folder")?;
    let mut config = Config::private(&folder.path().join("data"));
    config.log.filter = "warn".to_owned();
    config.clients.address = free(args.listen).await?;
    config.http.address = free(args.http).await?;
    let admin_key = uuid::Uuid::new_v4().simple().to_string() + &uuid::Uuid::new_v4().simple().to_string();
    config.admin.key = Some(admin_key.clone().into());
    telemetry::init_log(&config.log);
    let server = standalone::start(&config, telemetry::init_metrics()?).await?;
    let doors = Doors { api: format!("http://{}", server.http_addr()), clients: server.client_addr().to_string() };
    let clean = open(&args, doors, &admin_key, Some(folder.path()), stop).await?;
    server.stop().await?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the people and bots, and lets them talk. `folder`: where the server keeps its data, if it is this demo's.
async fn open(
    args: &Args,
    doors: Doors,
    admin_key: &str,
    folder: Option<&Path>,
    stop: CancellationToken,
) -> anyhow::Result<bool> {
    let password = match &args.password_file {
        Some(file) => secret_file::read_first_line(file).context("--password-file")?,
        None => uuid::Uuid::new_v4().simple().to_string()[..10].to_owned(),
    };
    let all = people::create(&doors.api, admin_key, &password, usize::from(args.bots), folder.is_none()).await?;
    let style = Style::of(args.json);
    // Nobody reads: the next look at the counters notices, and ends it.
    let _ = screen::welcome(style, &doors, &password, &all, folder);
    chat(args, style, doors, all, stop).await
}

/// Lets the bots talk until the end; whether every promise was kept.
async fn chat(
    args: &Args,
    style: Style,
    doors: Doors,
    Everybody { bots, group, .. }: Everybody,
    stop: CancellationToken,
) -> anyhow::Result<bool> {
    let users = bots.iter().map(|bot| bot.credentials.user).collect();
    let flock = Arc::new(Flock { counters: Mutex::new(Counters::default()), started: Instant::now(), users, group });
    if let Some(address) = args.health {
        serve_health(address, flock.clone()).await?;
    }
    let bots_total = bots.len();
    let pause = Duration::from_secs_f64(bots.len() as f64 / args.rate);
    let (quiet, end) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks = JoinSet::new();
    for bot in bots {
        tasks.spawn(bots::run(bot, doors.clone(), flock.clone(), pause, quiet.clone(), end.clone()));
    }
    let mut looks = tokio::time::interval(style.pause());
    let until = args.seconds.map(Duration::from_secs);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = after(until, flock.started) => break,
            _ = looks.tick() => {
                let elapsed = flock.started.elapsed();
                let figures = flock.counters.lock().look(elapsed);
                if screen::counters(style, figures, elapsed).is_err() {
                    break;
                }
            },
            Some(ended) = tasks.join_next() => ended.context("a bot panicked")??,
        }
    }
    // Silence, until what was under way has come to its end (or is lost).
    quiet.cancel();
    let silent = Instant::now();
    let waits = |flock: &Flock| {
        let counters = flock.counters.lock();
        let patience = if counters.under_way() > 0 { LOST_AFTER + Duration::from_secs(1) } else { RECEIPTS };
        (counters.under_way() > 0 || counters.unread() > 0) && silent.elapsed() < patience
    };
    while waits(&flock) && tasks.len() == bots_total {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (figures, under_way) = (figures(&flock), flock.counters.lock().under_way());
    // The exit code says it too.
    let _ = screen::verdict(style, figures, under_way, flock.started.elapsed());
    end.cancel();
    while tasks.join_next().await.is_some() {}
    Ok(figures.is_clean() && under_way == 0)
}

/// Serves /readyz until the process ends.
async fn serve_health(address: SocketAddr, flock: Arc<Flock>) -> anyhow::Result<()> {
    let listener = admin::bind("--health", address).await?;
    let ready = Arc::new(move || flock.counters.lock().well(flock.started.elapsed()));
    let metrics = telemetry::init_metrics()?;
    telemetry::spawn_upkeep(metrics.clone());
    tokio::spawn(admin::serve(listener, Admin { ready, metrics, access: MetricsAccess::Loopback }));
    Ok(())
}

fn figures(flock: &Flock) -> counters::Figures {
    flock.counters.lock().figures(flock.started.elapsed())
}

async fn after(until: Option<Duration>, started: Instant) {
    match until {
        Some(until) => tokio::time::sleep(until.saturating_sub(started.elapsed())).await,
        None => std::future::pending().await,
    }
}

/// This address, or one with a free port if it is taken.
async fn free(address: SocketAddr) -> anyhow::Result<SocketAddr> {
    match TcpListener::bind(address).await {
        Ok(_) => Ok(address),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(SocketAddr::new(address.ip(), 0)),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address}")),
    }
}
