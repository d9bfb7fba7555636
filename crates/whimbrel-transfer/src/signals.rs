//! Signals: what passes (typing and the like). Told to who is online in the conversation but the session itself, and to
//! nobody later; not answered. In direct conversations of friends who do not block each other, and in groups of at most
//! [`SMALL_GROUP`] members.
//!
//! They are the first to go: when as many wait as may, when members cannot be read, when a connector takes nothing. No
//! task runs while there are none, and one round asks once for everything that gathered while the last was under way.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use metrics::counter;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::debug;
use whimbrel_core::limits::SMALL_GROUP;
use whimbrel_core::{ConversationId, Members, Seq, Signal, Speak, UserId};
use whimbrel_rpc::{PushBody, SessionRef, To};
use whimbrel_store::{Directory, Route};

use crate::Config;
use crate::audience::Audiences;
use crate::outgoing::Outgoing;
use crate::reach::{Reach, Whereabouts};
use crate::rosters::Rosters;

/// The rooms that signals need.
pub(crate) struct Rooms {
    pub(crate) audiences: Arc<Audiences>,
    pub(crate) rosters: Arc<Rosters>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) tasks: TaskTracker,
}

pub(crate) struct Signals {
    config: Arc<Config>,
    rooms: Rooms,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    signals: Vec<Said>,
    telling: bool,
}

struct Said {
    from: SessionRef,
    conversation: ConversationId,
    body: Bytes,
}

/// Who hears something.
type Hearers = SmallVec<[UserId; 2]>;

impl Signals {
    pub(crate) fn new(config: Arc<Config>, rooms: Rooms) -> Self {
        Self { config, rooms, waiting: Mutex::default() }
    }

    /// Takes a signal, or drops it.
    pub(crate) fn take(self: &Arc<Self>, from: SessionRef, conversation: ConversationId, body: Bytes) {
        let mut waiting = self.waiting.lock();
        if waiting.signals.len() >= self.config.signals_max {
            return counter!("whimbrel_transfer_signals_dropped_total").increment(1);
        }
        waiting.signals.push(Said { from, conversation, body });
        if !std::mem::replace(&mut waiting.telling, true) {
            let signals = self.clone();
            self.rooms.tasks.spawn(async move { signals.tell_gathered().await });
        }
    }

    async fn tell_gathered(self: Arc<Self>) {
        loop {
            let gathered = {
                let mut waiting = self.waiting.lock();
                waiting.telling = !waiting.signals.is_empty();
                std::mem::take(&mut waiting.signals)
            };
            if gathered.is_empty() {
                return;
            }
            self.tell(gathered).await;
        }
    }

    async fn tell(&self, gathered: Vec<Said>) {
        let members = self.members(&gathered).await;
        let mut heard: Vec<(Said, Hearers)> = Vec::with_capacity(gathered.len());
        for said in gathered {
            let hearers = match members.get(&said.conversation) {
                Some(members) => self.hearers(&said, members).await,
                None => Hearers::new(),
            };
            if !hearers.is_empty() {
                heard.push((said, hearers));
            }
        }
        let users = heard.iter().flat_map(|(_, hearers)| hearers.iter().copied()).collect();
        let whereabouts = self.rooms.reach.locate(users).await;
        let mut outgoing = Outgoing::default();
        for (said, hearers) in heard {
            address(said, hearers, &whereabouts, &mut outgoing);
        }
        // What is given is given; nobody waits for a connector that does not take it.
        let pushing = self.rooms.reach.deliver(outgoing, &whereabouts);
        if timeout(self.config.status_timeout, pushing).await.is_err() {
            debug!("a connector has not taken signals in time");
        }
    }

    /// Who is in these conversations; what is not remembered, by one call.
    async fn members(&self, gathered: &[Said]) -> HashMap<ConversationId, Members> {
        let (mut known, mut missing) = (HashMap::new(), Vec::new());
        for said in gathered {
            match self.rooms.audiences.members(said.conversation) {
                Some(members) => drop(known.insert(said.conversation, members)),
                None => missing.push(said.conversation),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return known;
        }
        let changes = self.rooms.audiences.changes();
        match self.rooms.directory.members(&missing).await {
            Ok(read) => {
                for (conversation, members) in missing.into_iter().zip(read) {
                    let Some(members) = members else { continue };
                    self.rooms.audiences.remember(conversation, &members, changes);
                    known.insert(conversation, members);
                }
            }
            Err(error) => debug!(%error, "members cannot be read; signals are dropped"),
        }
        known
    }

    /// Who hears this: everybody who is in the conversation, if the one who says it may be heard there.
    async fn hearers(&self, said: &Said, members: &Members) -> Hearers {
        let user = said.from.user;
        match members {
            Members::Direct { first, second, .. } if members.may_speak(user) == Speak::Allowed => {
                Hearers::from_slice(&[*first, *second])
            }
            Members::Group(group) if group.size <= SMALL_GROUP && !group.dissolved => {
                let roster = self.rooms.rosters.one(said.conversation, group.revision).await;
                let now = Seq(u64::MAX);
                match roster.filter(|roster| roster.owes(user, now)) {
                    Some(roster) => roster.audience(now).collect(),
                    None => Hearers::new(),
                }
            }
            Members::Direct { .. } | Members::Private { .. } | Members::Group(_) => Hearers::new(),
        }
    }
}

fn address(said: Said, hearers: Hearers, whereabouts: &Whereabouts, outgoing: &mut Outgoing) {
    let Said { from: SessionRef { session, user, device }, conversation, body } = said;
    let body = PushBody::Signal(Arc::new(Signal { conversation, user, device, body }));
    match whereabouts {
        Whereabouts::Known(routes) => {
            let all = hearers.iter().flat_map(|hearer| routes.of(*hearer));
            let others: SmallVec<[Route; 8]> = all.filter(|route| route.session != session).copied().collect();
            outgoing.passing(&others, &body);
        }
        Whereabouts::Anywhere(connectors) => {
            let to = To::Users { users: hearers, except: SmallVec::from_iter([session]) };
            outgoing.passing_to_each(connectors, &to, &body);
        }
    }
}
