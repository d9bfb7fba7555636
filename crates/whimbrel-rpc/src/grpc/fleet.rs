//! The streams of one process to all transfers: one for each, opened again when it ends, until the transfer leaves the
//! list.
//!
//! A stream is on the list of members exactly while it is open; it is taken off before what was under way on it is
//! settled, so that nothing that is given again can choose it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tracing::{info, warn};
use whimbrel_core::TransferId;

use super::figures::{self, Up};
use super::hello::Role;
use super::{Limits, Security};

/// A transfer, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TransferAt {
    /// Which.
    pub id: TransferId,
    /// Host and port.
    pub address: String,
}

/// One end of an open stream.
pub(super) trait Line: Send + Sync + 'static {
    /// Nothing new goes here.
    fn is_leaving(&self) -> bool;

    /// This side has no further use for the transfer: what is under way may still be answered.
    fn leave(&self);
}

/// A stream's two directions.
pub(super) type Opened<D> = (Arc<<D as Dial>::Line>, Streaming<<D as Dial>::Down>);

/// One kind of stream.
pub(super) trait Dial: Send + Sync + 'static {
    type Line: Line;
    type Down: Send + 'static;

    /// Opens a stream to this transfer and no other; returns once both Hellos were said.
    fn open(&self, to: TransferId, channel: Channel) -> impl Future<Output = Result<Opened<Self>, Status>> + Send;

    /// Something came. Never cancelled.
    fn take(&self, line: &Self::Line, message: Self::Down) -> impl Future<Output = Result<(), Status>> + Send;

    /// Gives up what has been under way for too long.
    fn sweep(&self, line: &Self::Line) -> impl Future<Output = ()> + Send;

    /// The stream has ended, and is no member any more.
    fn ended(&self, line: &Self::Line) -> impl Future<Output = ()> + Send;
}

/// An open stream to a transfer.
pub(super) struct Member<L> {
    pub(super) id: TransferId,
    pub(super) line: Arc<L>,
}

impl<L> Clone for Member<L> {
    fn clone(&self) -> Self {
        Self { id: self.id, line: self.line.clone() }
    }
}

pub(super) type Members<L> = Arc<Vec<Member<L>>>;

pub(super) struct Fleet<D: Dial> {
    pub(super) dial: D,
    pub(super) limits: Arc<Limits>,
    security: Security,
    members: watch::Sender<Members<D::Line>>,
    targets: Mutex<HashMap<TransferAt, CancellationToken>>,
    pub(super) stop: CancellationToken,
    /// There was a time without any stream since this was asked last.
    gap: AtomicBool,
}

impl<D: Dial> Fleet<D> {
    /// Until `stop`.
    pub(super) fn new(dial: D, security: Security, limits: Arc<Limits>, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            dial,
            limits,
            security,
            members: watch::Sender::default(),
            targets: Mutex::default(),
            stop,
            gap: AtomicBool::new(false),
        })
    }

    /// Replaces the list. Streams to transfers that are not on it any more are finished politely.
    pub(super) fn set(self: &Arc<Self>, list: Vec<TransferAt>) {
        let mut targets = self.targets.lock();
        targets.retain(|at, removed| {
            let stays = list.contains(at);
            if !stays {
                removed.cancel();
            }
            stays
        });
        for at in list {
            targets.entry(at).or_insert_with_key(|at| {
                let removed = CancellationToken::new();
                tokio::spawn(self.clone().keep(at.clone(), removed.clone()));
                removed
            });
        }
    }

    /// The open streams.
    pub(super) fn members(&self) -> Members<D::Line> {
        self.members.borrow().clone()
    }

    /// Tells when they change.
    pub(super) fn watch(&self) -> watch::Receiver<Members<D::Line>> {
        self.members.subscribe()
    }

    /// How many take something new.
    pub(super) fn reachable(&self) -> usize {
        self.members.borrow().iter().filter(|member| !member.line.is_leaving()).count()
    }

    /// Whether there was a time without any stream since this was asked last.
    pub(super) fn had_gap(&self) -> bool {
        self.gap.swap(false, Ordering::AcqRel)
    }

    /// Keeps a stream to one transfer open until it is off the list.
    async fn keep(self: Arc<Self>, at: TransferAt, removed: CancellationToken) {
        let mut pause = self.limits.pause_min;
        let mut written = String::new();
        loop {
            let was_open = tokio::select! {
                opened = self.once(&at, &removed) => match opened {
                    Ok(()) => true,
                    Err(problem) => {
                        // Once, and not with every try: this may last.
                        if written != problem {
                            warn!(transfer = %at.id, address = at.address, "a transfer cannot be reached: {problem}");
                            written = problem;
                        }
                        false
                    }
                },
                () = self.stop.cancelled() => return,
            };
            if was_open {
                (pause, written) = (self.limits.pause_min, String::new());
            }
            tokio::select! {
                () = removed.cancelled() => return,
                () = self.stop.cancelled() => return,
                () = sleep(jittered(pause)) => {}
            }
            pause = (pause * 2).min(self.limits.pause_max);
            figures::reconnect();
        }
    }

    /// Opens a stream and reads it to its end. An error: it was not opened.
    async fn once(&self, at: &TransferAt, removed: &CancellationToken) -> Result<(), String> {
        let opening = async {
            let endpoint = self.security.endpoint(&at.address, &self.limits).map_err(|error| causes(&error))?;
            let channel = endpoint.connect().await.map_err(|error| causes(&error))?;
            self.dial.open(at.id, channel).await.map_err(|status| status.message().to_owned())
        };
        let opened = tokio::select! {
            opened = timeout(self.limits.open_within, opening) => opened,
            () = removed.cancelled() => return Ok(()),
        };
        let (line, inbound) = opened.map_err(|_| "it does not answer".to_owned())??;
        let _up = Up::new(Role::Transfer.name());
        self.members.send_modify(|members| {
            Arc::make_mut(members).push(Member { id: at.id, line: line.clone() });
        });
        info!(transfer = %at.id, address = at.address, "a stream to a transfer is open");
        let end = self.read(&line, inbound, removed).await;
        self.members.send_modify(|members| {
            Arc::make_mut(members).retain(|member| !Arc::ptr_eq(&member.line, &line));
            if members.is_empty() {
                self.gap.store(true, Ordering::Release);
            }
        });
        match end {
            Ok(()) => info!(transfer = %at.id, "a stream to a transfer has ended"),
            Err(status) => warn!(
                transfer = %at.id, code = ?status.code(), reason = status.message(),
                "a stream to a transfer broke; what was under way on it is asked again"
            ),
        }
        self.dial.ended(&line).await;
        Ok(())
    }

    async fn read(
        &self,
        line: &D::Line,
        mut inbound: Streaming<D::Down>,
        removed: &CancellationToken,
    ) -> Result<(), Status> {
        let mut sweep = tokio::time::interval(self.limits.answer_within / 4);
        let (mut finished, mut last) = (false, None);
        loop {
            if line.is_leaving() && last.is_none() {
                // Twice: the transfer itself gives up after once, and says so.
                last = Some(Instant::now() + self.limits.drain * 2);
            }
            tokio::select! {
                message = inbound.message() => match message? {
                    Some(message) => self.dial.take(line, message).await?,
                    None => return Ok(()),
                },
                () = removed.cancelled(), if !finished => {
                    finished = true;
                    line.leave();
                }
                _ = sweep.tick() => self.dial.sweep(line).await,
                () = until(last) => return Err(Status::deadline_exceeded("not everything was answered in time")),
            }
        }
    }
}

async fn until(last: Option<Instant>) {
    match last {
        Some(last) => tokio::time::sleep_until(last).await,
        None => std::future::pending().await,
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

/// An error with what is behind it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
