//! What was published on one channel and is not confirmed yet.
//!
//! Invariant: nothing is told to be confirmed that the broker returned. The library hands a returned message to
//! whichever confirm it resolves next, which is often another record's, so here a return counts against everything on
//! the channel: all of it goes to the same queue, and that is not there. A confirm is told only after every confirm
//! that came with it was looked at; [`barrier`] makes sure that they are all there to be looked at.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use lapin::{Channel, Confirmation};
use metrics::counter;
use tokio::sync::oneshot;

use crate::log::LogError;

type Confirming = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// Whoever waits to hear that it is safe.
pub(super) type Done = oneshot::Sender<Result<(), LogError>>;

struct Waiting {
    confirming: Confirming,
    resolved: Option<bool>,
    done: Done,
}

/// In the order of publishing.
#[derive(Default)]
pub(super) struct InFlight {
    waiting: VecDeque<Waiting>,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes one that was begun: its first poll has put it in the channel's order.
    pub(super) fn push(&mut self, confirming: Confirming, done: Done) {
        self.waiting.push_back(Waiting { confirming, resolved: None, done });
    }

    /// Waits for confirms and tells them. An error is the channel's end: what is left is in doubt.
    pub(super) async fn progress(&mut self, channel: &Channel) -> Result<(), String> {
        poll_fn(|context| match self.poll(context) {
            Ok(0) => Poll::Pending,
            Ok(_) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
        })
        .await?;
        barrier(channel);
        poll_fn(|context| Poll::Ready(self.poll(context))).await?;
        self.tell();
        Ok(())
    }

    /// How many are resolved.
    fn poll(&mut self, context: &mut Context<'_>) -> Result<usize, String> {
        let mut resolved = 0;
        for waiting in &mut self.waiting {
            if waiting.resolved.is_none() {
                waiting.resolved = match waiting.confirming.as_mut().poll(context) {
                    Poll::Pending => None,
                    Poll::Ready(Ok(Confirmation::Ack(None))) => Some(true),
                    Poll::Ready(Ok(Confirmation::Nack(None))) => Some(false),
                    Poll::Ready(Ok(Confirmation::Ack(Some(back)) | Confirmation::Nack(Some(back)))) => {
                        return Err(format!("the broker has no queue {}", back.routing_key));
                    }
                    Poll::Ready(Ok(Confirmation::NotRequested)) => return Err("the channel confirms nothing".into()),
                    Poll::Ready(Err(error)) => return Err(error.to_string()),
                };
            }
            resolved += usize::from(waiting.resolved.is_some());
        }
        Ok(resolved)
    }

    fn tell(&mut self) {
        let (told, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|one| one.resolved.is_some());
        self.waiting = waiting;
        let told: VecDeque<Waiting> = told;
        for one in told {
            let outcome = if one.resolved == Some(true) {
                counter!("whimbrel_rabbit_records_confirmed_total").increment(1);
                Ok(())
            } else {
                counter!("whimbrel_rabbit_records_failed_total").increment(1);
                Err(LogError::Full)
            };
            // Nobody waits any more: no concern of the log.
            let _ = one.done.send(outcome);
        }
    }

    /// Tells all that are left that nothing is known of them.
    pub(super) fn fail(self, reason: &str) {
        counter!("whimbrel_rabbit_records_failed_total").increment(self.waiting.len() as u64);
        for one in self.waiting {
            let _ = one.done.send(Err(LogError::Unavailable(reason.into())));
        }
    }
}

/// Returns once the library has finished with the acknowledgement that it is handling, if any: it resolves all confirms
/// of one acknowledgement under one lock, and this takes that lock.
fn barrier(channel: &Channel) {
    let _ = channel.wait_for_confirms().now_or_never();
}
