//! From nothing to clients at work: accounts, friendships, open sessions.

use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use whimbrel_core::{ConversationId, Known, Seq, SyncQuestion, limits};
use whimbrel_wire::ServerPayload;

use super::super::args::DirectArgs;
use super::super::session::Session;
use super::super::target::{TOKEN_TTL, Target};
use super::Clients;
use super::client::{Client, Parts};
use super::pace::{self, Pace};
use super::receiving::Receiving;
use super::sending::{Mode, Sending};
use super::shared::{Level, Shared};
use crate::prove::accounts::Account;

/// Sessions that are being opened at the same time.
pub(in crate::bench) const OPENING_MAX: usize = 64;
/// Bytes that a draft takes in a frame besides its body, at most.
const DRAFT_OVERHEAD: usize = 64;
/// A run's conversations are young: their key is the first.
const KEY_VERSION: u32 = 1;

/// Clients 0 and 1 are the first pair, 2 and 3 the second, …; the even one sends.
pub(super) struct Stage {
    accounts: Vec<Account>,
    conversations: Vec<ConversationId>,
    sessions: Vec<(Session, Seq)>,
}

impl Stage {
    /// Makes accounts and friendships, and opens a session for each.
    ///
    /// # Errors
    /// When the server refuses something.
    pub(super) async fn open(target: &Target, args: &DirectArgs) -> anyhow::Result<Self> {
        let count = args.clients as usize / 2 * 2;
        let users = target.accounts.users(count).await?;
        let accounts = target.accounts.devices(&users, TOKEN_TTL).await?;
        let pairs: Vec<_> = users.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let conversations = target.accounts.befriend(&pairs).await?;
        let (turns, mut tasks) = (Arc::new(Semaphore::new(OPENING_MAX)), JoinSet::new());
        for (index, account) in accounts.iter().cloned().enumerate() {
            let (server, turns, conversation) = (target.server(index), turns.clone(), conversations[index / 2]);
            tasks.spawn(async move {
                let _turn = turns.acquire_owned().await?;
                let mut session = Session::open(server, None, &account).await?;
                let head = first_sync(&mut session, conversation).await?;
                anyhow::Ok((index, session, head))
            });
        }
        let mut sessions = Vec::with_capacity(count);
        while let Some(opened) = tasks.join_next().await {
            sessions.push(opened.context("A session could not be opened")??);
        }
        sessions.sort_by_key(|(index, ..)| *index);
        let sessions = sessions.into_iter().map(|(_, session, head)| (session, head)).collect();
        Ok(Self { accounts, conversations, sessions })
    }

    /// Lets all clients begin when the clock does.
    pub(super) fn start(
        self,
        args: &DirectArgs,
        shared: &Arc<Shared>,
        stop: &CancellationToken,
    ) -> (Clients, Vec<Arc<Level>>) {
        let (mut tasks, mut levels, mut wakes) = (JoinSet::new(), Vec::new(), Vec::new());
        let Self { accounts, conversations, sessions } = self;
        for (index, (session, head)) in sessions.into_iter().enumerate() {
            let peer = index ^ 1;
            let sending = sending(args, shared, index, accounts.len(), &session);
            let parts = Parts {
                shared: shared.clone(),
                level: Arc::new(Level::default()),
                wake: Arc::new(Notify::new()),
                conversation: conversations[index / 2],
                peer: (accounts[peer].user, peer as u64),
                sending,
                receiving: Receiving::new(head),
            };
            levels.push(parts.level.clone());
            if parts.sending.is_some() {
                wakes.push(parts.wake.clone());
            }
            let (client, stop, begin) = (Client::new(session, parts), stop.clone(), shared.clock.0);
            tasks.spawn(async move {
                tokio::time::sleep_until(begin.into()).await;
                Ok((index, client.run(stop).await?))
            });
        }
        if let Some(rate) = args.rate {
            pace::spawn(shared.clock, rate, wakes, shared.plan.until_us);
        }
        (tasks, levels)
    }
}

/// What client number `index` of `clients` sends, if it does.
fn sending(args: &DirectArgs, shared: &Shared, index: usize, clients: usize, session: &Session) -> Option<Sending> {
    // Senders take turns in the order of their numbers.
    let (turn, senders) = match (args.both, index % 2) {
        (true, _) => (index, clients),
        (false, 0) => (index / 2, clients / 2),
        (false, _) => return None,
    };
    let mode = match args.rate {
        Some(rate) => Mode::Rate(Pace::new(rate, senders, turn)),
        None => Mode::Window(args.window as usize),
    };
    Some(Sending::new(shared.plan, mode, index as u64, batch_max(session, args.bytes as usize), key_version(session)))
}

/// Takes what stands in a new conversation (rows of the server), and gives its head.
pub(in crate::bench) async fn first_sync(session: &mut Session, conversation: ConversationId) -> anyhow::Result<Seq> {
    let known = Known { conversation, cursor: Seq::ZERO, message_id: None };
    session.put_sync(SyncQuestion {
        id: 0,
        after: None,
        until: None,
        known: vec![known],
        only_known: false,
        max_messages: limits::SYNC_MESSAGES_MAX,
    });
    session.flush().await?;
    let mut head = None;
    while head.is_none() {
        let frames = session.frames().await?;
        session.hear(frames, |payload| {
            if let ServerPayload::Synced(synced) = payload {
                let view = synced.views.iter().find(|view| view.conversation_id == conversation.as_bytes()[..]);
                match view {
                    Some(view) => head = Some(Seq(view.head)),
                    None => bail!("The server does not show the conversation {conversation}"),
                }
            }
            Ok(())
        })?;
    }
    head.context("A head")
}

/// Most drafts in one Send, by number and by bytes.
pub(in crate::bench) fn batch_max(session: &Session, bytes: usize) -> usize {
    let by_bytes = session.welcome.max_frame as usize / (bytes + DRAFT_OVERHEAD);
    by_bytes.min(session.welcome.max_drafts as usize).max(1)
}

pub(in crate::bench) fn key_version(session: &Session) -> u32 {
    if session.welcome.bodies_readable { 0 } else { KEY_VERSION }
}
