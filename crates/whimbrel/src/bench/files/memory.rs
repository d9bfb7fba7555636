//! What the server's memory does while many uploads run at once: first in a server that has done nothing yet, then again.
//! The second round shows what is left of the first: where memory is flat, it reaches no higher.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use whimbrel_core::FileId;

use super::content::Content;
use super::load::Load;
use crate::bench::args::FilesArgs;
use crate::bench::report::Report;
use crate::bench::target::Target;
use crate::bench::usage::Processes;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Rounds.
const ROUNDS: usize = 2;

/// Measures it, if the server's processes are known.
pub(super) async fn measure(args: &FilesArgs, target: &Target, load: &Load, report: &mut Report) -> anyhow::Result<()> {
    let Some(processes) = target.processes.as_ref().map(serving_files) else { return Ok(()) };
    let contents = Content::make(args.uploads as usize, (args.upload_mib as usize) << 20).await?;
    let before = processes.memory()?.resident;
    let mut peaks = [0; ROUNDS];
    for peak in &mut peaks {
        *peak = round(&processes, load, &contents).await?;
    }
    let [first, second] = peaks.map(|peak| peak as f64);
    let (before, mib) = (before as f64, f64::from(1 << 20));
    report.add("uploads", args.uploads).add("upload_mib", args.upload_mib);
    report
        .measured("memory_before_mib", Some(before / mib))
        .measured("memory_peak_mib", Some(first / mib))
        .measured("memory_peak_again_mib", Some(second / mib))
        .measured("memory_kib_per_upload", Some((first.max(second) - before) / 1024.0 / f64::from(args.uploads)));
    Ok(())
}

/// In a cluster only the role that moves bytes.
fn serving_files(all: &Processes) -> Processes {
    let of = |kind: &str| kind == "server" || kind == "api";
    Processes(all.0.iter().filter(|(kind, _)| of(kind)).cloned().collect())
}

/// All of them at once, from the same moment on; the most that was held meanwhile, bytes.
async fn round(processes: &Processes, load: &Load, contents: &[Content]) -> anyhow::Result<u64> {
    let start = Arc::new(Barrier::new(contents.len()));
    let ids: Vec<FileId> = contents.iter().map(|_| FileId::generate()).collect();
    let mut going = JoinSet::new();
    for (number, (content, id)) in contents.iter().cloned().zip(ids.iter().copied()).enumerate() {
        let (load, start) = (load.clone(), start.clone());
        going.spawn(async move {
            let announced = load.announce(number, id, &content, true).await;
            start.wait().await;
            announced?;
            load.send(number, id, &content).await
        });
    }
    let (mut peak, mut look) = (0, tokio::time::interval(LOOK_EVERY));
    loop {
        tokio::select! {
            done = going.join_next() => match done {
                Some(done) => done??,
                None => break,
            },
            _ = look.tick() => peak = peak.max(processes.memory()?.resident),
        }
    }
    load.give_up(&ids).await?;
    Ok(peak)
}
