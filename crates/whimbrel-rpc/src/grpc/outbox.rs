//! What waits to be written on a stream. The stream itself takes it, whenever it has room: one message with everything
//! that gathered. So there is no task between, no timer, and one lock for each batch on either side.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio_stream::Stream;
use tonic::Status;

/// What gathers on one stream.
pub(crate) trait Gather: Send + 'static {
    /// What is written.
    type Message: Send;

    /// Takes what gathered, up to where batches are cut. `None`: nothing waits.
    fn gather(&mut self) -> Option<Self::Message>;

    /// Nothing waits, and nothing will come: the stream ends well.
    fn is_over(&self) -> bool;
}

/// What waits to be written on one stream, until that ends.
pub(crate) struct Outbox<G>(Mutex<State<G>>);

struct State<G> {
    /// `None`: ended.
    gather: Option<G>,
    last: Option<Status>,
    writer: Option<Waker>,
}

impl<G: Gather> Outbox<G> {
    pub(crate) fn new(gather: G) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { gather: Some(gather), last: None, writer: None })))
    }

    /// Adds something, and wakes the stream. `None`: it has ended.
    pub(crate) fn with<T>(&self, add: impl FnOnce(&mut G) -> T) -> Option<T> {
        let (result, writer) = {
            let mut state = self.0.lock();
            (add(state.gather.as_mut()?), state.writer.take())
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        Some(result)
    }

    /// Ends the stream: with this status if there is one (only servers have any), otherwise well. Gives what waited to
    /// the first who ends it.
    pub(crate) fn end(&self, last: Option<Status>) -> Option<G> {
        let (gather, writer) = {
            let mut state = self.0.lock();
            let gather = state.gather.take()?;
            state.last = last;
            (gather, state.writer.take())
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        Some(gather)
    }
}

/// The stream's own end.
pub(crate) struct Drain<G: Gather> {
    outbox: Arc<Outbox<G>>,
    /// When the stream is dropped, what waits is dropped too; otherwise whoever reads the other direction does that.
    ends: bool,
}

impl<G: Gather> Drain<G> {
    /// For a server's answers.
    pub(crate) fn of_server(outbox: Arc<Outbox<G>>) -> Self {
        Self { outbox, ends: true }
    }

    /// For a client's side.
    pub(crate) fn of_client(outbox: Arc<Outbox<G>>) -> impl Stream<Item = G::Message> {
        tokio_stream::StreamExt::map_while(Self { outbox, ends: false }, Result::ok)
    }
}

impl<G: Gather> Stream for Drain<G> {
    type Item = Result<G::Message, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let over = {
            let mut state = self.outbox.0.lock();
            let Some(gather) = &mut state.gather else { return Poll::Ready(state.last.take().map(Err)) };
            if let Some(message) = gather.gather() {
                return Poll::Ready(Some(Ok(message)));
            }
            if !gather.is_over() {
                state.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            state.gather.take()
        };
        drop(over);
        Poll::Ready(None)
    }
}

impl<G: Gather> Drop for Drain<G> {
    fn drop(&mut self) {
        if self.ends {
            self.outbox.end(None);
        }
    }
}

/// Things that wait, with their bytes.
pub(crate) struct Queue<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Queue<T> {
    pub(crate) fn push(&mut self, item: T, bytes: usize) {
        self.bytes += bytes;
        self.items.push_back((item, bytes));
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes from the front what fits into `room`, and lessens it. `first`: nothing is in the message yet, so that one
    /// thing is taken whatever its length.
    pub(crate) fn take(&mut self, room: &mut usize, first: bool) -> Vec<T> {
        let mut taken = Vec::new();
        if self.bytes <= *room {
            *room -= self.bytes;
            self.bytes = 0;
            taken.reserve_exact(self.items.len());
            taken.extend(self.items.drain(..).map(|(item, _)| item));
            return taken;
        }
        while let Some((_, bytes)) = self.items.front() {
            if bytes > room && !(first && taken.is_empty()) {
                *room = 0;
                break;
            }
            let Some((item, bytes)) = self.items.pop_front() else { break };
            *room = room.saturating_sub(bytes);
            self.bytes -= bytes;
            taken.push(item);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_where_it_is_full_and_one_thing_always_goes() {
        let mut queue = Queue::default();
        for (item, bytes) in [(1, 4), (2, 4), (3, 4), (4, 100), (5, 1)] {
            queue.push(item, bytes);
        }
        let take = |queue: &mut Queue<i32>| queue.take(&mut 10, true);
        assert_eq!(
            [take(&mut queue), take(&mut queue), take(&mut queue), take(&mut queue)],
            [vec![1, 2], vec![3], vec![4], vec![5]]
        );
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn what_is_behind_another_list_waits_for_the_next_message() {
        let mut queue = Queue::default();
        queue.push(1, 8);
        let mut room = 5;
        assert!(queue.take(&mut room, false).is_empty());
        assert_eq!(room, 0, "what comes after it in the message does not overtake it");
    }
}
