//! Stores with faults to order: a gate before commits, absences, refused bodies; a log that counts; a UserStatus with
//! something that happens just before.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::watch;
use whimbrel_core::{
    ConnectorId, ConversationId, CursorMoved, FileId, Message, MessageId, Seq, SessionId, Standing, SyncAnswer,
    SyncQuestion, UserId,
};
use whimbrel_store::memory::{MemoryLog, MemoryUserStatus};
use whimbrel_store::{
    CommitError, Confirm, Consumer, FoundRow, Head, Log, LogError, PlaceBatch, Record, Renewed, Route, StoreError,
    Target, Timeline, UserStatus,
};

/// Open until it is closed.
pub struct Gate {
    open: watch::Sender<bool>,
    /// Who waits before it.
    pub waiting: AtomicUsize,
}

impl Default for Gate {
    fn default() -> Self {
        Self { open: watch::Sender::new(true), waiting: AtomicUsize::new(0) }
    }
}

impl Gate {
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    pub async fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let opened = self.open.subscribe().wait_for(|open| *open).await.map(drop);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        opened.expect("the gate lives as long");
    }
}

type Committed = Result<(PlaceBatch, Vec<CursorMoved>), (PlaceBatch, CommitError)>;

pub struct Wrapped {
    inner: Arc<dyn Timeline>,
    /// Closed: commits wait before they begin.
    gate: watch::Sender<bool>,
    /// So many calls fail, for every call but `read`.
    pub away: AtomicUsize,
    /// So many commits are made, and their answers get lost.
    pub lost_answers: AtomicUsize,
    /// A body that is refused for good, and whether the engine can tell which row it is.
    pub refuses: Mutex<Option<(Bytes, bool)>>,
    pub commits: AtomicUsize,
    /// Commits that wait at the gate.
    pub at_gate: AtomicUsize,
    /// How often the engine was reached anew.
    pub connections: AtomicU64,
    /// Before the syncs.
    pub reading: Gate,
    pub syncs: AtomicUsize,
}

impl Wrapped {
    pub fn new(inner: Arc<dyn Timeline>) -> Self {
        Self {
            inner,
            gate: watch::Sender::new(true),
            away: AtomicUsize::new(0),
            lost_answers: AtomicUsize::new(0),
            refuses: Mutex::new(None),
            commits: AtomicUsize::new(0),
            at_gate: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
            reading: Gate::default(),
            syncs: AtomicUsize::new(0),
        }
    }

    pub fn close_gate(&self) {
        self.gate.send_replace(false);
    }

    pub fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    fn fail(&self) -> Result<(), StoreError> {
        if take(&self.away) { Err(StoreError::Unavailable("gone for a test".into())) } else { Ok(()) }
    }

    fn refusal(&self, batch: &PlaceBatch) -> Option<CommitError> {
        let refuses = self.refuses.lock();
        let (body, named) = refuses.as_ref()?;
        let index = batch.rows.iter().position(|row| row.message.body == *body)?;
        Some(CommitError::RowRefused { index: if *named { index } else { usize::MAX }, reason: "a test".into() })
    }
}

/// Takes one, if there is one.
pub fn take(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl Timeline for Wrapped {
    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError> {
        self.fail()?;
        self.inner.heads(conversations).await
    }

    async fn find(&self, ids: &[(ConversationId, UserId, MessageId)]) -> Result<Vec<Option<FoundRow>>, StoreError> {
        self.fail()?;
        self.inner.find(ids).await
    }

    async fn standings(&self, of: &[(ConversationId, UserId)]) -> Result<Vec<Option<Standing>>, StoreError> {
        self.fail()?;
        self.inner.standings(of).await
    }

    async fn targets(&self, of: &[(ConversationId, Seq)]) -> Result<Vec<Option<Target>>, StoreError> {
        self.fail()?;
        self.inner.targets(of).await
    }

    async fn files(&self, of: &[(FileId, UserId)]) -> Result<Vec<bool>, StoreError> {
        self.fail()?;
        self.inner.files(of).await
    }

    async fn commit(&self, batch: PlaceBatch) -> Committed {
        self.at_gate.fetch_add(1, Ordering::AcqRel);
        let opened = self.gate.subscribe().wait_for(|open| *open).await.map(drop);
        self.at_gate.fetch_sub(1, Ordering::AcqRel);
        opened.expect("the gate lives as long");
        self.commits.fetch_add(1, Ordering::AcqRel);
        if let Err(error) = self.fail() {
            return Err((batch, error.into()));
        }
        if let Some(error) = self.refusal(&batch) {
            return Err((batch, error));
        }
        let (batch, moved) = self.inner.commit(batch).await?;
        if take(&self.lost_answers) {
            return Err((batch, CommitError::Store(StoreError::Unavailable("the answer got lost".into()))));
        }
        Ok((batch, moved))
    }

    fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    async fn sync(&self, user: UserId, question: SyncQuestion) -> Result<SyncAnswer, StoreError> {
        self.syncs.fetch_add(1, Ordering::AcqRel);
        self.reading.pass().await;
        self.fail()?;
        self.inner.sync(user, question).await
    }

    async fn read(&self, conversation: ConversationId, after: Seq, limit: usize) -> Result<Vec<Message>, StoreError> {
        self.inner.read(conversation, after, limit).await
    }
}

pub struct CountingLog {
    inner: MemoryLog,
    /// What was appended, in order.
    pub records: Mutex<Vec<Record>>,
    /// So many appends are refused.
    pub full: AtomicUsize,
}

impl CountingLog {
    pub fn new(inner: MemoryLog) -> Self {
        Self { inner, records: Mutex::default(), full: AtomicUsize::new(0) }
    }

    /// Records that are not acknowledged.
    pub fn waiting(&self) -> usize {
        self.inner.len()
    }
}

#[async_trait]
impl Log for CountingLog {
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    fn records_in_flight(&self) -> usize {
        self.inner.records_in_flight()
    }

    fn append(&self, partition: u32, record: Record) -> Result<Confirm, LogError> {
        if take(&self.full) {
            return Err(LogError::Full);
        }
        self.records.lock().push(record.clone());
        self.inner.append(partition, record)
    }

    async fn consume(&self) -> Result<Box<dyn Consumer>, LogError> {
        self.inner.consume().await
    }

    fn close(&self) {
        self.inner.close();
    }
}

type Happening = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
pub struct WrappedStatus {
    inner: Mutex<Arc<MemoryUserStatus>>,
    /// It lost what it knew, and not everybody has asserted yet.
    pub unsure: AtomicBool,
    /// The users that were asked for, by call.
    pub located: Mutex<Vec<Vec<UserId>>>,
    /// Sessions that were registered, by call.
    pub registered: Mutex<Vec<usize>>,
    /// Happens before the next session is registered.
    pub before_online: Mutex<Option<Happening>>,
    /// So many calls fail.
    pub away: AtomicUsize,
}

impl WrappedStatus {
    /// The connector says that it lives.
    pub fn lease(&self, connector: ConnectorId) {
        self.inner().renew(connector).now_or_never().unwrap().unwrap();
    }

    pub fn len(&self) -> usize {
        self.inner().len()
    }

    /// It is emptied, and begins another life.
    pub fn forget_all(&self) {
        self.unsure.store(true, Ordering::Release);
        *self.inner.lock() = Arc::default();
    }

    fn inner(&self) -> Arc<MemoryUserStatus> {
        self.inner.lock().clone()
    }

    fn fail(&self) -> Result<(), StoreError> {
        if take(&self.away) { Err(StoreError::Unavailable("gone for a test".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl UserStatus for WrappedStatus {
    async fn online(&self, sessions: &[(UserId, Route)]) -> Result<Vec<SmallVec<[Route; 1]>>, StoreError> {
        let happening = self.before_online.lock().take();
        if let Some(happening) = happening {
            happening.await;
        }
        self.fail()?;
        self.registered.lock().push(sessions.len());
        self.inner().online(sessions).await
    }

    async fn offline(&self, sessions: &[(UserId, SessionId)]) -> Result<(), StoreError> {
        self.fail()?;
        self.inner().offline(sessions).await
    }

    async fn locate(&self, users: &[UserId]) -> Result<Vec<SmallVec<[Route; 2]>>, StoreError> {
        self.located.lock().push(users.to_vec());
        self.fail()?;
        if self.unsure.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("not sure".into()));
        }
        self.inner().locate(users).await
    }

    async fn renew(&self, connector: ConnectorId) -> Result<Renewed, StoreError> {
        self.fail()?;
        self.inner().renew(connector).await
    }

    async fn expel(&self, connectors: &[ConnectorId]) -> Result<(), StoreError> {
        self.fail()?;
        self.inner().expel(connectors).await
    }

    async fn connectors(&self) -> Result<Vec<ConnectorId>, StoreError> {
        self.fail()?;
        self.inner().connectors().await
    }
}
