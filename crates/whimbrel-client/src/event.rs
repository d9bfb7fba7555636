//! What the application is told, and the bounded way there.
//!
//! The driver never waits for the application: when the queue is full, events are counted instead of kept, and the
//! application gets one [`Event::Lagged`] in their place, after what was queued before. No message is lost by that:
//! every message is in the store before its event exists.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use whimbrel_core::{ConversationId, Cursors, DeviceId, GoodbyeCode, MessageId, Presence, Refusal, Seq, UserId};

use crate::message::StoredMessage;
use crate::relation::Relation;

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The connection is in another state.
    State(ConnectionState),
    /// A message is stored on this device, from others or one's own, from this device or another: each exactly once,
    /// in seq order in each conversation.
    Message(StoredMessage),
    /// A draft of this device has its place, for ever.
    Sent {
        /// Where.
        conversation: ConversationId,
        /// Which.
        message_id: MessageId,
        /// Its place.
        seq: Seq,
        /// When it was placed, by the server's clock, milliseconds since 1970.
        at: u64,
    },
    /// A draft of this device was not placed and will not be; it left the outbox.
    Refused {
        /// Where.
        conversation: ConversationId,
        /// Which.
        message_id: MessageId,
        /// Why.
        refusal: NotPlaced,
    },
    /// A member has got further: the other user, or one's own user on another device.
    Receipt {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// How far.
        cursors: Cursors,
    },
    /// The number of unread messages is another one.
    Unread {
        /// Where.
        conversation: ConversationId,
        /// Messages of others after one's own read cursor.
        unread: u64,
    },
    /// A relation is another one: a request came, was answered, a friend left, a key was added.
    RelationChanged(Relation),
    /// One's own account changed (profile, password, devices, how one is seen): ask REST what it is now.
    AccountChanged,
    /// What a person sees of a message is another thing: it was edited, taken back, reacted to, has grown, or its time is
    /// over. [`Client::picture`](crate::Client::picture) shows it. The row that did this was told as a
    /// [`Event::Message`] before.
    Changed {
        /// Where.
        conversation: ConversationId,
        /// The place of that message.
        seq: Seq,
    },
    /// What a user said in a conversation before a place is gone: the server was told to erase it. Of their messages nothing
    /// is left here, nor of their edits and reactions, as if each had been taken back; this is said once for all of them, and
    /// whatever of the conversation is shown is to be looked at again. What others quoted of it stands in others' messages
    /// and stays.
    Erased {
        /// Where.
        conversation: ConversationId,
        /// Who said it.
        user: UserId,
        /// The place before which it is gone: that of the row which says so.
        seq: Seq,
    },
    /// Something about a group and oneself changed: what it is called, what one may do there, who asks for whom.
    /// [`Client::group`](crate::Client::group) has what is known of it.
    GroupChanged {
        /// Which.
        group: ConversationId,
    },
    /// A conversation is shown otherwise: pinned, muted, archived, its draft, cleared.
    SettingChanged {
        /// Which.
        conversation: ConversationId,
    },
    /// Somebody writes, or has stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Whether they write.
        typing: bool,
    },
    /// The embedding product's own signal.
    Signal {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// On which device.
        device: DeviceId,
        /// As the product defines.
        data: Bytes,
    },
    /// Somebody who is watched ([`Client::watch_presence`](crate::Client::watch_presence)) has come or gone, or this is the
    /// first that is known of them.
    Presence(Presence),
    /// The server was restored from a backup that does not hold this device's run. The run was dropped, and its messages
    /// come again, under the places that they have now; if the backup is older than the conversation, the conversation
    /// is gone.
    ConversationReset {
        /// Which.
        conversation: ConversationId,
    },
    /// The application was too slow and missed events. What they told is in the store.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// Getting a token, connecting, saying hello or syncing for the first time in this session.
    Connecting {
        /// Counts from 1 since the client was last online.
        attempt: u32,
    },
    /// The session is open and its first sync is finished: this device has what was missed, and what is live follows.
    Online,
    /// The next try is waited for.
    Waiting {
        /// How long from when this was said.
        retry_in: Duration,
    },
    /// For good.
    Closed {
        /// Why.
        why: Closed,
    },
}

/// Why a client has closed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// The application closed it.
    ByApplication,
    /// The server said goodbye with a code that says to give up, such as
    /// [`REPLACED`](GoodbyeCode::REPLACED).
    Goodbye(GoodbyeCode),
    /// The tokens are no longer good, and there is no password to log in with.
    LoggedOut,
    /// The device's store failed: nothing may be received that cannot be stored.
    StoreFailed(String),
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Closed::ByApplication => f.write_str("by the application"),
            Closed::Goodbye(code) => write!(f, "the server said {code}"),
            Closed::LoggedOut => f.write_str("logged out"),
            Closed::StoreFailed(error) => write!(f, "the device's store failed: {error}"),
        }
    }
}

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has its place, for ever.
    Sent {
        /// The place.
        seq: Seq,
        /// When it was placed, by the server's clock, milliseconds since 1970.
        at: u64,
    },
    /// It was not placed and will not be.
    Refused(Refusal),
    /// As [`NotPlaced::Conflict`].
    Conflict,
}

/// Why a draft was not placed and will not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPlaced {
    /// The server refused it.
    Refused(Refusal),
    /// Another body was placed under the same id before: the store was copied, or the SDK is at fault.
    Conflict,
}

impl NotPlaced {
    /// A sentence for a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            NotPlaced::Refused(refusal) => refusal.sentence(),
            NotPlaced::Conflict => "Another message was sent under the same id before.",
        }
    }
}

impl fmt::Display for NotPlaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotPlaced::Refused(refusal) => refusal.fmt(f),
            NotPlaced::Conflict => f.write_str("conflict"),
        }
    }
}

/// The events of one client, in their order.
///
/// It holds at most as many as [`ClientBuilder::event_capacity`](crate::ClientBuilder::event_capacity) says.
#[derive(Debug)]
pub struct Events {
    shared: Arc<Shared>,
}

/// The driver's end of an [`Events`].
#[derive(Debug)]
pub(crate) struct Emitter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Not kept since the queue was full; told before anything newer is queued.
    missed: u64,
    /// The driver has ended.
    ended: bool,
    /// The application dropped its end.
    unheard: bool,
}

/// A queue of at most `capacity` events.
pub(crate) fn channel(capacity: usize) -> (Emitter, Events) {
    let shared = Arc::new(Shared { queue: Mutex::default(), changed: Notify::new(), capacity: capacity.max(1) });
    (Emitter { shared: shared.clone() }, Events { shared })
}

impl Events {
    /// The next event; `None` once the client has closed and all were taken. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let changed = self.shared.changed.notified();
            {
                let mut queue = self.shared.queue.lock();
                if let Some(event) = queue.pop() {
                    return Some(event);
                }
                if queue.ended {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// The next event if there is one now.
    pub fn try_next(&mut self) -> Option<Event> {
        self.shared.queue.lock().pop()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.unheard = true;
        queue.events = VecDeque::new();
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Event> {
        match self.events.pop_front() {
            Some(event) => Some(event),
            None if self.missed > 0 => Some(Event::Lagged { missed: std::mem::take(&mut self.missed) }),
            None => None,
        }
    }
}

impl Emitter {
    /// Queues events in their order, with one lock and one wake for all of them.
    pub(crate) fn emit(&self, events: impl IntoIterator<Item = Event>) {
        let mut queue = self.shared.queue.lock();
        if queue.unheard {
            return;
        }
        for event in events {
            if queue.missed > 0 || queue.events.len() >= self.shared.capacity {
                queue.missed += 1;
            } else {
                queue.events.push_back(event);
            }
        }
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Whether nobody listens any more.
    pub(crate) fn is_unheard(&self) -> bool {
        self.shared.queue.lock().unheard
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        self.shared.queue.lock().ended = true;
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three events into room for two, then one more: what was queued comes first, then one Lagged for all that did
    /// not fit, and the order starts again after it.
    #[tokio::test]
    async fn a_slow_application_is_told_how_much_it_missed() {
        let (emitter, mut events) = channel(2);
        emitter.emit([Event::AccountChanged, Event::AccountChanged, Event::AccountChanged]);
        emitter.emit([Event::AccountChanged]);
        assert!(matches!(events.next().await, Some(Event::AccountChanged)));
        emitter.emit([Event::AccountChanged]);
        assert!(matches!(events.next().await, Some(Event::AccountChanged)));
        assert!(matches!(events.next().await, Some(Event::Lagged { missed: 3 })));
        emitter.emit([Event::AccountChanged]);
        assert!(matches!(events.next().await, Some(Event::AccountChanged)));
        drop(emitter);
        assert!(events.next().await.is_none());
    }
}
