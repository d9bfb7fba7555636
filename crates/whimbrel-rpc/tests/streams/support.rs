//! Transfers on real sockets behind a proxy that can break, and fakes of what is on either side of the streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use whimbrel_core::{
    BatchId, ConnectorId, ConversationId, CursorMoved, DeviceId, Draft, Incarnation, MessageId, MessageKind, Outcome,
    SessionId, Sight, SyncQuestion, TransferId, UserId,
};
use whimbrel_rpc::grpc::{Limits, Security, ServeError, Streams, TransferAt, Transfers, serve};
use whimbrel_rpc::*;

/// Short pauses, so that tests are quick.
pub(crate) fn limits() -> Limits {
    Limits {
        pause_min: Duration::from_millis(5),
        pause_max: Duration::from_millis(50),
        retry_hint: Duration::from_millis(100),
        sync_wait: Duration::from_secs(20),
        ..Limits::default()
    }
}

pub(crate) fn security() -> Security {
    Security { secret: SecretString::from("a secret of tests"), tls: None }
}

/// Waits for a level.
pub(crate) async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come to pass: {what}");
}

/// The next of a channel, in time.
pub(crate) async fn next<T>(from: &mut mpsc::UnboundedReceiver<T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), from.recv()).await.expect("in time").expect("one more")
}

pub(crate) fn session() -> SessionRef {
    session_of(1)
}

pub(crate) fn session_of(user: u64) -> SessionRef {
    SessionRef { session: SessionId::generate(), user: UserId(user), device: DeviceId::generate() }
}

pub(crate) fn draft() -> Draft {
    Draft { message_id: MessageId::generate(), kind: MessageKind::TEXT, key_version: 1, body: vec![7; 40].into() }
}

pub(crate) fn send(from: SessionRef, conversation: ConversationId, drafts: Vec<Draft>) -> Request {
    Request { from, body: RequestBody::Send { conversation, drafts } }
}

pub(crate) fn sync(from: SessionRef, id: u32) -> Request {
    let question =
        SyncQuestion { id, after: None, until: None, known: Vec::new(), only_known: false, max_messages: 10 };
    Request { from, body: RequestBody::Sync(question) }
}

pub(crate) fn attach(session: SessionRef, connector: ConnectorId) -> Attach {
    Attach { session, connector, since: 5, platform: "test".into() }
}

pub(crate) fn poke(session: SessionId) -> PushItem {
    PushItem { to: session.into(), body: PushBody::Poke }
}

/// A batch of one answered draft, published by this transfer.
pub(crate) fn placed(transfer: Option<TransferId>) -> PlacedBatch {
    let outcome = DraftPlaced {
        conversation: ConversationId::generate(),
        sender: UserId(1),
        device: DeviceId::generate(),
        message_id: MessageId::generate(),
        outcome: Outcome::Conflict,
    };
    PlacedBatch { batch: transfer.map(|_| BatchId::generate()), transfer, outcomes: vec![outcome], rows: Vec::new() }
}

/// A door that is open until it is shut: calls behind it wait.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub(crate) fn open() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }
    pub(crate) fn set(&self, open: bool) {
        self.0.send_replace(open);
    }
    async fn pass(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// What a fake transfer was asked.
#[derive(Debug)]
pub(crate) enum Asked {
    Attach(Vec<Attach>),
    Requests(ConnectorId, Vec<Request>),
    Detach(Vec<SessionRef>),
    Renew,
    Assert(Vec<Standing>),
    Leave,
}

pub(crate) struct FakeTransfer {
    pub(crate) asked: mpsc::UnboundedSender<Asked>,
    /// Answers wait behind it.
    pub(crate) gate: Gate,
    /// It does not reach UserStatus.
    pub(crate) is_blind: Mutex<bool>,
}

pub(crate) const LIFE: Incarnation = Incarnation::from_bytes([9; 16]);

#[async_trait]
impl Transfer for FakeTransfer {
    async fn attach(&self, attaches: Vec<Attach>) -> Vec<Result<Attached, AttachRefused>> {
        let count = attaches.len();
        let _ = self.asked.send(Asked::Attach(attaches));
        self.gate.pass().await;
        vec![Ok(Attached { registered: true }); count]
    }
    fn submit(&self, from: ConnectorId, requests: Vec<Request>) {
        let _ = self.asked.send(Asked::Requests(from, requests));
    }
    async fn detach(&self, sessions: Vec<SessionRef>) {
        let _ = self.asked.send(Asked::Detach(sessions));
        self.gate.pass().await;
    }
    async fn renew(&self, _: ConnectorId) -> Lease {
        let _ = self.asked.send(Asked::Renew);
        self.gate.pass().await;
        match *self.is_blind.lock() {
            true => Lease { incarnation: None, term: 0, kept: true },
            false => Lease { incarnation: Some(LIFE), term: 7, kept: true },
        }
    }
    async fn assert(&self, _: ConnectorId, sessions: Vec<Standing>) -> bool {
        let _ = self.asked.send(Asked::Assert(sessions));
        self.gate.pass().await;
        true
    }
    async fn leave(&self, _: ConnectorId) {
        let _ = self.asked.send(Asked::Leave);
    }
    async fn sights(&self, looks: Vec<(UserId, UserId)>) -> Option<Vec<Option<Sight>>> {
        self.gate.pass().await;
        let sight = |at: UserId| Sight { invisible: at.0.is_multiple_of(3), last_seen_hidden: false, seen_at: at.0 };
        let sights = looks.iter().map(|(user, at)| (user.0 < at.0).then(|| sight(*at))).collect();
        (!*self.is_blind.lock()).then_some(sights)
    }
    async fn stirred(&self, stirring: Stirring) -> Option<Stirred> {
        self.gate.pass().await;
        let Stirring { users, since, gone } = stirring;
        let changed = gone.iter().all(|(_, at)| *at < since).then(|| gone.iter().map(|(user, _)| *user).collect());
        Some(Stirred { as_of: since + 1, here: (!*self.is_blind.lock()).then_some(users), changed })
    }
}

/// What a fake transfer was told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ToldOf {
    Placed(Vec<PlacedBatch>, Through),
    Advanced(Vec<CursorMoved>, Through),
    Expel(Vec<ConnectorId>),
    Revoked(Vec<Revoked>),
}

pub(crate) struct FakeAnnounce {
    pub(crate) told: mpsc::UnboundedSender<ToldOf>,
    pub(crate) gate: Gate,
    /// What is answered to everything with [`Through::All`], and to the rest.
    pub(crate) answers: Mutex<(Told, Told)>,
    /// How many were told to the end.
    pub(crate) finished: AtomicUsize,
}

impl FakeAnnounce {
    async fn answer(&self, told: ToldOf, through: Through) -> Told {
        let _ = self.told.send(told);
        self.gate.pass().await;
        self.finished.fetch_add(1, Ordering::SeqCst);
        let answers = self.answers.lock();
        if through == Through::All { answers.0.clone() } else { answers.1.clone() }
    }
}

#[async_trait]
impl Announce for FakeAnnounce {
    async fn placed(&self, batches: Vec<PlacedBatch>, through: Through) -> Told {
        self.answer(ToldOf::Placed(batches, through.clone()), through).await
    }
    async fn advanced(&self, moved: Vec<CursorMoved>, through: Through) -> Told {
        self.answer(ToldOf::Advanced(moved, through.clone()), through).await
    }
    async fn expel(&self, connectors: Vec<ConnectorId>) -> bool {
        let _ = self.told.send(ToldOf::Expel(connectors));
        true
    }
    async fn revoked(&self, revoked: Vec<Revoked>) {
        let _ = self.told.send(ToldOf::Revoked(revoked));
    }
}

/// A connector's mailboxes.
pub(crate) struct FakePush {
    pub(crate) pushed: mpsc::UnboundedSender<Vec<PushItem>>,
    pub(crate) gate: Gate,
    pub(crate) unknown: Mutex<Vec<SessionId>>,
    pub(crate) unrostered: Mutex<Vec<ConversationId>>,
}

impl FakePush {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Vec<PushItem>>) {
        let (pushed, items) = mpsc::unbounded_channel();
        (Arc::new(Self { pushed, gate: Gate::open(), unknown: Mutex::default(), unrostered: Mutex::default() }), items)
    }
}

#[async_trait]
impl Push for FakePush {
    async fn push(&self, items: Vec<PushItem>) -> Taken {
        self.gate.pass().await;
        let _ = self.pushed.send(items);
        let unknown = std::mem::take(&mut *self.unknown.lock());
        Taken { unknown, unrostered: std::mem::take(&mut *self.unrostered.lock()), lost: false }
    }
}

/// A transfer behind a proxy.
pub(crate) struct Node {
    pub(crate) id: TransferId,
    pub(crate) streams: Arc<Streams>,
    pub(crate) transfer: Arc<FakeTransfer>,
    pub(crate) announce: Arc<FakeAnnounce>,
    pub(crate) asked: mpsc::UnboundedReceiver<Asked>,
    pub(crate) told: mpsc::UnboundedReceiver<ToldOf>,
    pub(crate) proxy: Proxy,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<Result<(), ServeError>>,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(limits(), security()).await
    }

    pub(crate) async fn with(limits: Limits, security: Security) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Proxy::start(listener.local_addr().expect("an address").to_string()).await;
        let (asked_in, asked) = mpsc::unbounded_channel();
        let (told_in, told) = mpsc::unbounded_channel();
        let transfer = Arc::new(FakeTransfer { asked: asked_in, gate: Gate::open(), is_blind: Mutex::default() });
        let (answers, finished) = (Mutex::default(), AtomicUsize::new(0));
        let announce = Arc::new(FakeAnnounce { told: told_in, gate: Gate::open(), answers, finished });
        let id = TransferId::generate();
        let (streams, stop) = (Streams::new(id, limits), CancellationToken::new());
        let serving =
            tokio::spawn(serve(listener, security, streams.clone(), transfer.clone(), announce.clone(), stop.clone()));
        Self { id, streams, transfer, announce, asked, told, proxy, stop, serving }
    }

    /// The one that was killed at this address, and is still on the roster.
    pub(crate) fn former(&self) -> TransferAt {
        TransferAt { id: TransferId::generate(), ..self.at() }
    }

    pub(crate) fn at(&self) -> TransferAt {
        TransferAt { id: self.id, address: self.proxy.address.clone() }
    }

    /// The next requests.
    pub(crate) async fn requests(&mut self) -> Vec<Request> {
        match next(&mut self.asked).await {
            Asked::Requests(from, requests) => {
                assert!(self.streams.connector(from).is_some(), "they come from a connector that streams");
                requests
            }
            other => panic!("requests, and not {other:?}"),
        }
    }

    pub(crate) async fn push_to(&self, connector: ConnectorId) -> Arc<dyn Push> {
        eventually("the connector streams", || self.streams.connector(connector).is_some()).await;
        self.streams.connector(connector).expect("a connector")
    }
}

/// A connector with streams to these transfers.
pub(crate) struct Client {
    pub(crate) id: ConnectorId,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) push: Arc<FakePush>,
    pub(crate) pushed: mpsc::UnboundedReceiver<Vec<PushItem>>,
}

impl Client {
    pub(crate) async fn start(nodes: &[&Node]) -> Self {
        Self::with(limits(), nodes).await
    }

    pub(crate) async fn with(limits: Limits, nodes: &[&Node]) -> Self {
        let id = ConnectorId::generate();
        let (push, pushed) = FakePush::new();
        let transfers = Transfers::with_limits(id, push.clone(), security(), limits);
        transfers.set(nodes.iter().map(|node| node.at()).collect());
        eventually("all are reachable", || transfers.reachable() == nodes.len()).await;
        Self { id, transfers, push, pushed }
    }

    pub(crate) fn submit(&self, requests: Vec<Request>) {
        self.transfers.submit(self.id, requests);
    }

    /// The next answers that were pushed.
    pub(crate) async fn answers(&mut self) -> Vec<(To, Vec<(MessageId, Outcome)>)> {
        let items = next(&mut self.pushed).await.into_iter();
        items
            .map(|item| match item.body {
                PushBody::Answers { answers, .. } => (item.to, answers),
                other => panic!("answers, and not {other:?}"),
            })
            .collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Forwards,
    Frozen,
    Cut,
}

/// Forwards TCP until it is told otherwise.
pub(crate) struct Proxy {
    pub(crate) address: String,
    /// Connections so far.
    pub(crate) accepted: Arc<AtomicUsize>,
    state: Arc<watch::Sender<State>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    async fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(watch::Sender::new(State::Forwards));
        let states = state.clone();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = accepted.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (to, state) = (to.clone(), states.subscribe());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(to).await else { return };
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::join!(
                        forward(from_client, to_server, state.clone()),
                        forward(from_server, to_client, state)
                    );
                });
            }
        });
        Self { address, accepted, state, accepting }
    }

    /// Ends all connections; new ones are forwarded.
    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
        self.state.send_replace(State::Forwards);
        // Both changes may be seen as one: connections compare versions, not states.
    }

    /// Ends all connections, and lets nobody in again.
    pub(crate) fn kill(&self) {
        self.accepting.abort();
        self.state.send_replace(State::Cut);
    }

    /// Keeps all connections and forwards nothing.
    pub(crate) fn freeze(&self) {
        self.state.send_replace(State::Frozen);
    }
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            biased;
            _ = state.changed() => match *state.borrow_and_update() {
                State::Frozen => {}
                // Whatever it is now: it was cut in between.
                State::Cut | State::Forwards => return,
            },
            count = from.read(&mut buffer), if *state.borrow() == State::Forwards => {
                let Ok(count @ 1..) = count else { return };
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
