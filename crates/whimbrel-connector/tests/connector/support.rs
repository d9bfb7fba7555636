//! A connector on a port of its own, a transfer that records, and a client that says what it is told to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use whimbrel_connector::{Config, Connector};
use whimbrel_core::{
    ConnectorId, ConversationId, Delivery, DeviceId, GoodbyeCode, Incarnation, Message, MessageId, MessageKind,
    Outcome, Seq, SessionId, Sight, UserId,
};
use whimbrel_rpc::token::{Bearer, TokenKey};
use whimbrel_rpc::{
    Attach, AttachRefused, Attached, Lease, Push, PushBody, PushItem, Request, SessionRef, Standing, Stirred, Stirring,
    Taken, To, Transfer,
};
use whimbrel_wire::frame::{decode_server, put_frame};
use whimbrel_wire::{ClientPayload, Encoded, ServerFrame, ServerPayload, convert, proto};

/// How long anything may take; nothing does unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Times that no test reaches, so that each shortens what it is about.
pub(crate) fn config() -> Config {
    let long = Duration::from_secs(60);
    Config {
        hello_timeout: long,
        frame_timeout: long,
        heartbeat: long,
        silence: long,
        ack_timeout: long,
        requests_per_second: 0,
        bytes_per_second: 0,
        lease_every: ms(5),
        ..Config::default()
    }
}

/// By which way what is pushed to whom; to no session: to the one that attaches.
type Greeting = (Arc<dyn Push>, To, PushBody);

/// A transfer that records.
pub(crate) struct Recorder {
    pub(crate) attached: Mutex<Vec<Attach>>,
    /// How many sessions each attach call was for.
    pub(crate) batches: Mutex<Vec<usize>>,
    pub(crate) submits: Mutex<Vec<Vec<Request>>>,
    pub(crate) detached: Mutex<Vec<SessionRef>>,
    pub(crate) refuse: Mutex<Option<AttachRefused>>,
    /// UserStatus does not take what attaches.
    pub(crate) unregistered: AtomicBool,
    /// Pushed to whoever attaches, before that is answered.
    pub(crate) greet: Mutex<Option<Greeting>>,
    pub(crate) greeted: Mutex<Option<Taken>>,
    /// Each session's attaching takes a permit.
    pub(crate) attaching: Semaphore,
    pub(crate) lease: Mutex<Lease>,
    pub(crate) renewals: AtomicUsize,
    /// `kept: false` is told once, as the streams do it.
    pub(crate) lost_once: AtomicBool,
    /// Renewing takes a permit.
    pub(crate) renewing: Semaphore,
    pub(crate) asserted: Mutex<Vec<Standing>>,
    /// Asserting takes a permit.
    pub(crate) asserting: Semaphore,
    pub(crate) refuse_assertions: AtomicBool,
    /// Leaves, with how many were detached before.
    pub(crate) left: Mutex<Vec<usize>>,
    /// Who is here; `None`: nobody knows.
    pub(crate) here: Mutex<Option<Vec<UserId>>>,
    /// Who may be seen by anybody; `None`: the directory does not answer.
    pub(crate) seen: Mutex<Option<Vec<UserId>>>,
    /// Of whom something else may be shown.
    pub(crate) changed: Mutex<Vec<UserId>>,
    pub(crate) stirrings: Mutex<Vec<Stirring>>,
}

impl Recorder {
    fn new() -> Self {
        Self {
            attached: Mutex::default(),
            batches: Mutex::default(),
            submits: Mutex::default(),
            detached: Mutex::default(),
            refuse: Mutex::default(),
            unregistered: AtomicBool::new(false),
            greet: Mutex::default(),
            greeted: Mutex::default(),
            attaching: Semaphore::new(1000),
            lease: Mutex::new(Lease { incarnation: Some(Incarnation::generate()), term: 1, kept: true }),
            renewals: AtomicUsize::new(0),
            lost_once: AtomicBool::new(false),
            renewing: Semaphore::new(1_000_000),
            asserted: Mutex::default(),
            asserting: Semaphore::new(1000),
            refuse_assertions: AtomicBool::new(false),
            left: Mutex::default(),
            here: Mutex::new(Some(Vec::new())),
            seen: Mutex::new(Some(Vec::new())),
            changed: Mutex::default(),
            stirrings: Mutex::default(),
        }
    }
}

#[async_trait::async_trait]
impl Transfer for Recorder {
    async fn attach(&self, attaches: Vec<Attach>) -> Vec<Result<Attached, AttachRefused>> {
        self.batches.lock().push(attaches.len());
        self.attached.lock().extend(attaches.iter().cloned());
        let mut answers = Vec::new();
        for attach in attaches {
            self.attaching.acquire().await.expect("open").forget();
            let greet = self.greet.lock().clone();
            if let Some((push, to, body)) = greet {
                let own = To::from(attach.session.session);
                let to = if to == To::Sessions(Default::default()) { own } else { to };
                *self.greeted.lock() = Some(push.push(vec![PushItem { to, body }]).await);
            }
            let registered = !self.unregistered.load(Ordering::SeqCst);
            answers.push(self.refuse.lock().clone().map_or(Ok(Attached { registered }), Err));
        }
        answers
    }

    fn submit(&self, _: ConnectorId, requests: Vec<Request>) {
        self.submits.lock().push(requests);
    }

    async fn detach(&self, sessions: Vec<SessionRef>) {
        self.detached.lock().extend(sessions);
    }

    async fn renew(&self, _: ConnectorId) -> Lease {
        self.renewing.acquire().await.expect("open").forget();
        let lease = *self.lease.lock();
        let lost = self.lost_once.swap(false, Ordering::SeqCst);
        self.renewals.fetch_add(1, Ordering::SeqCst);
        Lease { kept: lease.kept && !lost, ..lease }
    }

    async fn assert(&self, _: ConnectorId, sessions: Vec<Standing>) -> bool {
        self.asserted.lock().extend(sessions);
        self.asserting.acquire().await.expect("open").forget();
        !self.refuse_assertions.load(Ordering::SeqCst)
    }

    async fn leave(&self, _: ConnectorId) {
        self.left.lock().push(self.detached.lock().len());
    }

    async fn sights(&self, looks: Vec<(UserId, UserId)>) -> Option<Vec<Option<Sight>>> {
        let seen = self.seen.lock().clone()?;
        Some(looks.iter().map(|(_, at)| seen.contains(at).then_some(Sight::default())).collect())
    }

    async fn stirred(&self, stirring: Stirring) -> Option<Stirred> {
        let mut stirrings = self.stirrings.lock();
        stirrings.push(stirring);
        let here = self.here.lock().clone();
        let as_of = stirrings.len() as u64 * 100_000;
        Some(Stirred { as_of, here, changed: Some(std::mem::take(&mut self.changed.lock())) })
    }
}

impl Recorder {
    /// Waits until a renewal was answered that began after this call, and what follows from it has been begun.
    pub(crate) async fn renewed(&self) {
        let now = self.renewals.load(Ordering::SeqCst);
        until("the lease is renewed", || self.renewals.load(Ordering::SeqCst) > now + 2).await;
    }

    /// UserStatus begins another life.
    pub(crate) fn begin_incarnation(&self) {
        self.lease.lock().incarnation = Some(Incarnation::generate());
    }

    /// The lease did not stand, and is another one now.
    pub(crate) fn begin_term(&self) {
        self.lease.lock().term += 1;
    }

    pub(crate) fn requests(&self) -> usize {
        self.submits.lock().iter().map(Vec::len).sum()
    }
}

pub(crate) struct World {
    pub(crate) connector: Connector,
    pub(crate) transfer: Arc<Recorder>,
    pub(crate) key: Arc<TokenKey>,
    pub(crate) address: SocketAddr,
}

impl World {
    pub(crate) async fn new(config: Config) -> Self {
        Self::with_tls(config, None).await
    }

    pub(crate) async fn with_tls(config: Config, tls: Option<Arc<whimbrel_connector::tls::Reloading>>) -> Self {
        let key = Arc::new(TokenKey::new(&vec![7; 32].into()));
        let connector = Connector::new(config, ConnectorId::generate(), key.clone());
        let listener = whimbrel_connector::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let transfer = Arc::new(Recorder::new());
        connector.start(listener, tls, transfer.clone());
        Self { connector, transfer, key, address }
    }

    /// A connection that has said nothing.
    pub(crate) async fn connect(&self) -> Client {
        Client::on(TcpStream::connect(self.address).await.expect("listening"))
    }

    /// A session.
    pub(crate) async fn log_in(&self) -> Client {
        let mut client = self.connect().await;
        client.hello(self.hello_of(DeviceId::generate(), 3600)).await;
        client.welcomed().await;
        client
    }

    /// A session of this user's device.
    pub(crate) async fn log_in_as(&self, user: UserId, device: DeviceId) -> Client {
        let mut client = self.connect().await;
        client.hello(self.hello_as(user, device, 3600)).await;
        client.welcomed().await;
        client
    }

    /// A Hello with a token that is good for so many seconds more.
    pub(crate) fn hello_of(&self, device: DeviceId, seconds: i64) -> proto::Hello {
        self.hello_as(UserId(5), device, seconds)
    }

    fn hello_as(&self, user: UserId, device: DeviceId, seconds: i64) -> proto::Hello {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let bearer = Bearer { user, device, expires_at: now.saturating_add_signed(seconds) };
        convert::Hello {
            protocol: 1,
            access_token: self.key.issue(bearer),
            device,
            platform: "test".into(),
            sdk_version: "test/1".into(),
        }
        .into()
    }

    pub(crate) async fn push(&self, to: &Client, body: PushBody) -> Taken {
        let item = PushItem { to: [to.session].into_iter().collect(), body };
        self.connector.push().push(vec![item]).await
    }
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(crate) struct Client {
    stream: Box<dyn Stream>,
    bytes: Vec<u8>,
    pub(crate) session: SessionId,
    pub(crate) sent: u64,
}

impl Client {
    pub(crate) fn on(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), bytes: Vec::new(), session: SessionId::generate(), sent: 0 }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("connected");
        self.stream.flush().await.expect("connected");
    }

    /// A frame with any numbers.
    pub(crate) async fn say(&mut self, number: u64, ack: u64, payload: Option<ClientPayload>) {
        let mut out = Vec::new();
        put_frame(&mut out, number, ack, payload.map(|p| Encoded::client(&p)).as_ref());
        self.write(&out).await;
    }

    /// The next numbered frame.
    pub(crate) async fn ask(&mut self, payload: ClientPayload) {
        self.sent += 1;
        self.say(self.sent, 0, Some(payload)).await;
    }

    pub(crate) async fn ack(&mut self, ack: u64) {
        self.say(0, ack, None).await;
    }

    pub(crate) async fn hello(&mut self, hello: proto::Hello) {
        self.say(0, 0, Some(ClientPayload::Hello(hello))).await;
    }

    pub(crate) async fn welcomed(&mut self) -> proto::Welcome {
        match self.next().await.payload {
            Some(ServerPayload::Welcome(welcome)) => {
                self.session = SessionId::from_slice(&welcome.session_id).expect("16 bytes");
                welcome
            }
            other => panic!("no Welcome but {other:?}"),
        }
    }

    /// The next frame; `None` when the server closed the connection.
    pub(crate) async fn read(&mut self) -> Option<ServerFrame> {
        loop {
            if let Some(prefix) = self.bytes.first_chunk::<4>() {
                let len = u32::from_be_bytes(*prefix) as usize;
                if self.bytes.len() >= 4 + len {
                    let frame = Bytes::copy_from_slice(&self.bytes[4..4 + len]);
                    self.bytes.drain(..4 + len);
                    return Some(decode_server(frame).expect("a server's frame"));
                }
            }
            let read = self.stream.read_buf(&mut self.bytes);
            if timeout(PATIENCE, read).await.expect("the server goes on").expect("no reset") == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn next(&mut self) -> ServerFrame {
        self.read().await.expect("open")
    }

    /// Reads up to the goodbye and the end of the connection; a connection that ends without one fails.
    pub(crate) async fn goodbye(&mut self) -> (GoodbyeCode, u32) {
        loop {
            if let Some(ServerPayload::Goodbye(goodbye)) = self.next().await.payload {
                assert_eq!(self.read().await, None, "nothing follows a goodbye");
                return (GoodbyeCode(goodbye.code), goodbye.retry_after_ms);
            }
        }
    }

    pub(crate) async fn goodbye_code(&mut self) -> GoodbyeCode {
        self.goodbye().await.0
    }
}

/// A send of one draft.
pub(crate) fn send() -> ClientPayload {
    let draft = proto::Draft {
        message_id: Bytes::copy_from_slice(MessageId::generate().as_bytes()),
        kind: 1,
        key_version: 1,
        body: Bytes::from_static(b"sealed"),
    };
    let conversation_id = Bytes::copy_from_slice(ConversationId::generate().as_bytes());
    ClientPayload::Send(proto::Send { conversation_id, drafts: vec![draft] })
}

pub(crate) fn sync(id: u32) -> ClientPayload {
    ClientPayload::Sync(proto::Sync { id, ..Default::default() })
}

/// Messages with these bodies' lengths.
pub(crate) fn delivery(lengths: &[usize]) -> PushBody {
    let conversation = ConversationId::generate();
    let message = |(seq, len): (u64, &usize)| Message {
        conversation,
        seq: Seq(seq),
        sender: UserId(9),
        device: DeviceId::generate(),
        message_id: MessageId::generate(),
        kind: MessageKind::TEXT,
        key_version: 1,
        body: Bytes::from(vec![b'x'; *len]),
        at: 1,
    };
    PushBody::Deliver(Arc::new(Delivery { conversation, messages: (1..).zip(lengths).map(message).collect() }))
}

pub(crate) fn answer() -> PushBody {
    let answers = vec![(MessageId::generate(), Outcome::Conflict)];
    PushBody::Answers { conversation: ConversationId::generate(), answers }
}
