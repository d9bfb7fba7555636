//! All transfers as one, for archivers and the API.
//!
//! What is told goes to the transfer that waits for it, and otherwise to that of the conversation. If that one dies, what
//! it did not answer goes whole to another; should it come back, it hears the outcomes afterwards (`missed`). It returns when everybody was told who can be: connectors that one transfer
//! does not reach are told by another, and those that none reaches lose their lease, so that nobody waits for them and
//! they learn of it when they come back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use whimbrel_core::{ConnectorId, ConversationId, CursorMoved, TransferId, UserId, limits::LEASE};

use super::fleet::{Fleet, Line as _, Member, TransferAt};
use super::hello::{Role, hello};
use super::missed::Missed;
use super::placing::{batches as placing_batches, cut};
use super::rendezvous::choose;
use super::telling::{AnnounceLine, Announces};
use super::{Limits, Security, figures};
use crate::convert::pb::telling::What;
use crate::convert::{self, out, pb, weight};
use crate::{Announce, PlacedBatch, Revoked, Through, Told};

/// Between tries to have leases ended.
const EXPEL_AGAIN: Duration = Duration::from_millis(100);

/// All transfers, as one [`Announce`]. It is made inside a tokio runtime; dropping it closes its streams.
pub struct Announcer {
    fleet: Arc<Fleet<Announces>>,
    missed: Arc<Missed>,
    /// Announcements under way.
    room: Semaphore,
}

/// What is brought to connectors.
#[derive(Clone, Copy)]
enum News<'a> {
    Placed(&'a [PlacedBatch]),
    Moved(&'a [CursorMoved]),
}

/// What of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Everything.
    Whole,
    /// Without the answers to senders: they were given.
    Rows,
}

impl Announcer {
    /// An archiver's. There is no transfer before [`Announcer::set`].
    pub fn new(security: Security) -> Arc<Self> {
        Self::with(security, Role::Archiver, Limits::default())
    }

    /// The API's.
    pub fn of_api(security: Security) -> Arc<Self> {
        Self::with(security, Role::Api, Limits::default())
    }

    /// The same with other bounds.
    pub fn with(security: Security, role: Role, limits: Limits) -> Arc<Self> {
        let limits = Arc::new(limits);
        // Nobody asks for an announcer by its id: it says which run of the process speaks.
        let hello = hello(limits.protocol, role, out(TransferId::generate()));
        let room = Semaphore::new(limits.announcements);
        let announces = Announces { hello, security: security.clone(), limits: limits.clone() };
        let missed = Missed::new(limits.missed);
        let fleet = Fleet::new(announces, security, limits, CancellationToken::new());
        tokio::spawn(missed.clone().run(fleet.clone()));
        Arc::new(Self { fleet, missed, room })
    }

    /// Replaces the list of transfers.
    pub fn set(&self, list: Vec<TransferAt>) {
        self.fleet.set(list);
    }

    /// How many of them take something new now.
    pub fn reachable(&self) -> usize {
        self.fleet.reachable()
    }

    /// The transfer for something: its own if it is there, otherwise that of the conversation.
    fn pick(&self, own: Option<TransferId>, conversation: Option<ConversationId>) -> Option<Member<AnnounceLine>> {
        let members = self.fleet.members();
        if let Some(own) = members.iter().find(|member| Some(member.id) == own && member.line.takes_its_own()) {
            return Some(own.clone());
        }
        let open: Vec<_> = members.iter().filter(|member| !member.line.is_leaving()).collect();
        let key = conversation.map_or(UserId(0).into(), Into::into);
        choose(key, open.iter().map(|member| member.id)).map(|at| open[at].clone())
    }

    /// The same, once there is one.
    async fn wait_for(&self, own: Option<TransferId>, conversation: Option<ConversationId>) -> Member<AnnounceLine> {
        let mut changes = self.fleet.watch();
        loop {
            if let Some(member) = self.pick(own, conversation) {
                return member;
            }
            // A stream that begins to leave does not change the list, but it does not make a transfer appear either.
            let _ = changes.changed().await;
        }
    }

    async fn tell(&self, line: &AnnounceLine, what: What, bytes: usize) -> Option<pb::Told> {
        let _room = self.room.acquire().await.ok()?;
        line.tell(what, bytes).await
    }

    async fn tell_news(&self, line: &AnnounceLine, news: News<'_>, part: Part, through: &Through) -> Option<Told> {
        let (what, bytes) = news.out(part, through);
        self.tell(line, what, bytes).await.map(convert::told)
    }

    /// Brings news to a transfer, and another one when that dies, and settles who was not reached. Gives who is offline.
    async fn bring(&self, own: Option<TransferId>, news: News<'_>) -> Vec<UserId> {
        loop {
            let member = self.wait_for(own, news.conversation()).await;
            if let Some(told) = self.tell_news(&member.line, news, Part::Whole, &Through::All).await {
                if let News::Placed(batches) = news {
                    self.missed.note(member.id, batches);
                }
                return self.settle(&member, told, news).await;
            }
            figures::asked_again("announcement");
        }
    }

    /// Has told by others what one transfer could not tell.
    async fn settle(&self, by: &Member<AnnounceLine>, told: Told, news: News<'_>) -> Vec<UserId> {
        let (mut offline, mut unreached) = (told.offline, told.unreached);
        if told.blind {
            let members = self.fleet.members();
            let others = members.iter().filter(|member| !Arc::ptr_eq(&member.line, &by.line));
            let tell = |member: &Member<AnnounceLine>| {
                let line = member.line.clone();
                async move { self.tell_news(&line, news, Part::Rows, &Through::All).await }
            };
            for told in join_all(others.map(tell)).await.into_iter().flatten() {
                offline.extend(told.offline);
                unreached.extend(told.unreached);
            }
            unreached.sort_unstable();
            unreached.dedup();
        }
        if !unreached.is_empty() {
            self.reach(unreached, Some(by), news).await;
        }
        offline
    }

    /// Brings rows to these connectors through one transfer after the other, that of `last` at the end (its stream may
    /// be there again). The leases of those that none reaches are ended.
    async fn reach(&self, mut unreached: Vec<ConnectorId>, last: Option<&Member<AnnounceLine>>, news: News<'_>) {
        let mut members = Vec::clone(&self.fleet.members());
        members.sort_by_key(|member| last.is_some_and(|last| last.id == member.id));
        for member in members {
            if unreached.is_empty() {
                return;
            }
            let through = Through::Only(unreached.clone());
            if let Some(told) = self.tell_news(&member.line, news, Part::Rows, &through).await {
                unreached.retain(|connector| told.unreached.contains(connector));
            }
        }
        if !unreached.is_empty() {
            self.end_leases(unreached).await;
        }
    }

    /// A connector that is there and missed something must find its lease gone. If UserStatus does not answer for as
    /// long as a lease lasts, the lease has ended by itself.
    async fn end_leases(&self, connectors: Vec<ConnectorId>) {
        warn!(
            ?connectors,
            "no transfer reaches these connectors; they lose their leases and assert their sessions when they are back"
        );
        let until = Instant::now() + LEASE;
        while !self.expel_now(&connectors).await && Instant::now() < until {
            sleep(EXPEL_AGAIN).await;
        }
    }

    async fn expel_now(&self, connectors: &[ConnectorId]) -> bool {
        for member in self.fleet.members().iter() {
            let ids = pb::Ids { of: connectors.iter().copied().map(out).collect() };
            let told = self.tell(&member.line, What::Expel(ids), connectors.len() * weight::ENTRY).await;
            if told.is_some_and(|told| told.expelled) {
                return true;
            }
        }
        false
    }

    /// The batches of each transfer, in their order.
    fn groups(&self, batches: Vec<PlacedBatch>) -> Vec<(Option<TransferId>, Vec<PlacedBatch>)> {
        let mut groups: Vec<(Option<TransferId>, Vec<PlacedBatch>)> = Vec::new();
        for batch in batches {
            let to = self.pick(batch.transfer, conversation(&batch)).map(|member| member.id);
            match groups.iter_mut().find(|(known, _)| *known == to) {
                Some((_, group)) => group.push(batch),
                None => groups.push((to, vec![batch])),
            }
        }
        groups
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.fleet.stop.cancel();
    }
}

#[async_trait]
impl Announce for Announcer {
    async fn placed(&self, batches: Vec<PlacedBatch>, through: Through) -> Told {
        let told = |offline| Told { offline, ..Told::default() };
        if let Through::Only(connectors) = through {
            for part in placing_batches(batches, &self.fleet.limits) {
                self.reach(connectors.clone(), None, News::Placed(&part)).await;
            }
            return Told::default();
        }
        let groups = self.groups(batches).into_iter().map(|(to, batches)| async move {
            let mut offline = Vec::new();
            for part in placing_batches(batches, &self.fleet.limits) {
                offline.extend(self.bring(to, News::Placed(&part)).await);
            }
            offline
        });
        told(once_each(join_all(groups).await.concat()))
    }

    async fn advanced(&self, moved: Vec<CursorMoved>, through: Through) -> Told {
        let most = self.fleet.limits.cut;
        if let Through::Only(connectors) = through {
            for part in cut(&moved, most, |_| weight::ENTRY) {
                self.reach(connectors.clone(), None, News::Moved(part)).await;
            }
            return Told::default();
        }
        let mut groups: Vec<(Option<TransferId>, Vec<CursorMoved>)> = Vec::new();
        for moved in moved {
            let to = self.pick(None, Some(moved.conversation)).map(|member| member.id);
            match groups.iter_mut().find(|(known, _)| *known == to) {
                Some((_, group)) => group.push(moved),
                None => groups.push((to, vec![moved])),
            }
        }
        let groups = groups.into_iter().map(|(to, moved)| async move {
            let mut offline = Vec::new();
            for part in cut(&moved, most, |_| weight::ENTRY) {
                offline.extend(self.bring(to, News::Moved(part)).await);
            }
            offline
        });
        Told { offline: once_each(join_all(groups).await.concat()), ..Told::default() }
    }

    async fn expel(&self, connectors: Vec<ConnectorId>) -> bool {
        connectors.is_empty() || self.expel_now(&connectors).await
    }

    async fn revoked(&self, revoked: Vec<Revoked>) {
        let members = self.fleet.members();
        let told = members.iter().map(|member| {
            let what = What::Revoked(pb::RevokedList { of: convert::each(&revoked) });
            self.tell(&member.line, what, revoked.len() * weight::ENTRY)
        });
        // A transfer that was not told finds them itself, by polling.
        join_all(told).await;
    }
}

impl News<'_> {
    fn conversation(self) -> Option<ConversationId> {
        match self {
            Self::Placed(batches) => batches.first().and_then(conversation),
            Self::Moved(moved) => moved.first().map(|moved| moved.conversation),
        }
    }

    fn out(self, part: Part, through: &Through) -> (What, usize) {
        let through = convert::through_out(through);
        match self {
            Self::Placed(batches) => {
                let bytes = batches.iter().map(weight::placed).sum();
                let mut batches: Vec<pb::PlacedBatch> = convert::each(batches);
                if part == Part::Rows {
                    for batch in &mut batches {
                        (batch.batch, batch.transfer, batch.outcomes) = (None, None, Vec::new());
                    }
                }
                (What::Placed(pb::Placed { batches, through }), bytes)
            }
            Self::Moved(moved) => {
                (What::Advanced(pb::Advanced { moved: convert::each(moved), through }), moved.len() * weight::ENTRY)
            }
        }
    }
}

fn conversation(batch: &PlacedBatch) -> Option<ConversationId> {
    let row = batch.rows.first().map(|row| row.message.conversation);
    row.or_else(|| batch.outcomes.first().map(|draft| draft.conversation))
}

fn once_each(mut users: Vec<UserId>) -> Vec<UserId> {
    users.sort_unstable();
    users.dedup();
    users
}
