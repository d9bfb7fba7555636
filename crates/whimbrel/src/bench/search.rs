//! Searches in a long past: rare words, frequent ones, and Chinese, in one conversation and in all.
//!
//! The past is some groups with the same members, written past the server. One request after the other on an idle server:
//! times of single requests as a client has them, HTTP and JSON included. Each of the members searches a few times only,
//! because nobody may search without pause.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;
use whimbrel_core::{ConversationId, DeviceId, Message, MessageId, MessageKind, UserId};
use whimbrel_store::{CommitError, NewRow, PlaceBatch, Timeline};

use super::args::SearchArgs;
use super::report::{Report, share};
use super::target::{TOKEN_TTL, Target};
use crate::prove::accounts::{Account, NewGroup};
use crate::prove::progress;

/// Groups in which the messages stand.
const GROUPS: u64 = 10;
/// Rows that are written at once.
const BATCH: u64 = 1000;
/// Milliseconds between two messages.
const APART_MS: u64 = 1000;
/// Sealed messages that are placed for comparison, at most.
const SEALED: u64 = 100_000;
/// Searches of one member: fewer than wait for nothing.
const EACH: usize = 25;
/// Of so many messages the rare word stands in ten that follow each other, one in each group; the frequent ones in one of so
/// many.
const RARE: u64 = 10_000;
const FREQUENT: u64 = 20;

/// What is searched for, and what its figures are called.
const SEARCHES: [(&str, [&str; 4]); 5] = [
    ("kingfisher", ["rare_p50_ms", "rare_p99_ms", "rare_in_one_p50_ms", "rare_in_one_p99_ms"]),
    ("meeting", ["frequent_p50_ms", "frequent_p99_ms", "frequent_in_one_p50_ms", "frequent_in_one_p99_ms"]),
    ("\"明天下午开会\"", ["chinese_p50_ms", "chinese_p99_ms", "chinese_in_one_p50_ms", "chinese_in_one_p99_ms"]),
    ("开会", ["two_letters_p50_ms", "two_letters_p99_ms", "two_letters_in_one_p50_ms", "two_letters_in_one_p99_ms"]),
    ("q", ["scan_p50_ms", "scan_p99_ms", "scan_in_one_p50_ms", "scan_in_one_p99_ms"]),
];

const WORDS: [&str; 24] = [
    "the",
    "and",
    "tomorrow",
    "please",
    "report",
    "about",
    "release",
    "今天",
    "我们",
    "可以",
    "谢谢",
    "question",
    "server",
    "morning",
    "later",
    "friend",
    "好的",
    "lunch",
    "table",
    "window",
    "green",
    "没问题",
    "again",
    "thanks",
];

/// Runs it.
pub(super) async fn run(mut args: SearchArgs) -> anyhow::Result<ExitCode> {
    args.target.settings.insert(0, "messages.bodies_readable=true".into());
    let few = args.messages.min(SEALED);
    let writing = Writing { bar: progress::bar(args.messages + few), all: args.messages + few, began: Instant::now() };
    let mut target = Target::open(&args.target).await?;
    let count = (args.samples as usize * SEARCHES.len() * 2).div_ceil(EACH).max(2);
    let users = target.accounts.users(count).await?;
    let readers = target.accounts.devices(&users, TOKEN_TTL).await?;
    let mut chats = Vec::new();
    for _ in 0..=GROUPS {
        let new = NewGroup { owner: users[0], name: "Past", open: false, history: true, member_limit: 100_000 };
        let chat = target.accounts.group(&new).await?;
        target.accounts.add_members(chat, &users[1..]).await?;
        chats.push(chat);
    }
    // The last group is for the same messages, sealed: what is more is what searching costs.
    let (chats, sealed) = chats.split_at(GROUPS as usize);
    let mut took = [Duration::ZERO; 2];
    let write = async |timeline: &dyn Timeline| {
        took[0] = fill(timeline, sealed, &users, (few, 1), &writing).await?;
        took[1] = fill(timeline, chats, &users, (args.messages, 0), &writing).await?;
        Ok(())
    };
    target.fill(write).await?;
    writing.bar.finish_and_clear();

    let mut report = Report::default();
    report.add("what", "search").add("version", env!("CARGO_PKG_VERSION"));
    report.add("messages", args.messages).add("conversations", GROUPS).add("samples", args.samples);
    let each = |took: Duration, count: u64| Some(took.as_secs_f64() * 1e6 / count as f64);
    report.measured("sealed_placed_each_us", each(took[0], few));
    report.measured("readable_placed_each_us", each(took[1], args.messages));
    let mut asked = Asked { http: reqwest::Client::new(), url: target.accounts.api().to_owned(), readers, count: 0 };
    for (typed, [p50, p99, in_one_p50, in_one_p99]) in SEARCHES {
        let all = asked.times(typed, None, args.samples).await?;
        let one = asked.times(typed, Some(chats[0]), args.samples).await?;
        report.measured(p50, share(all.clone(), 50)).measured(p99, share(all, 99));
        report.measured(in_one_p50, share(one.clone(), 50)).measured(in_one_p99, share(one, 99));
    }
    target.close().await?;
    report.print(args.json);
    Ok(ExitCode::SUCCESS)
}

/// What the message with this number says.
fn text(number: u64) -> String {
    let word =
        |step: u64| WORDS[(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (step * 5) & 31) as usize % WORDS.len()];
    let mut words: Vec<&str> = (1..=8).map(word).collect();
    // In every group.
    match number / GROUPS {
        number if number % (RARE / GROUPS) == 1 => words.insert(3, "kingfisher"),
        number if number % FREQUENT == 2 => words.insert(4, "meeting"),
        number if number % FREQUENT == 3 => words.insert(2, "明天下午开会"),
        _ => {}
    }
    words.join(" ")
}

/// A readable body that says this: a `Body` whose field 1 is a `Text` whose field 1 is the text.
fn readable(text: &str) -> Bytes {
    within_field_one(&within_field_one(text.as_bytes()))
}

fn within_field_one(content: &[u8]) -> Bytes {
    let mut field = BytesMut::with_capacity(content.len() + 4);
    field.put_u8(0x0a);
    let mut len = content.len();
    while len >= 0x80 {
        field.put_u8(len as u8 | 0x80);
        len >>= 7;
    }
    field.put_u8(len as u8);
    field.put_slice(content);
    field.freeze()
}

/// How far writing has come: minutes pass where words are indexed.
struct Writing {
    bar: indicatif::ProgressBar,
    all: u64,
    began: Instant,
}

impl Writing {
    /// So many more are written: a person sees it on the bar, a log in a line for every twentieth part.
    fn step(&self, count: u64) {
        let before = self.bar.position();
        self.bar.inc(count);
        let (here, seconds) = (before + count, self.began.elapsed().as_secs());
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{here} of {} messages written", self.all));
        } else if before * 20 / self.all < here * 20 / self.all {
            eprintln!("{here} of {} messages written after {seconds} s", self.all);
        }
    }
}

/// Writes the messages into the groups in turn, behind what stands in them.
async fn fill(
    timeline: &dyn Timeline,
    chats: &[ConversationId],
    users: &[UserId],
    (messages, key_version): (u64, u32),
    writing: &Writing,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut heads = Vec::new();
    for head in timeline.heads(chats).await? {
        heads.push(head.context("A group is missing")?);
    }
    let mut number = 0;
    while number < messages {
        let (mut rows, count) = (Vec::new(), BATCH.min(messages - number));
        for _ in 0..count {
            let at = (number % chats.len() as u64) as usize;
            let head = &mut heads[at];
            (head.seq, head.n, head.at) = (head.seq.next(), head.n + 1, head.at + APART_MS);
            rows.push(NewRow {
                // Nobody sends them again.
                hash: [0; 32],
                message: Message {
                    conversation: chats[at],
                    seq: head.seq,
                    sender: users[(number / 7) as usize % users.len()],
                    device: DeviceId::from_bytes([1; 16]),
                    message_id: MessageId::generate(),
                    kind: MessageKind::TEXT,
                    key_version,
                    body: readable(&text(number)),
                    at: head.at,
                },
                n: head.n,
                own: 0,
                in_group: true,
            });
            number += 1;
        }
        let batch = PlaceBatch { rows, cursors: Vec::new() };
        timeline.commit(batch).await.map_err(|(_, error): (_, CommitError)| error)?;
        writing.step(count);
    }
    Ok(began.elapsed())
}

/// Those who search, and how often they did.
struct Asked {
    http: reqwest::Client,
    url: String,
    readers: Vec<Account>,
    count: usize,
}

impl Asked {
    /// How long each of the first pages took, in order.
    async fn times(
        &mut self,
        typed: &str,
        chat: Option<ConversationId>,
        samples: u32,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for _ in 0..samples {
            let reader = &self.readers[self.count / EACH];
            self.count += 1;
            let mut url = reqwest::Url::parse(&format!("{}/v1/search", self.url))?;
            url.query_pairs_mut().append_pair("q", typed).append_pair("limit", "20");
            if let Some(chat) = chat {
                url.query_pairs_mut().append_pair("conversation", &chat.to_string());
            }
            let call = self.http.get(url).bearer_auth(&reader.token);
            let began = Instant::now();
            let answer = call.send().await.context("The server does not answer")?;
            let (status, page): (_, Value) = (answer.status(), answer.json().await?);
            times.push(began.elapsed());
            ensure!(status.is_success(), "{typed} was answered {status}: {page}");
            let found = page["hits"].as_array().is_some_and(|hits| !hits.is_empty());
            ensure!(found || typed == "q" || typed == "kingfisher", "{typed} was not found: {page}");
        }
        Ok(times)
    }
}
