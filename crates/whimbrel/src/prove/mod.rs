//! `whimbrel prove`: doubt this server on this machine.
//!
//! A private server is put under load by real clients, killed with -9 and started again at random moments while they go
//! on; or a private cluster, or one that runs in containers, to which much more is done. Then what every sender was told
//! SENT is compared with what every device's application was shown, and with what a fresh device syncs from zero.
//!
//! | module | owns |
//! |---|---|
//! | `plan` | what will happen, from the seed alone |
//! | `trouble`, `cluster` | what is done to a cluster, and what became of it |
//! | `private` | how it is done to processes of one's own; `crate::local` has them |
//! | `compose` | how it is done to a running Compose project |
//! | `accounts` | users made with the administrator's key |
//! | `groups` | groups, who comes and goes there, and what is owed to whom |
//! | `clients` | the SDKs and what their applications do |
//! | `ledger`, `receipts`, `punctual` | what was promised, shown and told, as it happens |
//! | `ghosts` | whether friends are shown as they are |
//! | `settle` | the levels that have to be reached in the end |
//! | `pictures` | what a person sees in the end, compared |
//! | `verdict` | the judgement; pure |
//!
//! Nothing here waits without a bound, and nothing is judged by the server's or the SDK's own counters.

pub(crate) mod accounts;
mod args;
mod clients;
mod cluster;
mod compose;
mod couriers;
mod dice;
mod ghosts;
mod groups;
mod ledger;
mod pictures;
mod plan;
mod private;
pub(crate) mod progress;
mod punctual;
mod receipts;
mod report;
mod settle;
mod stage;
mod trouble;
mod verdict;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::ProgressBar;

pub(crate) use args::Args;
use clients::Order;
use compose::Project;
use couriers::Couriers;
use ghosts::Ghosts;
use plan::{Kill, Plan};
use report::{Done, Grouped, Outcome};
use settle::Unsettled;
use stage::Stage;
use trouble::History;
use verdict::{Faults, Kind, Reference};

use crate::local::cluster::PrivateCluster;
use crate::local::standalone::PrivateServer;

/// The exit code of a run that was interrupted: 128 + SIGINT.
const INTERRUPTED: u8 = 130;
/// How often the first SENT after a restart is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A restart after which nothing is answered for so long counts as this slow.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

/// Runs it; Ctrl-C ends it, and the server with it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    args.check()?;
    let stop = crate::house::signal::stop_token()?;
    let mut folder = tempfile::Builder::new().prefix("whimbrel-prove-").tempdir().context("A temporary folder")?;
    folder.disable_cleanup(args.keep);
    let result = tokio::select! {
        result = prove(&args, folder.path()) => result,
        () = stop.cancelled() => {
            eprintln!("interrupted; nothing was judged");
            if let Some(project) = &args.compose {
                say_what_runs(project).await?;
            }
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    let good = result.as_ref().is_ok_and(Outcome::is_good);
    if args.keep || !good {
        folder.disable_cleanup(true);
        eprintln!("kept: {} (logs, data, the clients' stores)", folder.path().display());
    }
    result?.print(args.json);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was done to a project's containers has been undone by now: the run was dropped.
async fn say_what_runs(project: &str) -> anyhow::Result<()> {
    match compose::stopped(project).await?[..] {
        [] => eprintln!("every container of {project} runs again"),
        ref stopped => anyhow::bail!("Of {project}, these do not run: {}", stopped.join(", ")),
    }
    Ok(())
}

/// Where a server's clients and its REST are.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    /// `host:port`.
    clients: String,
    /// `http://host:port`.
    api: String,
    admin_key: String,
}

/// What is doubted.
enum House {
    Standalone(Box<PrivateServer>),
    Cluster(Box<PrivateCluster>),
    Compose(Box<Project>),
}

impl House {
    async fn start(args: &Args, folder: &Path) -> anyhow::Result<Self> {
        match (&args.compose, args.cluster) {
            (Some(project), _) => Ok(Self::Compose(Box::new(Project::open(project).await?))),
            (None, true) => Ok(Self::Cluster(Box::new(private::start(folder).await?))),
            (None, false) => Ok(Self::Standalone(Box::new(PrivateServer::start(folder, &[]).await?))),
        }
    }

    fn doors(&self) -> Doors {
        match self {
            Self::Standalone(server) => Doors {
                clients: server.clients().to_string(),
                api: server.api(),
                admin_key: server.admin_key().to_owned(),
            },
            Self::Cluster(cluster) => private::doors(cluster),
            Self::Compose(project) => project.doors(),
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        match self {
            Self::Standalone(mut server) => server.stop().await,
            Self::Cluster(cluster) => cluster.stop().await,
            Self::Compose(project) => project.leave().await,
        }
    }
}

async fn prove(args: &Args, folder: &Path) -> anyhow::Result<Outcome> {
    let seed = args.seed.unwrap_or_else(rand::random);
    let kills = if args.cluster { 0 } else { args.kills.into() };
    let plan = Plan::new(seed, args.duration(), args.clients.into(), kills);
    let announced = announced(args, kills);
    eprintln!("seed {seed}: {} clients of {} users, {announced}", plan.devices.len(), plan.users);
    let bar = progress::bar(args.duration().as_secs());
    bar.set_message("starting");
    let mut house = House::start(args, folder).await?;
    let doors = house.doors();
    let mut stage = Stage::open(&doors, &plan, seed, args.rate, folder).await?;

    let ghosts = Arc::new(Mutex::new(Ghosts::default()));
    let watching = ghosts::watch(stage.world.clone(), stage.handles.clone(), ghosts.clone());
    let watching = tokio::spawn(watching);
    let couriers = Couriers::open(&doors, seed, folder).await?;
    let couriers = tokio::spawn(couriers.run(stage.world.order.clone()));

    let mut faults = Faults::default();
    let begin = || cluster::Load::new(&stage, args.duration(), &bar, folder);
    let troubles = || plan.troubles(seed, &args.kinds());
    let done = match &mut house {
        House::Standalone(server) => Done::Kills(load(&plan, args.duration(), server, &stage, &bar).await?),
        House::Cluster(cluster) => noted(begin()?.run(&troubles(), cluster.as_mut()).await?, &mut faults),
        House::Compose(project) => noted(begin()?.run(&troubles(), project.as_mut()).await?, &mut faults),
    };
    let settling = Instant::now();
    bar.set_message("waiting until everything has arrived");
    stage.order(Order::Settle);
    let deeds = stage.deeds_done().await?;
    let (couriers, mut brought) = couriers.await.context("What brings files failed")?;
    let mut unsettled = Unsettled::default();
    settle::everything_shown(&mut unsettled, &stage.handles, stage.all()).await;
    bar.set_message("waiting until everybody is shown as here");
    settle::presence_true(&mut unsettled, &stage.handles, false).await;
    bar.set_message("syncing fresh devices from zero");
    stage.add_fresh_devices(&doors).await?;
    let everybody: Vec<_> = stage.handles.iter().chain(&stage.fresh).cloned().collect();
    settle::fresh_shown(&mut unsettled, &everybody, stage.all()).await;
    bar.set_message("comparing cursors and unread counts");
    let reference = Reference::new(&stage.fresh_books(), &stage.groups);
    settle::cursors_true(&mut unsettled, &stage.world, &everybody, stage.all(), &reference).await;
    bar.set_message("comparing what everybody sees");
    let compared = pictures::compare(&stage.handles, &stage.fresh, stage.all(), &reference, &mut faults).await;
    bar.set_message("fetching all files once more");
    couriers.again(&mut brought).await?;
    std::mem::take(&mut brought.faults).into_iter().for_each(|(kind, what)| faults.add(kind, what));
    bar.set_message("waiting until half of them are shown as gone");
    stage.order(Order::Part);
    settle::presence_true(&mut unsettled, &everybody, true).await;
    let settled = settling.elapsed();
    for what in unsettled.0 {
        faults.add(Kind::Wrong, format!("did not settle: {what}"));
    }

    watching.abort();
    stage.finish().await?;
    let ghosts = std::mem::take(&mut *ghosts.lock().expect("nobody panics while looking"));
    let unnamed = (ghosts.named.len()..ghosts.count).map(|_| "and another one".to_owned());
    ghosts.named.iter().cloned().chain(unnamed).for_each(|what| faults.add(Kind::Ghost, what));
    if let Err(error) = house.stop().await {
        faults.add(Kind::Wrong, format!("{error:#}"));
    }
    let (books, fresh) = (stage.books(), stage.fresh_books());
    let notes = verdict::judge(&books, &fresh, &stage.conversations(), &stage.groups, &reference, &mut faults);
    for (group, done) in stage.groups.iter().zip(&deeds) {
        verdict::check_deeds(group, done, &reference, &mut faults);
    }
    let receipts = stage.judge_receipts(&reference.chronicles, &mut faults);
    bar.finish_and_clear();
    let seconds = stage.world.began.elapsed();
    let slowest_shown = Duration::from_millis(stage.world.slowest_shown_ms.load(Ordering::Relaxed));
    let repeated = deeds.iter().map(|done| done.repeated).sum();
    let groups = Grouped { notes, repeated, compared };
    let left_out = args.left_out();
    Ok(Outcome {
        seed,
        plan,
        books,
        reference,
        groups,
        receipts,
        presences: ghosts.compared,
        files: brought,
        done,
        left_out,
        settled,
        slowest_shown,
        seconds,
        faults,
    })
}

/// What became of the faults, and among the faults of the run what should not have happened meanwhile.
fn noted((history, wrong): (History, Vec<String>), faults: &mut Faults) -> Done {
    wrong.into_iter().for_each(|what| faults.add(Kind::Wrong, what));
    Done::Troubles(history)
}

/// What will be done to the server, in words.
fn announced(args: &Args, kills: usize) -> String {
    match args.kinds()[..] {
        _ if !args.cluster => format!("{kills} kills"),
        [only] => format!("{only} again and again"),
        ref kinds => format!("faults of {} kinds in turn", kinds.len()),
    }
}

/// The load and the kills; gives the slowest recovery: from starting the server again to the first SENT.
async fn load(
    plan: &Plan,
    duration: Duration,
    server: &mut PrivateServer,
    stage: &Stage,
    bar: &ProgressBar,
) -> anyhow::Result<Duration> {
    let world = &stage.world;
    let mut slowest = Duration::ZERO;
    for (number, kill) in plan.kills.iter().enumerate() {
        let show = |what: &str| show(bar, stage, &format!("kill {} of {}: {what}", number + 1, plan.kills.len()));
        wait_until(world.began + kill.at, || show("to come")).await;
        world.calm.ends();
        server.kill();
        show("killed");
        let up = Instant::now() + kill.down;
        wait_until(up, || show("down")).await;
        world.first_sent_ms.store(0, Ordering::Relaxed);
        let again = world.began.elapsed();
        launch(server).await?;
        world.calm.begins(world.began.elapsed());
        let next = plan.kills.get(number + 1).map_or(RECOVERY_MAX, |Kill { at, .. }| *at).max(again);
        let give_up = next.min(again + RECOVERY_MAX);
        let first = loop {
            match world.first_sent_ms.load(Ordering::Relaxed) {
                0 if world.began.elapsed() < give_up => tokio::time::sleep(LOOK_EVERY).await,
                0 => break world.began.elapsed(),
                ms => break Duration::from_millis(ms),
            }
        };
        slowest = slowest.max(first.saturating_sub(again));
    }
    wait_until(world.began + duration, || show(bar, stage, "all kills done")).await;
    Ok(slowest)
}

/// Starts the server again.
async fn launch(server: &mut PrivateServer) -> anyhow::Result<()> {
    server.launch().await.context("The server does not come back after a kill")
}

/// Waits, and shows how it goes.
async fn wait_until(moment: Instant, show: impl Fn()) {
    loop {
        show();
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(Duration::from_millis(500))).await;
    }
}

fn show(bar: &ProgressBar, stage: &Stage, what: &str) {
    let world = &stage.world;
    let (drafted, sent) = (world.drafted.load(Ordering::Relaxed), world.sent.load(Ordering::Relaxed));
    bar.set_position(world.began.elapsed().as_secs());
    bar.set_message(format!("{drafted} written, {sent} sent, {} clients there; {what}", stage.there()));
}
