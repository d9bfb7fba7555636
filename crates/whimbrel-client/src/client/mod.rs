//! The application's handle. It owns no state besides what it needs to ask the driver and to read the store.

use std::sync::Arc;

use hashbrown::HashSet;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use whimbrel_core::{ConversationId, ConversationKind, DeviceId, FileId, MessageId, Seq, UserId};

use crate::account::Credentials;
use crate::builder::{ClientBuilder, Settings};
use crate::content::{Content, Outgoing};
use crate::driver::{self, Command, UploadChange};
use crate::error::Error;
use crate::event::{Closed, ConnectionState, Emitter, Outcome};
use crate::keys::Directory;
use crate::message::{ConversationSummary, StoredMessage, show};
use crate::rest::{Auth, AuthorizedRest};
use crate::store::Store;

mod chats;
mod follow_ups;
mod history;
mod presence;
mod search;

/// Calls that wait for the driver.
const COMMANDS_MAX: usize = 256;
/// Most messages that one call of [`Client::messages`] gives.
pub const MESSAGES_MAX: usize = 1000;

/// A device's connection, outbox and inbox. Cheap to clone; all clones are the same client.
///
/// It works until [`Client::close`], until the server says so for good, or until all clones and the
/// [`Events`](crate::Events) are dropped.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    user: UserId,
    device: DeviceId,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<ConnectionState>,
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    auth: Arc<Auth>,
    /// Uploads of this client's that are under way.
    uploading: Mutex<HashSet<FileId>>,
}

impl Client {
    /// Settings for a client of the REST API at `api_url` (`http://127.0.0.1:7180`) and the socket at `server`
    /// (`host:port`).
    pub fn builder(api_url: &str, server: &str) -> ClientBuilder {
        ClientBuilder::new(api_url, server)
    }

    pub(crate) async fn start(
        settings: Settings,
        auth: Arc<Auth>,
        store: Arc<dyn Store>,
        emitter: Emitter,
    ) -> Result<Client, Error> {
        let snapshot = store.load().await?;
        let directory = Arc::new(Directory::new(&snapshot));
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (state_out, state) = watch::channel(ConnectionState::Connecting { attempt: 1 });
        let Credentials { user, device, .. } = auth.current();
        let parts = driver::Parts {
            settings,
            auth: auth.clone(),
            store: store.clone(),
            directory: directory.clone(),
            emitter,
            commands: inbox,
            state: state_out,
        };
        tokio::spawn(driver::run(parts, snapshot));
        Ok(Client {
            inner: Arc::new(Inner {
                user,
                device,
                commands,
                state,
                store,
                directory,
                auth,
                uploading: Mutex::default(),
            }),
        })
    }

    /// Whose client it is.
    pub fn user(&self) -> UserId {
        self.inner.user
    }

    /// Which of the user's devices it is.
    pub fn device(&self) -> DeviceId {
        self.inner.device
    }

    /// Seals a text, stores it in the outbox and returns its id. The answer comes as
    /// [`Event::Sent`](crate::Event::Sent) or [`Event::Refused`](crate::Event::Refused), after any number of
    /// reconnects.
    ///
    /// Before the first session of a new device the keys are not known, and this waits for them. Dropping the future
    /// does not take the message back.
    ///
    /// # Errors
    /// [`Error::NoKey`] when the two are no friends, [`Error::TooLong`], [`Error::OutboxFull`], [`Error::Store`],
    /// [`Error::Closed`].
    pub async fn send_text(&self, conversation: ConversationId, text: &str) -> Result<MessageId, Error> {
        self.send(conversation, Content::Text(text.to_owned())).await
    }

    /// Sends any content, with what stands around it ([`Outgoing`]); otherwise as [`Client::send_text`].
    ///
    /// # Errors
    /// As [`Client::send_text`], [`Error::NotSendable`] for content that only servers make, and [`Error::NotInGroup`].
    pub async fn send(&self, conversation: ConversationId, what: impl Into<Outgoing>) -> Result<MessageId, Error> {
        let outgoing = what.into();
        self.ask(|reply| Command::Send { conversation, outgoing, reply }).await?
    }

    /// Waits for the answer of one message.
    ///
    /// # Errors
    /// [`Error::UnknownMessage`] when it is neither in the outbox nor stored, nor was refused lately.
    pub async fn sent(&self, conversation: ConversationId, id: MessageId) -> Result<Outcome, Error> {
        self.ask(|reply| Command::Sent { conversation, message_id: id, reply }).await?
    }

    /// The user has read everything up to and with `upto`, as far as it is stored here. Cumulative; less than before
    /// is harmless.
    ///
    /// # Errors
    /// [`Error::UnknownConversation`], [`Error::Store`], [`Error::Closed`].
    pub async fn mark_read(&self, conversation: ConversationId, upto: Seq) -> Result<(), Error> {
        self.ask(|reply| Command::MarkRead { conversation, upto, reply }).await?
    }

    /// Waits until the server has made durable that the user has read everything up to and with `upto`. It does not mark
    /// anything: see [`Client::mark_read`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn advanced(&self, conversation: ConversationId, upto: Seq) -> Result<(), Error> {
        self.ask(|reply| Command::Advanced { conversation, upto, reply }).await
    }

    /// The direct conversations and groups that this device knows: the pinned ones first, then the most recently used.
    /// Those that are archived or hidden are among them, and say so.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn conversations(&self) -> Result<Vec<ConversationSummary>, Error> {
        let rows = self.inner.store.conversations().await?;
        let mut lasts: hashbrown::HashMap<_, _> =
            self.inner.store.last_messages().await?.into_iter().map(|m| (m.conversation, m)).collect();
        let mut summaries: Vec<_> = rows
            .into_iter()
            .filter(|row| row.kind != ConversationKind::Private)
            .map(|row| {
                let last = lasts.remove(&row.id).map(|message| show(&self.inner.directory, message));
                self.inner.directory.summary(self.inner.user, row, last)
            })
            .collect();
        summaries.sort_by_key(ConversationSummary::order);
        Ok(summaries)
    }

    /// Messages with places above `after` from this device's own store, at most `limit` (and [`MESSAGES_MAX`]).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn messages(
        &self,
        conversation: ConversationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, Error> {
        let messages = self.inner.store.messages(conversation, after, limit.min(MESSAGES_MAX)).await?;
        Ok(messages.into_iter().map(|message| show(&self.inner.directory, message)).collect())
    }

    /// The conversation with a user, if this device knows of one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn conversation_with(&self, peer: UserId) -> Result<Option<ConversationId>, Error> {
        if let Some(conversation) = self.inner.directory.conversation_with(peer) {
            return Ok(Some(conversation));
        }
        let rows = self.inner.store.conversations().await?;
        Ok(rows.into_iter().find(|row| row.peer == Some(peer)).map(|row| row.id))
    }

    /// Drafts that wait for their answers.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn outbox_len(&self) -> Result<usize, Error> {
        self.ask(|reply| Command::OutboxLen { reply }).await
    }

    /// REST with this client's tokens, which are renewed as they expire.
    pub fn rest(&self) -> AuthorizedRest {
        AuthorizedRest::new(self.inner.auth.clone())
    }

    /// The tokens as they are now. They rotate: keep them in one place, which is this client's store.
    pub fn credentials(&self) -> Credentials {
        self.inner.auth.current()
    }

    /// How the connection is.
    pub fn state(&self) -> ConnectionState {
        self.inner.state.borrow().clone()
    }

    /// Waits until the session is open and its first sync is finished.
    ///
    /// # Errors
    /// [`Error::Closed`] when the client closes for good instead.
    pub async fn wait_online(&self) -> Result<(), Error> {
        let mut state = self.inner.state.clone();
        let reached =
            |state: &ConnectionState| matches!(state, ConnectionState::Online | ConnectionState::Closed { .. });
        match state.wait_for(reached).await.as_deref() {
            Ok(ConnectionState::Closed { why }) => Err(Error::Closed(why.clone())),
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Closed(Closed::ByApplication)),
        }
    }

    /// Says goodbye, closes the store and returns when both are done. What is in the outbox of a file store goes out
    /// with the next client.
    pub async fn close(&self) {
        let _ = self.inner.commands.send(Command::Close).await;
        self.inner.commands.closed().await;
    }

    /// Whether this deployment keeps bodies readable, as far as is known.
    pub(crate) fn has_readable_bodies(&self) -> bool {
        self.inner.directory.has_readable_bodies()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner.store
    }

    /// An error once the client has closed.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        match &*self.inner.state.borrow() {
            ConnectionState::Closed { why } => Err(Error::Closed(why.clone())),
            _ => Ok(()),
        }
    }

    /// An upload is under way from now on; false: it was already.
    pub(crate) fn takes_up(&self, file: FileId) -> bool {
        self.inner.uploading.lock().insert(file)
    }

    /// It is not any more.
    pub(crate) fn lets_go(&self, file: FileId) {
        self.inner.uploading.lock().remove(&file);
    }

    /// An upload begins or ends; the store knows when this returns.
    pub(crate) async fn upload(&self, change: UploadChange) -> Result<(), Error> {
        self.ask(|reply| Command::Upload { change, reply }).await?
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        if self.inner.commands.send(command(reply)).await.is_err() {
            return Err(self.closed());
        }
        answer.await.map_err(|_| self.closed())
    }

    fn closed(&self) -> Error {
        match &*self.inner.state.borrow() {
            ConnectionState::Closed { why } => Error::Closed(why.clone()),
            _ => Error::Closed(Closed::ByApplication),
        }
    }
}
