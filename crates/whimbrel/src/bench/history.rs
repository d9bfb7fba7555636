//! Pages of a very long conversation: at its beginning, in its middle, at its end, and at times.
//!
//! One request after the other on an idle server: times of single requests as a client has them, HTTP and JSON included.
//! What is to be seen is that they do not depend on where a page lies.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use whimbrel_client::{Credentials, HistoryAt, Rest};
use whimbrel_core::{ConversationId, Message, Seq};
use whimbrel_store::Timeline;

use super::args::HistoryArgs;
use super::filling::{APART_MS, Filling};
use super::report::{Report, share};
use super::target::{TOKEN_TTL, Target};
use crate::prove::progress;

/// Runs it.
pub(super) async fn run(args: HistoryArgs) -> anyhow::Result<ExitCode> {
    let bar = progress::bar(args.messages);
    let mut target = Target::open(&args.target).await?;
    let users = target.accounts.users(2).await?;
    let account = target.accounts.devices(&users[..1], TOKEN_TTL).await?.remove(0);
    let chat = target.accounts.befriend(&[(users[0], users[1])]).await?.remove(0);
    let began = Instant::now();
    let sender = |seq: Seq| users[(seq.0 % 2) as usize];
    let filling = Filling { conversation: chat, upto: Seq(args.messages), sender: &sender, bytes: args.bytes as usize };
    target.fill(async |timeline: &dyn Timeline| filling.write(timeline, &bar).await.map(drop)).await?;
    let filled = began.elapsed();
    bar.finish_and_clear();

    let asked =
        Asked { rest: Rest::new(target.accounts.api())?, credentials: account.credentials(), chat, args: &args };
    let (last, middle) = (args.messages, args.messages / 2);
    let page = u64::from(args.page);
    let end = asked.times(|step| HistoryAt::Before(Seq(last - step % page))).await?;
    let half = asked.times(|step| HistoryAt::Before(Seq(middle + step))).await?;
    let start = asked.times(|step| HistoryAt::After(Seq(step % page))).await?;
    let around = asked.times(|step| HistoryAt::Around(Seq(middle - step))).await?;
    let oldest = asked.page(HistoryAt::After(Seq(10))).await?.first().map_or(0, |message| message.at);
    let at = asked.times(|step| HistoryAt::At(oldest + (middle + step) * APART_MS)).await?;
    target.close().await?;

    let mut report = Report::default();
    report.add("what", "history").add("version", env!("CARGO_PKG_VERSION"));
    report
        .add("messages", args.messages)
        .add("page", args.page)
        .add("samples", args.samples)
        .add("body_bytes", args.bytes);
    report.measured("written_s", Some(filled.as_secs_f64()));
    for ([p50, p99], times) in [
        (["last_page_p50_ms", "last_page_p99_ms"], end),
        (["middle_page_p50_ms", "middle_page_p99_ms"], half),
        (["first_page_p50_ms", "first_page_p99_ms"], start),
        (["around_middle_p50_ms", "around_middle_p99_ms"], around),
        (["at_time_in_middle_p50_ms", "at_time_in_middle_p99_ms"], at),
    ] {
        report.measured(p50, share(times.clone(), 50)).measured(p99, share(times, 99));
    }
    report.print(args.json);
    Ok(ExitCode::SUCCESS)
}

/// Who asks for what.
struct Asked<'a> {
    rest: Rest,
    credentials: Credentials,
    chat: ConversationId,
    args: &'a HistoryArgs,
}

impl Asked<'_> {
    async fn page(&self, at: HistoryAt) -> anyhow::Result<Vec<Message>> {
        Ok(self.rest.history(&self.credentials, self.chat, at, self.args.page as usize).await?.messages)
    }

    /// How long each of the pages took, in order; all of them have to be full and without a gap.
    async fn times(&self, at: impl Fn(u64) -> HistoryAt) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for step in 0..u64::from(self.args.samples) {
            let (place, began) = (at(step), Instant::now());
            let page = self.page(place).await?;
            times.push(began.elapsed());
            let is_dense = page.windows(2).all(|pair| pair[1].seq == pair[0].seq.next());
            if page.len() != self.args.page as usize || !is_dense {
                bail!("{place:?} gave {} messages, dense: {is_dense}", page.len());
            }
        }
        Ok(times)
    }
}
