//! The one task of a client: connects, holds the session, tries again, and answers the application's calls all along.
//!
//! It never waits for the application, and for the socket only together with everything else it waits for. For the
//! store it does wait: what is not stored is neither shown nor acknowledged.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use whimbrel_core::{ConversationId, FileId, GoodbyeCode, Message, MessageId, Next, Seq, UserId};

use crate::account::Credentials;
use crate::builder::Settings;
use crate::content::Outgoing;
use crate::engine::{Engine, Habits, Unheard};
use crate::error::{Error, StoreError};
use crate::event::{Closed, ConnectionState, Emitter, Event, Outcome};
use crate::inbox::Recount;
use crate::keys::Directory;
use crate::reconnect::Backoff;
use crate::rest::{Auth, is_refusal};
use crate::setting::Setting;
use crate::store::{Snapshot, Store, UploadRow};

mod calls;
mod fetch;
mod link;
mod older;
mod session;

/// A session that was online for so long held: pauses start anew after it.
const HELD: Duration = Duration::from_secs(2);
/// Held-back messages that are read from the store at once.
const RELEASE_PAGE: usize = 500;

/// What the application asks of the driver.
pub(crate) enum Command {
    Send {
        conversation: ConversationId,
        outgoing: Outgoing,
        reply: oneshot::Sender<Result<MessageId, Error>>,
    },
    Sent {
        conversation: ConversationId,
        message_id: MessageId,
        reply: oneshot::Sender<Result<Outcome, Error>>,
    },
    MarkRead {
        conversation: ConversationId,
        upto: Seq,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    Advanced {
        conversation: ConversationId,
        upto: Seq,
        reply: oneshot::Sender<()>,
    },
    Typing {
        conversation: ConversationId,
        typing: bool,
    },
    Signal {
        conversation: ConversationId,
        data: Bytes,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    Watch {
        users: Vec<UserId>,
        reply: oneshot::Sender<()>,
    },
    Setting {
        setting: Setting,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    Older {
        conversation: ConversationId,
        messages: Vec<Message>,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    /// An upload begins, or is given up: known to the store when it is answered.
    Upload {
        change: UploadChange,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    OutboxLen {
        reply: oneshot::Sender<usize>,
    },
    Close,
}

/// What becomes of an upload.
pub(crate) enum UploadChange {
    Begins(Box<UploadRow>),
    Ends(FileId),
}

/// What the driver is made of.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) auth: Arc<Auth>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) emitter: Emitter,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) state: watch::Sender<ConnectionState>,
}

struct Driver {
    settings: Settings,
    auth: Arc<Auth>,
    store: Arc<dyn Store>,
    emitter: Emitter,
    commands: mpsc::Receiver<Command>,
    state: watch::Sender<ConnectionState>,
    engine: Engine,
    calls: calls::Calls,
    job: Option<BoxFuture<'static, fetch::Done>>,
    backoff: Backoff,
    /// Since the client was last online.
    attempt: u32,
}

/// Why a session, or the try to have one, is over.
#[derive(Debug)]
enum End {
    /// The application closes, or nobody is left to work for.
    Application,
    /// The server said goodbye.
    Goodbye { code: GoodbyeCode, retry_after: Option<Duration> },
    /// There are no tokens to be had.
    LoggedOut,
    /// Anything that may be better next time.
    Broken { retry_after: Option<Duration> },
    /// What comes cannot be stored.
    Store(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        End::Store(error)
    }
}

/// Works until the client is closed.
pub(crate) async fn run(parts: Parts, snapshot: Snapshot) {
    let Parts { settings, auth, store, directory, emitter, commands, state } = parts;
    let Credentials { user, device, .. } = auth.current();
    let habits = Habits {
        user,
        device,
        first_sync: settings.first_sync,
        read_receipts: settings.read_receipts,
        auto_deliver: settings.auto_deliver,
    };
    let engine = Engine::new(habits, directory, snapshot);
    let mut driver = Driver {
        settings,
        auth,
        store,
        emitter,
        commands,
        state,
        engine,
        calls: calls::Calls::default(),
        job: None,
        backoff: Backoff::default(),
        attempt: 0,
    };
    let why = driver.work().await;
    tracing::debug!(%user, %device, %why, "the client has closed");
    driver.store.close().await;
    driver.set_state(ConnectionState::Closed { why });
}

impl Driver {
    async fn work(&mut self) -> Closed {
        let mut rejected = None;
        loop {
            self.attempt = self.attempt.saturating_add(1);
            self.set_state(ConnectionState::Connecting { attempt: self.attempt });
            let opening = link::open(self.settings.clone(), self.auth.clone(), rejected.take());
            let end = match self.meanwhile(opening).await {
                Ok(Ok(link)) => {
                    let (token, began) = (link.token.clone(), Instant::now());
                    let (end, was_online) = self.session(link).await;
                    if was_online && began.elapsed() >= HELD {
                        self.backoff.reset();
                    }
                    if matches!(&end, End::Goodbye { code, .. } if code.next() == Next::LogIn) {
                        rejected = Some(token);
                    }
                    end
                }
                Ok(Err(link::Failed { end, token })) => {
                    rejected = token;
                    end
                }
                Err(end) => end,
            };
            let pause = match self.pause_after(end) {
                Ok(pause) => pause,
                Err(why) => return why,
            };
            self.set_state(ConnectionState::Waiting { retry_in: pause });
            if let Err(end) = self.meanwhile(tokio::time::sleep(pause)).await
                && let Err(why) = self.pause_after(end)
            {
                return why;
            }
        }
    }

    /// What follows from an end: a pause, or the end for good.
    fn pause_after(&mut self, end: End) -> Result<Duration, Closed> {
        let hint = match end {
            End::Application => return Err(Closed::ByApplication),
            End::LoggedOut => return Err(Closed::LoggedOut),
            End::Store(error) => return Err(Closed::StoreFailed(error.to_string())),
            End::Goodbye { code, .. } if code.next() == Next::GiveUp => return Err(Closed::Goodbye(code)),
            End::Goodbye { retry_after, .. } | End::Broken { retry_after } => retry_after,
        };
        Ok(self.backoff.next(hint))
    }

    /// Waits for something without a session, and serves the application meanwhile.
    async fn meanwhile<T>(&mut self, future: impl Future<Output = T>) -> Result<T, End> {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                done = &mut future => return Ok(done),
                command = self.commands.recv(), if !self.calls.deserted => {
                    self.command(command)?;
                    self.drain_commands()?;
                    self.settle().await?;
                    self.put_older().await?;
                    self.look_up().await;
                }
            }
        }
    }

    /// Commits what gathered, then shows it and answers who waited for it.
    async fn settle(&mut self) -> Result<(), StoreError> {
        self.forget_calls().await?;
        if self.engine.is_countable_now() {
            self.recount().await?;
        }
        loop {
            let taken = self.engine.take();
            if !taken.commit.is_empty() {
                self.store.commit(taken.commit).await?;
            }
            if !taken.events.is_empty() {
                self.emitter.emit(taken.events);
            }
            self.calls.committed(taken.outcomes, &self.engine);
            if !self.recount().await? {
                return Ok(());
            }
        }
    }

    /// Looks up who called the user, of those whose words are gone with what is to be committed.
    async fn forget_calls(&mut self) -> Result<(), StoreError> {
        for Unheard { conversation, by, seqs } in self.engine.unheard() {
            for seq in seqs {
                let row = self.store.messages(conversation, Seq(seq.0.saturating_sub(1)), 1).await?;
                if row.first().is_some_and(|row| row.seq == seq && row.sender == by) {
                    self.engine.calls_no_more(conversation, seq);
                }
            }
        }
        Ok(())
    }

    /// Counts anew what is unread where the cursors say so. Says whether there is anything to commit by that.
    async fn recount(&mut self) -> Result<bool, StoreError> {
        let me = self.auth.current_user();
        let mut counted = false;
        for (id, recount) in self.engine.recounts() {
            let count = |(after, upto): (Seq, Seq)| self.store.count_incoming(id, me, after, upto);
            let unread = match recount {
                Recount::Is(unread) => Some(unread),
                Recount::Count { after, upto } => Some(count((after, upto)).await?),
                Recount::Adjust { read, new } => {
                    let now_read = count(read).await?;
                    Some((self.engine.unread(id) + count(new).await?).saturating_sub(now_read))
                }
                Recount::Ask => None,
            };
            counted |= unread.is_some();
            self.engine.recounted(id, unread);
        }
        Ok(counted)
    }

    /// Shows what was held back for a key that came, or will not come.
    async fn release(&mut self) -> Result<(), StoreError> {
        for (id, mut shown) in self.engine.releasable() {
            loop {
                let messages = self.store.messages(id, shown, RELEASE_PAGE).await?;
                let Some(last) = messages.last() else { break };
                shown = last.seq;
                self.engine.release(&messages, Instant::now());
                self.settle().await?;
            }
            self.engine.nothing_to_release(id);
        }
        self.settle().await
    }

    fn set_state(&mut self, state: ConnectionState) {
        if state == ConnectionState::Online {
            self.attempt = 0;
        }
        let changed = self.state.send_if_modified(|known| {
            let changed = *known != state;
            known.clone_from(&state);
            changed
        });
        if changed || matches!(state, ConnectionState::Connecting { attempt: 1 }) {
            self.emitter.emit([Event::State(state)]);
        }
    }
}

/// What a failed try to get tokens means.
fn end_of(error: &Error) -> End {
    match error {
        Error::Store(error) => End::Store(error.clone()),
        error if is_refusal(error) => End::LoggedOut,
        Error::Api(error) => End::Broken { retry_after: error.retry_after },
        _ => End::Broken { retry_after: None },
    }
}
