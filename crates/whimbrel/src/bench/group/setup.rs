//! From nothing to a group whose members are all at work.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use whimbrel_core::limits::GROUP_MEMBERS_MAX;
use whimbrel_core::{ConversationId, Seq, UserId};

use super::super::args::GroupArgs;
use super::super::direct::pace::{self, Pace};
use super::super::direct::sending::{Mode, Sending};
use super::super::direct::setup::{OPENING_MAX, batch_max, first_sync, key_version};
use super::super::direct::shared::{Level, Shared};
use super::super::session::Session;
use super::super::target::{TOKEN_TTL, Target};
use super::Members;
use super::arrivals::Arrivals;
use super::member::{Common, Member};
use super::run::Run;
use crate::prove::accounts::{Account, NewGroup};

/// The first members send; member 0 owns the group.
pub(super) struct Stage {
    conversation: ConversationId,
    users: Vec<UserId>,
    sessions: Vec<(Session, Seq)>,
}

impl Stage {
    /// Makes accounts and the group, and opens a session for each member.
    ///
    /// # Errors
    /// When the server refuses something.
    pub(super) async fn open(target: &Target, args: &GroupArgs) -> anyhow::Result<Self> {
        let users = target.accounts.users(args.members as usize).await?;
        let accounts = target.accounts.devices(&users, TOKEN_TTL).await?;
        let conversation = make_group(target, &users).await?;
        let sessions = open_sessions(target, accounts, conversation).await?;
        Ok(Self { conversation, users, sessions })
    }

    /// Lets all members begin when the clock does.
    pub(super) fn start(
        self,
        args: &GroupArgs,
        shared: &Arc<Shared>,
        arrivals: &Arc<Arrivals>,
        stop: &CancellationToken,
    ) -> (Members, Vec<Arc<Level>>) {
        let (mut tasks, mut levels, mut wakes) = (JoinSet::new(), Vec::new(), Vec::new());
        let senders: Arc<[UserId]> = self.users[..args.senders as usize].into();
        for (index, (session, head)) in self.sessions.into_iter().enumerate() {
            let common = Common {
                shared: shared.clone(),
                arrivals: arrivals.clone(),
                level: Arc::new(Level::default()),
                wake: Arc::new(Notify::new()),
                conversation: self.conversation,
                senders: senders.clone(),
            };
            levels.push(common.level.clone());
            let sending = (index < senders.len()).then(|| {
                wakes.push(common.wake.clone());
                let mode = match args.rate {
                    Some(rate) => Mode::Rate(Pace::new(rate, senders.len(), index)),
                    None => Mode::Window(args.window as usize),
                };
                let most = batch_max(&session, args.bytes as usize);
                Sending::new(shared.plan, mode, index as u64, most, key_version(&session))
            });
            let member = Member::new(session, common, sending, Run::new(head, senders.len()));
            let (stop, begin) = (stop.clone(), shared.clock.0);
            tasks.spawn(async move {
                tokio::time::sleep_until(begin.into()).await;
                Ok((index, member.run(stop).await?))
            });
        }
        if let Some(rate) = args.rate {
            pace::spawn(shared.clock, rate, wakes, shared.plan.until_us);
        }
        (tasks, levels)
    }
}

/// A group of these users, whose first one owns it.
pub(super) async fn make_group(target: &Target, users: &[UserId]) -> anyhow::Result<ConversationId> {
    let (owner, others) = users.split_first().context("A group has an owner")?;
    let new = NewGroup { owner: *owner, name: "Load", open: true, history: false, member_limit: GROUP_MEMBERS_MAX };
    let conversation = target.accounts.group(&new).await?;
    target.accounts.add_members(conversation, others).await?;
    Ok(conversation)
}

/// A session of each account, and the head of the conversation that it saw, in their order.
pub(super) async fn open_sessions(
    target: &Target,
    accounts: Vec<Account>,
    conversation: ConversationId,
) -> anyhow::Result<Vec<(Session, Seq)>> {
    let (turns, mut tasks) = (Arc::new(Semaphore::new(OPENING_MAX)), JoinSet::new());
    for (index, account) in accounts.into_iter().enumerate() {
        let (server, turns) = (target.server(index), turns.clone());
        tasks.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            let mut session = Session::open(server, None, &account).await?;
            let head = first_sync(&mut session, conversation).await?;
            anyhow::Ok((index, session, head))
        });
    }
    let mut sessions = Vec::new();
    while let Some(opened) = tasks.join_next().await {
        sessions.push(opened.context("A session could not be opened")??);
    }
    sessions.sort_by_key(|(index, ..)| *index);
    Ok(sessions.into_iter().map(|(_, session, head)| (session, head)).collect())
}
