//! A large group most of whose members are offline: what it costs to make it, to come in, to say something, and to list it.
//!
//! One after the other, each by itself: these are times of single requests on an idle server, not of a load.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use whimbrel_client::{Credentials, GroupAction, Rest};
use whimbrel_core::{ConversationId, Draft, MessageId, MessageKind, Outcome, Seq};
use whimbrel_wire::convert::{self, WireId};
use whimbrel_wire::{ClientPayload, ServerPayload, proto};

use super::super::args::LargeGroupArgs;
use super::super::direct::setup::key_version;
use super::super::report::Report;
use super::super::session::Session;
use super::super::target::{TOKEN_TTL, Target};
use super::setup::{make_group, open_sessions};
use crate::prove::progress;

/// Messages that are said, one after the other.
const MESSAGES: usize = 20;
/// Bytes of each.
const BYTES: usize = 100;
/// Members on a page of the list, as many as the API allows.
const PAGE: usize = 500;
/// Everything that is waited for comes within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far a session has got in the group.
struct Member {
    session: Session,
    head: Seq,
}

/// What one message took, until it was answered SENT and until all had it.
#[derive(Debug, Clone, Copy)]
struct Said {
    sent: Duration,
    everywhere: Duration,
}

/// Runs it.
pub(in crate::bench) async fn run(args: LargeGroupArgs) -> anyhow::Result<ExitCode> {
    super::super::make_room(args.online as usize)?;
    anyhow::ensure!(args.online < args.members, "There are not fewer --online than --members");
    let bar = progress::bar(0);
    bar.set_message(format!("{} users", args.members));
    let mut target = Target::open(&args.target).await?;
    let users = target.accounts.users(args.members as usize).await?;
    // The first are there; the last comes in by itself.
    let (newcomer, members) = users.split_last().context("Two members at least")?;
    let accounts = target.accounts.devices(&members[..args.online as usize], TOKEN_TTL).await?;
    let newcomer = target.accounts.devices(&[*newcomer], TOKEN_TTL).await?.remove(0);
    // Nothing that was allocated for making accounts is counted.
    target.refresh().await?;
    let before = resident(&target)?;

    bar.set_message("the group");
    let began = Instant::now();
    let group = make_group(&target, members).await?;
    let created = began.elapsed();
    let after_creation = resident(&target)?;
    let mut online = Vec::new();
    for (session, head) in open_sessions(&target, accounts.clone(), group).await? {
        online.push(Member { session, head });
    }

    bar.set_message("somebody comes in");
    let rest = Rest::new(target.accounts.api())?;
    let began = Instant::now();
    let join = GroupAction::Join { message: String::new() };
    rest.act_in_group(&newcomer.credentials(), group, &join).await.context("Nobody can come in")?;
    let joined = began.elapsed();
    all_hear(&mut online, group, 1).await?;
    let join_heard = began.elapsed();

    bar.set_message("messages");
    let mut said = Vec::new();
    for _ in 0..MESSAGES {
        said.push(say(&mut online, group).await?);
    }
    let after_messages = resident(&target)?;

    bar.set_message("the list of members");
    let (first_page, all_pages, listed) = list(&rest, &accounts[0].credentials(), group).await?;
    let after_list = resident(&target)?;
    for member in online {
        member.session.leave().await;
    }
    bar.finish_and_clear();
    target.close().await?;
    if listed != args.members as usize {
        bail!("{listed} members were listed, and {} are in the group", args.members);
    }

    let ms = |time: Duration| Some(time.as_secs_f64() * 1000.0);
    let grown = |after: Option<u64>| Some((after? as f64 - before? as f64) / f64::from(1 << 20));
    let first = said[0];
    let median = |part: fn(&Said) -> Duration| {
        let mut times: Vec<_> = said[1..].iter().map(part).collect();
        times.sort();
        times[times.len() / 2]
    };
    let mut report = Report::default();
    report
        .add("what", "large-group")
        .add("version", env!("CARGO_PKG_VERSION"))
        .add("members", args.members)
        .add("online", args.online)
        .measured("created_s", Some(created.as_secs_f64()))
        .measured("join_ms", ms(joined))
        .measured("join_until_all_online_heard_ms", ms(join_heard))
        .measured("first_message_sent_ms", ms(first.sent))
        .measured("first_message_everywhere_ms", ms(first.everywhere))
        .measured("message_sent_p50_ms", ms(median(|said| said.sent)))
        .measured("message_everywhere_p50_ms", ms(median(|said| said.everywhere)))
        .measured("list_first_page_ms", ms(first_page))
        .measured("list_all_ms", ms(all_pages))
        .measured("server_resident_before_mib", before.map(|bytes| bytes as f64 / f64::from(1 << 20)))
        .measured("grown_by_creation_mib", grown(after_creation))
        .measured("grown_by_messages_mib", grown(after_messages))
        .measured("grown_in_the_end_mib", grown(after_list));
    report.print(args.json);
    Ok(ExitCode::SUCCESS)
}

/// What the server's processes hold, bytes.
fn resident(target: &Target) -> anyhow::Result<Option<u64>> {
    target.processes.as_ref().map(|processes| processes.memory().map(|memory| memory.resident)).transpose()
}

/// Waits until each of these has so many rows more. What comes for one waits in its socket while another is looked at.
async fn all_hear(members: &mut [Member], group: ConversationId, rows: u64) -> anyhow::Result<()> {
    let hearing = async {
        for member in members {
            member.hear(group, rows).await?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, hearing).await.context("Not everybody hears of it in time")?
}

/// The first says something, and everybody else hears it.
async fn say(members: &mut [Member], group: ConversationId) -> anyhow::Result<Said> {
    let (speaker, others) = members.split_first_mut().context("Somebody speaks")?;
    let draft = Draft {
        message_id: MessageId::generate(),
        kind: MessageKind::TEXT,
        key_version: key_version(&speaker.session),
        body: vec![7; BYTES].into(),
    };
    let began = Instant::now();
    let send = proto::Send { conversation_id: group.wire(), drafts: vec![draft.into()] };
    speaker.session.put(&ClientPayload::Send(send));
    speaker.session.flush().await?;
    let answered = async {
        speaker.answer().await?;
        anyhow::Ok(began.elapsed())
    };
    let heard = async {
        all_hear(others, group, 1).await?;
        anyhow::Ok(began.elapsed())
    };
    let (sent, everywhere) = tokio::try_join!(answered, heard)?;
    Ok(Said { sent, everywhere: everywhere.max(sent) })
}

impl Member {
    /// Waits until so many rows more have come.
    async fn hear(&mut self, group: ConversationId, rows: u64) -> anyhow::Result<()> {
        let wanted = Seq(self.head.0 + rows);
        while self.head < wanted {
            let (frames, head) = (self.session.frames().await?, &mut self.head);
            self.session.hear(frames, |payload| {
                match payload {
                    ServerPayload::Deliver(deliver) if deliver.conversation_id == group.as_bytes()[..] => {
                        let last = deliver.messages.iter().map(|message| message.seq).max().unwrap_or_default();
                        *head = (*head).max(Seq(last));
                    }
                    _ => {}
                }
                Ok(())
            })?;
            self.session.put_urgent_ack();
            self.session.put_idle();
            self.session.flush().await?;
        }
        Ok(())
    }

    /// Waits for SENT.
    async fn answer(&mut self) -> anyhow::Result<()> {
        let mut placed = None;
        while placed.is_none() {
            let frames = tokio::time::timeout(PATIENCE, self.session.frames()).await.context("No answer in time")??;
            self.session.hear(frames, |payload| {
                if let ServerPayload::Answers(answers) = payload {
                    for (id, outcome) in convert::answers(answers)?.1 {
                        match outcome {
                            Outcome::Sent { seq, .. } => placed = Some(seq),
                            other => bail!("Message {id} was answered {other:?}"),
                        }
                    }
                }
                Ok(())
            })?;
            self.session.put_idle();
            self.session.flush().await?;
        }
        self.head = self.head.max(placed.unwrap_or_default());
        Ok(())
    }
}

/// Lists all members: the time of the first page, that of all, and how many there are.
async fn list(
    rest: &Rest,
    credentials: &Credentials,
    group: ConversationId,
) -> anyhow::Result<(Duration, Duration, usize)> {
    let (began, mut first, mut count, mut after) = (Instant::now(), None, 0, None);
    loop {
        let page = rest.group_members(credentials, group, after, PAGE).await.context("Members cannot be listed")?;
        first.get_or_insert_with(|| began.elapsed());
        count += page.items.len();
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok((first.unwrap_or_default(), began.elapsed(), count)),
        }
    }
}
