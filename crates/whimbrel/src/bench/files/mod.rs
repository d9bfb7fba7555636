//! Files up and down: how fast, beside the disk's own speed; many small ones; and the server's memory while many uploads
//! run.
//!
//! Every byte that comes down is compared with what went up. Contents differ, so that none is shared by its hash. What was
//! measured is given up at once, and the server collects it within a second: the disk holds one measurement at a time,
//! about.
//!
//! | room | owns |
//! |---|---|
//! | `disk` | what the disk does without a server |
//! | `content` | bytes that nobody has had, and their hashes, made before the clock runs |
//! | `load` | files on their way, one at a time or several |
//! | `memory` | what the server holds meanwhile |

mod content;
mod disk;
mod load;
mod memory;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::timeout;

use super::args::FilesArgs;
use super::report::Report;
use super::target::{TOKEN_TTL, Target};
use super::usage::Process;
use crate::prove::progress;
use content::Content;
use load::Load;

/// Uploads of one user: fewer than may run at once.
const PER_USER: u32 = 10;

/// What moved, and what it took.
struct Moved {
    bytes: u64,
    took: Duration,
    /// Of the server's processes, if they are known.
    cpu: Option<Duration>,
}

impl Moved {
    /// Million bytes a second.
    fn speed(&self) -> Option<f64> {
        Some(self.bytes as f64 / 1e6 / self.took.as_secs_f64())
    }

    /// Processor seconds for a thousand million bytes.
    fn cost(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu.as_secs_f64() / (self.bytes as f64 / 1e9))
    }
}

/// Runs it.
pub(super) async fn run(args: FilesArgs) -> anyhow::Result<ExitCode> {
    let within = Duration::from_secs(args.within);
    let measured = timeout(within, measure(args)).await;
    measured.with_context(|| format!("It was not done within {within:?}; --within allows more time"))?
}

async fn measure(mut args: FilesArgs) -> anyhow::Result<ExitCode> {
    let people = args.uploads.max(args.together).div_ceil(PER_USER);
    // In front: the last word is the user's. What was measured is to be off the disk soon.
    let settings = [
        "messages.bodies_readable=true".to_owned(),
        "files.collect_every=1s".to_owned(),
        format!("files.transfers={}", 2 * args.uploads.max(128)),
    ];
    if args.target.local.is_some() {
        args.target.settings.splice(0..0, settings);
    }
    let bar = progress::bar(0);
    bar.set_message("a server");
    let mut target = Target::open(&args.target).await?;
    let users = target.accounts.users(people as usize).await?;
    let accounts = target.accounts.devices(&users, TOKEN_TTL).await?;
    target.refresh().await?;
    let load = Load::new(target.accounts.api(), &accounts)?;

    let mut report = Report::default();
    report.add("what", "files").add("version", env!("CARGO_PKG_VERSION"));
    report.add("mib", args.mib).add("files", args.files).add("together", args.together);
    let size = u64::from(args.mib) << 20;
    bar.set_message("memory");
    memory::measure(&args, &target, &load, &mut report).await?;
    bar.set_message("the disk");
    let folder = target.folder();
    disk::measure(&folder, args.files, size, &mut report, ["disk_write_mb_per_s", "disk_read_mb_per_s"]).await?;
    for encrypted in [false, true] {
        for together in [1, args.together] {
            bar.set_message(format!("{together} at a time, {}", if encrypted { "sealed" } else { "readable" }));
            let (up, down) = both_ways(&args, &target, &load, encrypted, together as usize).await?;
            for (name, value) in
                load::names(encrypted, together > 1).into_iter().zip([up.speed(), up.cost(), down.speed(), down.cost()])
            {
                report.measured(name, value);
            }
            if args.together == 1 {
                break;
            }
        }
    }
    // Disks of machines that are shared are not the same all the time.
    let again = ["disk_write_again_mb_per_s", "disk_read_again_mb_per_s"];
    disk::measure(&folder, args.files, size, &mut report, again).await?;
    bar.set_message("small files");
    small(&args, &target, &load, &mut report).await?;
    report.measured("generator_cpu_s", Some(Process::own().cpu()?.as_secs_f64()));
    bar.finish_and_clear();
    target.close().await?;
    report.print(args.json);
    Ok(ExitCode::SUCCESS)
}

/// The same files up, and down again; then they are given up.
async fn both_ways(
    args: &FilesArgs,
    target: &Target,
    load: &Load,
    encrypted: bool,
    together: usize,
) -> anyhow::Result<(Moved, Moved)> {
    let contents = Content::make(args.files as usize, (args.mib as usize) << 20).await?;
    let bytes = u64::from(args.files) * (u64::from(args.mib) << 20);
    let mut ids = Vec::new();
    let up = timed(target, bytes, async {
        ids = load.up(&contents, encrypted, together).await?;
        Ok(())
    })
    .await?;
    let down = timed(target, bytes, load.down(&contents, &ids, together)).await?;
    load.give_up(&ids).await?;
    Ok((up, down))
}

/// Many files of a few bytes: how many a second, announced, sent and checked.
async fn small(args: &FilesArgs, target: &Target, load: &Load, report: &mut Report) -> anyhow::Result<()> {
    let contents = Content::make(args.small as usize, args.small_bytes as usize).await?;
    let bytes = u64::from(args.small) * u64::from(args.small_bytes);
    let mut ids = Vec::new();
    let up = timed(target, bytes, async {
        ids = load.up(&contents, true, args.together as usize).await?;
        Ok(())
    })
    .await?;
    let down = timed(target, bytes, load.down(&contents, &ids, args.together as usize)).await?;
    load.give_up(&ids).await?;
    let count = f64::from(args.small);
    let each = |moved: &Moved| moved.cpu.map(|cpu| cpu.as_secs_f64() * 1e3 / count);
    report.add("small_files", args.small).add("small_bytes", args.small_bytes);
    report
        .measured("small_uploads_per_s", Some(count / up.took.as_secs_f64()))
        .measured("small_upload_cpu_ms", each(&up))
        .measured("small_downloads_per_s", Some(count / down.took.as_secs_f64()))
        .measured("small_download_cpu_ms", each(&down));
    Ok(())
}

async fn timed(target: &Target, bytes: u64, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Moved> {
    let cpu = || target.processes.as_ref().map(|all| Ok(all.cpu()?.values().sum())).transpose();
    let before: Option<Duration> = cpu().map_err(|error: anyhow::Error| error)?;
    let began = Instant::now();
    work.await?;
    let took = began.elapsed();
    let spent = cpu()?.zip(before).map(|(after, before): (Duration, Duration)| after.saturating_sub(before));
    Ok(Moved { bytes, took, cpu: spent })
}
