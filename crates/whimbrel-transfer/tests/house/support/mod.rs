//! A house without sockets: real stores, a recorder in the place of the connector.

pub mod cluster;
pub mod directory;
pub mod groups;
pub mod recorder;
pub mod wrapped;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use whimbrel_archiver::Archiver;
use whimbrel_core::{
    ConnectorId, ConversationId, Cursors, DeviceId, Draft, MessageId, MessageKind, Outcome, Seq, SessionId, TransferId,
    UserId,
};
use whimbrel_rpc::{
    Announce, Attach, AttachRefused, Attached, PlacedBatch, Request, RequestBody, SessionRef, Through, Transfer,
};
use whimbrel_store::directory::{LogIn, NewUser, RelationChange};
use whimbrel_store::memory::{MemoryLog, MemoryLogConfig};
use whimbrel_store::sqlite::{SqliteConfig, SqliteStore};
use whimbrel_store::{Directory, Keyring, Log, MasterKey, Presences, Timeline, UserStatus};
use whimbrel_transfer::{Config, Stores, TransferRole};

pub use cluster::{Announcer, Web};
pub use directory::WrappedDirectory;
pub use groups::WrappedGroups;
pub use recorder::{Got, Recorder};
pub use wrapped::{CountingLog, Wrapped, WrappedStatus};

/// How long a level may take to be reached.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct House {
    pub store: SqliteStore,
    /// The same, as the transfers see it.
    pub directory: Arc<WrappedDirectory>,
    pub groups: Arc<WrappedGroups>,
    pub timeline: Arc<Wrapped>,
    pub log: Arc<CountingLog>,
    pub status: Arc<WrappedStatus>,
    /// The first of the connectors, and of the transfers.
    pub connector: Arc<Recorder>,
    pub connector_id: ConnectorId,
    pub transfer: Arc<TransferRole>,
    pub connectors: Vec<(ConnectorId, Arc<Recorder>)>,
    pub transfers: Vec<Arc<TransferRole>>,
    /// Whom each transfer reaches.
    pub webs: Vec<Arc<Web>>,
    pub announcer: Arc<Announcer>,
    /// When the next session begins.
    pub since: AtomicU64,
    _folder: tempfile::TempDir,
}

/// An archiver that can be ended.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Tells it to stop, and waits for its end.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// As kill -9 does: the consumer is dropped with everything unacknowledged.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub fn config() -> Config {
    Config { cursor_delay: Duration::from_millis(20), ..Config::default() }
}

impl House {
    /// A house with this transfer's settings; `in_flight`: records that may be unplaced.
    pub fn new(config: Config, in_flight: usize, partitions: u32) -> Self {
        Self::with(config, in_flight, partitions, 1)
    }

    /// So many transfers and so many connectors; everybody reaches everybody.
    pub fn with(config: Config, in_flight: usize, partitions: u32, each: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::new(MasterKey::generate(), vec![]).unwrap());
        let store = SqliteStore::open(folder.path(), keyring, SqliteConfig::default()).unwrap();
        let timeline = Arc::new(Wrapped::new(Arc::new(store.clone())));
        let log = MemoryLog::new(MemoryLogConfig { partitions, records_in_flight: in_flight, ..Default::default() });
        let log = Arc::new(CountingLog::new(log));
        let status = Arc::new(WrappedStatus::default());
        let connectors: Vec<_> = (0..each).map(|_| (ConnectorId::generate(), Arc::new(Recorder::default()))).collect();
        connectors.iter().for_each(|(id, _)| status.lease(*id));
        let webs: Vec<_> = (0..each).map(|_| Arc::new(Web::new(&connectors))).collect();
        let directory = Arc::new(WrappedDirectory::new(store.clone()));
        let groups = Arc::new(WrappedGroups::new(store.clone()));
        let presences: Arc<dyn Presences> = Arc::new(store.clone());
        let build = |web: &Arc<Web>| {
            let (id, directory, groups) = (TransferId::generate(), directory.clone(), groups.clone());
            let (config, log, timeline) = (config.clone(), log.clone(), timeline.clone());
            let presences = presences.clone();
            let stores = Stores { log, timeline, directory, groups, presences, status: status.clone() };
            (id, TransferRole::new(config, id, stores, web.clone()))
        };
        let all: Vec<_> = webs.iter().map(build).collect();
        let transfers: Vec<_> = all.iter().map(|(_, transfer)| transfer.clone()).collect();
        let announcer = Arc::new(Announcer { transfers: all, astray: AtomicUsize::new(0) });
        let (connector_id, connector) = connectors[0].clone();
        let (transfer, since) = (transfers[0].clone(), AtomicU64::new(1));
        let _folder = folder;
        Self {
            store,
            directory,
            groups,
            timeline,
            log,
            status,
            connector,
            connector_id,
            transfer,
            connectors,
            transfers,
            webs,
            announcer,
            since,
            _folder,
        }
    }

    /// The usual house: eight records under way, three partitions.
    pub fn usual() -> Self {
        Self::new(config(), 8, 3)
    }

    /// Two transfers and two connectors.
    pub fn cluster() -> Self {
        Self::with(config(), 8, 3, 2)
    }

    /// One transfer is spoken to directly.
    pub fn announce(&self) -> Arc<dyn Announce> {
        if self.transfers.len() == 1 { self.transfer.clone() } else { self.announcer.clone() }
    }

    pub fn archiver(&self) -> Running {
        self.archiver_over(self.log.clone(), self.timeline.clone())
    }

    pub fn archiver_over(&self, log: Arc<dyn Log>, timeline: Arc<dyn Timeline>) -> Running {
        let stop = CancellationToken::new();
        let config = whimbrel_archiver::Config {
            pause_min: Duration::from_millis(1),
            pause_max: Duration::from_millis(20),
            ..Default::default()
        };
        let archiver = Archiver::new(config, log, timeline, self.announce());
        Running { task: tokio::spawn(archiver.run(stop.clone())), stop }
    }

    pub async fn users(&self, count: usize) -> Vec<UserId> {
        let new = (0..count).map(|number| NewUser {
            handle: format!("user{number}"),
            display_name: String::new(),
            password_hash: None,
        });
        let users = self.store.create_users(new.collect(), 1).await.unwrap();
        users.into_iter().map(|user| user.unwrap().id).collect()
    }

    /// Changes a relation and announces it, as the API does.
    pub async fn change(&self, user: UserId, peer: UserId, change: RelationChange) -> Option<ConversationId> {
        let (relation, rows) = self.store.change_relation(user, peer, change, 1).await.unwrap();
        self.announce().placed(vec![PlacedBatch { rows, ..PlacedBatch::default() }], Through::All).await;
        relation.conversation
    }

    /// Makes friends; their conversation.
    pub async fn befriend(&self, one: UserId, two: UserId) -> ConversationId {
        self.change(one, two, RelationChange::Request { greeting: String::new() }).await;
        self.change(two, one, RelationChange::Accept).await.unwrap()
    }

    pub async fn log_in(&self, user: UserId) -> DeviceId {
        let device = DeviceId::generate();
        let log_in = LogIn { user, device, platform: "test".into(), name: String::new(), refresh_hash: None, now: 1 };
        let rows = self.store.log_in(vec![log_in]).await.unwrap().remove(0).unwrap();
        self.announce().placed(vec![PlacedBatch { rows, ..PlacedBatch::default() }], Through::All).await;
        device
    }

    pub async fn try_attach(&self, user: UserId, device: DeviceId) -> Result<SessionRef, AttachRefused> {
        self.try_attach_at(0, 0, user, device).await.map(|(session, _)| session)
    }

    /// A session at one of the connectors, through one of the transfers.
    pub async fn try_attach_at(
        &self,
        connector: usize,
        transfer: usize,
        user: UserId,
        device: DeviceId,
    ) -> Result<(SessionRef, Attached), AttachRefused> {
        let session = SessionRef { session: SessionId::generate(), user, device };
        let since = self.since.fetch_add(1, Ordering::Relaxed);
        let (connector, recorder) = &self.connectors[connector];
        recorder.open(session, since);
        let attach = Attach { session, connector: *connector, since, platform: "test".into() };
        let attached = self.transfers[transfer].attach(vec![attach]).await.remove(0);
        if attached.is_err() {
            recorder.lose(session.session);
        }
        attached.map(|attached| (session, attached))
    }

    /// A session on a new device at the second connector.
    pub async fn session_there(&self, user: UserId) -> SessionRef {
        let device = self.log_in(user).await;
        self.try_attach_at(1, 0, user, device).await.unwrap().0
    }

    /// A session on a new device.
    pub async fn session(&self, user: UserId) -> SessionRef {
        let device = self.log_in(user).await;
        self.try_attach(user, device).await.unwrap()
    }

    /// Two friends, each with a session.
    pub async fn pair(&self) -> (SessionRef, SessionRef, ConversationId) {
        let users = self.users(2).await;
        let chat = self.befriend(users[0], users[1]).await;
        (self.session(users[0]).await, self.session(users[1]).await, chat)
    }

    pub fn send(&self, from: SessionRef, conversation: ConversationId, drafts: &[Draft]) {
        let body = RequestBody::Send { conversation, drafts: drafts.to_vec() };
        self.transfer.submit(self.connector_id, vec![Request { from, body }]);
    }

    pub fn advance(&self, from: SessionRef, conversation: ConversationId, delivered: u64, read: u64) {
        let cursors = Cursors { delivered: Seq(delivered), read: Seq(read) };
        self.transfer.submit(
            self.connector_id,
            vec![Request { from, body: RequestBody::Advance(vec![(conversation, cursors)]) }],
        );
    }

    /// Sends, and waits for the answers to these drafts.
    pub async fn say(&self, from: SessionRef, conversation: ConversationId, drafts: &[Draft]) -> Vec<Outcome> {
        self.send(from, conversation, drafts);
        self.answers(from, drafts).await
    }

    pub async fn answers(&self, to: SessionRef, drafts: &[Draft]) -> Vec<Outcome> {
        let all = |got: &Got| drafts.iter().map(|draft| got.answer(draft.message_id)).collect::<Option<Vec<_>>>();
        self.connector.wait(to.session, all).await
    }

    /// The rows of a conversation as the timeline has them.
    pub async fn rows(&self, conversation: ConversationId) -> Vec<whimbrel_core::Message> {
        self.store.read(conversation, Seq::ZERO, 1_000_000).await.unwrap()
    }

    /// The texts of a conversation, without the server's rows.
    pub async fn texts(&self, conversation: ConversationId) -> Vec<String> {
        let rows = self.rows(conversation).await;
        rows.into_iter().filter(|row| row.kind == MessageKind::TEXT).map(|row| text(&row.body)).collect()
    }

    pub async fn is_online(&self, session: SessionRef) -> bool {
        let routes = self.status.locate(&[session.user]).await.unwrap();
        routes[0].iter().any(|route| route.session == session.session)
    }
}

pub fn text(body: &Bytes) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

pub fn draft(text: &str) -> Draft {
    Draft {
        message_id: MessageId::generate(),
        kind: MessageKind::TEXT,
        key_version: 1,
        body: Bytes::copy_from_slice(text.as_bytes()),
    }
}

pub fn drafts(texts: &[&str]) -> Vec<Draft> {
    texts.iter().map(|text| draft(text)).collect()
}

/// The seq of a SENT.
pub fn seq(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Sent { seq, .. } => seq.0,
        other => panic!("not sent: {other:?}"),
    }
}

/// Waits for a level that nobody announces.
pub async fn until(mut reached: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !reached() {
        assert!(tokio::time::Instant::now() < end, "the level was not reached");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl House {
    /// One more account.
    pub async fn users_more(&self, handle: &str) -> UserId {
        let new = NewUser { handle: handle.into(), display_name: String::new(), password_hash: None };
        self.store.create_users(vec![new], 1).await.unwrap().remove(0).unwrap().id
    }
}
