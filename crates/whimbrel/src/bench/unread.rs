//! Unread counts: in the list of many conversations, and while one reads on in a very long group.
//!
//! One thing after the other on an idle server, over one session: times of single requests. Each count is compared with
//! what was written, so a figure of a wrong count is not printed.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use indicatif::ProgressBar;
use whimbrel_core::{ConversationId, Cursors, Known, Seq, SyncQuestion, UserId, limits};
use whimbrel_store::Timeline;
use whimbrel_wire::convert;
use whimbrel_wire::{ClientPayload, ServerPayload, proto};

use super::args::UnreadArgs;
use super::filling::Filling;
use super::report::{Report, share};
use super::session::Session;
use super::target::{TOKEN_TTL, Target};
use crate::prove::accounts::NewGroup;
use crate::prove::progress;

/// One message in so many is the reader's own.
const OWN_EVERY: u64 = 10;
/// Messages that are read at once when somebody reads on.
const STEP: u64 = 50;
/// Bytes of each body.
const BYTES: usize = 100;
/// Everything that is waited for comes within this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Cursors become durable at once: what is measured is the work, and not the second for which they gather.
const AT_ONCE: &str = "messages.cursor_delay=0ms";

/// Runs it.
pub(super) async fn run(args: UnreadArgs) -> anyhow::Result<ExitCode> {
    let bar = progress::bar(u64::from(args.conversations) * args.messages + args.long);
    let mut given = args.target.clone();
    given.settings.insert(0, AT_ONCE.to_owned());
    let mut target = Target::open(&given).await?;
    let (reader, known) = make(&mut target, &args, &bar).await?;
    let account = target.accounts.devices(&[reader], TOKEN_TTL).await?.remove(0);
    let session = Session::open(target.server(0), None, &account).await?;
    let mut reading = Reading { session, known };
    bar.finish_and_clear();

    let mut list = Vec::new();
    for _ in 0..args.samples {
        let began = Instant::now();
        reading.compare_list().await?;
        list.push(began.elapsed());
    }
    let long = reading.long()?;
    let (middle, most) = ((long.first.0 + long.last.0) / 2, u64::from(args.samples) * STEP);
    ensure!(middle + most < long.last.0 - most, "--long is too short for so many samples");
    // Cursors only go up: first at the beginning, then in the middle, at last near the end.
    let beginning = reading.read_on(long.first.0, &args).await?;
    let jump = reading.read_to(Seq(middle)).await?;
    let in_middle = reading.read_on(middle, &args).await?;
    let near_end = reading.read_on(long.last.0 - most, &args).await?;
    reading.session.leave().await;
    target.close().await?;

    let mut report = Report::default();
    report.add("what", "unread").add("version", env!("CARGO_PKG_VERSION"));
    report
        .add("conversations", args.conversations + 1)
        .add("messages_each", args.messages)
        .add("messages_in_the_long_group", args.long)
        .add("samples", args.samples);
    for ([p50, p99], times) in [
        (["list_p50_ms", "list_p99_ms"], list),
        (["read_on_at_the_beginning_p50_ms", "read_on_at_the_beginning_p99_ms"], beginning),
        (["read_on_in_the_middle_p50_ms", "read_on_in_the_middle_p99_ms"], in_middle),
        (["read_on_near_the_end_p50_ms", "read_on_near_the_end_p99_ms"], near_end),
    ] {
        report.measured(p50, share(times.clone(), 50)).measured(p99, share(times, 99));
    }
    report.measured("read_half_at_once_ms", Some(jump.as_secs_f64() * 1000.0));
    report.print(args.json);
    Ok(ExitCode::SUCCESS)
}

/// What was written into a conversation, and how far it is read.
#[derive(Debug, Clone, Copy)]
struct Written {
    id: ConversationId,
    /// Before the first message that was written.
    first: Seq,
    last: Seq,
    read: Seq,
}

impl Written {
    /// What others have said beyond the cursor.
    fn unread(&self) -> u64 {
        let from = self.read.max(self.first).0;
        (self.last.0 - from) - (self.last.0 / OWN_EVERY - from / OWN_EVERY)
    }
}

/// Makes the reader, those who write to them, and the conversations, the long one last.
async fn make(target: &mut Target, args: &UnreadArgs, bar: &ProgressBar) -> anyhow::Result<(UserId, Vec<Written>)> {
    let users = target.accounts.users(args.conversations as usize + 2).await?;
    let (reader, others) = users.split_first().context("A reader")?;
    let (friends, owners) = others.split_at(args.conversations as usize / 2);
    let pairs: Vec<_> = friends.iter().map(|friend| (*reader, *friend)).collect();
    let mut conversations = target.accounts.befriend(&pairs).await?;
    for owner in owners {
        let new = NewGroup { owner: *owner, name: "Load", open: true, history: false, member_limit: 100 };
        let group = target.accounts.group(&new).await?;
        target.accounts.add_members(group, &[*reader]).await?;
        conversations.push(group);
    }
    let mut written = Vec::new();
    let fill = async |timeline: &dyn Timeline| {
        for (number, (conversation, other)) in conversations.iter().zip(others).enumerate() {
            let is_long = number + 1 == conversations.len();
            let sender = |seq: Seq| if seq.0.is_multiple_of(OWN_EVERY) { *reader } else { *other };
            let upto = Seq(if is_long { args.long } else { args.messages });
            let filling = Filling { conversation: *conversation, upto, sender: &sender, bytes: BYTES };
            let first = filling.write(timeline, bar).await?;
            written.push(Written { id: *conversation, first, last: upto, read: Seq::ZERO });
        }
        Ok(())
    };
    target.fill(fill).await?;
    Ok((*reader, written))
}

/// The reader at work. The long group stands last in the list.
struct Reading {
    session: Session,
    known: Vec<Written>,
}

impl Reading {
    fn long(&self) -> anyhow::Result<Written> {
        self.known.last().copied().context("The long group")
    }

    /// Asks for all conversations, and compares every count.
    async fn compare_list(&mut self) -> anyhow::Result<()> {
        let mut expected: HashMap<_, _> = self.known.iter().map(|known| (known.id, known.unread())).collect();
        let mut after = None;
        loop {
            let (views, next) = self.sync(after, Vec::new()).await?;
            for view in views {
                let id = ConversationId::from_slice(&view.conversation_id).context("A conversation")?;
                // One's own private conversation is among them.
                if let Some(unread) = expected.remove(&id) {
                    ensure!(view.unread == unread, "{} unread in {id}, not {unread}", view.unread);
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        ensure!(expected.is_empty(), "{} conversations are not in the list", expected.len());
        Ok(())
    }

    /// Reads on from a place of the long group, a screen at a time.
    async fn read_on(&mut self, from: u64, args: &UnreadArgs) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for step in 1..=u64::from(args.samples) {
            times.push(self.read_to(Seq(from + step * STEP)).await?);
        }
        Ok(times)
    }

    /// Reads up to a place of the long group: the time until that is durable. Compares the count then.
    async fn read_to(&mut self, place: Seq) -> anyhow::Result<Duration> {
        let group = self.long()?.id;
        let cursors = Cursors { delivered: place, read: place };
        let began = Instant::now();
        self.session.put(&ClientPayload::Advance(proto::Advance { cursors: vec![(group, cursors).into()] }));
        let advanced = self.wait(|payload| match payload {
            ServerPayload::Advanced(advanced) => {
                let advanced = convert::advanced(advanced)?;
                Ok(advanced.iter().any(|(id, cursors)| *id == group && cursors.read >= place).then_some(()))
            }
            _ => Ok(None),
        });
        advanced.await?;
        let took = began.elapsed();
        let known = self.known.last_mut().context("The long group")?;
        known.read = place;
        let (unread, last) = (known.unread(), known.last);
        let known = vec![Known { conversation: group, cursor: last, message_id: None }];
        let (views, _) = self.sync(None, known).await?;
        match &views[..] {
            [view] if view.unread == unread => Ok(took),
            [view] => bail!("{} unread beyond {place}, not {unread}", view.unread),
            _ => bail!("One view was asked for, and {} came", views.len()),
        }
    }

    /// One page of views: of the conversations that are named, if any is, else of all beyond `after`.
    async fn sync(
        &mut self,
        after: Option<ConversationId>,
        known: Vec<Known>,
    ) -> anyhow::Result<(Vec<proto::View>, Option<ConversationId>)> {
        let only_known = !known.is_empty();
        let max_messages = limits::SYNC_MESSAGES_MAX;
        self.session.put_sync(SyncQuestion { id: 0, after, until: None, known, only_known, max_messages });
        self.wait(|payload| match payload {
            ServerPayload::Synced(synced) => Ok(Some((synced.views, ConversationId::from_slice(&synced.next)))),
            _ => Ok(None),
        })
        .await
    }

    /// Writes what was put, and waits for an answer.
    async fn wait<T>(&mut self, mut take: impl FnMut(ServerPayload) -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
        self.session.flush().await?;
        let mut found = None;
        while found.is_none() {
            let frames = tokio::time::timeout(PATIENCE, self.session.frames()).await.context("No answer in time")??;
            self.session.hear(frames, |payload| {
                found = found.take().or(take(payload)?);
                Ok(())
            })?;
            self.session.put_urgent_ack();
            self.session.put_idle();
            self.session.flush().await?;
        }
        found.context("An answer")
    }
}
