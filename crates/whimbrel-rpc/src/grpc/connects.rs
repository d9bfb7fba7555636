//! A connector's stream, at the transfer: what it asks for is given to the [`Transfer`], in its order.
//!
//! A detach waits for the attaches of its sessions that came before it, so that no session is registered after it has
//! gone. Nothing else waits for anything: answers go out as they come.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use hashbrown::HashMap;
use tonic::{Status, Streaming};
use tracing::{debug, warn};
use whimbrel_core::{ConnectorId, SessionId};

use super::figures::Up;
use super::hello::Role;
use super::peer::{Peer, Streams};
use crate::convert::pb::{answer::What as Answered, ask::What as Asked};
use crate::convert::{self, Malformed, pb};
use crate::{Attach, SessionRef, Transfer};

/// One stream's reader.
pub(super) struct Connection {
    pub(super) peer: Arc<Peer>,
    pub(super) streams: Arc<Streams>,
    pub(super) transfer: Arc<dyn Transfer>,
    asking: FuturesUnordered<BoxFuture<'static, Done>>,
    /// How many attaches of each session are under way.
    attaching: HashMap<SessionId, usize>,
    /// Detaches that wait for them.
    detaches: Vec<Detaches>,
}

/// Answers, and the sessions that are not being attached any more.
struct Done {
    answers: Vec<pb::Answer>,
    attached: Vec<SessionId>,
}

/// The detaches of one message.
#[derive(Default)]
struct Detaches {
    ids: Vec<u64>,
    sessions: Vec<SessionRef>,
}

/// The attaches of one message.
#[derive(Default)]
struct Attaches {
    /// Each question, and how many attaches it holds.
    ids: Vec<(u64, usize)>,
    of: Vec<Attach>,
}

impl Connection {
    pub(super) fn new(peer: Arc<Peer>, streams: Arc<Streams>, transfer: Arc<dyn Transfer>) -> Self {
        let asking = FuturesUnordered::new();
        Self { peer, streams, transfer, asking, attaching: HashMap::new(), detaches: Vec::new() }
    }

    /// Until the stream ends.
    pub(super) async fn run(mut self, inbound: Streaming<pb::FromConnector>) {
        let _up = Up::new(Role::Connector.name());
        let end = self.read(inbound).await;
        self.streams.remove(&self.peer);
        if let Err(status) = &end {
            let connector = self.peer.connector;
            match status.code() {
                tonic::Code::InvalidArgument => {
                    warn!(%connector, status = status.message(), "a connector's stream made no sense and was ended")
                }
                _ => debug!(%connector, %status, "a connector's stream broke"),
            }
        }
        self.peer.end(end.err());
    }

    async fn read(&mut self, mut inbound: Streaming<pb::FromConnector>) -> Result<(), Status> {
        let (leaving, closing) = (self.streams.leaving.clone(), self.streams.closing.clone());
        let (gone, most) = (self.peer.gone.clone(), self.streams.limits.asks);
        let mut told = false;
        let mut sweep = tokio::time::interval(self.streams.limits.taken_within / 4);
        loop {
            tokio::select! {
                message = inbound.message(), if self.asking.len() <= most => match message? {
                    Some(message) => self.take(message)?,
                    None => return Ok(()),
                },
                Some(done) = self.asking.next(), if !self.asking.is_empty() => self.answer(done),
                () = leaving.cancelled(), if !told => {
                    told = true;
                    self.peer.outbox.with(|down| down.leave());
                }
                _ = sweep.tick() => self.peer.sweep(),
                () = gone.cancelled() => return Ok(()),
                () = closing.cancelled() => return Err(Status::unavailable("the transfer has stopped")),
            }
        }
    }

    fn take(&mut self, message: pb::FromConnector) -> Result<(), Status> {
        if let Some(taken) = message.taken {
            self.peer.outbox.with(|down| down.acknowledge(taken)).transpose()?;
        }
        if !message.requests.is_empty() {
            let requests = convert::all(message.requests, TryInto::try_into).map_err(malformed)?;
            self.transfer.submit(self.peer.connector, requests);
        }
        if !message.asks.is_empty() {
            self.ask(message.asks).map_err(malformed)?;
        }
        if message.done {
            // Finished first: it is gone politely, and not lost.
            self.peer.outbox.with(|down| down.finish());
            self.streams.remove(&self.peer);
        }
        Ok(())
    }

    fn ask(&mut self, asks: Vec<pb::Ask>) -> convert::Result<()> {
        let (mut attaches, mut detaches) = (Attaches::default(), Detaches::default());
        let connector = self.peer.connector;
        for pb::Ask { id, what } in asks {
            let transfer = self.transfer.clone();
            match convert::part("Ask.what", what)? {
                Asked::Attach(list) => attaches.add(id, list, connector)?,
                Asked::Detach(list) => {
                    detaches.ids.push(id);
                    detaches.sessions.extend(convert::all::<_, SessionRef, Vec<_>>(list.of, TryInto::try_into)?);
                }
                Asked::Renew(pb::Nothing {}) => {
                    self.begin(async move { Done::one(id, Answered::Renew((&transfer.renew(connector).await).into())) })
                }
                Asked::Assert(list) => {
                    let standings = convert::all(list.of, TryInto::try_into)?;
                    self.begin(
                        async move { Done::one(id, Answered::Assert(transfer.assert(connector, standings).await)) },
                    );
                }
                Asked::Sights(looks) => {
                    let looks = convert::looks(looks)?;
                    self.begin(async move {
                        Done::one(id, Answered::Sights(convert::sights_out(transfer.sights(looks).await)))
                    });
                }
                Asked::Stirred(stirring) => {
                    let stirring = stirring.try_into()?;
                    self.begin(
                        async move { Done::one(id, Answered::Stirred(transfer.stirred(stirring).await.into())) },
                    );
                }
                Asked::Leave(pb::Nothing {}) => self.begin(async move {
                    transfer.leave(connector).await;
                    Done::one(id, Answered::Leave(pb::Nothing {}))
                }),
            }
        }
        self.attach(attaches);
        if !detaches.ids.is_empty() {
            self.detach(detaches);
        }
        Ok(())
    }

    fn begin(&self, asking: impl Future<Output = Done> + Send + 'static) {
        self.asking.push(Box::pin(asking));
    }

    /// All attaches of a message are one question to the transfer.
    fn attach(&mut self, attaches: Attaches) {
        if attaches.ids.is_empty() {
            return;
        }
        let Attaches { ids, of } = attaches;
        let attached: Vec<SessionId> = of.iter().map(|attach| attach.session.session).collect();
        for session in &attached {
            *self.attaching.entry(*session).or_default() += 1;
        }
        let transfer = self.transfer.clone();
        self.begin(async move {
            let mut results = transfer.attach(of).await.into_iter();
            let answer = |(id, count)| {
                let of = results.by_ref().take(count).map(|result| convert::attach_result_out(&result)).collect();
                pb::Answer { id, what: Some(Answered::Attach(pb::Attacheds { of })) }
            };
            Done { answers: ids.into_iter().map(answer).collect(), attached }
        });
    }

    fn detach(&mut self, detaches: Detaches) {
        if detaches.sessions.iter().any(|session| self.attaching.contains_key(&session.session)) {
            return self.detaches.push(detaches);
        }
        let transfer = self.transfer.clone();
        self.begin(async move {
            transfer.detach(detaches.sessions).await;
            let answer = |id| pb::Answer { id, what: Some(Answered::Detach(pb::Nothing {})) };
            Done { answers: detaches.ids.into_iter().map(answer).collect(), attached: Vec::new() }
        });
    }

    fn answer(&mut self, done: Done) {
        self.peer.outbox.with(|down| down.answer(done.answers));
        if done.attached.is_empty() {
            return;
        }
        for session in done.attached {
            if let Some(count) = self.attaching.get_mut(&session) {
                *count -= 1;
                if *count == 0 {
                    self.attaching.remove(&session);
                }
            }
        }
        for detaches in std::mem::take(&mut self.detaches) {
            self.detach(detaches);
        }
    }
}

impl Attaches {
    fn add(&mut self, id: u64, list: pb::Attaches, connector: ConnectorId) -> convert::Result<()> {
        self.ids.push((id, list.of.len()));
        for attach in list.of {
            self.of.push(attach.at(connector)?);
        }
        Ok(())
    }
}

impl Done {
    fn one(id: u64, what: Answered) -> Self {
        Self { answers: vec![pb::Answer { id, what: Some(what) }], attached: Vec::new() }
    }
}

/// Ends the stream.
pub(super) fn malformed(malformed: Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}
