//! A connector on a port of its own, a transfer that records, and a client that says what it is told to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use whimbrel_connector::{Config, Connector};
use whimbrel_core::{
    ConnectorId, ConversationId, Delivery, DeviceId, GoodbyeCode, Message, MessageId, MessageKind, Outcome, Seq,
    SessionId, UserId,
};
use whimbrel_rpc::token::{Bearer, TokenKey};
use whimbrel_rpc::{
    Attach, AttachRefused, Attached, Lease, Push, PushBody, PushItem, Request, SessionRef, Standing, Taken, Transfer,
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
        ..Config::default()
    }
}

/// A transfer that records.
pub(crate) struct Recorder {
    pub(crate) attached: Mutex<Vec<Attach>>,
    pub(crate) submits: Mutex<Vec<Vec<Request>>>,
    pub(crate) detached: Mutex<Vec<SessionRef>>,
    pub(crate) refuse: Mutex<Option<AttachRefused>>,
    /// Pushed to whoever attaches, before that is answered.
    pub(crate) greet: Mutex<Option<(Arc<dyn Push>, PushBody)>>,
    pub(crate) greeted: Mutex<Option<Taken>>,
    /// Attaching takes a permit.
    pub(crate) attaching: Semaphore,
}

#[async_trait::async_trait]
impl Transfer for Recorder {
    async fn attach(&self, mut attaches: Vec<Attach>) -> Vec<Result<Attached, AttachRefused>> {
        let attach = attaches.pop().expect("one at a time");
        let session = attach.session.session;
        self.attached.lock().push(attach);
        self.attaching.acquire().await.expect("open").forget();
        let greet = self.greet.lock().clone();
        if let Some((push, body)) = greet {
            let taken = push.push(vec![PushItem { to: [session].into_iter().collect(), body }]).await;
            *self.greeted.lock() = Some(taken);
        }
        vec![self.refuse.lock().clone().map_or(Ok(Attached { registered: true }), Err)]
    }

    fn submit(&self, _: ConnectorId, requests: Vec<Request>) {
        self.submits.lock().push(requests);
    }

    async fn detach(&self, sessions: Vec<SessionRef>) {
        self.detached.lock().extend(sessions);
    }

    async fn renew(&self, _: ConnectorId) -> Lease {
        Lease { incarnation: None, kept: true }
    }

    async fn assert(&self, _: ConnectorId, _: Vec<Standing>) -> bool {
        true
    }

    async fn leave(&self, _: ConnectorId) {}
}

impl Recorder {
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
        let transfer = Arc::new(Recorder {
            attached: Mutex::default(),
            submits: Mutex::default(),
            detached: Mutex::default(),
            refuse: Mutex::default(),
            greet: Mutex::default(),
            greeted: Mutex::default(),
            attaching: Semaphore::new(1000),
        });
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

    /// A Hello with a token that is good for so many seconds more.
    pub(crate) fn hello_of(&self, device: DeviceId, seconds: i64) -> proto::Hello {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let bearer = Bearer { user: UserId(5), device, expires_at: now.saturating_add_signed(seconds) };
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
