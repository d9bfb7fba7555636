//! All transfers as one, for a connector: questions, each asked of the right transfer until it is answered. Requests go
//! by `submit`.
//!
//! Requests of a conversation go to one transfer, and what is about a user to one; which, is the rendezvous of the key
//! with the transfers that have a stream now. When a stream ends, its Sends are answered "retry" and everything else is
//! asked again. Nothing waits without a bound, whatever the transfers do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use whimbrel_core::{ConnectorId, GoodbyeCode, Sight, UserId};

use super::connect::Connects;
use super::fleet::{Fleet, Member, TransferAt};
use super::limits::spread_ms;
use super::line::{ConnectLine, Unasked};
use super::rendezvous::choose;
use super::submit::{self, open};
use super::{Limits, Security, figures, older};
use crate::convert::pb::{answer::What as Answered, ask::What as Asked};
use crate::convert::{self, pb, weight};
use crate::{Attach, AttachRefused, Attached, Lease, Push, Request, SessionRef, Standing, Stirred, Stirring, Transfer};

/// How often something is asked again of another transfer before it counts as unanswered.
const TRIES: usize = 8;
/// Between looks at what waits for room.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// All transfers, as one [`Transfer`]. It is made inside a tokio runtime; dropping it closes its streams.
pub struct Transfers {
    fleet: Arc<Fleet<Connects>>,
}

type AttachAnswer = Result<Attached, AttachRefused>;

impl Transfers {
    /// For this connector, whose sessions take what transfers push. There is no transfer before [`Transfers::set`].
    pub fn new(id: ConnectorId, push: Arc<dyn Push>, security: Security) -> Arc<Self> {
        Self::with_limits(id, push, security, Limits::default())
    }

    /// The same with other bounds.
    pub fn with_limits(id: ConnectorId, push: Arc<dyn Push>, security: Security, limits: Limits) -> Arc<Self> {
        let limits = Arc::new(limits);
        let stop = CancellationToken::new();
        let connects = Connects::new(id, push, security.clone(), limits.clone(), &stop);
        let fleet = Fleet::new(connects, security, limits, stop);
        tokio::spawn(submit::tend(fleet.clone()));
        Arc::new(Self { fleet })
    }

    /// Replaces the list of transfers.
    pub fn set(&self, list: Vec<TransferAt>) {
        self.fleet.set(list);
    }

    /// How many of them take something new now.
    pub fn reachable(&self) -> usize {
        self.fleet.reachable()
    }

    /// These, each of the transfer of its user. `None`: there is none.
    fn by_user<T>(&self, list: Vec<T>, user: impl Fn(&T) -> UserId) -> Option<Vec<(Arc<ConnectLine>, Vec<T>)>> {
        let members = self.fleet.members();
        let open = open(&members);
        let mut groups: Vec<(Arc<ConnectLine>, Vec<T>)> =
            open.iter().map(|member| (member.line.clone(), Vec::new())).collect();
        for one in list {
            let at = choose(user(&one).into(), open.iter().map(|member| member.id))?;
            groups[at].1.push(one);
        }
        groups.retain(|(_, list)| !list.is_empty());
        Some(groups)
    }

    /// Any transfer, another one each time if there is one.
    fn any(&self, turn: usize) -> Option<Member<ConnectLine>> {
        let members = self.fleet.members();
        let open = open(&members);
        (!open.is_empty()).then(|| open[turn % open.len()].clone())
    }

    fn away(&self) -> AttachAnswer {
        let retry_after_ms = spread_ms(self.fleet.limits.away_hint);
        Err(AttachRefused { code: GoodbyeCode::UNAVAILABLE, retry_after_ms })
    }

    /// Asks one transfer for these attaches. An error: it is gone.
    async fn attach_at(&self, line: &ConnectLine, attaches: &[Attach]) -> Result<Vec<AttachAnswer>, Unasked> {
        let bytes = attaches.iter().map(weight::attach).sum();
        match line.ask(Asked::Attach(pb::Attaches { of: convert::each(attaches) }), bytes).await {
            Ok(Answered::Attach(pb::Attacheds { of })) if of.len() == attaches.len() => {
                convert::all(of, convert::attach_result).map_err(|_| Unasked::Ended)
            }
            Err(Unasked::Full) => {
                figures::full("asks");
                Ok(attaches.iter().map(|_| self.away()).collect())
            }
            Ok(_) | Err(Unasked::Ended) => Err(Unasked::Ended),
        }
    }

    /// Detaches these at their transfer; gives back those that it did not hear of.
    async fn detach_at(line: &ConnectLine, sessions: Vec<SessionRef>) -> Vec<SessionRef> {
        line.outbox.with(|up| up.gone(&sessions));
        let asked = Asked::Detach(pb::Sessions { of: convert::each(&sessions) });
        match line.ask(asked, sessions.len() * weight::ENTRY).await {
            Ok(Answered::Detach(_)) => Vec::new(),
            _ => sessions,
        }
    }

    /// Asks one transfer after the other, each once and not for long, until one has renewed the lease. `None`: nobody
    /// answered; a lease without an incarnation: nobody who did has UserStatus.
    async fn renew_by_any(&self) -> Option<Lease> {
        let (mut asked, mut answer) = (Vec::<Arc<ConnectLine>>::new(), None);
        let first = rand::random_range(0..TRIES);
        while asked.len() < TRIES {
            let members = self.fleet.members();
            let mut open = open(&members);
            open.retain(|member| !asked.iter().any(|line| Arc::ptr_eq(line, &member.line)));
            if open.is_empty() {
                break;
            }
            let line = open[first % open.len()].line.clone();
            let renewing = timeout(self.fleet.limits.renew_within, line.ask(Asked::Renew(pb::Nothing {}), 0));
            if let Ok(Ok(Answered::Renew(lease))) = renewing.await {
                let lease = Lease::from(lease);
                if lease.incarnation.is_some() {
                    return Some(lease);
                }
                answer = Some(lease);
            }
            figures::asked_again("connector");
            asked.push(line);
        }
        answer
    }

    /// Asks one transfer after the other, each once and not for long, until one has said something about presence.
    /// `None`: nobody did, or there is none that knows it.
    async fn presence_by_any<T>(
        &self,
        ask: impl Fn() -> (Asked, usize),
        read: impl Fn(Answered) -> Option<T>,
    ) -> Option<T> {
        let members = self.fleet.members();
        let mut open = open(&members);
        open.retain(|member| !older::is_older(member.line.protocol));
        if open.is_empty() {
            return None;
        }
        let first = rand::random_range(0..open.len());
        for turn in 0..open.len().min(TRIES) {
            let (asked, bytes) = ask();
            let line = &open[(first + turn) % open.len()].line;
            match timeout(self.fleet.limits.renew_within, line.ask(asked, bytes)).await {
                Ok(Ok(answered)) => return read(answered),
                _ => figures::asked_again("presence"),
            }
        }
        None
    }

    /// Asks any transfer, and another one when that is gone. `None`: nobody answered.
    async fn ask_any(&self, ask: impl Fn() -> (Asked, usize)) -> Option<Answered> {
        let first = rand::random_range(0..TRIES);
        for turn in first..first + TRIES {
            let (asked, bytes) = ask();
            match self.any(turn)?.line.ask(asked, bytes).await {
                Ok(answered) => return Some(answered),
                Err(Unasked::Ended) => figures::asked_again("connector"),
                Err(Unasked::Full) => sleep(LOOK_AGAIN).await,
            }
        }
        None
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        self.fleet.stop.cancel();
    }
}

#[async_trait]
impl Transfer for Transfers {
    async fn attach(&self, attaches: Vec<Attach>) -> Vec<AttachAnswer> {
        let mut answers: Vec<Option<AttachAnswer>> = attaches.iter().map(|_| None).collect();
        let mut open: Vec<(usize, Attach)> = attaches.into_iter().enumerate().collect();
        for turn in 0..TRIES {
            if open.is_empty() {
                break;
            }
            if turn > 0 {
                figures::asked_again("attach");
            }
            let Some(groups) = self.by_user(open.clone(), |(_, attach)| attach.session.user) else { break };
            let asked = groups.into_iter().map(|(line, group)| async move {
                let (at, group): (Vec<usize>, Vec<Attach>) = group.into_iter().unzip();
                (at, self.attach_at(&line, &group).await)
            });
            for (at, answered) in join_all(asked).await {
                for (at, answer) in at.into_iter().zip(answered.unwrap_or_default()) {
                    answers[at] = Some(answer);
                }
            }
            open.retain(|(at, _)| answers[*at].is_none());
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| self.away())).collect()
    }

    fn submit(&self, _: ConnectorId, requests: Vec<Request>) {
        submit::submit(&self.fleet, requests, None);
    }

    async fn detach(&self, sessions: Vec<SessionRef>) {
        self.fleet.dial.waiting.gone(sessions.iter().map(|session| session.session));
        let until = Instant::now() + self.fleet.limits.detach_wait;
        let mut open = sessions;
        loop {
            if let Some(groups) = self.by_user(open.clone(), |session| session.user) {
                let asked = groups.into_iter().map(|(line, group)| async move { Self::detach_at(&line, group).await });
                open = join_all(asked).await.concat();
            }
            if open.is_empty() {
                return;
            }
            figures::asked_again("detach");
            if Instant::now() >= until {
                return debug!(
                    sessions = open.len(),
                    "no transfer took these detaches; routes too many are found later"
                );
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn renew(&self, _: ConnectorId) -> Lease {
        match self.renew_by_any().await {
            // Asked after the answer came, and whatever it says: the flag is taken down by it.
            Some(lease) => Lease { kept: !self.fleet.had_gap(), ..lease },
            None => Lease { incarnation: None, term: 0, kept: true },
        }
    }

    async fn assert(&self, _: ConnectorId, sessions: Vec<Standing>) -> bool {
        let bytes = sessions.len() * weight::ENTRY;
        let ask = || (Asked::Assert(pb::Standings { of: convert::each(&sessions) }), bytes);
        matches!(self.ask_any(ask).await, Some(Answered::Assert(true)))
    }

    async fn leave(&self, _: ConnectorId) {
        self.ask_any(|| (Asked::Leave(pb::Nothing {}), 0)).await;
    }

    async fn sights(&self, looks: Vec<(UserId, UserId)>) -> Option<Vec<Option<Sight>>> {
        let ask = || (Asked::Sights(convert::looks_out(&looks)), looks.len() * 2 * weight::USER);
        let read = |answered| match answered {
            Answered::Sights(sights) => convert::sights(sights).filter(|sights| sights.len() == looks.len()),
            _ => None,
        };
        self.presence_by_any(ask, read).await
    }

    async fn stirred(&self, stirring: Stirring) -> Option<Stirred> {
        let bytes = (stirring.users.len() + 2 * stirring.gone.len()) * weight::USER;
        let ask = || (Asked::Stirred((&stirring).into()), bytes);
        let read = |answered| match answered {
            Answered::Stirred(stirred) => stirred.read().ok().flatten(),
            _ => None,
        };
        self.presence_by_any(ask, read).await
    }
}
