//! Doubting a cluster: one fault after another, and what became of each.
//!
//! How a fault is done to a cluster is [`Doubted`]'s: `private` does it to processes of this program, `compose` to
//! containers.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::ProgressBar;

use super::punctual::Slowest;
use super::show;
use super::stage::Stage;
use super::trouble::{History, Planned, Trouble};

/// How often the count of answers is looked at, for the longest silence.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A cluster that faults can be done to.
pub(super) trait Doubted {
    /// Does it to `which` of several, whatever their number, and undoes it; what is killed stays away for `down`.
    async fn cause(&mut self, trouble: Trouble, which: usize, down: Duration) -> anyhow::Result<()>;

    /// Starts again what ended by itself; says what that was, with the end of what it logged.
    async fn revive(&mut self) -> anyhow::Result<Vec<String>>;
}

/// A fault that was caused, until the next one.
struct Last<'a> {
    trouble: Trouble,
    lasted: Duration,
    silence: Silence<'a>,
}

/// The faults of a run: what became of them, and what should not have happened.
pub(super) struct Load<'a> {
    stage: &'a Stage,
    bar: &'a ProgressBar,
    until: Instant,
    history: History,
    /// What was caused, one after the other.
    order: Vec<Trouble>,
    last: Option<Last<'a>>,
    wrong: Vec<String>,
    diary: Diary,
}

impl<'a> Load<'a> {
    /// Nothing was done yet; `folder` is where the diary goes.
    pub(super) fn new(
        stage: &'a Stage,
        duration: Duration,
        bar: &'a ProgressBar,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let (until, diary) = (stage.world.began + duration, Diary::begin(folder)?);
        Ok(Self { stage, bar, until, history: History::new(), order: Vec::new(), last: None, wrong: Vec::new(), diary })
    }

    /// One fault after the other, until the time has passed. A process that ended by itself is noted and started again,
    /// as under a supervisor.
    pub(super) async fn run(
        mut self,
        planned: &[Planned],
        cluster: &mut impl Doubted,
    ) -> anyhow::Result<(History, Vec<String>)> {
        for Planned { trouble, pause, down, which } in planned {
            self.watch(self.until.min(Instant::now() + *pause)).await;
            self.note();
            if Instant::now() >= self.until {
                break;
            }
            self.cause(cluster, *trouble, *which, *down).await.with_context(|| format!("After {trouble}"))?;
            for ended in cluster.revive().await? {
                self.diary.write(&ended);
                self.wrong.push(ended);
            }
        }
        self.watch(self.until).await;
        self.note();
        for (number, trouble) in self.order.iter().enumerate() {
            let slowest = self.slowest().of(number);
            self.diary.write(&format!("fault {}: {trouble}: slowest SENT {slowest:.2?}", number + 1));
            let passed = self.history.entry(*trouble).or_default();
            passed.slowest = passed.slowest.max(slowest);
        }
        Ok((self.history, self.wrong))
    }

    fn slowest(&self) -> MutexGuard<'a, Slowest> {
        self.stage.world.slowest_sent.lock().expect("nobody panics while writing")
    }

    /// Causes a fault and undoes it, and looks meanwhile how long nobody is answered.
    async fn cause(
        &mut self,
        cluster: &mut impl Doubted,
        trouble: Trouble,
        which: usize,
        down: Duration,
    ) -> anyhow::Result<()> {
        let number = self.done() + 1;
        self.diary.write(&format!("fault {number}: {trouble}, number {which}, down for {down:.1?}"));
        let world = &self.stage.world;
        self.slowest().begin(world.began.elapsed());
        if trouble.shakes_presence() {
            world.calm.ends();
        }
        let (began, mut silence) = (Instant::now(), Silence::begin(self.stage));
        let causing = cluster.cause(trouble, which, down);
        tokio::pin!(causing);
        loop {
            tokio::select! {
                done = &mut causing => break done?,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    silence.look();
                    let since = began.elapsed().as_secs();
                    show(self.bar, self.stage, &format!("fault {number}: {trouble}, {since} s"));
                }
            }
        }
        silence.look();
        if trouble.shakes_presence() {
            world.calm.begins(world.began.elapsed());
        }
        let lasted = began.elapsed();
        self.diary.write(&format!("fault {number}: over after {lasted:.1?}"));
        self.last = Some(Last { trouble, lasted, silence });
        Ok(())
    }

    /// Waits until then, and looks.
    async fn watch(&mut self, until: Instant) {
        let done = self.done();
        while Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Some(last) = &mut self.last {
                last.silence.look();
            }
            show(self.bar, self.stage, &format!("{done} faults done"));
        }
    }

    /// How many faults were caused.
    fn done(&self) -> usize {
        self.history.values().map(|passed| passed.count).sum::<usize>() + usize::from(self.last.is_some())
    }

    fn note(&mut self) {
        let Some(Last { trouble, lasted, silence }) = self.last.take() else { return };
        self.diary.write(&format!("longest without a SENT {:.2?}", silence.longest));
        self.order.push(trouble);
        let passed = self.history.entry(trouble).or_default();
        passed.count += 1;
        passed.lasted = passed.lasted.max(lasted);
        passed.silence = passed.silence.max(silence.longest);
    }
}

/// What was done when, beside the logs of the roles and with the same clock.
struct Diary(File);

impl Diary {
    fn begin(folder: &Path) -> anyhow::Result<Self> {
        File::create(folder.join("faults.log")).map(Self).context("faults.log")
    }

    fn write(&mut self, what: &str) {
        let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        // It is for people who look into a fault; the run does not depend on it.
        let _ = writeln!(self.0, "{now} {what}");
    }
}

/// The longest time without anybody being answered SENT.
struct Silence<'a> {
    stage: &'a Stage,
    sent: u64,
    since: Instant,
    longest: Duration,
}

impl<'a> Silence<'a> {
    fn begin(stage: &'a Stage) -> Self {
        let sent = stage.world.sent.load(Ordering::Relaxed);
        Self { stage, sent, since: Instant::now(), longest: Duration::ZERO }
    }

    fn look(&mut self) {
        let sent = self.stage.world.sent.load(Ordering::Relaxed);
        self.longest = self.longest.max(self.since.elapsed());
        if sent != self.sent {
            (self.sent, self.since) = (sent, Instant::now());
        }
    }
}
