//! Pages of a very long conversation: at its beginning, in its middle, at its end, and at times.
//!
//! One request after the other on an idle server: times of single requests as a client has them, HTTP and JSON included.
//! What is to be seen is that they do not depend on where a page lies.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use whimbrel_client::{Credentials, HistoryAt, Rest};
use whimbrel_core::{ConversationId, DeviceId, Message, MessageId, MessageKind, Seq, UserId};
use whimbrel_store::{CommitError, NewRow, PlaceBatch, Timeline};

use super::args::HistoryArgs;
use super::report::Report;
use super::target::{TOKEN_TTL, Target};
use crate::prove::progress;

/// Rows that are written at once.
const BATCH: u64 = 2000;
/// Milliseconds between two messages.
const APART_MS: u64 = 1000;

/// Runs it.
pub(super) async fn run(args: HistoryArgs) -> anyhow::Result<ExitCode> {
    let bar = progress::bar(args.messages);
    let mut target = Target::open(&args.target).await?;
    let users = target.accounts.users(2).await?;
    let account = target.accounts.devices(&users[..1], TOKEN_TTL).await?.remove(0);
    let chat = target.accounts.befriend(&[(users[0], users[1])]).await?.remove(0);
    let began = Instant::now();
    target.fill(async |timeline: &dyn Timeline| fill(timeline, chat, [users[0], users[1]], &args, &bar).await).await?;
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
        report.measured(p50, share(&times, 50)).measured(p99, share(&times, 99));
    }
    report.print(args.json);
    Ok(ExitCode::SUCCESS)
}

/// Writes the conversation behind what stands in it.
async fn fill(
    timeline: &dyn Timeline,
    chat: ConversationId,
    users: [UserId; 2],
    args: &HistoryArgs,
    bar: &indicatif::ProgressBar,
) -> anyhow::Result<()> {
    let head = timeline.heads(&[chat]).await?.remove(0).context("The conversation is missing")?;
    let first = users[0].min(users[1]);
    let (mut n, mut first_own, mut seq) = (head.n, head.first_own, head.seq.0);
    while seq < args.messages {
        let count = BATCH.min(args.messages - seq);
        let rows = (1..=count).map(|step| {
            let sender = users[(step % 2) as usize];
            n += 1;
            first_own += u64::from(sender == first);
            let body = Bytes::from(vec![step as u8; args.bytes as usize]);
            NewRow {
                // Nobody sends them again.
                hash: [0; 32],
                message: Message {
                    conversation: chat,
                    seq: Seq(seq + step),
                    sender,
                    device: DeviceId::from_bytes([1; 16]),
                    message_id: MessageId::generate(),
                    kind: MessageKind::TEXT,
                    key_version: 1,
                    body,
                    at: head.at + (seq + step) * APART_MS,
                },
                n,
                own: if sender == first { first_own } else { n - first_own },
                in_group: false,
            }
        });
        let batch = PlaceBatch { rows: rows.collect(), cursors: Vec::new() };
        timeline.commit(batch).await.map_err(|(_, error): (_, CommitError)| error)?;
        seq += count;
        bar.set_position(seq);
    }
    Ok(())
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
        times.sort();
        Ok(times)
    }
}

/// The time within which so many of a hundred pages came, in milliseconds.
fn share(times: &[Duration], percent: usize) -> Option<f64> {
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map(|time| time.as_secs_f64() * 1000.0)
}
